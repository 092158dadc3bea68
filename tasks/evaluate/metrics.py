"""Retrieval metrics with their bootstrap intervals. Pure: scores and labels in, numbers out.

Every metric is a mean over rows (or over classes), so one function gives them all an interval.
"""

import numpy as np
import numpy.typing as npt

from schemas.evaluation import Difference, Interval, Metrics, Paired

Array = npt.NDArray[np.generic]
Scores = npt.NDArray[np.floating]  # (n, classes), higher is better
Ids = npt.NDArray[np.integer]  # (n,)

RESAMPLES = 2000
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


def paired_difference(ranks_a: Ids, ranks_b: Ids, k: int, seed: int) -> Interval:
    """Return recall@k of a minus that of b on the same rows, with its paired bootstrap interval.

    Rows are resampled with both outcomes, so what is hard for both cancels and the interval is narrower than
    that of two separate measurements.

    Raises:
        ValueError: a and b are not ranks of the same rows.
    """
    if ranks_a.shape != ranks_b.shape:
        raise ValueError(f"a and b must be ranks of the same rows, got {ranks_a.shape} and {ranks_b.shape}")
    hits_a, hits_b = ((ranks >= 0) & (ranks < k) for ranks in (ranks_a, ranks_b))
    return mean_with_interval(hits_a.astype(float) - hits_b, seed)


def compare_by_class_size(
    ranks_a: Ids, ranks_b: Ids, truth: Ids, train_rows: Ids, confidence: float, seed: int
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
        seed: Seeds the resamples.
    """
    sizes = np.where(truth < 0, -1, train_rows[truth]) if len(train_rows) else np.full(len(truth), -1)
    masks = {name: (low <= sizes) & (sizes <= high) for name, (low, high) in BUCKETS.items()}
    masks = {name: mask for name, mask in masks.items() if mask.any()}
    level = (1 - confidence) / (3 + len(masks))
    gains = {
        "recall@1": (ranks_a == 0).astype(np.float64) - (ranks_b == 0),
        "MRR": _reciprocal(ranks_a) - _reciprocal(ranks_b),
    }
    places = {
        name: Paired(gain=mean_with_interval(gain, seed), at_most=mean_at_most(gain, level, seed))
        for name, gain in gains.items()
    }
    overall = _difference(ranks_a, ranks_b, level, seed).model_copy(update={"places": places})
    return overall, {name: _difference(ranks_a[m], ranks_b[m], level, seed) for name, m in masks.items()}


def upper_bound(won: int, lost: int, rows: int, level: float, seed: int) -> float:
    """Return the one-sided upper bound of (won - lost) / rows that a resample exceeds with chance `level`.

    The paired bootstrap over rows, of which each was won, lost or neither. Between equals it lies below zero in about
    `level` of all cases, of a few dozen rows in up to three times as many.
    """
    if not rows:
        return 0.0
    shares = np.array([won, lost, rows - won - lost]) / rows
    draws = np.random.default_rng(seed).multinomial(rows, shares, size=10 * RESAMPLES)  # (resamples, 3)
    return float(np.quantile((draws[:, 0] - draws[:, 1]) / rows, 1 - level))


def _difference(ranks_a: Ids, ranks_b: Ids, level: float, seed: int) -> Difference:
    a, b = ((ranks >= 0) & (ranks < 10) for ranks in (ranks_a, ranks_b))
    won, lost = int(np.count_nonzero(a & ~b)), int(np.count_nonzero(b & ~a))
    return Difference(
        rows=len(a),
        won=won,
        lost=lost,
        recall_at_10=paired_difference(ranks_a, ranks_b, 10, seed),
        at_most=upper_bound(won, lost, len(a), level, seed),
    )


def mean_at_most(values: Array, level: float, seed: int) -> float:
    """Return the upper bound of a mean that a resample exceeds with chance `level`; the general form of `upper_bound`.

    Values are taken to three digits, so that memory does not grow with the rows.
    """
    if not len(values):
        return 0.0
    distinct, counts = np.unique(values.astype(np.float64).round(3), return_counts=True)
    random, shares = np.random.default_rng(seed), counts / len(values)
    means = [random.multinomial(len(values), shares, size=RESAMPLES) @ distinct for _ in range(10)]
    return float(np.quantile(np.concatenate(means) / len(values), 1 - level))


def _reciprocal(ranks: Ids) -> npt.NDArray[np.float64]:
    found = ranks >= 0
    return np.where(found, 1.0 / np.where(found, ranks + 1, 1), 0.0)


def mean_with_interval(values: Array, seed: int) -> Interval:
    """Return the mean of `values` with its 95 % percentile bootstrap interval (Efron 1979), 2,000 resamples.

    Equal values are exchangeable, so a resample draws how often each distinct value comes (one multinomial)
    instead of n rows: the same distribution at a fraction of the cost. Where all values are equal the interval
    has no width, since a bootstrap cannot see what the sample has not.
    """
    n = len(values)
    if n == 0:
        return Interval(value=0.0, low=0.0, high=0.0)
    distinct, counts = np.unique(values.astype(np.float64), return_counts=True)
    draws = np.random.default_rng(seed).multinomial(n, counts / n, size=RESAMPLES)  # (resamples, distinct)
    low, high = np.percentile(draws @ distinct / n, [2.5, 97.5])
    value = float(counts @ distinct / n)
    return Interval(value=value, low=min(float(low), value), high=max(float(high), value))


def _mean_per_class(values: Array, truth: Ids) -> npt.NDArray[np.float64]:
    known = truth >= 0
    _, position, rows = np.unique(truth[known], return_inverse=True, return_counts=True)
    mean: npt.NDArray[np.float64] = np.bincount(position, weights=values[known].astype(np.float64)) / rows
    return mean
