"""Rows that probably stand under the wrong standard question. Pure."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.doctor.held_out import HeldOut
from tasks.evaluate.mislabelled import estimate_chances

PRECISION = 0.65  # expected share of wrong labels among the listed rows


class Doubted(NamedTuple):
    """Rows that are probably wrong, the most doubtful first."""

    rows: NDArray[np.int64]  # (m,) numbers
    suggested: NDArray[np.int64]  # (m,) classes
    chance: NDArray[np.float64]  # (m,) share of the rows down to here that is expected to be wrong, not increasing


def find_mislabelled(found: HeldOut, classes: int, precision: float = PRECISION) -> Doubted:
    """Return the rows whose label is probably wrong, as far down as `precision` of all listed ones are expected to be.

    Args:
        found: what models that have not seen them make of the rows.
        classes: standard questions.
        precision: expected share of wrong ones, at which the list ends.
    """
    chances = np.where(found.ranks > 0, estimate_chances(found.own, classes), 0.0)
    order = np.argsort(-chances, kind="stable")
    wrong = np.cumsum(chances[order]) / np.arange(1, len(order) + 1)
    listed = int(np.count_nonzero(wrong >= precision))
    return Doubted(order[:listed], found.best[order[:listed]], wrong[:listed])
