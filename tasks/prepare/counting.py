"""In how many texts a feature stands, counted in bounded memory: 12 bytes a distinct feature. Pure.

Of a log of millions the distinct n-grams do not fit in memory as texts, and most of them are dropped. So their
64-bit keys are counted (two of ten million features share one with a chance of 1 in 400,000, and are then counted
together), and the texts of those that stay are looked up afterwards.
"""

import numpy as np
from numpy.typing import NDArray

_PENDING = 1 << 21  # counts collected before they are merged


class Tally:
    """Counts by key, added up block by block."""

    def __init__(self) -> None:
        self._keys, self._counts = np.zeros(0, np.uint64), np.zeros(0, np.int32)
        self._pending: list[tuple[NDArray[np.uint64], NDArray[np.int32]]] = []
        self._waiting = 0

    def add(self, keys: NDArray[np.uint64], counts: NDArray[np.int32]) -> None:
        """Add counts of some keys, in any order."""
        present = counts > 0
        self._pending.append((keys[present], counts[present]))
        self._waiting += len(self._pending[-1][0])
        if self._waiting > max(_PENDING, len(self._keys)):  # geometric, so that the merges cost a logarithm
            self._merge()

    def keep(self, least: int, most: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Return keys, increasing, and counts of what was counted at least `least` times; where nothing was, of all.

        Of more than `most` the most frequent stay, among equals those of smaller keys.
        """
        self._merge()
        kept = np.flatnonzero(self._counts >= least)
        if not len(kept):
            kept = np.arange(len(self._keys))
        if len(kept) > most:
            order = np.lexsort((self._keys[kept], -self._counts[kept].astype(np.int64)))
            kept = np.sort(kept[order[:most]])
        return self._keys[kept], self._counts[kept].astype(np.int64)

    def _merge(self) -> None:
        keys = np.concatenate([self._keys, *(keys for keys, _ in self._pending)])
        counts = np.concatenate([self._counts, *(counts for _, counts in self._pending)])
        self._pending, self._waiting = [], 0
        if len(keys):
            order = np.argsort(keys, kind="stable")
            keys, counts = keys[order], counts[order]
            starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
            self._keys, self._counts = keys[starts], np.add.reduceat(counts, starts)
