"""The towers, in numbers small enough to work out by hand."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch.nn import functional as F

from schemas.settings import Model
from tasks.retrieval.texts import Texts
from tasks.train.optimiser import Table
from tasks.train.towers import Sizes, make_tower
from tasks.train.towers.bag import Bags
from tests.conftest import RANDOM_TOWERS

SIZES = Sizes(vocabulary=5, words=4)
# Three texts over five features and four words; the last one has neither.
TEXTS = Texts(
    bags=sp.csr_array(
        (np.array([0.6, 0.8, 1.0], np.float32), np.array([0, 3, 4], np.int32), np.array([0, 2, 3, 3])), shape=(3, 5)
    ),
    words=np.array([1, 3, 2], np.int32),
    offsets=np.array([0, 2, 3, 3]),
)


def tower_of(seed=1, **model):
    """Return a fresh tower, of embedding size 3 unless said otherwise."""
    settings = Model(**({"embedding_dim": 3, "ensemble": 1} | model))
    return make_tower(settings, SIZES, torch.Generator().manual_seed(seed))


def vectors(tower, texts=TEXTS, dropout=0.0, seed=0):
    """Return (S, n, o) vectors."""
    with torch.no_grad():
        return tower(tower.embed(texts, dropout, np.random.default_rng(seed)))


# --- bag


def test_a_bag_is_the_weighted_sum_of_its_embeddings():
    """0.6 of feature 0 and 0.8 of feature 3; feature 4; nothing."""
    tower = tower_of()
    weight = tower.table.weight

    expected = torch.stack([0.6 * weight[0] + 0.8 * weight[3], weight[4], torch.zeros(3)])
    torch.testing.assert_close(vectors(tower), expected[None])


@pytest.mark.parametrize(
    ("activation", "function"), [("tanh", torch.tanh), ("relu", F.relu), ("gelu", F.gelu), ("none", lambda x: x)]
)
def test_hidden_layers_are_activated_and_the_output_layer_is_linear(activation, function):
    """First f(x W + b), then a linear map to the output size."""
    tower = tower_of(hidden_dims=[4], output_dim=2, activation=activation)
    (w1, w2), (b1, b2) = tower.layers.weights, tower.layers.biases
    torch.nn.init.normal_(b1)
    torch.nn.init.normal_(b2)

    bag = vectors(tower_of())[0]
    expected = function(bag @ w1[0] + b1[0]) @ w2[0] + b2[0]
    torch.testing.assert_close(vectors(tower)[0], expected)


@pytest.mark.parametrize("kind", RANDOM_TOWERS)
@pytest.mark.parametrize(
    ("model", "size"),
    [
        ({}, 3),
        ({"embedding_dim": 6}, 6),
        ({"hidden_dims": [7]}, 7),
        ({"hidden_dims": [7, 4]}, 4),
        ({"output_dim": 2}, 2),
        ({"hidden_dims": [7], "output_dim": 5}, 5),
    ],
)
def test_sizes_of_layers_give_the_size_of_the_vectors(kind, model, size):
    """The output, else the last hidden layer, else the embedding."""
    tower = tower_of(tower=kind, **model)

    assert vectors(tower).shape == (1, 3, size)
    assert tower.size == size


@pytest.mark.parametrize("kind", RANDOM_TOWERS)
def test_several_towers_at_once_are_each_the_single_one(kind):
    """Three towers as one batched model; each copied into a model of its own gives its vectors."""
    batched = tower_of(tower=kind, ensemble=3, hidden_dims=[4, 2], output_dim=5)
    together = vectors(batched)
    for number in range(3):
        single = tower_of(seed=9, tower=kind, hidden_dims=[4, 2], output_dim=5)
        rows = batched.table.rows
        single.table.weight.copy_(batched.table.weight[number * rows : (number + 1) * rows])
        for mine, theirs in zip(single.layers.parameters(), batched.layers.parameters(), strict=True):
            mine.data.copy_(theirs.data[number : number + 1])
        if kind == "lstm":
            single.lstms[0].load_state_dict(batched.lstms[number].state_dict())

        torch.testing.assert_close(vectors(single)[0], together[number])
    assert not torch.allclose(together[0], together[1])


@pytest.mark.parametrize("kind", RANDOM_TOWERS)
def test_weights_come_from_the_generator_alone(kind):
    """Equal seeds, equal towers, whatever the global state of torch; other seeds, other towers."""
    first = vectors(tower_of(seed=1, tower=kind, hidden_dims=[4]))
    torch.manual_seed(77)

    assert torch.equal(first, vectors(tower_of(seed=1, tower=kind, hidden_dims=[4])))
    assert not torch.equal(first, vectors(tower_of(seed=2, tower=kind, hidden_dims=[4])))


@pytest.mark.parametrize("kind", RANDOM_TOWERS)
def test_without_dropout_nothing_is_random(kind):
    """The draw of the generator does not matter."""
    tower = tower_of(tower=kind)

    assert torch.equal(vectors(tower, seed=0), vectors(tower, seed=1))


def test_dropout_leaves_out_its_share_of_features_for_each_tower_apart():
    """Of 5,000 one-feature texts about three in ten lose it, and two towers do not lose the same ones."""
    tower = tower_of(ensemble=2)
    many = TEXTS.take(np.full(5000, 1))

    lost = (vectors(tower, many, dropout=0.3) == 0).all(dim=2)

    assert lost.float().mean(dim=1).tolist() == pytest.approx([0.3, 0.3], abs=0.03)
    assert (lost[0] & lost[1]).float().mean().item() == pytest.approx(0.09, abs=0.02)


def test_dropout_of_the_lstm_puts_the_unknown_word_in_place():
    """A dropped word is word 0, so that the model learns what an unknown one is like."""
    tower = tower_of(tower="lstm")
    one, unknown = TEXTS.take(np.array([1])), Texts(TEXTS.bags[:1], np.array([0], np.int32), np.array([0, 1]))

    many = vectors(tower, TEXTS.take(np.full(2000, 1)), dropout=0.25)[0]

    dropped = torch.isclose(many, vectors(tower, unknown)[0]).all(dim=1)
    kept = torch.isclose(many, vectors(tower, one)[0]).all(dim=1)
    assert dropped.float().mean().item() == pytest.approx(0.25, abs=0.04)
    assert (dropped ^ kept).all()


# --- lstm


def test_padding_does_not_change_the_vector_of_a_text():
    """A text alone, and beside a longer one."""
    tower = tower_of(tower="lstm", hidden_dims=[4])

    alone = vectors(tower, TEXTS.take(np.array([1])))
    torch.testing.assert_close(alone[0, 0], vectors(tower)[0, 1])


def test_many_texts_of_many_lengths_are_read_as_each_alone():
    """However texts are grouped and padded, each keeps its place: a hundred texts of none to nine words."""
    random = np.random.default_rng(4)
    lengths = random.permutation(np.arange(100) % 10)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    words = random.integers(0, 4, offsets[-1]).astype(np.int32)
    texts = Texts(sp.csr_array((100, 5), dtype=np.float32), words, offsets)
    tower = tower_of(tower="lstm", ensemble=2)

    together = vectors(tower, texts)

    for row in range(100):
        torch.testing.assert_close(vectors(tower, texts.take(np.array([row])))[:, 0], together[:, row])


def test_the_lstm_reads_words_in_order():
    """The same words the other way round are another text; a bag would not notice."""
    tower = tower_of(tower="lstm")
    turned = Texts(TEXTS.bags[:1], np.array([3, 1], np.int32), np.array([0, 2]))

    assert not torch.allclose(vectors(tower, turned)[0, 0], vectors(tower)[0, 0])


def test_an_empty_text_reads_as_one_unknown_word():
    """Alone, so that nothing pads it, and in company."""
    tower = tower_of(tower="lstm")
    unknown = Texts(TEXTS.bags[:1], np.array([0], np.int32), np.array([0, 1]))

    for found in (vectors(tower)[0, 2], vectors(tower, TEXTS.take(np.array([2])))[0, 0]):
        torch.testing.assert_close(found, vectors(tower, unknown)[0, 0])


def test_the_first_hidden_size_is_the_state_of_the_lstm():
    """The rest are layers behind it."""
    tower = tower_of(tower="lstm", hidden_dims=[7, 4])

    assert tower.lstms[0].hidden_size == 7
    assert [tuple(weight.shape) for weight in tower.layers.weights] == [(1, 7, 4)]


# --- the table and its optimiser


def test_adagrad_steps_by_rows():
    """Two steps by hand: the accumulator adds the mean square of the row's gradient, the step divides by its root."""
    table = Table(1, 3, 2, 0.0, torch.Generator())
    rate = 0.5
    for gradient, before in (([3.0, 4.0], 0.0), ([6.0, 8.0], 12.5)):
        start = table.weight[1].clone()
        table.update(torch.tensor([1]), torch.tensor([gradient]), rate)

        squares = before + (gradient[0] ** 2 + gradient[1] ** 2) / 2
        step = torch.tensor(gradient) * rate / math.sqrt(squares)
        torch.testing.assert_close(table.weight[1], start - step)
        assert table.squares[1].item() == pytest.approx(squares)
    assert table.weight[[0, 2]].abs().sum() == 0  # rows that were not touched
    assert table.squares[[0, 2]].tolist() == pytest.approx([1e-10] * 2)


def test_a_bags_step_hands_each_feature_its_weighted_gradient():
    """The gradient of feature 0 is 0.6 of that of text 0, of feature 4 that of text 1, of feature 1 none."""
    tower = tower_of()
    before = tower.table.weight.clone()
    bags = tower.embed(TEXTS, 0.0, np.random.default_rng(0))
    gradient = torch.tensor([[[1.0, 2.0, 2.0], [2.0, 0.0, 0.0], [5.0, 5.0, 5.0]]])

    (bags.leaf * gradient).sum().backward()
    bags.step(0.1)

    moved = before - tower.table.weight
    unit = 0.1 * math.sqrt(3)  # of a first step: gradient / root mean square
    torch.testing.assert_close(moved[0], unit * torch.tensor([1.0, 2.0, 2.0]) / 3)  # whatever its scale of 0.6
    torch.testing.assert_close(moved[4], unit * torch.tensor([1.0, 0.0, 0.0]))
    assert moved[[1, 2]].abs().sum() == 0
    assert tower.table.squares[0].item() == pytest.approx(0.36 * 3)
    assert tower.table.squares[3].item() == pytest.approx(0.64 * 3)


def test_gradients_of_several_passes_add_up_before_a_step():
    """The texts of all standard questions are read once for several batches."""
    once, twice = tower_of(), tower_of()
    for tower, times in ((once, 1), (twice, 2)):
        bags = tower.embed(TEXTS, 0.0, np.random.default_rng(0))
        for _ in range(times):
            bags.leaf.sum().backward()
        bags.step(0.1)

    assert twice.table.squares[4].item() == pytest.approx(4 * once.table.squares[4].item())


def test_a_dropped_feature_gets_no_gradient():
    """What was not read does not learn."""
    table = Table(1, 5, 3, 0.1, torch.Generator().manual_seed(1))
    before = table.weight.clone()
    bags = Bags(table, TEXTS, 0.999999, np.random.default_rng(0))

    bags.leaf.sum().backward()
    bags.step(0.1)

    assert bags.leaf.abs().sum() == 0
    assert torch.equal(table.weight, before)


@pytest.mark.parametrize("kind", RANDOM_TOWERS)
def test_the_sparse_gradient_is_that_of_autograd(kind):
    """Slopes by finite differences, in the second of two towers with layers."""
    tower = tower_of(tower=kind, ensemble=2, hidden_dims=[4], output_dim=3)
    start = tower.table.weight.clone()
    row, column, epsilon = tower.table.rows + 3, 1, 1e-2
    costs = []
    for sign in (1, -1):
        tower.table.weight.copy_(start)
        tower.table.weight[row, column] += sign * epsilon
        costs.append(vectors(tower).double().square().sum().item())
    slope = (costs[0] - costs[1]) / (2 * epsilon)

    tower.table.weight.copy_(start)
    embedded = tower.embed(TEXTS, 0.0, np.random.default_rng(0))
    tower(embedded).square().sum().backward()
    embedded.step(1.0)

    step = (start - tower.table.weight)[row, column] * tower.table.squares[row].sqrt()  # undoes Adagrad's division
    assert step.item() == pytest.approx(slope, rel=0.01)


# --- texts


def test_texts_are_taken_in_any_order_and_joined():
    """Bags and words together."""
    taken = TEXTS.take(np.array([2, 1, 0]))
    joined = TEXTS.followed_by(taken)

    assert taken.words.tolist() == [2, 1, 3]
    assert taken.offsets.tolist() == [0, 0, 1, 3]
    assert taken.bags.toarray()[::-1].tolist() == TEXTS.bags.toarray().tolist()
    assert joined.words.tolist() == [1, 3, 2, 2, 1, 3]
    assert joined.offsets.tolist() == [0, 2, 3, 3, 3, 4, 6]
    assert joined.bags.toarray()[3:].tolist() == taken.bags.toarray().tolist()
