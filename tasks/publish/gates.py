"""When a candidate may go live. Pure: measurements in, one answer per gate out.

A candidate is compared with the live version several times a night (all test rows, and each size of class), so a
loss counts only where it is surer than chance allows over all comparisons together: publish.confidence, divided
among them.
"""

import json
from collections.abc import Iterator

from schemas.evaluation import Comparison, Difference, Evaluation, Gate, Golden
from schemas.language import Language, Words, read_words
from schemas.run import Status
from schemas.section import Bound, Share
from schemas.settings import Publishing
from schemas.training import TrainingReport
from schemas.validation import Verdict
from tasks.evaluate.golden import LOOKED_AT
from tasks.evaluate.metrics import FEW_ROWS
from tasks.train.verdict import describe_convergence

_EXAMPLES = 3
_FIGURES = {"recall@10": "recall_at_10", "recall@1": "recall_at_1", "MRR": "mrr"}


def ask_gates(
    evaluation: Evaluation,
    training: TrainingReport,
    verdict: Verdict,
    comparison: Comparison | None,
    live: str | None,
    golden: Golden | None,
    settings: Publishing,
    language: Language = "en",
) -> list[Gate]:
    """Return what every gate says of a candidate; where none is "held", it may go live.

    Args:
        evaluation: of the candidate.
        training: its convergence counts.
        verdict: on the corpus it was trained on.
        comparison: with the live version on the same rows; None: there is none to compare with.
        live: the live version, whether or not it could be compared; None: nothing is live.
        golden: how it answers the golden queries; None: there are none.
        settings: the bounds.
        language: of what the gates say.
    """
    words = read_words(language)
    baseline, *places = _ask_baselines(evaluation, comparison, settings, words)
    live_gates = list(_ask_live(comparison, live, settings, words))
    return [
        _ask_test_rows(evaluation, words),
        baseline,
        *live_gates,
        _ask_training(training, settings, words),
        _ask_data(verdict, words),
        ask_golden_gate(golden, words),
        *(places if baseline.outcome != "held" else ()),
        *(_ask_live_places(comparison, settings, words) if live_gates[0].outcome != "held" else ()),
        *_ask_promise(evaluation, words),
        *_ask_live_decisions(comparison, settings, words),
        *_ask_changes(comparison, settings, words),
        _ask_guess(evaluation, settings.min_gain_over_guess, words),
    ]


def list_reasons(gates: list[Gate], outcome: str) -> list[str]:
    """Return the reasons of the gates with an outcome, "held" or "warned"."""
    return [gate.reason for gate in gates if gate.outcome == outcome]


def list_overrides(gates: list[Gate]) -> list[str]:
    """Return the settings with which a candidate that is held would pass; none where a gate has no such setting."""
    held = [gate.override for gate in gates if gate.outcome == "held"]
    return [*dict.fromkeys(held)] if all(held) else []


def refuse_again(version: str, language: Language = "en") -> Gate:
    """Return the gate of a candidate that a person took back when it was `version`."""
    words = read_words(language)
    return Gate(
        name=words("gate.taken_back_name"),
        outcome="held",
        measured=words("gate.taken_back", version=version),
        bound=words("gate.none"),
        reason=words("gate.taken_back_reason", version=version),
    )


def tell_answer(status: Status, reasons: list[str], language: Language = "en") -> Gate:
    """Return the gate of a candidate that a person was asked about, answered."""
    words, passed = read_words(language), status == "published"
    return Gate(
        name=words("gate.approval_name"),
        outcome="passed" if passed else "held",
        measured=words("gate.approved" if passed else "gate.declined"),
        bound=words("gate.none"),
        reason="; ".join(reasons),
    )


def _ask_test_rows(evaluation: Evaluation, words: Words) -> Gate:
    rows, unknown = evaluation.test_rows, evaluation.unknown_test_rows
    reason = ""
    if not evaluation.measured:
        reason = words("gate.unknown_rows" if rows else "gate.no_rows", rows=rows)
    return Gate(
        name=words("gate.measured_name"),
        outcome="held" if reason else "passed",
        measured=words("gate.measured", rows=rows - unknown),
        bound=words("gate.measured_bound"),
        reason=reason,
    )


def _ask_baselines(
    evaluation: Evaluation, comparison: Comparison | None, settings: Publishing, words: Words
) -> Iterator[Gate]:
    """The bar where no live version can be one: none is there, or one of the two learnt most test rows by heart.

    recall@1 and MRR count, too: where there are at most ten standard questions, all are among the first ten.
    """
    compared = evaluation.measured and bool(evaluation.against)  # an evaluation of before has none
    asked = compared and (comparison is None or comparison.difference.rows < evaluation.test_rows / 2)
    tolerance, setting = settings.max_drop_vs_baseline, "publish.max_drop_vs_baseline"
    for figure, field in _FIGURES.items() if asked else ():
        found = {name: getattr(metrics, field).value for name, metrics in evaluation.baselines.items()}
        best = max(found, key=lambda name: found[name])
        beside = evaluation.against[best][figure]
        level = _find_level(-beside.gain.value, tolerance)
        sure = beside.chance < (1 - settings.confidence) / len(_FIGURES)
        outcome = "warned" if level and not sure and figure == "recall@10" else _OUTCOMES[level if sure else None]
        facts = {"figure": figure, "value": getattr(evaluation.model, field).value, "best": found[best]}
        facts |= {"name": words.name("baseline", best), **beside.model_dump(include={"rows", "won", "lost"})}
        limit = {"setting": setting, "level": level, "limit": getattr(tolerance, level)} if level else {}
        reason = ""
        if outcome != "passed":
            certainty = words("gate.baseline_sure" if sure else "gate.baseline_chance", **facts)
            few = words("gate.baseline_few", **facts) if not sure and beside.rows < FEW_ROWS else ""
            reason = words("gate.baseline_reason", **facts, **limit, certainty=certainty, few=few)
        yield Gate(
            name=words("gate.baseline_place_name" if figure != "recall@10" else "gate.baseline_name", figure=figure),
            outcome=outcome,
            measured=words("gate.baseline", **facts),
            bound=words("gate.place_bound", limits=_limits(setting, tolerance, words)),
            reason=reason,
            override=f"{setting}=1",
        )
    if not asked:
        yield Gate(
            name=words("gate.baseline_name"),
            outcome="not asked",
            measured="–",
            bound=words("gate.baseline_not_asked" if evaluation.measured else "gate.none"),
        )


def _ask_live_places(comparison: Comparison | None, settings: Publishing, words: Words) -> Iterator[Gate]:
    if not comparison or not comparison.difference.rows:
        return
    tolerance, setting = settings.max_drop_vs_live, "publish.max_drop_vs_live"
    for figure, paired in comparison.difference.places.items():
        gain = paired.gain.value
        level = _find_level(-gain, tolerance) if paired.at_most < 0 else None
        facts = {"figure": figure, "rows": comparison.difference.rows, "version": comparison.version}
        limit = {"setting": setting, "level": level, "limit": getattr(tolerance, level)} if level else {}
        limits = _limits(setting, tolerance, words)
        yield Gate(
            name=words("gate.live_place_name", figure=figure),
            outcome=_OUTCOMES[level],
            measured=words("gate.live_place", figure=figure, gain=gain, at_most=paired.at_most),
            bound=words("gate.live_bound", limits=limits, confidence=settings.confidence),
            reason=words("gate.live_place_reason", **facts, loss=-gain, **limit) if level else "",
            override=f"{setting}=1",
        )


def _ask_guess(evaluation: Evaluation, least: Bound, words: Words) -> Gate:
    """A model that answers everything alike finds as many as a guess: texts without a word that it knows."""
    recall, guess = evaluation.model.recall_at_1.value, 1 / max(1, evaluation.classes)
    limits = {level: limit for level in ("stop", "warn") if (limit := getattr(least, level)) is not None}
    reached = (level for level, limit in limits.items() if evaluation.measured and recall - guess <= limit)
    level = next(reached, None)
    facts = {"recall": recall, "guess": guess, "classes": evaluation.classes}
    shown = [words(f"gate.guess_{name}", limit=limit) for name, limit in limits.items()]
    return Gate(
        name=words("gate.guess_name"),
        outcome=_OUTCOMES[level] if evaluation.measured else "not asked",
        measured=words("gate.guess", **facts) if evaluation.measured else "–",
        bound=", ".join(shown) or words("gate.none"),
        reason=words("gate.guess_reason", **facts, level=level, limit=limits[level]) if level else "",
    )


def _ask_promise(evaluation: Evaluation, words: Words) -> Iterator[Gate]:
    """Whether no more direct answers to test rows are wrong than promised; test rows may be of another kind."""
    decided = evaluation.decided
    if decided is None:
        return
    zone = decided.zones["answer"]
    facts = {"answered": zone.rows, "wrong": zone.rows - zone.right, "share": decided.wrong.value}
    facts |= {"rows": decided.rows, "limit": decided.max_wrong}
    broken = decided.wrong.low > decided.max_wrong
    yield Gate(
        name=words("gate.promise_name"),
        outcome="warned" if broken else "passed",
        measured=words("gate.promise", **facts),
        bound=words("gate.promise_bound", **facts),
        reason=words("gate.promise_reason", **facts) if broken else "",
    )


def _ask_live_decisions(comparison: Comparison | None, settings: Publishing, words: Words) -> Iterator[Gate]:
    if not comparison or not comparison.decided:
        return
    tolerance, setting = settings.max_drop_vs_live_decisions, "publish.max_drop_vs_live_decisions"
    for kind, paired in {"right": comparison.decided.more_right, "wrong": comparison.decided.fewer_wrong}.items():
        loss = -paired.gain.value
        level = _find_level(loss, tolerance) if paired.at_most < 0 else None
        facts = {"rows": comparison.decided.rows, "version": comparison.version, "loss": loss}
        limit = {"setting": setting, "level": level, "limit": getattr(tolerance, level)} if level else {}
        yield Gate(
            name=words(f"gate.decided_{kind}_name"),
            outcome=_OUTCOMES[level],
            measured=words(f"gate.decided_{kind}", gain=loss if kind == "wrong" else -loss, **facts),
            bound=words("gate.place_bound", limits=_limits(setting, tolerance, words)),
            reason=words(f"gate.decided_{kind}_reason", **facts, **limit) if level else "",
            override=f"{setting}=1",
        )


def changes_much(comparison: Comparison | None, settings: Publishing) -> bool:
    """Whether so much of what customers asked is answered otherwise that a person is to look at it."""
    return bool(comparison and comparison.changed and comparison.changed.share > settings.max_changed)


def _ask_changes(comparison: Comparison | None, settings: Publishing, words: Words) -> Iterator[Gate]:
    if not comparison or not comparison.changed:
        return
    changed = comparison.changed
    facts = {"share": changed.share, "changed": changed.changed, "asked": changed.asked, "limit": settings.max_changed}
    much = changes_much(comparison, settings)
    examples = "; ".join(
        words("gate.changes_example", query=one.examples[0], before=one.before, after=one.after, asked=one.asked)
        for one in changed.groups[:_EXAMPLES]
    )
    yield Gate(
        name=words("gate.changes_name"),
        outcome="warned" if much else "passed",
        measured=words("gate.changes", **facts),
        bound=words("gate.changes_bound", **facts),
        reason=words("gate.changes_reason", **facts, version=changed.before, examples=examples) if much else "",
    )


def _ask_live(comparison: Comparison | None, live: str | None, settings: Publishing, words: Words) -> Iterator[Gate]:
    if comparison is None or not comparison.difference.rows:
        gate = Gate(
            name=words("gate.live_name"),
            outcome="not asked",
            measured=words("gate.live_seen" if comparison else "gate.live_none"),
            bound=words("gate.live_not_asked"),
        )
        if live and comparison is None:
            unread = {key: words(f"gate.{text}", version=live) for key, text in _UNREADABLE.items()}
            gate = gate.model_copy(update={"outcome": "warned", **unread})
        yield gate
        return
    yield _ask_difference(
        "", comparison.difference, comparison, settings.max_drop_vs_live, "publish.max_drop_vs_live", settings, words
    )
    for size, difference in comparison.by_class_size.items():
        tolerance, setting = settings.max_drop_vs_live_by_size, "publish.max_drop_vs_live_by_size"
        yield _ask_difference(size, difference, comparison, tolerance, setting, settings, words)


def _ask_difference(
    size: str,
    difference: Difference,
    comparison: Comparison,
    tolerance: Share,
    setting: str,
    settings: Publishing,
    words: Words,
) -> Gate:
    facts = difference.model_dump(include={"rows", "won", "lost", "at_most"})
    gain = difference.recall_at_10.value
    level = _find_level(-gain, tolerance) if difference.at_most < 0 else None
    limits = _limits(setting, tolerance, words)
    gate = Gate(
        name=words("gate.live_size_name", size=size) if size else words("gate.live_name"),
        outcome=_OUTCOMES[level],
        measured=words("gate.live", gain=gain, **facts),
        bound=words("gate.live_bound", limits=limits, confidence=settings.confidence),
    )
    if level is None:
        return gate
    reason = words(
        "gate.live_reason",
        **facts,
        loss=-gain,
        version=comparison.version,
        where=words("gate.live_reason_size", size=size) if size else "",
        aside=words("gate.live_reason_aside", rows=comparison.seen_rows) if comparison.seen_rows else "",
        setting=setting,
        level=level,
        limit=getattr(tolerance, level),
    )
    if level == "stop":
        reason = words("gate.live_reason_stop", reason=reason, setting=setting)
    return gate.model_copy(update={"reason": reason, "override": f"{setting}=1"})


def _ask_training(training: TrainingReport, settings: Publishing, words: Words) -> Gate:
    found = training.convergence
    held = found.cause in settings.hold_causes
    reason = words("gate.training_reason", sentence=describe_convergence(found, words))
    if held:
        reason = words("gate.training_held", reason=reason, cause=found.cause)
    causes = ", ".join(words.name("cause", cause) for cause in settings.hold_causes)
    return Gate(
        name=words("gate.training_name"),
        outcome="passed" if found.converged else "held" if held else "warned",
        measured=words("report.converged") if found.converged else words.name("cause", found.cause),
        bound=words("gate.training_bound", causes=causes or words("gate.none")),
        reason="" if found.converged else reason,
        override=f"publish.hold_causes={json.dumps([one for one in settings.hold_causes if one != found.cause])}",
    )


def _ask_data(verdict: Verdict, words: Words) -> Gate:
    critical = [words.title(finding.rule) for finding in verdict.findings if finding.severity == "critical"]
    return Gate(
        name=words("gate.data_name"),
        outcome="held" if critical else "passed",
        measured=words("gate.data", critical=len(critical), warnings=len(verdict.warnings())),
        bound=words("gate.data_bound"),
        reason=words("gate.data_reason", rules=", ".join(critical)) if critical else "",
    )


def ask_golden_gate(golden: Golden | None, words: Words) -> Gate:
    """Return the gate of the golden queries: each must find its standard question."""
    if golden is None:
        return Gate(
            name=words("gate.golden_name"),
            outcome="not asked",
            measured=words("gate.golden_none"),
            bound=words("gate.golden_not_asked"),
        )
    place = words("gate.golden_first" if golden.top == 1 else "gate.golden_among", top=golden.top)
    misses, reason = len(golden.misses), ""
    if misses:
        examples = ". ".join(
            words(
                "gate.golden_place" if miss.place else "gate.golden_beyond",
                **miss.model_dump(),
                looked_at=max(golden.top, LOOKED_AT),
            )
            for miss in golden.misses[:_EXAMPLES]
        )
        if misses > _EXAMPLES:
            examples = words("gate.golden_more", examples=examples, misses=misses)
        facts = {"misses": misses, "queries": golden.queries, "place": place, "examples": examples}
        reason = words("gate.golden_reason", **facts)
    return Gate(
        name=words("gate.golden_name"),
        outcome="held" if misses else "passed",
        measured=words("gate.golden", right=golden.queries - misses, queries=golden.queries),
        bound=words("gate.golden_bound", place=place, top=golden.top),
        reason=reason,
    )


_UNREADABLE = {"measured": "live_unreadable", "reason": "live_unreadable_reason"}
_OUTCOMES = {None: "passed", "warn": "warned", "stop": "held"}


def _find_level(loss: float, tolerance: Share) -> str | None:
    """Return the graver level that a loss is beyond."""
    for level in ("stop", "warn"):
        limit = getattr(tolerance, level)
        if limit is not None and loss > limit:
            return level
    return None


def _limits(setting: str, tolerance: Share, words: Words) -> str:
    levels = {"warns": tolerance.warn, "holds": tolerance.stop}
    shown = [words(f"gate.{what}", limit=limit) for what, limit in levels.items() if limit is not None]
    return words("gate.limits", limits=", ".join(shown) or words("gate.none"), setting=setting)
