"""Metrics, checked by hand where a hand suffices."""

import numpy as np
import pytest

from tasks.evaluate.metrics import (
    by_class_size,
    chance_of_loss,
    gain_at_most,
    mean_with_interval,
    measure,
    paired_difference,
)
from tasks.retrieval.ranking import rank_of_truth, ranking

SEED = 13


def test_ranking_puts_the_best_first_and_ties_in_order_of_class_id():
    """Equal scores say nothing, so a fixed order decides that does not know the label."""
    scores = np.array([[0.1, 0.9, 0.5, 0.9], [0.0, 0.0, 0.0, 0.0]])

    assert ranking(scores, 3).tolist() == [[1, 3, 2], [0, 1, 2]]


def test_ranking_stops_at_the_number_of_classes():
    """Asking for ten of three gives three."""
    assert ranking(np.array([[1.0, 3.0, 2.0]]), 10).tolist() == [[1, 2, 0]]


@pytest.mark.parametrize("top", [1, 3, 10, 24, 25])
def test_ranking_equals_a_full_stable_sort(top):
    """The shortcut over the top-th score agrees with sorting everything, ties at the edge included."""
    scores = np.random.default_rng(SEED).integers(0, 6, (200, 25)).astype(np.float32)

    assert np.array_equal(ranking(scores, top), np.argsort(-scores, axis=1, kind="stable")[:, :top])


@pytest.mark.parametrize("classes", [700, 5000])
@pytest.mark.parametrize("levels", [2, 50, 10**9])
def test_of_many_classes_the_best_are_found_by_groups(classes, levels):
    """Among more than 64 times as many as are asked for; all ties, some, none; one row of equal scores, one of two."""
    scores = np.random.default_rng(SEED).integers(0, levels, (20, classes)).astype(np.float64)
    scores[3], scores[4] = 0, 0
    scores[4, [classes - 1, 7]] = 1

    assert np.array_equal(ranking(scores, 10), np.argsort(-scores, axis=1, kind="stable")[:, :10])


@pytest.mark.parametrize("top", [1, 3, 50, 80])
def test_a_row_alone_is_ranked_as_among_others(top):
    """Ties included: a single query is ranked in another way."""
    scores = np.random.default_rng(top).integers(0, 8, size=(40, 60)).astype(np.float32)

    together = ranking(scores, top)

    assert [ranking(row[None], top)[0].tolist() for row in scores] == together.tolist()
    with pytest.raises(ValueError, match="must be numbers"):
        ranking(np.array([[0.0, np.nan]]), 1)


def test_nothing_is_ranked_without_rows():
    """An empty block is no error, nor are no classes."""
    assert ranking(np.zeros((0, 7)), 3).shape == (0, 3)
    assert ranking(np.zeros((2, 0)), 3).shape == (2, 0)


def test_the_rank_of_the_truth_is_its_position_in_the_ranking():
    """Counting and sorting give the same list, so metrics come from what is shown."""
    rng = np.random.default_rng(SEED)
    scores, truth = rng.integers(0, 6, (300, 25)).astype(np.float32), rng.integers(0, 25, 300)

    ranks = rank_of_truth(scores, truth)

    assert np.array_equal(ranking(scores, 25)[np.arange(300), ranks], truth)


def test_an_unknown_standard_question_is_never_found():
    """It counts as a miss for every k and adds nothing to the MRR."""
    ranks = rank_of_truth(np.array([[0.3, 0.7], [0.3, 0.7]]), np.array([-1, 1]))
    metrics = measure(ranks, np.array([-1, 1]), SEED)

    assert ranks.tolist() == [-1, 0]
    assert metrics.recall_at_10.value == metrics.mrr.value == 0.5
    assert metrics.macro_recall_at_10.value == 1.0  # no class of this corpus was missed


def test_scores_that_are_no_numbers_are_refused():
    """Nothing is greater than NaN, so a broken model would otherwise have recall 1."""
    with pytest.raises(ValueError, match=r"NaN in 1 row"):
        rank_of_truth(np.array([[np.nan, 1.0]]), np.array([0]))
    scores = np.zeros((2, 1000))
    scores[1, 500] = np.nan
    with pytest.raises(ValueError, match=r"NaN in 1 row"):
        ranking(scores, 10)


def test_a_truth_that_does_not_fit_is_refused():
    """The message names what was expected."""
    with pytest.raises(ValueError, match="from -1 to 1"):
        rank_of_truth(np.zeros((1, 2)), np.array([2]))


def test_metrics_of_five_rows_agree_with_a_hand():
    """Ranks 0, 0, 4, 9 and 10: two first, three among five, four among ten."""
    metrics = measure(np.array([0, 0, 4, 9, 10]), np.array([0, 0, 0, 1, 2]), SEED)

    assert metrics.rows == 5
    assert metrics.recall_at_1.value == pytest.approx(2 / 5)
    assert metrics.recall_at_5.value == pytest.approx(3 / 5)
    assert metrics.recall_at_10.value == pytest.approx(4 / 5)
    assert metrics.mrr.value == pytest.approx((1 + 1 + 1 / 5 + 1 / 10 + 1 / 11) / 5)


def test_macro_recall_weighs_classes_and_not_rows():
    """Nine rows of one class are found, the one row of another is not: 0.9 per row, 0.5 per class."""
    metrics = measure(np.array([0] * 9 + [50]), np.array([0] * 9 + [1]), SEED)

    assert metrics.recall_at_10.value == pytest.approx(0.9)
    assert metrics.macro_recall_at_10.value == pytest.approx(0.5)


def test_without_rows_nothing_was_measured():
    """A corpus of one-row classes has no test rows; the numbers are zeros and the rows say why."""
    metrics = measure(np.zeros(0, int), np.zeros(0, int), SEED)

    assert (metrics.rows, metrics.recall_at_10.value) == (0, 0.0)


def test_buckets_go_by_training_rows_and_empty_ones_are_left_out():
    """Bounds belong to the smaller bucket; a class without rows has its own; the unknown has none."""
    train_rows = np.array([0, 3, 4, 10, 50, 51])
    truth = np.array([0, 1, 2, 3, 5, -1])

    buckets = by_class_size(np.array([0, 0, 0, 99, 0, -1]), truth, train_rows, SEED)

    assert {name: m.rows for name, m in buckets.items()} == {"0": 1, "1-3": 1, "4-10": 2, ">50": 1}
    assert buckets["4-10"].recall_at_10.value == 0.5


def test_an_interval_holds_its_value_and_shrinks_with_rows():
    """A hundred times the rows give about a tenth of the width."""
    small, large = (mean_with_interval(np.arange(n) % 4 == 0, SEED) for n in (100, 10_000))

    assert small.low < small.value == large.value < small.high
    assert (large.high - large.low) == pytest.approx((small.high - small.low) / 10, rel=0.15)


def test_an_interval_of_a_share_is_the_binomial_one():
    """At n = 400 and p = 1/4 it is p +- 1.96 sqrt(p (1 - p) / n)."""
    interval = mean_with_interval(np.arange(400) % 4 == 0, SEED)

    half = 1.96 * (0.25 * 0.75 / 400) ** 0.5
    assert (interval.low, interval.high) == (
        pytest.approx(0.25 - half, abs=0.006),
        pytest.approx(0.25 + half, abs=0.006),
    )


def test_the_same_seed_gives_the_same_interval():
    """Equal inputs, equal bytes."""
    values = np.random.default_rng(1).random(500)

    assert mean_with_interval(values, SEED) == mean_with_interval(values, SEED)
    assert mean_with_interval(values, SEED) != mean_with_interval(values, SEED + 1)


def test_a_paired_difference_is_narrower_than_its_parts():
    """What is hard for both cancels: here b misses what a misses, and ten rows more."""
    ranks_a = np.where(np.arange(200) % 2, 0, 99)
    ranks_b = ranks_a.copy()
    ranks_b[1:21:2] = 99

    difference = paired_difference(ranks_a, ranks_b, 10)
    alone = mean_with_interval(ranks_a < 10, SEED)

    assert difference.value == pytest.approx(10 / 200)
    assert 0 < difference.low
    assert difference.high - difference.low < (alone.high - alone.low) / 2


def test_a_few_rows_that_agree_are_no_certainty():
    """Of 13 rows found all, Wilson's interval begins at 13 / (13 + 1.96^2); two scorers may differ by as much."""
    ranks = np.zeros(13, int)
    found, nothing = measure(ranks, ranks, SEED), measure(ranks + 50, ranks, SEED)
    same = paired_difference(ranks, ranks, 10)

    for interval in (found.recall_at_10, found.mrr, found.macro_recall_at_10):
        assert interval.value == interval.high == 1
        assert interval.low < 0.8
    assert found.recall_at_10.low == pytest.approx(13 / (13 + 1.96**2), abs=1e-3)
    assert (nothing.recall_at_10.low, nothing.recall_at_10.high) == (0, pytest.approx(1 - found.recall_at_10.low))
    assert (same.value, same.low, same.high) == (0, pytest.approx(-0.185, abs=1e-3), pytest.approx(0.185, abs=1e-3))


def test_a_loss_is_as_sure_as_the_rows_allow():
    """The sign test is exact: two rows of two are a quarter; of reciprocal ranks it is one of all drawn signs."""
    assert chance_of_loss(np.array([-1.0, -1.0])) == pytest.approx(1 / 4)
    assert chance_of_loss(np.array([-1.0] * 9 + [1.0] + [0.0] * 90)) == pytest.approx(11 / 1024)
    assert chance_of_loss(np.zeros(5)) == 1
    assert chance_of_loss(-np.array([0.5, 0.25, 0.8, 0.1])) == pytest.approx(1 / 16, abs=0.01)
    assert chance_of_loss(-np.array([1 / 3, 1 / 2])) == pytest.approx(1 / 4, abs=0.01)  # places: no round numbers
    assert gain_at_most(-np.ones(5), 0.01) == 0, "1/32 is more than 0.01"
    assert gain_at_most(-np.ones(8), 0.01) < 0


def test_a_difference_of_other_rows_is_refused():
    """Pairing needs pairs."""
    with pytest.raises(ValueError, match="same rows"):
        paired_difference(np.zeros(3, int), np.zeros(4, int), 10)
