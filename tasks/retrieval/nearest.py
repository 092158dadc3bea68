"""Exact nearest standard questions among very many, without reading every vector in full. Pure.

A product with all vectors is bound by memory: 100,000 of 512 numbers are 200 MB a query. So the vectors are turned
into their principal directions, of which the first few hold most of every length; what the others can add to a
cosine at most (Cauchy-Schwarz) rules out nearly all standard questions, the next few most of what is left, and the
rest is scored in full.
"""

import numpy as np
from numpy.typing import NDArray

from tasks.retrieval.ranking import ranking

_HEAD = 128  # principal directions read for every standard question
_SAMPLE = 8192  # standard questions the directions are taken from
_FEW = 2000  # standard questions left that are scored in full at once; of more, the next directions are read first
_FIRST = 8  # times `top` scored in full, to know how high the last of the top must be
_CANCELLED = 1e-6  # of a square: more than its difference with another one loses by products in single precision
_ROUNDING = 1e-4  # of scores in single precision


class Nearest:
    """Finds the highest products with (K, d) vectors, as a product with all of them would."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        """Keep `vectors` and turn them; a second or so for 100,000."""
        self._vectors = vectors
        sample = vectors[:: max(1, len(vectors) // _SAMPLE)]
        self._directions = np.ascontiguousarray(np.linalg.eigh(sample.T @ sample)[1][:, ::-1])  # (d, d)
        parts = [vectors @ self._directions[:, start : start + _HEAD] for start in (0, _HEAD)]
        self._heads, self._middles = np.ascontiguousarray(parts[0].T), parts[1]  # (head, K), (K, head)
        # Summed in double precision: how much single precision loses depends on the processor.
        squares = [np.einsum("kd,kd->k", part, part, dtype=np.float64) for part in (vectors, *parts)]
        left = [squares[0] - squares[1], squares[0] - squares[1] - squares[2]]
        lengths = [np.sqrt(np.maximum(square, 0) + _CANCELLED * squares[0]).astype(np.float32) for square in left]
        self._rest, self._end = lengths  # (K,) without the head, and without the middle

    def search(self, query: NDArray[np.float32], top: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the ids of the `top` highest scores of a (d,) query, best first, ties by id, and their scores."""
        turned = query @ self._directions
        known = turned[:_HEAD] @ self._heads
        bounds = known + np.linalg.norm(turned[_HEAD:]) * self._rest
        few = min(_FIRST * top, len(bounds))
        ids = np.arange(len(bounds))
        if few < len(bounds):
            first = np.argpartition(bounds, len(bounds) - few)[-few:]
            bar = np.partition(self._vectors[first] @ query, few - top)[few - top] - _ROUNDING
            ids = np.flatnonzero(bounds >= bar)
            if len(ids) > _FEW:  # of a query like no other, which is near nothing
                middle = turned[_HEAD : 2 * _HEAD]
                many = len(ids) > len(bounds) // 4  # to read them all in a row is then faster
                more = (self._middles @ middle)[ids] if many else self._middles[ids] @ middle
                ids = ids[known[ids] + more + np.linalg.norm(turned[2 * _HEAD :]) * self._end[ids] >= bar]
        scores = self._vectors[ids] @ query
        order = ranking(scores[None], min(top, len(ids)))[0]
        return ids[order], scores[order]
