"""Class-balanced epochs, and how likely a class is in a batch: against closed forms and counting."""

import itertools
import math

import numpy as np
import pytest

from tasks.train.batches import class_shares, draw_order, log_presence

ROWS = np.array([16, 4, 1, 0])


@pytest.mark.parametrize(
    ("balance", "shares"),
    [(0.0, [16 / 21, 4 / 21, 1 / 21, 0]), (0.5, [4 / 7, 2 / 7, 1 / 7, 0]), (1.0, [1 / 3] * 3 + [0])],
)
def test_shares_are_rows_to_the_power_of_what_is_not_balanced_away(balance, shares):
    """Natural, square root, equal; a class without rows has none."""
    assert class_shares(ROWS, balance) == pytest.approx(shares)


@pytest.mark.parametrize("balance", [0.5, 1.0])
def test_a_balanced_epoch_has_the_expected_frequencies(balance):
    """Over 400 epochs each class's share is within five standard deviations, and a class's rows share it evenly."""
    labels = np.repeat([2, 0, 1], [1, 16, 4])
    random = np.random.default_rng(4)
    drawn = np.concatenate([draw_order(labels, balance, True, random) for _ in range(400)])
    total = len(drawn)

    for label, share in enumerate(class_shares(ROWS, balance)[:3]):
        rows = np.flatnonzero(labels == label)
        for row in rows:
            expected = share / len(rows)
            deviation = math.sqrt(expected * (1 - expected) / total)
            assert (drawn == row).mean() == pytest.approx(expected, abs=5 * deviation)


def test_without_balance_every_row_comes_once():
    """Permuted, or in the order of the file."""
    labels, random = np.zeros(50, dtype=int), np.random.default_rng(1)

    shuffled = draw_order(labels, 0.0, True, random)

    assert sorted(shuffled) == list(range(50)) != shuffled.tolist()
    assert draw_order(labels, 0.0, False, random).tolist() == list(range(50))


def test_a_balanced_epoch_keeps_the_order_of_the_file_where_nothing_is_shuffled():
    """The study of the harm of ordered rows works with it, too."""
    drawn = draw_order(np.arange(50) // 10, 1.0, False, np.random.default_rng(1))

    assert (np.diff(drawn) >= 0).all()
    assert len(drawn) == 50


@pytest.mark.parametrize("batch", [1, 2, 4, 7])
def test_presence_without_replacement_is_that_of_counting(batch):
    """All batches of seven rows that hold row 0; a class with more rows than fit beside is always there."""
    labels = np.array([0, 1, 1, 1, 2, 2, 3])
    rows = np.bincount(labels)
    batches = [{0, *rest} for rest in itertools.combinations(range(1, 7), batch - 1)]
    counted = [np.mean([any(labels[row] == label for row in one) for one in batches]) for label in (1, 2, 3)]

    found = np.exp(log_presence(rows[1:], class_shares(rows, 0.0)[1:], batch, 7, 0.0))

    assert found == pytest.approx(counted)


def test_presence_with_replacement_is_one_minus_never():
    """Two of three draws beside the row are free: 1 - (1 - share)^2."""
    shares = class_shares(ROWS, 0.5)

    assert np.exp(log_presence(ROWS, shares, 3, 21, 0.5)) == pytest.approx(1 - (1 - shares) ** 2)


def test_presence_stays_exact_in_a_large_corpus():
    """A class of one row among ten million: 255 / 9,999,999."""
    one = np.array([1])

    found = np.exp(log_presence(one, np.array([1e-7]), 256, 10_000_000, 0.0))

    assert found == pytest.approx([255 / 9_999_999], rel=1e-3)


@pytest.mark.parametrize("balance", [0.0, 0.5])
def test_in_windows_an_epoch_stays_with_neighbouring_rows(balance):
    """Ten rows in windows of four: rows of one window follow each other, and the windows' order is drawn anew."""
    labels = np.arange(10) % 3
    random = np.random.default_rng(0)
    orders = [draw_order(labels, balance, True, random, window=4) for _ in range(20)]

    for order in orders:
        windows = order // 4
        assert len(order) == 10
        assert sum(windows[1:] != windows[:-1]) == 2
        assert balance or sorted(order) == list(range(10))
    assert len({tuple(order) for order in orders}) == 20
    assert len({tuple(dict.fromkeys((order // 4).tolist())) for order in orders}) > 1
    assert draw_order(labels, 0.0, False, random, window=4).tolist() == list(range(10))
