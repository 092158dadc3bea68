"""One group of members in training on the toy corpus."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from schemas.settings import LOSSES
from schemas.tables import negatives_schema
from tasks.train.data import read_prepared
from tasks.train.objectives.contrast import contrast
from tasks.train.trainer import Trainer

KINDS = {
    "softmax_all": {"kind": "softmax_all"},
    "dssm": {"kind": "dssm", "gamma": 10.0},
    "softmax_target": {"kind": "softmax_target", "gamma": 1.0},
    "sampled_softmax": {"kind": "sampled_softmax", "gamma": 10.0},
}
assert KINDS.keys() == LOSSES.keys(), "a new loss is tested with every tower here"
OWN_TEXTS_OFF = {"own_texts": False}


def fit_of(folder, settings, name="refit/0"):
    """Return a fresh fit on all rows."""
    prepared = read_prepared(folder)
    return Trainer(prepared, np.arange(len(prepared.labels)), settings, name, settings.training.epochs)


def trained(folder, settings, epochs=2):
    """Return a fit after some epochs."""
    fit = fit_of(folder, settings)
    for _ in range(epochs):
        fit.run_epoch()
    return fit


@pytest.mark.parametrize("tower", ["bag", "lstm"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_loss_falls_with_every_tower_and_finds_the_right_answers(prepared, small, kind, tower):
    """Below half of its first value, and three in four training queries find their standard question first."""
    dropout = {"feature_dropout": 0.1, "vector_dropout": 0.0, "epochs": 15}
    settings = small(loss=KINDS[kind], model={"tower": tower}, training=dropout)
    fit = fit_of(prepared, settings)
    before = fit.loss_without_dropout()

    losses = [fit.run_epoch()[0] for _ in range(15)]

    assert losses[-1] < 0.7 * losses[0]
    assert fit.loss_without_dropout() < 0.5 * before
    scores = np.einsum("sno,sko->nk", fit.encode(fit.prepared.queries), fit.class_vectors())
    assert (scores.argmax(axis=1) == fit.prepared.labels).mean() > 0.75


def test_the_contrast_is_part_of_what_is_learnt_and_none_of_what_is_recorded(prepared, small):
    """With it the queries of one standard question find each other more easily."""
    found = []
    for weight in (0.0, 3.0):
        fit = fit_of(prepared, small(loss={"kind": "softmax_all", "contrast": weight}))
        first = fit.run_epoch()[0]
        for _ in range(5):
            fit.run_epoch()
        vectors = torch.from_numpy(fit.encode(fit.prepared.queries))
        found.append((first, contrast(vectors, torch.from_numpy(fit.prepared.labels), 20.0).item()))

    (plain, before), (recorded, after) = found
    assert after < 0.95 * before
    assert recorded == pytest.approx(plain, rel=0.2)  # the contrast of the first epoch is as large as the loss


def test_the_loss_without_dropout_is_that_of_the_vectors_served(prepared, small):
    """Softmax over the first epoch's negatives, computed anew from the vectors."""
    fit = trained(prepared, small(loss=KINDS["dssm"], training=OWN_TEXTS_OFF))
    queries, classes = fit.encode(fit.prepared.queries)[0], fit.class_vectors()[0]
    candidates = np.hstack([fit.prepared.labels[:, None], fit.prepared.negatives(0)])
    logits = 10.0 * np.einsum("no,nco->nc", queries, classes[candidates]).astype(np.float64)

    expected = (np.log(np.exp(logits).sum(axis=1)) - logits[:, 0]).mean()

    assert fit.loss_without_dropout() == pytest.approx(expected, rel=1e-4)


def test_vectors_have_unit_length(prepared, small):
    """Those of queries and of standard questions, of every tower."""
    fit = trained(prepared, small(model={"ensemble": 2, "hidden_dims": [8], "output_dim": 5}))

    for vectors in (fit.encode(fit.prepared.queries), fit.class_vectors()):
        assert vectors.shape[::2] == (2, 5)
        assert np.linalg.norm(vectors, axis=2) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 14},
        {"training": {"epochs": 7}},  # the schedule of the learning rate
        {"training": {"batch_size": 32}},
        {"training": {"learning_rate": 0.05}},
        {"training": {"feature_dropout": 0.0}},
        {"training": {"vector_dropout": 0.0}},
        {"training": {"own_texts": False}},
        {"loss": {"gamma": 10.0}},
        {"loss": {"prior_strength": 0.0}},
        {"loss": {"kind": "sampled_softmax"}},
        {"loss": {"margin": 0.0}},
        {"model": {"class_vectors": False}},
        {"model": {"hidden_dims": [16]}},
        {"model": {"tower": "lstm"}},
        {"split": {"shuffle": False}},
    ],
    ids=str,
)
def test_each_setting_changes_what_is_learnt(prepared, small, change):
    """On the same prepared files; without a change the vectors are the same to the last bit."""
    base, again, other = (
        trained(prepared, settings).class_vectors() for settings in (small(), small(), small(**change))
    )

    assert base.tobytes() == again.tobytes()
    assert not np.allclose(base, other, atol=1e-4)


@pytest.mark.parametrize("change", [{"gamma": 2.0}, {"target": 0.39}], ids=str)
def test_settings_of_the_articles_loss_change_what_is_learnt(prepared, small, change):
    """Gamma and target of softmax_target."""
    base = trained(prepared, small(loss=KINDS["softmax_target"])).class_vectors()
    other = trained(prepared, small(loss=KINDS["softmax_target"] | change)).class_vectors()

    assert not np.allclose(base, other, atol=1e-5)


@pytest.mark.parametrize(
    "change", [{"loss": {"prior_strength": 0.0}}, {"loss": {"margin": 0.0}}, {"training": OWN_TEXTS_OFF}], ids=str
)
def test_the_sampled_softmax_heeds_the_settings_of_the_exact_one(prepared, small, change):
    """Logit adjustment, margin and own texts carry over."""
    loss = KINDS["sampled_softmax"]
    base = trained(prepared, small(loss=loss)).class_vectors()
    other = trained(prepared, small(**({"loss": loss} | change | {"loss": loss | change.get("loss", {})})))

    assert not np.allclose(base, other.class_vectors(), atol=1e-4)


@pytest.mark.parametrize("kind", ["dssm", "softmax_target"])
def test_sampled_losses_train_on_own_texts(prepared, small, kind):
    """Their negatives are drawn as those of rows are."""
    loss = {"loss": KINDS[kind]}
    base, other = (trained(prepared, small(**loss, training=t)).class_vectors() for t in ({}, OWN_TEXTS_OFF))

    assert not np.allclose(base, other, atol=1e-5)


def with_near_duplicates(folder, home, near):
    """Copy the prepared files and say which classes nearly equal which."""
    copy = shutil.copytree(folder, home / "near")
    table = pq.read_table(copy / "classes.parquet")
    column = pa.array([near.get(number, []) for number in range(len(table))], type=pa.list_(pa.int32()))
    place = table.column_names.index("near_duplicates")
    pq.write_table(table.set_column(place, table.field(place), column), copy / "classes.parquet")
    return copy


def by_hand(fit, log_weights):
    """Return the loss of all rows as one batch, with (rows, K) log weights; -inf at the right class, which has 0.

    The right cosine counts less by the margin; a twentieth of the target is spread over all classes.
    """
    queries, classes = fit.encode(fit.prepared.queries)[0], fit.class_vectors()[0]
    logits = 10.0 * (queries @ classes.T).astype(np.float64)
    rows = np.arange(len(logits))
    right = logits[rows, fit.prepared.labels] - 10.0 * fit.objective.settings.margin
    weights = np.exp(log_weights)
    mean = (right + (weights * logits).sum(axis=1)) / (1 + weights.sum(axis=1))
    return np.log(np.exp(right) + (weights * np.exp(logits)).sum(axis=1)) - 0.95 * right - 0.05 * mean


def barred(fit, near):
    """Return (rows, K): -inf for a row's own class and its near-duplicates, 0 elsewhere."""
    table = np.zeros((12, 12))
    table[np.arange(12), np.arange(12)] = -np.inf
    for own, others in near.items():
        table[own, others] = -np.inf
    return table[fit.prepared.labels]


@pytest.mark.parametrize("near", [{}, {0: [3], 3: [0]}], ids=["distinct", "near-duplicates"])
def test_the_draws_of_a_batch_serve_all_its_rows(prepared, small, tmp_path, near):
    """A class drawn m times of n weighs m (K - 1) / n, in batches of 16, by hand; not for its own rows or twins'."""
    loss = KINDS["sampled_softmax"] | {"prior_strength": 0.0}
    fit = trained(with_near_duplicates(prepared, tmp_path, near), small(loss=loss, training=OWN_TEXTS_OFF))
    negatives, own = fit.prepared.negatives(0), barred(fit, near)
    costs = []
    for start in range(0, len(negatives), 16):
        rows = np.arange(start, min(start + 16, len(negatives)))
        with np.errstate(divide="ignore"):
            weights = np.log(np.bincount(negatives[rows].ravel(), minlength=12) * 11 / negatives[rows].size)
        costs.append(by_hand(fit, own + weights)[rows])

    assert fit.loss_without_dropout() == pytest.approx(np.concatenate(costs).mean(), rel=1e-5)


def test_another_group_starts_elsewhere(prepared, small):
    """The name is part of the seed."""
    first, second = (fit_of(prepared, small(), name).class_vectors() for name in ("refit/0", "refit/1"))

    assert not np.allclose(first, second)


def test_parameters_are_counted(prepared, small):
    """Two towers: V * 16 embeddings, 16 * 8 + 8 of a layer, 12 class vectors of 8 unless switched off."""
    model = {"ensemble": 2, "hidden_dims": [8]}
    with_vectors, without = (
        fit_of(prepared, small(model=model | {"class_vectors": switch})) for switch in (True, False)
    )
    vocabulary = with_vectors.prepared.sizes.vocabulary

    assert with_vectors.parameters == 2 * (16 * vocabulary + 16 * 8 + 8 + 12 * 8)
    assert without.parameters == with_vectors.parameters - 2 * 12 * 8


def test_without_class_vectors_equal_texts_have_equal_vectors(prepared, small):
    """A standard question is then its text alone."""
    fit = trained(prepared, small(model={"class_vectors": False}))

    np.testing.assert_array_equal(fit.class_vectors(), fit.encode(fit.prepared.classes))
    assert not np.allclose(trained(prepared, small()).class_vectors(), fit.encode(fit.prepared.classes))


def with_negatives(folder, home, change):
    """Copy the prepared files and replace the negatives of every epoch."""
    copy = shutil.copytree(folder, home / "copy")
    for file in (copy / "negatives").rglob("part-*.parquet"):
        table = pq.read_table(file)
        drawn = np.array(table["negatives"].to_pylist(), dtype=np.int32)
        drawn = change(drawn, table["class_id"].to_numpy()).astype(np.int32)
        lists = pa.FixedSizeListArray.from_arrays(pa.array(drawn.ravel()), drawn.shape[1])
        pq.write_table(
            pa.table([table["row_id"], table["class_id"], lists], schema=negatives_schema(drawn.shape[1])), file
        )
    return copy


@pytest.mark.parametrize(("kind", "used"), [(kind, kind != "softmax_all") for kind in KINDS])
def test_sampled_losses_learn_from_the_negatives_on_disk(prepared, small, tmp_path, kind, used):
    """Other files, another model; the exact softmax does not look at them."""
    other = with_negatives(prepared, tmp_path, lambda drawn, labels: (labels[:, None] + 1 + np.arange(4)) % 12)
    settings = small(loss=KINDS[kind])

    here, there = (trained(folder, settings).class_vectors() for folder in (prepared, other))

    assert np.array_equal(here, there) != used


def test_draws_of_negatives_cycle(prepared):
    """Four epochs are drawn; the fifth is the first again."""
    data = read_prepared(prepared)

    assert (data.negatives(0) == data.negatives(4)).all()
    assert (data.negatives(0) != data.negatives(1)).any()


def test_the_spread_is_the_deviation_of_whole_batches_over_the_mean(prepared, small):
    """With next to no learning rate and rows in the order of the file it is computed by hand; a rest is left out."""
    training = {"batch_size": 16, "learning_rate": 1e-9, "feature_dropout": 0.0, "vector_dropout": 0.0} | OWN_TEXTS_OFF
    fit = fit_of(prepared, small(loss=KINDS["dssm"], training=training, split={"shuffle": False}))
    queries, classes = fit.encode(fit.prepared.queries)[0], fit.class_vectors()[0]
    candidates = np.hstack([fit.prepared.labels[:, None], fit.prepared.negatives(0)])
    logits = 10.0 * np.einsum("no,nco->nc", queries, classes[candidates]).astype(np.float64)
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[:, 0]
    whole = losses[: len(losses) // 16 * 16].reshape(-1, 16).mean(axis=1)

    mean, spread = fit.run_epoch()

    assert len(losses) % 16
    assert mean == pytest.approx(losses.mean(), rel=1e-4)
    assert spread == pytest.approx(whole.std() / losses.mean(), rel=1e-3)


def test_a_last_small_batch_is_weighted_by_its_rows(prepared, small):
    """With next to no learning rate the epoch's loss is the mean over rows, not over batches."""
    training = {"batch_size": 50, "learning_rate": 1e-9, "feature_dropout": 0.0, "vector_dropout": 0.0}
    fit = fit_of(prepared, small(loss=KINDS["dssm"], training=training))
    expected = fit.loss_without_dropout()

    assert len(fit.sampler.rows) % 50 not in (0, 25)
    assert fit.run_epoch()[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("tower", ["bag", "lstm"])
def test_training_does_not_depend_on_the_global_random_state(prepared, small, tower):
    """All randomness comes from the seed."""
    vectors = []
    for seed in (5, 6):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the global state is what this is about
        vectors.append(trained(prepared, small(model={"tower": tower}), epochs=1).class_vectors())

    assert vectors[0].tobytes() == vectors[1].tobytes()
