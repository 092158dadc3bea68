"""Negatives: the wrong standard questions that a row is trained against. Pure.

The article's first defect was a sampler that always took the first n; `first_n` shows the harm. `random` draws
uniformly from every class that is neither the row's own nor a near-duplicate of it. The draw is a counter-based hash,
so that every worker draws the same for a row.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tasks.retrieval.hashing import keys


def forbidden_classes(duplicates: Sequence[Sequence[int]]) -> csr_array:
    """Return (K, K) the classes that each class never opposes: itself and its near-duplicates, in increasing order.

    Where nothing would be left to oppose, only the class itself is forbidden.
    """
    classes = len(duplicates)
    rows = [sorted({own, *others}) if len(others) + 1 < classes else [own] for own, others in enumerate(duplicates)]
    starts = np.cumsum([0, *map(len, rows)])
    columns = np.fromiter((other for row in rows for other in row), dtype=np.int64, count=int(starts[-1]))
    return csr_array((np.ones(len(columns), dtype=bool), columns, starts), shape=(classes, classes))


def is_forbidden(forbidden: csr_array, labels: NDArray[np.integer], others: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return a mask (rows, m) of those of `others` that must not oppose the class of their row in `labels` (rows,)."""
    classes = forbidden.shape[0]
    pairs = np.repeat(np.arange(classes), np.diff(forbidden.indptr)) * classes + forbidden.indices
    return np.isin(labels.astype(np.int64)[:, None] * classes + others, pairs)


def draw_negatives(
    row_ids: NDArray[np.int64],
    labels: NDArray[np.int64],
    forbidden: csr_array,
    per_row: int,
    epoch: int,
    seed: int,
    sampler: Literal["random", "first_n"] = "random",
) -> NDArray[np.int32]:
    """Return (rows, per_row) class ids, independent of the order and the number of rows given.

    Args:
        row_ids: (rows,) ids that the draw is keyed on.
        labels: (rows,) the right class of each row.
        forbidden: (K, K) of `forbidden_classes`.
        per_row: negatives per row.
        epoch: number of the draw, from 0.
        seed: seed of the draw.
        sampler: "random": uniform with replacement over what is allowed; "first_n": the first allowed, always.
    """
    classes, counts = forbidden.shape[0], np.diff(forbidden.indptr)
    allowed = classes - counts[labels]
    if sampler == "first_n":
        drawn = np.arange(per_row)[None, :] % allowed[:, None]
    else:
        random = keys(seed, "negatives", row_ids[:, None], epoch, np.arange(per_row)[None, :])
        # The high 32 bits times n, shifted: Lemire 2019; off from uniform by less than K / 2^32.
        drawn = (((random >> np.uint64(32)) * allowed[:, None].astype(np.uint64)) >> np.uint64(32)).astype(np.int64)
    # Step over what is barred: a draw passes the i-th barred class b, from 0, if it is at least b - i. One ordered list
    # of all classes' thresholds serves all rows, however many a class bars.
    starts = forbidden.indptr.astype(np.int64)
    thresholds = forbidden.indices - (np.arange(forbidden.nnz) - np.repeat(starts[:-1], counts))
    thresholds = np.repeat(np.arange(classes), counts) * (classes + 1) + thresholds
    passed = np.searchsorted(thresholds, labels[:, None] * (classes + 1) + drawn, side="right")
    negatives: NDArray[np.int32] = (drawn + passed - starts[labels][:, None]).astype(np.int32)
    return negatives
