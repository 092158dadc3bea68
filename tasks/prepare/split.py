"""The leak-free stratified split. Pure.

Rows with the same normalised query stay on the same side, whatever their standard questions: no test query is seen in
training. Every class keeps a training row.
"""

import numpy as np
from numpy.typing import NDArray

from tasks.retrieval.hashing import keys, uniform

_CHUNK = 1 << 18  # queries in a list at a time: all of them would not fit


def hold_out(
    queries: NDArray[np.uint64],
    classes: NDArray[np.integer],
    share: float,
    seed: int,
    purpose: str,
    lend_single_rows: bool = False,
) -> NDArray[np.bool_]:
    """Return a mask of the rows held out: about `share` of each class, drawn by query.

    Args:
        queries: (rows,) key of each row's normalised query.
        classes: (rows,) class of each row, 0 .. K-1.
        share: wanted share of every class; rows that rounding leaves over are drawn, too.
        seed: seed of the draw.
        purpose: keeps the test split and the validation cut independent.
        lend_single_rows: a class with one row may lend it (it is then known by its own text alone).
    """
    rows_of = np.bincount(classes)
    # Keyed on a query of the class, not on its number: a new class shifts all numbers, and must not change the split.
    first = np.full(len(rows_of), np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(first, classes, queries)
    rounding = uniform(keys(seed, f"{purpose}/rounding", first.view(np.int64)))
    quota = np.floor(rows_of * share + rounding).astype(np.int64)
    quota = np.minimum(quota, np.where((rows_of == 1) & lend_single_rows, 1, rows_of - 1))

    drawn = keys(seed, purpose, queries.view(np.int64))  # a bijection: equal keys, equal queries
    order = np.lexsort((classes, drawn))
    ranked, labels = drawn[order], classes[order]
    del drawn
    new_query = np.ones(len(order), dtype=bool)
    new_query[1:] = ranked[1:] != ranked[:-1]
    del ranked
    new_run = new_query.copy()  # a run: the rows of one query under one class
    new_run[1:] |= labels[1:] != labels[:-1]
    runs = np.flatnonzero(new_run)
    taken = _take(labels[runs], np.diff(runs, append=len(order)), np.flatnonzero(new_query[runs]), quota)
    held = np.zeros(len(order), dtype=bool)
    held[order] = np.repeat(taken, np.diff(runs, append=len(order)))
    return held


def spread(
    queries: NDArray[np.uint64], classes: NDArray[np.integer], folds: int, seed: int, purpose: str
) -> NDArray[np.int64]:
    """Return (rows,) a fold for each row, from 0: every class is spread evenly, and rows of one query stay together.

    Args:
        queries: (rows,) key of each row's normalised query.
        classes: (rows,) class of each row; of a query with several, the first one counts.
        folds: how many.
        seed: seed of the draw.
        purpose: keeps it independent of others.
    """
    distinct, first, back = np.unique(queries, return_index=True, return_inverse=True)
    drawn = keys(seed, purpose, distinct.view(np.int64))
    order = np.lexsort((drawn, classes[first]))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) % folds  # running on from class to class: folds of one size
    spread_rows: NDArray[np.int64] = place[back]
    return spread_rows


def _take(
    labels: NDArray[np.integer], sizes: NDArray[np.int64], queries: NDArray[np.int64], quota: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return a mask of the runs that are held out: query after query, while the quotas of its classes last.

    Args:
        labels: (runs,) class.
        sizes: (runs,) rows.
        queries: the run each query begins with, increasing.
        quota: (classes,) rows that may be held out.
    """
    left = quota.tolist()
    taken = np.zeros(len(labels), dtype=bool)
    ends = np.append(queries[1:], len(labels))
    for chunk in range(0, len(queries), _CHUNK):
        begin, end = int(queries[chunk]), int(ends[min(chunk + _CHUNK, len(queries)) - 1])
        classes, rows = labels[begin:end].tolist(), sizes[begin:end].tolist()
        starts, stops = (part[chunk : chunk + _CHUNK] - begin for part in (queries, ends))
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            if all(left[classes[run]] >= rows[run] for run in range(start, stop)):
                for run in range(start, stop):
                    left[classes[run]] -= rows[run]
                taken[begin + start : begin + stop] = True
    return taken
