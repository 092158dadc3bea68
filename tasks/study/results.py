"""The study's experiments by corpus and role, and which of them are compared."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from schemas.evaluation import Interval
from schemas.study import Difference, Measured

NOISE = 0.02
#: What each role is compared with: ablations with the recipe of the same tower, the rest with the corpus's recipe.
AGAINST = {
    "first-n": "reference",
    "ordered": "reference",
    "target-1": "reference",
    "cross-entropy": "reference",
    "gamma-10": "reference",
    "ordered-target-1": "target-1",
    "first-n-ordered-target-1": "ordered-target-1",
    "smaller-hidden": "recipe",
    "smaller-input": "recipe",
    "default": "recipe",
}
ABLATIONS = ("reference", *(role for role, other in AGAINST.items() if other != "recipe"))


class Results:
    """The measured experiments by corpus and role, and their differences."""

    def __init__(self, measured: Sequence[Measured], differences: Sequence[Difference]) -> None:
        self._measured = {(m.experiment.corpus, m.experiment.role): m for m in measured}
        self._differences = {(d.of, d.against): d.recall_at_10 for d in differences}
        self.corpora = list(dict.fromkeys(m.experiment.corpus for m in measured))

    def of(self, corpus: str, role: str) -> Measured | None:
        """Return what was measured of a role on a corpus; None if it was not run."""
        return self._measured.get((corpus, role))

    def recipes(self) -> list[Measured]:
        """Return the article's recipe on every corpus."""
        return [m for corpus in self.corpora if (m := self.of(corpus, "recipe"))]

    def difference(self, of: Measured, against: Measured) -> Interval | None:
        """Return recall@10 of one minus that of another, whichever way round it was measured; None: it was not."""
        if found := self._differences.get((of.experiment.name, against.experiment.name)):
            return found
        if other := self._differences.get((against.experiment.name, of.experiment.name)):
            return Interval(value=-other.value, low=-other.high, high=-other.low)
        return None


class Case(NamedTuple):
    """What a claim speaks of on one corpus: an experiment, and the one that it is compared with."""

    one: Measured
    base: Measured  # the experiment itself, where a claim compares nothing
    gap: Interval | None  # recall@10 of `one` minus that of `base`
    cross_entropy: Measured | None  # the experiment of that role on the corpus


def list_pairs(measured: Sequence[Measured]) -> list[tuple[Measured, Measured]]:
    """Return the pairs whose difference the findings need: each role and what it is compared with, and the corpora."""
    results = Results(measured, [])
    pairs = [
        (m, other)
        for m in measured
        if m.experiment.role in AGAINST and (other := results.of(m.experiment.corpus, AGAINST[m.experiment.role]))
    ]
    return pairs + list(combinations(results.recipes(), 2))


def sign(difference: Interval | None) -> int:
    """Return 1 or -1 where a difference of recall counts, 0 where it is not distinguishable from noise."""
    if difference is None or abs(difference.value) < NOISE or difference.low <= 0 <= difference.high:
        return 0
    return 1 if difference.value > 0 else -1
