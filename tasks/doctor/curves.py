"""What more queries will bring: the learning curves of a corpus, by class size. Pure.

The share of misses falls as a power of what a class has (Hestness et al. 2017): its rows, and its own text, which is
trained on, too. How fast, each corpus says itself: all rows are asked of models that have seen half, and four fifths,
of the rows of each class. Few misses say little, so the exponent of a class size is drawn towards that of the corpus,
and that towards the one that other corpora have.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from schemas.doctor import Curve, Gain, Slope
from tasks.doctor.held_out import HeldOut
from tasks.evaluate.metrics import BUCKETS

TOPS = (1, 10)
USUAL = {1: 0.3, 10: 0.6}  # exponents, over six corpora (make bench-doctor)
_TRUST = 40.0  # misses, each times the logarithm of its class's growth, that weigh as much as what is usual
_STEEPEST = 2.0

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def usual_curve() -> Curve:
    """Return the curve of a corpus whose own is not known."""
    return Curve(slopes={k: {size: Slope(exponent=USUAL[k], misses=0) for size in BUCKETS} for k in TOPS})


def fit_curve(labels: Ints, half: HeldOut, most: HeldOut) -> Curve:
    """Return how fast misses fall in each class size.

    Args:
        labels: (n,) class of each training row.
        half: what models that have seen half of the rows made of them.
        most: the same of models that have seen most of them.
    """
    sizes, grown = np.bincount(labels)[labels], np.log((most.seen + 1) / (half.seen + 1))
    slopes: dict[int, dict[str, Slope]] = {}
    for k in TOPS:
        before, after = half.ranks >= k, most.ranks >= k
        whole = _slope(before, after, grown, USUAL[k]).exponent
        slopes[k] = {}
        for name, (low, high) in BUCKETS.items():
            rows = (low <= sizes) & (sizes <= high)
            slopes[k][name] = _slope(before[rows], after[rows], grown[rows], whole)
    return Curve(slopes=slopes, measured=True)


def forecast(curve: Curve, sizes: Ints, more: Ints, weights: Floats, recall: Mapping[int, Floats]) -> Gain:
    """Return recall over all queries, now and once each class has `more` rows.

    Args:
        curve: of the corpus.
        sizes: (K,) training rows of each class.
        more: (K,) rows that it gets.
        weights: (K,) share of the queries that belong to it.
        recall: by k, (K,) recall@k of each class as it is.
    """
    after = {k: grow(curve, k, sizes, more, recall[k]) for k in TOPS}
    mean = {k: (float(weights @ recall[k]), float(weights @ after[k])) for k in TOPS}
    return Gain(
        recall_at_1=mean[1][0], recall_at_10=mean[10][0], recall_at_1_after=mean[1][1], recall_at_10_after=mean[10][1]
    )


def grow(curve: Curve, k: int, sizes: Ints, more: Ints, recall: Floats) -> Floats:
    """Return (K,) recall@k of each class once it has `more` rows."""
    exponents = np.zeros(len(sizes))
    for name, (low, high) in BUCKETS.items():
        exponents[(low <= sizes) & (sizes <= high)] = curve.slopes[k][name].exponent
    grown: Floats = 1 - (1 - recall) * ((sizes + more + 1) / (sizes + 1)) ** -exponents
    return grown


def _solve(before: NDArray[np.bool_], after: NDArray[np.bool_], grown: Floats) -> float:
    """Return the exponent with which the misses before, each times its growth to that power, make those after."""
    steps = np.linspace(0, _STEEPEST, 201)
    left = np.array([np.exp(-step * grown[before]).sum() for step in steps])
    return float(steps[np.abs(left - after.sum()).argmin()])


def _slope(before: NDArray[np.bool_], after: NDArray[np.bool_], grown: Floats, usual: float) -> Slope:
    """Return the exponent of some rows, drawn towards the usual one as far as they say little."""
    said = float(grown[before].sum())
    exponent = (said * _solve(before, after, grown) + _TRUST * usual) / (said + _TRUST)
    return Slope(exponent=exponent, misses=int(before.sum()))
