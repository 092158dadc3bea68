"""Training queries that a model keeps beside the vectors of its standard questions. Pure, free of torch.

A standard question's vector is one point; what customers ask of it is often several. So the first
standard questions by cosine are scored anew, by how near some of their own training queries lie: a
mixture of a parametric model with its nearest neighbours, as in Khandelwal et al. 2020, "Generalization
through Memorization: Nearest Neighbor Language Models", section 2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Keep = Callable[[str, Callable[[], NDArray[Any]]], NDArray[Any]]  # of an array's name, and what makes it

_FIRST = 20  # standard questions scored anew; 50 and all of them gave the same recall
_SHARPNESS = 20.0  # of the softened maximum over a standard question's queries
_COUNT_DISCOUNT = 0.4  # 0: many queries count for more, as a prior does; 1: their number does not matter


@dataclass(frozen=True)
class Nearness:
    """How near the kept queries of one standard question lie to a query.

    It is softmax @ cosines + constant: the softened maximum by its identity with the softmax of the cosines.
    """

    vectors: NDArray[np.float32]  # (n, S * o), scaled as those of `Exemplars`
    start: int  # number of the first of them among all
    cosines: NDArray[np.float32]  # (n,)
    softmax: NDArray[np.float32]  # (n,) of sharpness times the cosines
    constant: float  # entropy of the softmax, less the discount for their number, over the sharpness


@dataclass(frozen=True)
class Exemplars:
    """Kept queries, at least one of every standard question, standard question after standard question."""

    vectors: NDArray[np.float32]  # (N, S * o), scaled so that a dot product with a query is the mean cosine
    starts: NDArray[np.int64]  # (K + 1,) where those of each standard question begin

    @classmethod
    def of(cls, vectors: NDArray[np.floating], starts: NDArray[np.int64], keep: Keep = lambda _, make: make()) -> Self:
        """Take (N, S, o) vectors of unit length per tower; `keep` holds what is made of them."""

        def scale() -> NDArray[np.float32]:
            return vectors.reshape(len(vectors), -1).astype(np.float32) / np.float32(vectors.shape[1])

        return cls(keep("exemplars", scale), starts)

    @cached_property
    def _counts(self) -> NDArray[np.int64]:
        """(K,) how many each standard question has."""
        return np.diff(self.starts)

    def mix(
        self,
        cosines: NDArray[np.float32],
        queries: NDArray[np.float32],
        weight: float,
        chosen: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float32]:
        """Return (n, K) scores: the first standard questions mixed with their kept queries, the others behind them.

        A query without any known feature keeps its cosines, which are 0.

        Args:
            cosines: (n, K) of the queries with the standard questions.
            queries: (n, S * o), of unit length per tower.
            weight: of the kept queries, from 0 to 1.
            chosen: (K,) which standard questions these are, at least one; None: all.
        """
        scores, share = cosines.copy(), np.float32(weight)
        known = queries.any(axis=1)
        if not weight or not known.any():
            return scores
        if not known.all():
            scores[known] = self.mix(cosines[known], queries[known], weight, chosen)
            return scores
        first, near = self._nearness(cosines, queries, chosen)
        rows = np.arange(len(cosines))[:, None]
        mixture = (1 - share) * cosines[rows, first] + share * near
        scores[rows, first] = np.float32(-np.inf)
        ahead = scores.max(axis=1) - mixture.min(axis=1)  # -inf: there are no others
        scores -= np.maximum(ahead + np.float32(1e-5), 0)[:, None]  # more than rounding takes back
        scores[rows, first] = mixture
        return scores

    def explain(
        self, cosines: NDArray[np.float32], query: NDArray[np.float32], chosen: NDArray[np.int64] | None
    ) -> dict[int, Nearness]:
        """Return how near the kept queries of the standard questions lie that `mix` scores anew, by their numbers.

        Args:
            cosines: (K,) of the query with the standard questions.
            query: (S * o,), of unit length per tower; known.
            chosen: as `mix` takes it.
        """
        places = min(_FIRST, len(cosines))
        first = np.argpartition(-cosines[None], places - 1, axis=1)[0, :places]
        numbers = first if chosen is None else chosen[first]
        return {number: self._near(number, query) for number in numbers.tolist()}

    def _near(self, number: int, query: NDArray[np.float32]) -> Nearness:
        start, end = self.starts[number : number + 2].tolist()
        vectors = self.vectors[start:end]
        found = vectors @ query
        weights = np.exp(np.float32(_SHARPNESS) * (found - found.max()))
        softmax = weights / weights.sum()
        entropy = -float((softmax * np.log(np.maximum(softmax, np.float32(1e-30)))).sum())
        discount = _COUNT_DISCOUNT * np.log(end - start) + (1 - _COUNT_DISCOUNT) * np.log(int(self._counts.max()))
        return Nearness(vectors, start, found, softmax, (entropy - float(discount)) / _SHARPNESS)

    def _nearness(
        self, cosines: NDArray[np.float32], queries: NDArray[np.float32], chosen: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return (n, F) the first standard questions of each query, and how near their kept queries lie, at most 1.

        A softened maximum: log of the sum of e^(sharpness * (cosine - 1)), less a share of the log of their number.
        """
        places = min(_FIRST, cosines.shape[1])
        first = np.argpartition(-cosines, places - 1, axis=1)[:, :places]
        counts, most = self._counts, int(self._counts.max())
        numbers = first if chosen is None else chosen[first]
        sums = np.empty(first.shape, dtype=np.float32)
        nearness = np.empty(places * most, dtype=np.float32)
        for query, classes, row in zip(queries, numbers, sums, strict=True):
            ends = counts[classes].cumsum()
            begins = ends - counts[classes]
            for begin, end, start in zip(begins.tolist(), ends.tolist(), self.starts[classes].tolist(), strict=True):
                np.dot(self.vectors[start : start + end - begin], query, out=nearness[begin:end])
            found = np.exp(np.float32(_SHARPNESS) * (nearness[: ends[-1]] - 1))
            np.add.reduceat(found, begins, out=row)
        bonus = np.float32(1 - _COUNT_DISCOUNT) * np.log(np.float32(most))
        discount = np.float32(_COUNT_DISCOUNT) * np.log(counts[numbers]).astype(np.float32)
        return first, 1 + (np.log(sums) - discount - bonus) / np.float32(_SHARPNESS)
