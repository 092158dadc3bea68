"""What the owner of a corpus should do next, most urgent first. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from schemas.evaluation import Evaluation, Gate
from schemas.language import Words
from schemas.run import Status
from schemas.validation import Drift, Finding, Verdict

_EDITS = 3  # that are named
_DRAWS = 0.05  # of the test rows: a standard question that comes first, wrongly, so often is worth a word
_STATES = ("published", "unchanged", "awaiting_approval", "held", "measured")


class Step(NamedTuple):
    """One thing to do."""

    kind: str  # good, bad, warn or info
    text: str
    section: str  # of the report, that has more of it
    why: str = ""


def list_next_steps(
    status: Status | None,
    version: str | None,
    evaluation: Evaluation,
    verdict: Verdict,
    drift: Drift | None,
    gates: Sequence[Gate],
    counts: "Counts",
    words: Words,
) -> list[Step]:
    """Return what to do, most urgent first; the first one says what became of the candidate.

    Args:
        status: what became of the candidate; None: that is not decided.
        version: that it became.
        evaluation: what was measured of it.
        verdict: on its corpus.
        drift: how that differs from the live version's.
        gates: of publishing.
        counts: of the lists beside the report.
        words: of the language.
    """
    held = [gate for gate in gates if gate.outcome == "held"]
    key, kind = (status, "bad" if held else "good") if status in _STATES else ("undecided", "info")
    facts = {"version": version, "corpus": evaluation.corpus, "count": len(held)}
    steps = [Step(kind, words(f"next.{key}", **facts), "gates" if held else "recall")]
    for outcome, kind in (("held", "bad"), ("warned", "warn")):
        found = [gate for gate in gates if gate.outcome == outcome]
        steps += [Step(kind, words("next.gate", name=gate.name, reason=gate.reason), "gates") for gate in found]
    findings = [*verdict.findings, *(drift.findings if drift else [])]
    steps += [_of_finding("bad", one, words) for one in findings if one.severity == "critical"]
    steps += _improve(evaluation, counts, words)
    return steps + [
        _of_finding("warn", one, words)
        for one in findings
        if one.severity == "warning" and one.rule not in _LISTED_ELSEWHERE
    ]


def _of_finding(kind: str, finding: Finding, words: Words) -> Step:
    why = words("next.why", title=words.title(finding.rule), statement=finding.statement)
    return Step(kind, finding.remedy[:1].upper() + finding.remedy[1:], "data", why)


class Counts(NamedTuple):
    """How many rows there are to work through."""

    failing: int = 0
    missed: int = 0  # of these, not among the first ten
    suspects: int = 0
    quarantine: int = 0
    edits: Sequence[str] = ()  # that the export does not have, in words
    rows_a_class: float | None = None  # training rows, where no encoder stands beside the towers and one would help
    draws: Sequence[tuple[str, int]] = ()  # standard questions that come first for rows of others, and for how many


_LISTED_ELSEWHERE = {"ordering", "quarantined"}  # nothing to do about the one; the other is counted by row


def _improve(evaluation: Evaluation, counts: Counts, words: Words) -> Iterator[Step]:
    """Yield what would make the next version better; what each standard question wants, health.html says alone."""
    if not evaluation.measured:
        yield Step("bad", words("next.nothing"), "recall")
        return
    tested = evaluation.test_rows
    if counts.rows_a_class:
        yield Step("info", words("next.encoder"), "training", words("next.encoder_why", rows=counts.rows_a_class))
    if counts.failing:
        facts: dict[str, Any] = {"failing": counts.failing, "rows": tested, "missed": counts.missed}
        yield Step("info", words("next.failing"), "failing", words("next.failing_why", **facts))
    for question, rows in counts.draws:
        if rows > max(2, _DRAWS * tested):
            text = words("next.draws", question=question)
            yield Step("warn", text, "failing", words("next.draws_why", rows=rows))
    if counts.suspects:
        yield Step("info", words("next.suspects", count=counts.suspects), "suspects", words("next.suspects_why"))
    if counts.edits:
        listed = "; ".join(counts.edits[:_EDITS]) + ("; …" if len(counts.edits) > _EDITS else "")
        facts = {"count": len(counts.edits), "corpus": evaluation.corpus}
        yield Step("info", words("next.edits", **facts), "data", words("next.edits_why", edits=listed, **facts))
    if counts.quarantine:
        yield Step("info", words("next.quarantine", count=counts.quarantine), "data", words("next.quarantine_why"))
