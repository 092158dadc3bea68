"""What the study says of each claim of the article, in words made from the numbers.

A difference of recall counts only if it is at least two points and its interval leaves zero out.
Anything less is not distinguishable from what another seed would give.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from schemas.evaluation import Interval
from schemas.study import Difference, Finding, Measured, Verdict
from tasks.study.claims import CLAIMS, SETTLED, Claim, small_classes_are_worse
from tasks.study.results import Case, Results, sign


def find_findings(measured: Sequence[Measured], differences: Sequence[Difference]) -> list[Finding]:
    """Return what came of every finding of the article that the experiments speak of.

    Args:
        measured: of the experiments; a finding that needs one that is not there is left out.
        differences: of `list_pairs`.
    """
    results = Results(measured, differences)
    return [_judge(claim, cases) for claim in CLAIMS for cases in claim.cases(results)]


def _judge(claim: Claim, cases: Sequence[Case]) -> Finding:
    """Return a claim's finding: as claimed only if every case is, and refuted by one that is not."""
    answers = [claim.expected(case) for case in cases]
    yes: Verdict = "reproduces" if claim.article else "holds"
    no: Verdict = "does not reproduce" if claim.article else "does not hold"
    verdict = no if False in answers else "not distinguishable" if None in answers else yes
    names: dict[str, Any] = {"cases": cases, **cases[0]._asdict()}
    subject, article, ours = (_template(text).render(names) for text in (claim.subject, claim.article, claim.ours))
    return Finding(subject=subject, article=article, ours=ours, verdict=verdict)


def _corpus(m: Measured) -> str:
    return m.experiment.corpus.upper()


def _percent(m: Measured) -> str:
    return f"{m.recall_at_10.value:.1%}"


def _settled(m: Measured) -> str:
    epochs = m.epochs_until(SETTLED)
    return "was never gone" if epochs is None else f"was gone after {epochs} epoch{'s' if epochs > 1 else ''}"


def _points(gap: Interval) -> str:
    def show(value: float) -> str:
        return f"{100 * value:+.1f}".replace("-", "−")

    text = f"{show(gap.value)} points ({show(gap.low)} to {show(gap.high)})"
    if sign(gap):
        return text
    measured = gap.low > 0 or gap.high < 0  # but another seed would give as much
    return f"{text}, {'too small to count' if measured else 'not distinguishable from noise'}"


@cache
def _template(text: str) -> Template:
    """Return a sentence's template; a name that it misspells is an error."""
    return _environment().from_string(text)


@cache
def _environment() -> Environment:
    environment = Environment(undefined=StrictUndefined, autoescape=False)  # the page's template escapes
    environment.filters |= {
        "article": lambda m: f"{m.experiment.article_recall_at_10:.2f}",
        "corpus": _corpus,
        "points": _points,
        "recall": _percent,
        "recall_range": lambda m: f"{_percent(m)} ({m.recall_at_10.low:.1%} to {m.recall_at_10.high:.1%})",
        "settled": _settled,
        "share": lambda value, digits=1: f"{value:.{digits}%}",
        "where": lambda m: f"{_corpus(m)}, {m.experiment.tower}",
        "whole": lambda value: f"{value:.0f}",
    }
    environment.tests["worse_small"] = small_classes_are_worse
    return environment
