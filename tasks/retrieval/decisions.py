"""What a query is answered with: directly, with a choice of standard questions, or by a person. Pure.

Two numbers decide. The probability that the first answer is right goes by its score and its margin over the second.
How much a query is like those of the corpus goes by the score and the share of its n-grams that the model knows: a
foreign query may lie near something, but most of its n-grams were never seen. More signals (norm of the vector, energy,
nearest training query, votes of the members) separated no better over corpora: docs/decisions.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import tanh
from typing import Self

import numpy as np
from numpy.typing import NDArray

from schemas.decisions import FEWEST_OFFERED, MOST_OFFERED, Decision, Decisions, Ours

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Signals:
    """What is decided by, of some queries."""

    score: Numbers  # (n,) of the first answer
    margin: Numbers  # (n,) over the second; 0 where there is none
    known: Numbers  # (n,) share of the query's n-grams that the model knows

    def __len__(self) -> int:
        return len(self.score)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "Signals":
        """Return those of some rows."""
        return Signals(self.score[rows], self.margin[rows], self.known[rows])

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Return those of several sets of queries, one after the other."""
        return cls(*(np.concatenate([getattr(one, name.name) for one in parts]) for name in fields(cls)))


def likeness(ours: Ours, signals: Signals) -> Numbers:
    """Return (n,) how much each query is like those of the corpus."""
    return ours.bias + ours.score * signals.score + ours.known * signals.known


def decide(decisions: Decisions, scores: Sequence[float], known: float) -> tuple[Decision, float, int]:
    """Return what to do with a query, the probability that its first answer is right, and how many to offer.

    Args:
        decisions: of the model.
        scores: of the first answers, best first: `MOST_OFFERED` of them, or all there are.
        known: share of the query's n-grams that the model knows.
    """
    if not scores or not known:  # it has no letter, or none that was ever seen: all scores are alike
        return "handover", 0.0, 0
    first = scores[0]
    margin = first - scores[1] if len(scores) > 1 else 0.0
    right, ours = decisions.right, decisions.ours
    probability = 0.5 + 0.5 * tanh((right.bias + right.score * first + right.margin * margin) / 2)
    if decisions.handover_below is not None:
        if ours.bias + ours.score * first + ours.known * known < decisions.handover_below:
            return "handover", probability, 0
    if decisions.answer_from is not None and probability >= decisions.answer_from:
        return "answer", probability, 0
    near = sum(first - score <= decisions.offer_within for score in scores[:MOST_OFFERED])
    return "clarify", probability, max(near, FEWEST_OFFERED)
