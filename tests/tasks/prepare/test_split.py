"""The leak-free stratified split."""

import numpy as np
import pytest

from tasks.prepare.split import hold_out


def rows_of(sizes):
    """Return the keys of distinct queries and the classes of classes of `sizes`."""
    classes = np.repeat(np.arange(len(sizes)), sizes)
    return np.arange(len(classes), dtype=np.uint64) * np.uint64(977), classes


def test_the_share_of_every_class_is_right_within_rounding():
    """Nine or ten of 95 rows at a tenth, never eight or eleven; over many classes the share is exact."""
    queries, classes = rows_of([95] * 200)

    held = hold_out(queries, classes, 0.1, 13, "test")

    per_class = np.bincount(classes[held])
    assert set(per_class.tolist()) == {9, 10}
    assert held.mean() == pytest.approx(0.1, abs=0.001)  # 9.5 of 95


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_the_share_is_what_was_asked_for(share):
    """Shares that divide the class are met exactly."""
    queries, classes = rows_of([40] * 5)

    assert np.bincount(classes[hold_out(queries, classes, share, 1, "test")]).tolist() == [40 * share] * 5


def test_a_new_class_leaves_the_split_of_the_others_alone():
    """It may stand first and shift the number of every other class; the rows held out stay the same."""
    queries, classes = rows_of([1, 2, 3, 5, 8] * 40)
    new = np.arange(3, dtype=np.uint64) + np.uint64(2**40)

    held = hold_out(queries, classes, 0.1, 7, "test")
    later = hold_out(np.concatenate([new, queries]), np.concatenate([np.zeros(3, int), classes + 1]), 0.1, 7, "test")

    assert later[3:].tolist() == held.tolist()


def test_every_class_keeps_a_training_row():
    """However large the share, one row of each class stays."""
    queries, classes = rows_of([1, 2, 3, 10] * 20)

    held = hold_out(queries, classes, 0.89, 5, "test")

    assert (np.bincount(classes[~held]) >= 1).all()


def test_a_query_under_two_classes_stays_on_one_side():
    """Every query stands under two classes: its rows are held out together or not at all."""
    queries = np.repeat(np.arange(300, dtype=np.uint64), 2)
    classes = np.tile([0, 1], 300)

    held = hold_out(queries, classes, 0.2, 13, "test")

    assert held[0::2].tolist() == held[1::2].tolist()
    assert np.bincount(classes[held]).tolist() == [60, 60]


def test_repeats_of_one_query_stay_together():
    """A query typed three times counts three rows of the quota."""
    queries = np.repeat(np.arange(100, dtype=np.uint64), 3)

    held = hold_out(queries, np.zeros(300, dtype=np.int64), 0.2, 13, "test")

    assert (held.reshape(100, 3).sum(axis=1) % 3 == 0).all()
    assert held.sum() == 60


def test_a_query_too_frequent_for_its_class_stays_in_training():
    """A class that is one query, repeated, cannot be tested without a leak."""
    queries = np.array([7] * 20 + list(range(100, 120)), dtype=np.uint64)
    classes = np.repeat([0, 1], 20)

    held = hold_out(queries, classes, 0.25, 13, "test")

    assert np.flatnonzero(np.bincount(classes[held], minlength=2)).tolist() == [1]


def test_the_seed_decides_which_rows():
    """Another seed holds out as many, but other rows; the same seed the same ones."""
    queries, classes = rows_of([50] * 4)
    first, again, other = (hold_out(queries, classes, 0.2, seed, "test") for seed in (1, 1, 2))

    assert (first == again).all()
    assert first.sum() == other.sum() == 40
    assert (first != other).any()


def test_the_test_split_and_the_validation_cut_are_independent():
    """Of the rows held out for one purpose, the other holds out its share, not all and not none."""
    queries, classes = rows_of([2000])
    test, validation = (hold_out(queries, classes, 0.5, 13, purpose) for purpose in ("test", "validation"))

    assert 430 < (test & validation).sum() < 570  # 500 expected, deviation 11


def test_the_draw_does_not_depend_on_the_order_of_rows():
    """Rows are drawn by their query, not by their place."""
    queries, classes = rows_of([30] * 3)
    order = np.random.default_rng(0).permutation(90)

    assert (
        hold_out(queries, classes, 0.2, 4, "x")[order] == hold_out(queries[order], classes[order], 0.2, 4, "x")
    ).all()


def test_single_rows_are_lent_only_when_asked():
    """Of 1,000 classes with one row about a tenth lend it to the validation cut, none to the test."""
    queries, classes = rows_of([1] * 1000)

    assert not hold_out(queries, classes, 0.1, 13, "test").any()
    assert 70 < hold_out(queries, classes, 0.1, 13, "validation", lend_single_rows=True).sum() < 130


def test_lending_concerns_classes_of_one_row_only():
    """A class of two rows keeps one of them even then."""
    queries, classes = rows_of([2] * 200)

    held = hold_out(queries, classes, 0.89, 13, "validation", lend_single_rows=True)

    assert np.bincount(classes[~held]).min() >= 1
