"""Rows that probably stand under the wrong standard question. Pure.

Confident learning (Northcutt, Jiang, Chuang 2021) compares a row's probability under its own label with that under
another, both from a model that has not seen the row. Where each class has a few rows its thresholds by class are noise,
so the rows are ordered by the logarithm of the ratio, and cut where half of them are estimated to be wrong: what the
ratio of a row labelled by chance would be is known (the foil), and the share of such rows follows from how many rows
lie as far out as those (Storey 2002).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.doctor.held_out import HeldOut

PRECISION = 0.6  # estimated share of wrong labels among the listed rows
_TAILS = np.linspace(0.3, 0.95, 14)  # of the ratios of foils, among which the share of wrong rows is looked for
_TINY = 1e-30


class Doubted(NamedTuple):
    """Rows that are probably wrong, the most doubtful first."""

    rows: NDArray[np.int64]  # (m,) numbers
    suggested: NDArray[np.int64]  # (m,) classes
    chance: NDArray[np.float64]  # (m,) estimated probability that the label is wrong, not increasing


def find_mislabelled(labels: NDArray[np.int64], found: HeldOut, precision: float = PRECISION) -> Doubted:
    """Return the rows whose label is probably wrong, as far down as about `precision` of all listed ones are.

    Args:
        labels: (n,) class of each row.
        found: what models that have not seen them make of the rows.
        precision: estimated share of wrong ones, at which the list ends.
    """
    ratio, suggested = _ratio(labels, found)
    foil = np.log(found.probability[:, 0] + _TINY) - np.log(found.foil + _TINY)
    order = np.argsort(-ratio, kind="stable")
    as_far = np.arange(1, len(order) + 1)  # rows as far out as this one
    foils = 1 - np.searchsorted(np.sort(foil), ratio[order], side="left") / max(1, len(foil))
    tails = np.quantile(foil, 1 - _TAILS)
    share = min((float((ratio >= tail).mean() / part) for tail, part in zip(tails, _TAILS, strict=True)), default=0.0)
    wrong = np.minimum(share * foils * len(order) / as_far, 1.0)  # of the rows up to here
    listed = int(np.flatnonzero(wrong >= precision).max(initial=-1)) + 1
    if share * len(order) < 1:  # not one row: chance
        listed = 0
    rows = order[:listed]
    chance = np.maximum.accumulate(wrong[:listed][::-1])[::-1]
    kept = found.ranks[rows] > 0
    return Doubted(rows[kept], suggested[rows[kept]], chance[kept])


def _ratio(labels: NDArray[np.int64], found: HeldOut) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return how much likelier another class is than the label, as a logarithm, and which."""
    if found.best.shape[1] < 2:
        return np.full(len(labels), -np.inf), labels
    second = (found.best[:, 0] == labels).astype(int)
    rows = np.arange(len(labels))
    other = found.probability[rows, second].astype(np.float64)
    ratio = np.log(other + _TINY) - np.log(found.own.astype(np.float64) + _TINY)
    return ratio, found.best[rows, second]
