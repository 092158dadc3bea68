"""Counts of the texts in which each feature stands, in bounded memory: 12 bytes a distinct feature, 40 at most. Pure.

The distinct n-grams of millions of texts do not fit in memory as text, and most of them are dropped. So their 64-bit
keys are counted, and the texts of those that stay are looked up afterwards. Two of ten million features share a key
with a chance of 1 in 400,000; they are then counted together.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_PENDING = 1 << 21  # counts collected, at least, before they are added
_SHARDS = np.arange(1, 64, dtype=np.uint64) << np.uint64(58)  # ranges of keys, of which one at a time is copied

_Counts = tuple[NDArray[np.uint64], NDArray[np.int32]]  # keys, increasing, and how often each was seen


class Tally:
    """Counts by key, added up block by block."""

    def __init__(self) -> None:
        self._shards: list[_Counts] = [(np.zeros(0, np.uint64), np.zeros(0, np.int32))] * (len(_SHARDS) + 1)
        self._pending: list[_Counts] = []
        self._waiting = self._held = 0

    def add(self, keys: NDArray[np.uint64], counts: NDArray[np.int32]) -> None:
        """Add counts of some keys, in any order."""
        present = counts > 0
        self._pending.append((keys[present], counts[present]))
        self._waiting += len(self._pending[-1][0])
        if self._waiting > max(_PENDING, self._held // 4):  # geometric, so that the merges cost a logarithm
            self._merge()

    def keep(self, least: int, most: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Return the keys that were counted at least `least` times, increasing, and their counts; all, if none was.

        At most `most` stay: the most frequent, and among equals those of smaller keys.
        """
        self._merge()
        if not any((counts >= least).any() for _, counts in self._shards):
            least = 0
        keys = np.concatenate([keys[counts >= least] for keys, counts in self._shards])
        counts = np.concatenate([counts[counts >= least] for _, counts in self._shards]).astype(np.int64)
        if len(keys) > most:
            kept = np.sort(np.lexsort((keys, -counts))[:most])
            keys, counts = keys[kept], counts[kept]
        return keys, counts

    def _merge(self) -> None:
        if not self._pending:
            return
        keys, counts = _add_up(*(np.concatenate(column) for column in zip(*self._pending, strict=True)))
        self._pending, self._waiting = [], 0
        bounds = [0, *np.searchsorted(keys, _SHARDS).tolist(), len(keys)]
        for number, (start, end) in enumerate(pairwise(bounds)):
            held, seen = self._shards[number]
            here = slice(start, end)
            self._shards[number] = _add_up(np.concatenate([held, keys[here]]), np.concatenate([seen, counts[here]]))
        self._held = sum(len(keys) for keys, _ in self._shards)


def _add_up(keys: NDArray[np.uint64], counts: NDArray[np.int32]) -> _Counts:
    """Return each key once, in increasing order, with the sum of its counts."""
    if not len(keys):
        return keys, counts
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    return keys[starts], np.add.reduceat(counts, starts)
