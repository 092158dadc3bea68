"""Negatives: the wrong standard questions a row is trained against. Pure.

The article's first defect was a sampler that always took the first n; `first_n` is kept to show
the harm. `random` draws uniformly from every class that is neither the row's own nor a
near-duplicate of it, by a counter-based hash, so that any worker draws the same for a row.
"""

from collections import defaultdict
from collections.abc import Sequence
from math import ceil
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasks.prepare.hashing import keys


def near_duplicates(texts: Sequence[str], threshold: float) -> list[list[int]]:
    """Return, for each text, the numbers of the other texts it nearly equals, increasing.

    Nearly equal: Jaccard similarity of the sets of character pairs >= `threshold`. Candidates share
    one of their rarest pairs (prefix filter: Bayardo, Ma, Srikant 2007, "Scaling Up All Pairs
    Similarity Search", section 3), so the cost is near linear in the number of texts.
    """
    grams = [{text[i : i + 2] for i in range(max(1, len(text) - 1))} for text in texts]
    seen: dict[str, int] = defaultdict(int)
    for one in grams:
        for gram in one:
            seen[gram] += 1
    holders: dict[str, list[int]] = defaultdict(list)
    found: list[list[int]] = [[] for _ in texts]
    for number, one in enumerate(grams):
        rarest = sorted(one, key=lambda gram: (seen[gram], gram))[: len(one) - ceil(threshold * len(one)) + 1]
        for other in sorted({holder for gram in rarest for holder in holders[gram]}):
            if len(one & grams[other]) >= threshold * len(one | grams[other]):
                found[number].append(other)
                found[other].append(number)
        for gram in rarest:
            holders[gram].append(number)
    return [sorted(one) for one in found]


def forbidden_classes(duplicates: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Return (K, width) the classes each class never opposes: itself and its near-duplicates, padded with K.

    Where nothing would be left to oppose, only the class itself is forbidden.
    """
    classes = len(duplicates)
    rows = [sorted({own, *others}) if len(others) + 1 < classes else [own] for own, others in enumerate(duplicates)]
    table = np.full((classes, max(map(len, rows))), classes, dtype=np.int64)
    for own, row in enumerate(rows):
        table[own, : len(row)] = row
    return table


def draw_negatives(
    row_ids: NDArray[np.int64],
    labels: NDArray[np.int64],
    forbidden: NDArray[np.int64],
    per_row: int,
    epoch: int,
    seed: int,
    sampler: Literal["random", "first_n"] = "random",
) -> NDArray[np.int32]:
    """Return (rows, per_row) class ids, independent of the order and the number of rows given.

    Args:
        row_ids: (rows,) ids that the draw is keyed on.
        labels: (rows,) the right class of each row.
        forbidden: (K, width) of `forbidden_classes`.
        per_row: negatives per row.
        epoch: which draw, from 0.
        seed: seed of the draw.
        sampler: "random": uniform with replacement over what is allowed; "first_n": the first allowed, always.
    """
    classes = len(forbidden)
    barred = forbidden[labels]  # (rows, width), increasing, padded with K
    allowed = classes - (barred < classes).sum(axis=1)
    if sampler == "first_n":
        drawn = np.arange(per_row)[None, :] % allowed[:, None]
    else:
        random = keys(seed, "negatives", row_ids[:, None], epoch, np.arange(per_row)[None, :])
        # The high 32 bits times n, shifted: Lemire 2019; off from uniform by less than K / 2^32.
        drawn = (((random >> np.uint64(32)) * allowed[:, None].astype(np.uint64)) >> np.uint64(32)).astype(np.int64)
    for column in range(barred.shape[1]):  # step over what is barred, in increasing order
        drawn = drawn + (drawn >= barred[:, column, None])
    negatives: NDArray[np.int32] = drawn.astype(np.int32)
    return negatives


def allowed_candidates(
    mined: NDArray[np.int64], labels: NDArray[np.int64], forbidden: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return (rows, depth) of `mined` what each row may oppose, in order, then -1.

    Args:
        mined: (rows, depth) class ids, -1 for none.
        labels: (rows,) the right class of each row.
        forbidden: (K, width) of `forbidden_classes`.
    """
    barred = (mined[:, :, None] == forbidden[labels][:, None, :]).any(axis=2) | (mined < 0)
    order = np.argsort(barred, axis=1, kind="stable")
    return np.take_along_axis(np.where(barred, -1, mined), order, axis=1)


def put_mined(
    negatives: NDArray[np.int32],
    candidates: NDArray[np.int64],
    row_ids: NDArray[np.int64],
    count: int,
    epoch: int,
    seed: int,
) -> NDArray[np.int32]:
    """Return `negatives` with the last `count` of each row drawn anew, uniformly from its candidates.

    A row without any keeps what it has.

    Args:
        negatives: (rows, per_row) of `draw_negatives`.
        candidates: (rows, depth) of `allowed_candidates`.
        row_ids: (rows,) ids that the draw is keyed on.
        count: at most per_row.
        epoch: which draw, from 0.
        seed: seed of the draw.
    """
    choices = (candidates >= 0).sum(axis=1)
    random = keys(seed, "mined", row_ids[:, None], epoch, np.arange(count)[None, :])
    places = (((random >> np.uint64(32)) * choices[:, None].astype(np.uint64)) >> np.uint64(32)).astype(np.int64)
    drawn = np.take_along_axis(candidates, places, axis=1)
    result = negatives.copy()
    result[:, -count:] = np.where(choices[:, None] > 0, drawn, negatives[:, -count:])
    return result
