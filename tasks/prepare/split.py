"""The leak-free stratified split. Pure.

Rows with one normalised query stay together on one side, whatever their standard questions, so
that no test query was seen in training; every class keeps a training row.
"""

import numpy as np
from numpy.typing import NDArray

from tasks.prepare.hashing import keys, uniform


def hold_out(
    queries: NDArray[np.uint64],
    classes: NDArray[np.int64],
    share: float,
    seed: int,
    purpose: str,
    lend_single_rows: bool = False,
) -> NDArray[np.bool_]:
    """Return a mask of the rows held out: about `share` of each class, drawn by query.

    Args:
        queries: (rows,) key of each row's normalised query.
        classes: (rows,) class of each row, 0 .. K-1.
        share: wanted share, of every class; what is left over by rounding is drawn too.
        seed: seed of the draw.
        purpose: keeps the test split and the validation cut independent.
        lend_single_rows: a class with one row may lend it (it is then known by its own text alone).
    """
    rows_of = np.bincount(classes)
    rounding = uniform(keys(seed, f"{purpose}/rounding", np.arange(len(rows_of))))
    quota = np.floor(rows_of * share + rounding).astype(np.int64)
    quota = np.minimum(quota, np.where((rows_of == 1) & lend_single_rows, 1, rows_of - 1))

    _, group = np.unique(queries, return_inverse=True)
    group_keys = keys(seed, purpose, np.unique(queries).view(np.int64))
    order = np.lexsort((np.arange(len(group)), group_keys[group]))  # rows of a query are neighbours
    borders = np.flatnonzero(np.diff(group[order])) + 1
    held = np.zeros(len(group), dtype=bool)
    for rows in np.split(order, borders):
        if len(rows) == 1:
            label = classes[rows[0]]
            if quota[label] > 0:
                quota[label] -= 1
                held[rows[0]] = True
            continue
        labels, counts = np.unique(classes[rows], return_counts=True)
        if (quota[labels] >= counts).all():
            quota[labels] -= counts
            held[rows] = True
    return held
