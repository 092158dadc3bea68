"""What is learned on an encoder's vectors."""

import numpy as np
import pytest
import scipy.sparse as sp

from tasks.train.projection import train_projection

CLASSES, ROWS, SIZE = 12, 8, 16
PAIR = np.zeros((CLASSES, CLASSES), np.float32)
PAIR[0, 1] = PAIR[1, 0] = 1


def vectors(of, spread, seed):
    """Return vectors of unit length near some points."""
    found = of + spread * np.random.default_rng(seed).normal(size=of.shape)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("exact", [True, False])
def test_what_has_the_same_answer_is_not_pushed_apart(small, monkeypatch, exact):
    """Two standard questions whose queries are alike stay near each other, and so do the queries."""
    monkeypatch.setattr("tasks.train.projection._LOUD_ROWS", 0)  # without noise, which hides the difference
    if not exact:
        monkeypatch.setattr("tasks.train.projection.EXACT_CLASSES", CLASSES - 2)
    points = vectors(np.zeros((CLASSES, SIZE)), 1, 0)
    points[1:2] = vectors(points[:1], 0.15, 3)
    labels = np.repeat(np.arange(CLASSES), ROWS)
    queries, texts = vectors(points[labels], 0.2, 1), vectors(points, 0.2, 2)
    settings = small(loss={"contrast": 20.0}, training={"vector_dropout": 0.0})

    def train(same):
        found = train_projection(queries, labels, texts, same, settings, "test")
        turned = found.apply(queries)
        return found.classes[0] @ found.classes[1], (turned[labels == 0] @ turned[labels == 1].T).mean()

    grouped, alone = train(sp.csr_array(PAIR)), train(None)

    assert grouped[0] > alone[0] + 0.25  # by the softmax
    assert grouped[1] > alone[1] + 0.015  # by the contrast


def test_of_few_queries_more_is_learned_with_noise(small, monkeypatch):
    """Queries of none of the training find their standard question more often."""
    points = vectors(np.zeros((60, 48)), 1, 0)
    labels, asked = np.repeat(np.arange(60), 3), np.repeat(np.arange(60), 30)
    queries, texts, fresh = (vectors(points[of], 0.28, seed) for seed, of in enumerate((labels, np.arange(60), asked)))

    def recall():
        learned = train_projection(queries, labels, texts, None, small(), "test")
        return np.mean((learned.apply(fresh) @ learned.classes.T).argmax(axis=1) == asked)

    with_noise = recall()
    monkeypatch.setattr("tasks.train.projection._LOUD_ROWS", 0)

    assert with_noise > recall() + 0.05


def test_codes_for_standard_questions_need_not_be_learned_from(small):
    """Without training.own_texts they change nothing, but where a standard question has no query."""
    points = vectors(np.zeros((CLASSES, SIZE)), 1, 0)
    labels = np.repeat(np.arange(CLASSES - 1), ROWS)
    queries, texts = vectors(points[labels], 0.2, 1), vectors(points, 0.2, 2)
    codes = vectors(np.zeros((CLASSES, SIZE)), 1, 9)
    codes[-1] = texts[-1]
    settings = small(training={"own_texts": False})

    first, second = (train_projection(queries, labels, own, None, settings, "test") for own in (texts, codes))

    np.testing.assert_array_equal(first.apply(queries), second.apply(queries))
    np.testing.assert_array_equal(first.classes, second.classes)
    assert (first.apply(texts[-1:]) @ first.classes.T).argmax() == CLASSES - 1


def test_a_text_that_has_no_vector_gets_none(small):
    """A bias would else make one of nothing, the same for all."""
    points = vectors(np.zeros((CLASSES, SIZE)), 1, 0)
    learned = train_projection(points, np.arange(CLASSES), points, None, small(), "test")

    assert not learned.apply(np.zeros((1, SIZE), np.float32)).any()
    assert learned.bias.any()
