"""Which rows an epoch's batches hold, and how likely a class is among them. Pure.

`balance` is `training.class_balance`: at 0 every row comes once an epoch; above, rows are drawn with
replacement so that a class of n rows comes n^(1 - balance) times as often as a class of one.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln


def class_shares(rows: NDArray[np.int64], balance: float) -> NDArray[np.float64]:
    """Return (K,) the expected share of an epoch of each class, from its number of rows."""
    weights = np.maximum(rows, 1.0) ** (1 - balance) * (rows > 0)
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def draw_order(
    labels: NDArray[np.int64], balance: float, shuffle: bool, random: np.random.Generator, window: int | None = None
) -> NDArray[np.int64]:
    """Return the rows of one epoch in the order they are fed, as many as there are `labels`.

    Args:
        labels: (rows,) the class of each row.
        balance: in [0, 1].
        shuffle: False: in the order of the rows.
        random: what is drawn is taken from it.
        window: so many neighbouring rows, which stand in the file in shuffled order anyway, are shuffled among
            themselves, one window after the other in random order: at no time is a row outside a window needed.
            None: all at once.
    """
    count = len(labels)
    if window and window < count:
        starts = np.arange(0, count, window)
        return np.concatenate(
            [
                start + draw_order(labels[start : start + window], balance, shuffle, random)
                for start in (random.permutation(starts) if shuffle else starts).tolist()
            ]
        )
    if not balance:
        return random.permutation(count) if shuffle else np.arange(count)
    rows = np.bincount(labels)
    weights = (class_shares(rows, balance) / np.maximum(rows, 1))[labels]
    drawn = random.choice(count, count, p=weights / weights.sum())
    return drawn if shuffle else np.sort(drawn)


def log_presence(
    rows: NDArray[np.int64], shares: NDArray[np.float64], batch: int, total: int, balance: float
) -> NDArray[np.float64]:
    """Return log of the chance that a class stands in a batch beside a given row of another class.

    1 - C(N - 1 - n, B - 1) / C(N - 1, B - 1) without replacement, 1 - (1 - share)^(B - 1) with: the
    sampling probability of Yi et al. 2019, section 4, which they estimate from a stream, in closed form.

    Args:
        rows: (classes,) n of some classes.
        shares: (classes,) of them, by `class_shares`.
        batch: B, rows of the batch.
        total: N, rows of the epoch.
        balance: in [0, 1].
    """
    others = batch - 1
    if balance:
        absent = others * np.log1p(-shares)
    else:
        free = total - 1 - rows
        enough = np.maximum(free, others)
        absent = gammaln(enough + 1) - gammaln(enough - others + 1) - gammaln(total) + gammaln(total - others)
        absent = np.where(free < others, -np.inf, absent)
    with np.errstate(divide="ignore"):  # a batch of one holds no other class
        presence: NDArray[np.float64] = np.log(-np.expm1(absent))
    return presence
