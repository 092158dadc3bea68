"""Retrieval metrics with their intervals. Pure: scores and labels in, numbers out.

Every metric is a mean over rows (or over classes), so one function gives them all an interval; another one gives it to
what two scorers differ by on the same rows.
"""

from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr

from schemas.evaluation import Beside, Difference, Interval, Metrics, Paired

Array = npt.NDArray[np.generic]
Scores = npt.NDArray[np.floating]  # (n, classes), higher is better
Ids = npt.NDArray[np.integer]  # (n,)
Gains = npt.NDArray[np.float64]  # (n,) of one scorer minus another, from -1 to 1

FEW_ROWS = 100  # below, they are counted instead of given as a share
RESAMPLES = 2000
_FLIPS = 20_000  # of the signs of differences that are no whole numbers
_Z = NormalDist().inv_cdf(0.975)  # of all intervals: 95 %
BUCKETS = {"0": (0, 0), "1-3": (1, 3), "4-10": (4, 10), "11-50": (11, 50), ">50": (51, np.inf)}


def measure(ranks: Ids, truth: Ids, seed: int) -> Metrics:
    """Return the metrics of rows whose right class stands at `ranks` (0-based, -1: never found).

    recall@k = share of rows with 0 <= rank < k. One answer is right per query, so it is the hit rate@k.
    MRR = mean of 1 / (rank + 1), 0 for a row never found.
    Macro recall@10 = mean over the standard questions with test rows of their own recall@10; rows whose
    standard question is unknown (-1) are misses in all other metrics and no class in this one.
    Without rows (or classes) there is nothing to measure and the value is 0; `rows` says so.
    """
    found = ranks >= 0
    hits = {k: found & (ranks < k) for k in (1, 5, 10)}
    reciprocal = _reciprocal(ranks)
    return Metrics(
        rows=len(ranks),
        recall_at_1=mean_with_interval(hits[1], seed),
        recall_at_5=mean_with_interval(hits[5], seed),
        recall_at_10=mean_with_interval(hits[10], seed),
        mrr=mean_with_interval(reciprocal, seed),
        macro_recall_at_10=mean_with_interval(_mean_per_class(hits[10], truth), seed),
    )


def by_class_size(ranks: Ids, truth: Ids, train_rows: Ids, seed: int) -> dict[str, Metrics]:
    """Return the metrics of the test rows by training rows of their class; only buckets that have rows.

    Bucket "0" holds classes known from a list of standard questions alone. Rows of unknown standard questions
    (-1) are in no bucket.

    Args:
        ranks: Position of the right class per test row, shape (n,).
        truth: Class id per test row, -1 for unknown, shape (n,).
        train_rows: Training rows per class, shape (classes,).
        seed: Seeds the intervals.
    """
    sizes = np.where(truth < 0, -1, train_rows[truth])
    buckets = {}
    for name, (low, high) in BUCKETS.items():
        rows = (low <= sizes) & (sizes <= high)
        if rows.any():
            buckets[name] = measure(ranks[rows], truth[rows], seed)
    return buckets


def paired_difference(ranks_a: Ids, ranks_b: Ids, k: int) -> Interval:
    """Return recall@k of a minus that of b on the same rows, with its paired interval.

    What is hard for both cancels, so the interval is narrower than that of two separate measurements.

    Raises:
        ValueError: a and b are not ranks of the same rows.
    """
    return gain_with_interval(_gains_at(ranks_a, ranks_b, k))


def compare_ranks(ranks_a: Ids, ranks_b: Ids) -> dict[str, Beside]:
    """Return recall@10, recall@1 and MRR of a minus those of b on the same rows, and whether a loss may be chance."""
    gains = {"recall@10": _gains_at(ranks_a, ranks_b, 10), **_gain_places(ranks_a, ranks_b)}
    return {
        name: Beside(
            rows=len(gain),
            won=int((gain > 0).sum()),
            lost=int((gain < 0).sum()),
            gain=gain_with_interval(gain),
            chance=chance_of_loss(gain),
        )
        for name, gain in gains.items()
    }


def compare_by_class_size(
    ranks_a: Ids, ranks_b: Ids, truth: Ids, train_rows: Ids, confidence: float
) -> tuple[Difference, dict[str, Difference]]:
    """Return recall@10 (and recall@1 and MRR) of a minus that of b on all rows, and in each bucket of class size.

    `at_most` of each is an upper bound that holds for all of them together with `confidence` (Bonferroni): of as
    many nights with an equal a as 1 / (1 - confidence), one sees any of these bounds below zero.

    Args:
        ranks_a: Position of the right class per test row, -1: never found, shape (n,).
        ranks_b: Those of the other.
        truth: Class id per test row, -1 for unknown, shape (n,).
        train_rows: Training rows per class, shape (classes,).
        confidence: Of all bounds together, one-sided.
    """
    sizes = np.where(truth < 0, -1, train_rows[truth]) if len(train_rows) else np.full(len(truth), -1)
    masks = {name: (low <= sizes) & (sizes <= high) for name, (low, high) in BUCKETS.items()}
    masks = {name: mask for name, mask in masks.items() if mask.any()}
    level = (1 - confidence) / (3 + len(masks))
    places = {
        name: Paired(gain=gain_with_interval(gain), at_most=gain_at_most(gain, level))
        for name, gain in _gain_places(ranks_a, ranks_b).items()
    }
    overall = _difference(ranks_a, ranks_b, level).model_copy(update={"places": places})
    return overall, {name: _difference(ranks_a[m], ranks_b[m], level) for name, m in masks.items()}


def _gain_places(ranks_a: Ids, ranks_b: Ids) -> dict[str, Gains]:
    return {"recall@1": _gains_at(ranks_a, ranks_b, 1), "MRR": _reciprocal(ranks_a) - _reciprocal(ranks_b)}


def _gains_at(ranks_a: Ids, ranks_b: Ids, k: int) -> Gains:
    """Return (n,) 1 where only a is among the first k, -1 where only b is."""
    if ranks_a.shape != ranks_b.shape:
        raise ValueError(f"a and b must be ranks of the same rows, got {ranks_a.shape} and {ranks_b.shape}")
    hits_a, hits_b = ((ranks >= 0) & (ranks < k) for ranks in (ranks_a, ranks_b))
    return hits_a.astype(np.float64) - hits_b


def _difference(ranks_a: Ids, ranks_b: Ids, level: float) -> Difference:
    gains = _gains_at(ranks_a, ranks_b, 10)
    return Difference(
        rows=len(gains),
        won=int((gains > 0).sum()),
        lost=int((gains < 0).sum()),
        recall_at_10=gain_with_interval(gains),
        at_most=gain_at_most(gains, level),
    )


def chance_of_loss(gains: Gains) -> float:
    """Return with what chance a mean is as low as this where each row could as well have gone the other way.

    The sign test, of rows won or lost the exact one of McNemar (1947); of other differences signs are drawn (Fisher
    1935). It holds of any number of rows: five rows lost and none won have a chance of 1/32.
    """
    gains = gains.round(3)  # so that few sizes are drawn, and what was found is one of the sums that can be
    sizes, counts = np.unique(np.abs(gains[gains != 0]), return_counts=True)
    if len(sizes) < 2:
        return float(bdtr(int((gains > 0).sum()), int(counts.sum()), 0.5)) if len(sizes) else 1.0
    random, total = np.random.default_rng(0), np.zeros(_FLIPS)
    for size, count in zip(sizes, counts, strict=True):
        total += size * (2 * random.binomial(count, 0.5, _FLIPS) - count)
    return float((1 + (total <= gains.sum() + 1e-9).sum()) / (1 + _FLIPS))


def gain_at_most(gains: Gains, level: float) -> float:
    """Return the one-sided upper bound of a mean of paired differences, that is passed with chance `level`.

    Below zero only where `chance_of_loss` is below `level`, too.
    """
    if not len(gains):
        return 0.0
    mean, error = _adjusted(gains)
    bound = min(1.0, mean + NormalDist().inv_cdf(1 - level) * error)
    return bound if bound >= 0 or chance_of_loss(gains) < level else 0.0


def gain_with_interval(gains: Gains) -> Interval:
    """Return the mean of paired differences between -1 and 1, with its 95 % interval (Bonett and Price 2012).

    Where no row differs it has a width all the same: a few rows cannot say that two scorers are equal.
    """
    if not len(gains):
        return Interval(value=0.0, low=0.0, high=0.0)
    value, (mean, error) = float(gains.mean()), _adjusted(gains)
    low, high = mean - _Z * error, mean + _Z * error
    return Interval(value=value, low=max(-1.0, min(low, value)), high=min(1.0, max(high, value)))


def _adjusted(gains: Gains) -> tuple[float, float]:
    """Return mean and standard error with a row more won and one more lost."""
    rows = len(gains) + 2
    mean = float(gains.sum()) / rows
    return mean, ((float(gains @ gains) + 2) / rows - mean**2) ** 0.5 / rows**0.5


def _reciprocal(ranks: Ids) -> npt.NDArray[np.float64]:
    found = ranks >= 0
    return np.where(found, 1.0 / np.where(found, ranks + 1, 1), 0.0)


def mean_with_interval(values: Array, seed: int) -> Interval:
    """Return the mean of `values` between 0 and 1 with its 95 % interval.

    Of a share that of Wilson (1927); of other means the percentile bootstrap (Efron 1979), 2,000 resamples, each drawn
    as how often each distinct value comes (one multinomial). Where all values are equal a resample cannot see what the
    sample has not: Wilson's is then wide enough, since no values between 0 and 1 vary more than a share.
    """
    n = len(values)
    if n == 0:
        return Interval(value=0.0, low=0.0, high=0.0)
    distinct, counts = np.unique(values.astype(np.float64), return_counts=True)
    value = float(counts @ distinct / n)
    if len(distinct) == 1 or set(distinct) == {0.0, 1.0}:
        middle, half = value + _Z**2 / (2 * n), _Z * (value * (1 - value) / n + _Z**2 / (4 * n**2)) ** 0.5
        low, high = ((middle + side) / (1 + _Z**2 / n) for side in (-half, half))
    else:
        draws = np.random.default_rng(seed).multinomial(n, counts / n, size=RESAMPLES)  # (resamples, distinct)
        low, high = np.percentile(draws @ distinct / n, [2.5, 97.5])
    return Interval(value=value, low=max(0.0, min(float(low), value)), high=max(float(high), value))


def _mean_per_class(values: Array, truth: Ids) -> npt.NDArray[np.float64]:
    known = truth >= 0
    _, position, rows = np.unique(truth[known], return_inverse=True, return_counts=True)
    mean: npt.NDArray[np.float64] = np.bincount(position, weights=values[known].astype(np.float64)) / rows
    return mean
