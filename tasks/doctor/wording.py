"""Standard questions whose own rows speak against them: two in one, or a text that their queries do not find. Pure."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

_SMALLEST = 4  # rows of a part
_APART = 0.3  # how alike the parts are, against how alike the rows of a part are
_ROUNDS = 10
_SPLIT_ROWS = 300  # of a class that are looked at
_FOUND = 0.25  # share of its queries that find a text among the first ten; below, it is rewritten
_FEWEST = 4  # rows, to say so
_CELLS = 1 << 28  # products of a query and a text: half a minute


class Part(NamedTuple):
    """The smaller of two parts of a standard question."""

    label: int
    rows: NDArray[np.int64]
    middle: int  # the row that is most like the others of the part
    alike: float  # the parts, against the rows of a part


class Unfound(NamedTuple):
    """A standard question whose text its own queries do not find."""

    label: int
    found: float  # share of its queries that find it
    middle: int  # the row that is most like the others


def find_splits(bags: sp.csr_array, labels: NDArray[np.int64]) -> list[Part]:
    """Return standard questions that hold two things, the clearest first.

    Two parts of rows are looked for (spherical 2-means); they are two things where hardly a feature is common to both.

    Args:
        bags: (n, V) unit rows of the queries.
        labels: (n,) class of each.
    """
    found = []
    order = np.argsort(labels, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        if len(rows) >= 2 * _SMALLEST and (part := _halve(bags, rows[:_SPLIT_ROWS])):
            found.append(part._replace(label=int(labels[rows[0]])))
    return sorted(found, key=lambda part: part.alike)


def find_unfound(bags: sp.csr_array, labels: NDArray[np.int64], texts: sp.csr_array, top: int = 10) -> list[Unfound]:
    """Return standard questions whose text hardly any of their queries finds among the texts of all, worst first.

    Args:
        bags: (n, V) unit rows of the queries.
        labels: (n,) class of each.
        texts: (K, V) unit rows of the standard questions.
        top: how many texts a query finds.
    """
    classes = texts.shape[0]
    seen = min(bags.shape[0], max(1, _CELLS // max(1, classes)))
    hits, rows = np.zeros(classes), np.bincount(labels[:seen], minlength=classes)
    turned, block = texts.T.tocsr(), max(1, (1 << 23) // max(1, classes))
    for start in range(0, seen, block):
        stop = min(seen, start + block)
        cosines, own = (bags[start:stop] @ turned).toarray(), labels[start:stop]
        mine = cosines[np.arange(stop - start), own]
        better = (cosines > mine[:, None]).sum(axis=1)
        hits += np.bincount(own[(better < top) & (mine > 0)], minlength=classes)
    share = hits / np.maximum(rows, 1)
    bad = np.flatnonzero((rows >= _FEWEST) & (share < _FOUND))
    bad = bad[np.argsort(share[bad], kind="stable")]
    return [Unfound(c, float(share[c]), _middle(bags, np.flatnonzero(labels == c)[:_SPLIT_ROWS])) for c in bad.tolist()]


def _halve(bags: sp.csr_array, rows: NDArray[np.int64]) -> Part | None:
    """Return the smaller of two parts of some rows; None: they belong together."""
    near = (bags[rows] @ bags[rows].T).toarray()
    seeds = [int(near.sum(axis=1).argmin())]
    seeds.append(int(near[seeds[0]].argmin()))
    side = near[seeds[1]] > near[seeds[0]]
    for _ in range(_ROUNDS):
        if not side.any() or side.all():
            return None
        turned = near[:, side].mean(axis=1) > near[:, ~side].mean(axis=1)
        if (turned == side).all():
            break
        side = turned
    smaller = side if side.sum() <= len(rows) / 2 else ~side
    if smaller.sum() < _SMALLEST:
        return None
    np.fill_diagonal(near, 0)
    inside = min(_mean_inside(near, smaller), _mean_inside(near, ~smaller))
    across = float(near[np.ix_(smaller, ~smaller)].mean())
    if inside <= 0 or across >= _APART * inside:
        return None
    part = rows[smaller]
    return Part(-1, part, _middle(bags, part), across / inside)


def _mean_inside(near: NDArray[np.floating], side: NDArray[np.bool_]) -> float:
    count = int(side.sum())
    return float(near[np.ix_(side, side)].sum() / max(1, count * (count - 1)))


def _middle(bags: sp.csr_array, rows: NDArray[np.int64]) -> int:
    return int(rows[np.asarray((bags[rows] @ bags[rows].T).sum(axis=1)).ravel().argmax()])
