"""The draw of wrong standard questions."""

import tracemalloc

import numpy as np
import pytest
from scipy import stats

from tasks.prepare.negatives import (
    draw_negatives,
    forbidden_classes,
)


def test_a_class_never_opposes_itself_or_its_near_duplicates():
    """Each row of the table names them."""
    table = forbidden_classes([[2], [], [0], []])
    assert table.toarray().tolist() == np.array([[1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]]).tolist()


def test_where_all_are_near_duplicates_only_the_class_itself_is_forbidden():
    """Otherwise a row would have nothing to oppose."""
    assert (forbidden_classes([[1, 2], [0, 2], [0, 1]]).toarray() == np.eye(3)).all()


def test_many_near_duplicates_of_some_classes_cost_no_table_of_all():
    """Five hundred that bar each other, among a hundred thousand, which as a table would take 400 MB."""
    group = range(1000, 1500)
    near = [[other for other in group if other != own] if own in group else [] for own in range(100_000)]
    labels = np.arange(0, 100_000, 5)
    tracemalloc.start()

    drawn = draw_negatives(labels, labels, forbidden_classes(near), 4, 0, 13)

    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert memory < 40e6
    assert not np.isin(drawn[np.isin(labels, group)], group).any()
    assert not (drawn == labels[:, None]).any()


ROWS = np.arange(2000)
LABELS = ROWS % 10
DUPLICATES = [[3, 7], [], [], [0], [], [], [], [0], [], []]
FORBIDDEN = forbidden_classes(DUPLICATES)


@pytest.mark.parametrize("sampler", ["random", "first_n"])
@pytest.mark.parametrize("per_row", [1, 4, 30])
def test_each_row_gets_exactly_k_and_never_a_forbidden_one(sampler, per_row):
    """Also where k is larger than the number of classes."""
    drawn = draw_negatives(ROWS, LABELS, FORBIDDEN, per_row, 0, 13, sampler)

    assert drawn.shape == (2000, per_row)
    assert drawn.min() >= 0
    assert drawn.max() <= 9
    for label, near in enumerate(DUPLICATES):
        assert not np.isin(drawn[label == LABELS], [label, *near]).any()


def test_random_negatives_are_uniform_over_what_is_allowed():
    """Chi-square over the seven classes that class 0 may oppose, and over the nine of class 1."""
    rows = np.arange(20_000)
    for label, allowed in ((0, [1, 2, 4, 5, 6, 8, 9]), (1, [0, 2, 3, 4, 5, 6, 7, 8, 9])):
        drawn = draw_negatives(rows, np.full(20_000, label), FORBIDDEN, 4, 0, 13)
        counts = np.bincount(drawn.ravel(), minlength=10)[allowed]

        assert counts.sum() == 80_000
        assert stats.chisquare(counts).pvalue > 1e-4


def test_the_places_of_a_row_are_drawn_independently():
    """With replacement: one in seven neighbours is the same class again."""
    drawn = draw_negatives(np.arange(20_000), np.zeros(20_000, int), FORBIDDEN, 2, 0, 13)

    assert (drawn[:, 0] == drawn[:, 1]).mean() == pytest.approx(1 / 7, abs=0.01)


def test_a_draw_does_not_depend_on_order_or_subset_of_rows():
    """Any worker, given any part of the rows, draws the same for a row."""
    whole = draw_negatives(ROWS, LABELS, FORBIDDEN, 4, 2, 13)
    some = np.random.default_rng(0).permutation(2000)[:300]

    assert (draw_negatives(ROWS[some], LABELS[some], FORBIDDEN, 4, 2, 13) == whole[some]).all()


def test_epoch_and_seed_give_fresh_draws():
    """About one in seven to nine places agrees by chance."""
    base = draw_negatives(ROWS, LABELS, FORBIDDEN, 4, 0, 13)

    for epoch, seed in ((1, 13), (0, 14)):
        other = draw_negatives(ROWS, LABELS, FORBIDDEN, 4, epoch, seed)
        assert (base == other).mean() < 0.2
    assert (draw_negatives(ROWS, LABELS, FORBIDDEN, 4, 0, 13) == base).all()


def test_first_n_is_always_the_first_allowed_ones():
    """The article's mistake: the same few, whatever row, epoch or seed; they repeat where too few are allowed."""
    drawn = draw_negatives(np.array([5, 6]), np.array([0, 1]), FORBIDDEN, 4, 3, 99, "first_n")
    few = draw_negatives(np.array([5]), np.array([0]), forbidden_classes([[], [], []]), 5, 0, 1, "first_n")

    assert drawn.tolist() == [[1, 2, 4, 5], [0, 2, 3, 4]]
    assert few.tolist() == [[1, 2, 1, 2, 1]]


@pytest.mark.parametrize("duplicates", [[[], []], [[1], [0]]])
@pytest.mark.parametrize("sampler", ["random", "first_n"])
def test_of_two_classes_each_opposes_the_other(duplicates, sampler):
    """Even two near-duplicates must oppose each other when there is nothing else."""
    drawn = draw_negatives(np.arange(6), np.arange(6) % 2, forbidden_classes(duplicates), 4, 0, 13, sampler)

    assert (drawn == 1 - (np.arange(6) % 2)[:, None]).all()
