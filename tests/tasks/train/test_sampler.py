"""The order in which rows are fed."""

import numpy as np

from tasks.train.sampler import draw_order


def test_every_row_comes_once():
    """Permuted, or in the order of the file."""
    random = np.random.default_rng(1)

    shuffled = draw_order(50, True, random)

    assert sorted(shuffled) == list(range(50)) != shuffled.tolist()
    assert draw_order(50, False, random).tolist() == list(range(50))


def test_in_windows_an_epoch_stays_with_neighbouring_rows():
    """Ten rows in windows of four: rows of one window follow each other, and the windows' order is drawn anew."""
    random = np.random.default_rng(0)
    orders = [draw_order(10, True, random, window=4) for _ in range(20)]

    for order in orders:
        windows = order // 4
        assert sum(windows[1:] != windows[:-1]) == 2
        assert sorted(order) == list(range(10))
    assert len({tuple(order) for order in orders}) == 20
    assert len({tuple(dict.fromkeys((order // 4).tolist())) for order in orders}) > 1
    assert draw_order(10, False, random, window=4).tolist() == list(range(10))
