"""Scores to ranks: the order that answers a query, and that is measured. Pure.

Ties go to the smaller class id: a fixed order that does not know the label.
"""

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.floating]  # (n, classes), higher is better
Ids = npt.NDArray[np.integer]  # (n,)

_FEW = 5000  # classes
_WIDTH = 64  # scores of which only the highest is looked at first


def ranking(scores: Scores, top: int) -> npt.NDArray[np.int64]:
    """Return the class ids of the `top` highest scores of each row, best first, shape (n, min(top, classes)).

    Ties go to the smaller class id: a fixed order that does not know the label.

    Raises:
        ValueError: `top` is below 1, or a score is not a number.
    """
    if top < 1:
        raise ValueError(f"top must be at least 1, got {top}")
    n, classes = scores.shape
    top = min(top, classes)
    if not top:
        return np.zeros((n, 0), np.int64)
    if n == 1 and classes <= _FEW:
        return _ranking_of_one(scores[0], top)[None]
    # The top-th highest of the maxima of groups of columns: at least `top` scores are as high, and hardly more.
    width = max(1, min(_WIDTH, classes // (4 * top)))
    whole = classes // width * width
    maxima = np.hstack([scores[:, :whole].reshape(n, width, whole // width).max(axis=1), scores[:, whole:]])
    _require_numbers(maxima)
    bar = np.partition(maxima, maxima.shape[1] - top, axis=1)[:, maxima.shape[1] - top, None]  # (n, 1)
    chosen = scores >= bar  # (n, classes)
    tied = np.flatnonzero(np.count_nonzero(chosen, axis=1) > _WIDTH * top)  # hardly any score is above the bar
    if len(tied):
        level = scores[tied] == bar[tied]
        chosen[tied] = (scores[tied] > bar[tied]) | (level & (level.cumsum(axis=1, dtype=np.int32) <= top))
    rows, ids = chosen.nonzero()
    order = np.lexsort((ids, -scores[rows, ids], rows))
    starts = np.searchsorted(rows, np.arange(n))
    best: npt.NDArray[np.int64] = ids[order[starts[:, None] + np.arange(top)]]
    return best


def _ranking_of_one(scores: npt.NDArray[np.floating], top: int) -> npt.NDArray[np.int64]:
    """Return (top,) class ids of one query's (classes,) scores: of few, partitioning all is the fastest way."""
    _require_numbers(scores[None, :])
    bar = np.partition(scores, len(scores) - top)[len(scores) - top]
    ids = np.flatnonzero(scores >= bar)
    order = np.argsort(-scores[ids], kind="stable")  # of equals, the smaller id stays ahead
    best: npt.NDArray[np.int64] = ids[order[:top]]
    return best


def rank_of_truth(scores: Scores, truth: Ids) -> npt.NDArray[np.int64]:
    """Return the 0-based position of the right class in `ranking`, without sorting, shape (n,).

    The rank is the number of higher scores plus the number of equal scores of smaller ids. Where `truth` is
    -1 (a standard question the corpus does not have) it is -1: never found, whatever k.

    Raises:
        ValueError: `truth` does not fit the scores, or a score is not a number (it would rank first).
    """
    _require_numbers(scores)
    n, classes = scores.shape
    if truth.shape != (n,) or (n and not (-1 <= truth.min() and truth.max() < classes)):
        raise ValueError(f"truth must be {n} class ids from -1 to {classes - 1}, got shape {truth.shape}")
    right = scores[np.arange(n), truth][:, None]  # (n, 1); of -1 a score that is not used
    ranks = np.count_nonzero(scores > right, axis=1)
    level = scores == right
    tied = np.flatnonzero(np.count_nonzero(level, axis=1) > 1)
    ranks[tied] += np.count_nonzero(level[tied] & (np.arange(classes) < truth[tied, None]), axis=1)
    return np.where(truth < 0, -1, ranks).astype(np.int64)


def _require_numbers(scores: Scores) -> None:
    if np.isnan(scores).any():
        raise ValueError(f"scores must be numbers, got NaN in {np.isnan(scores).any(axis=1).sum()} row(s)")
