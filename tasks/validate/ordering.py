"""Tests whether labels stand in random order: before the shuffle for a warning, after it for the proof. Pure.

There are two exact statistics, because neither suffices alone. The number of equal neighbours shows rows that stand in
blocks, even when the blocks are spread over the whole file. The mean positions show classes that lie in one part of the
file, even when no two of their rows touch.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

BATCH_ROWS = 64
FEW_EXPECTED = 10.0  # below this, adjacent equal labels are Poisson rather than normal
_BATCHES_LOOKED_AT = 4096  # diversity is shown, not tested: so many batches give three digits


class Ordering(NamedTuple):
    """How far a sequence of labels is from random order; None where the statistic does not apply."""

    z_adj: float | None  # adjacent equal labels, in standard deviations above a random permutation
    z_pos: float | None  # Kruskal-Wallis of the position by label, likewise
    z: float | None  # the larger one; a good shuffle never exceeds 6 in practice
    adjacent: int  # neighbours with equal labels
    expected_adjacent: float
    batch_distinct: float | None  # distinct labels in a batch of 64 rows, mean; None below 64 rows
    expected_batch_distinct: float | None  # the same in random order

    @property
    def batch_diversity(self) -> float | None:
        """Distinct labels per batch over the number expected in random order: about 1 after a shuffle."""
        if self.batch_distinct is None or self.expected_batch_distinct is None:
            return None
        return self.batch_distinct / self.expected_batch_distinct


def order_z(labels: NDArray[np.integer]) -> Ordering:
    """Measure how far `labels` (rows,), any integers, are from random order.

    z is None when every permutation looks the same: fewer than two labels, or no label twice.
    """
    codes, sizes = _compact(np.asarray(labels))
    adjacent = int(np.count_nonzero(codes[1:] == codes[:-1]))
    expected, _ = adjacent_moments(sizes, codes.size)
    distinct, expected_distinct = _batch_distinct(codes, sizes)
    if sizes.size < 2 or sizes.size == codes.size:
        return Ordering(None, None, None, adjacent, expected, distinct, expected_distinct)
    z_adj = _z_adjacent(codes)
    z_pos = _z_position(codes, sizes)
    z = max((value for value in (z_adj, z_pos) if value is not None), default=None)
    return Ordering(z_adj, z_pos, z, adjacent, expected, distinct, expected_distinct)


def adjacent_moments(sizes: NDArray[np.integer], rows: int) -> tuple[float, float]:
    """Return mean and variance of the number of adjacent equal labels in a random permutation of `rows` labels.

    Exact, also where `sizes` are only some of the classes and the rest is not counted. With N rows, sizes n and
    S2 = sum n(n-1), S3 = sum n(n-1)(n-2), S4 = sum n(n-1)(n-2)(n-3): the mean is S2/N; of the ordered pairs of
    neighbouring positions 2(N-2) share a row (S3 ways) and (N-2)(N-3) do not (within one class S4 ways, in two
    classes S2^2 - sum (n(n-1))^2 ways).
    """
    if rows < 2:
        return 0.0, 0.0
    n, total = sizes.astype(np.float64), float(rows)
    pairs = n * (n - 1)
    s2, s3, s4 = pairs.sum(), (pairs * (n - 2)).sum(), (pairs * (n - 2) * (n - 3)).sum()
    mean = s2 / total
    variance = mean + (2 * s3 + s2**2 - (pairs**2).sum() + s4) / (total * (total - 1)) - mean**2
    return float(mean), max(float(variance), 0.0)


def kruskal_wallis_moments(sizes: NDArray[np.integer]) -> tuple[float, float]:
    """Return mean and variance of Kruskal-Wallis H over all permutations of untied ranks.

    Exact, C classes of sizes n, N rows (Kruskal & Wallis 1952, "Use of ranks in one-criterion variance
    analysis", JASA 47:583-621, section 3; Kruskal 1952, Ann. Math. Stat. 23:525-540): E = C - 1 and
    Var = 2(C-1) - 2[3C^2 - 6C + N(2C^2 - 6C + 1)] / [5N(N+1)] - (6/5) sum 1/n.
    """
    n = sizes.astype(np.float64)
    total, classes = float(n.sum()), float(n.size)
    correction = 3 * classes**2 - 6 * classes + total * (2 * classes**2 - 6 * classes + 1)
    variance = 2 * (classes - 1) - 2 * correction / (5 * total * (total + 1)) - 1.2 * (1 / n).sum()
    return classes - 1, max(float(variance), 0.0)


def _compact(labels: NDArray[np.integer]) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    # bincount where the labels are (nearly) dense, a sort only where they are not
    if labels.size == 0:
        return labels, np.zeros(0, np.int64)
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > 4 * labels.size + 1024:
        labels = np.unique(labels, return_inverse=True)[1]
    counts = np.bincount(labels)
    return labels, counts[counts > 0]


def _z_adjacent(codes: NDArray[np.integer]) -> float | None:
    counts = np.bincount(codes)
    same = codes[1:] == codes[:-1]
    largest = int(counts.argmax())
    if 2 * counts[largest] <= codes.size:
        return _z_count(same, counts)
    # Of a class with most of the rows, nearly all neighbours are equal in any order: what little varies is
    # skewed, and 1 of 1,000 honest shuffles of 990 + 5 + 5 exceeds eight deviations. So count the rare side.
    rest = codes != largest
    outside = rest[1:] & rest[:-1]
    counts[largest] = 0
    found = (_z_count(outside, counts.sum(keepdims=True)), _z_count(outside & same, counts))
    return max((z for z in found if z is not None), default=None)


def _z_count(events: NDArray[np.bool_], counts: NDArray[np.integer]) -> float | None:
    seen = int(np.count_nonzero(events))
    mean, variance = adjacent_moments(counts, events.size + 1)
    if variance <= 0:
        return None
    # Poisson where few are expected; else Poisson shifted to the exact mean and variance, which is normal for
    # many and keeps the skew in between: with 20 expected, 6 standard deviations are not rare enough.
    spread = mean if mean < FEW_EXPECTED else variance
    tail = float(special.gammainc(max(seen - mean + spread, 1e-9), spread))  # P(Poisson(a) >= k) = P(k, a)
    return _z((seen - mean) / math.sqrt(variance), tail)


def _z_position(codes: NDArray[np.integer], sizes: NDArray[np.integer]) -> float | None:
    mean, variance = kruskal_wallis_moments(sizes)
    if variance <= 1e-9:
        return None
    rows = codes.size
    positions = np.arange(1, rows + 1, dtype=np.float64)
    positions -= (rows + 1) / 2
    sums = np.bincount(codes, weights=positions)
    counts = np.bincount(codes)
    h = 12 / (rows * (rows + 1)) * float((sums[counts > 0] ** 2 / sizes).sum())
    # With few classes H is as skewed as chi-square with C - 1 degrees of freedom: at two classes 1 of 500
    # honest shuffles exceeds six deviations. Kruskal & Wallis (section 3) fit a gamma to the two moments.
    tail = float(special.gammaincc(mean**2 / variance, h * mean / variance))
    return _z((h - mean) / math.sqrt(variance), tail)


def _z(standardised: float, tail: float) -> float:
    """Return the z whose upper normal tail is `tail`, at most `standardised`, which also stands in for underflow."""
    if standardised <= 0 or tail < 1e-300:
        return standardised
    return min(standardised, float(-special.ndtri(tail)))


def _batch_distinct(codes: NDArray[np.integer], sizes: NDArray[np.integer]) -> tuple[float | None, float | None]:
    batches = codes.size // BATCH_ROWS
    if batches == 0:
        return None, None
    chosen = np.linspace(0, batches - 1, min(batches, _BATCHES_LOOKED_AT)).astype(np.int64)
    block = np.sort(codes[: batches * BATCH_ROWS].reshape(batches, BATCH_ROWS)[chosen], axis=1)  # (chosen, 64)
    observed = 1 + float((block[:, 1:] != block[:, :-1]).sum(axis=1).mean())
    # A class is missing from a batch with probability C(N - n, 64) / C(N, 64).
    rest = codes.size - np.unique(sizes, return_counts=True)[0].astype(np.float64)
    weights = np.unique(sizes, return_counts=True)[1]
    steps = np.arange(BATCH_ROWS, dtype=np.float64)
    missing = np.clip((rest[:, None] - steps) / (codes.size - steps), 0, None).prod(axis=1)
    return observed, float((weights * (1 - missing)).sum())
