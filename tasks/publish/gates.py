"""When a candidate may go live. Pure: measurements in, one answer per gate out.

A candidate is compared with the live version several times a night (all test rows, and each size of class), so a
loss counts only where it is surer than chance allows over all comparisons together: publish.confidence, divided
among them.
"""

from collections.abc import Iterator

from schemas.evaluation import Comparison, Difference, Evaluation, Gate, Golden, Interval
from schemas.settings import Bound, Publishing, Tolerance
from schemas.training import TrainingReport
from schemas.validation import Verdict
from tasks.evaluate.golden import LOOKED_AT

_EXAMPLES = 3


def ask_gates(
    evaluation: Evaluation,
    training: TrainingReport,
    verdict: Verdict,
    comparison: Comparison | None,
    live: str | None,
    golden: Golden | None,
    settings: Publishing,
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
    """
    baseline = _ask_baseline(evaluation, comparison, settings.max_drop_vs_baseline)
    live_gates = list(_ask_live(comparison, live, settings))
    return [
        _ask_test_rows(evaluation),
        baseline,
        *live_gates,
        _ask_training(training, settings),
        _ask_data(verdict),
        _ask_golden(golden),
        *(_ask_baseline_places(evaluation, comparison, settings) if baseline.outcome != "held" else ()),
        *(_ask_live_places(comparison, settings) if live_gates[0].outcome != "held" else ()),
        _ask_guess(evaluation, settings.min_gain_over_guess),
    ]


def list_reasons(gates: list[Gate], outcome: str) -> list[str]:
    """Return the reasons of the gates with an outcome, "held" or "warned"."""
    return [gate.reason for gate in gates if gate.outcome == outcome]


def _ask_test_rows(evaluation: Evaluation) -> Gate:
    rows, unknown = evaluation.test_rows, evaluation.unknown_test_rows
    reason = ""
    if not rows:
        reason = "no test row: nothing was measured; give source.test_path, or rows to classes of one"
    elif unknown == rows:
        reason = (
            f"none of the {rows} test rows has a standard question of this corpus: nothing was "
            "measured; check the column and the spelling of the standard questions in source.test_path"
        )
    return Gate(
        name="Something was measured",
        outcome="held" if reason else "passed",
        measured=f"{rows - unknown:,} test rows",
        bound="at least 1",
        reason=reason,
    )


def _ask_baseline(evaluation: Evaluation, comparison: Comparison | None, tolerance: Tolerance) -> Gate:
    """The bar where no live version can be one: none is there, or one of the two learnt most test rows by heart."""
    name, best = max(
        ((name, metrics.recall_at_10.value) for name, metrics in evaluation.baselines.items()),
        key=lambda pair: pair[1],
    )
    recall = evaluation.model.recall_at_10.value
    asked = _is_baseline_the_bar(evaluation, comparison)
    level = _find_level(best - recall, tolerance) if asked else None
    gate = Gate(
        name="Best baseline",
        outcome=_OUTCOMES[level] if asked else "not asked",
        measured=f"recall@10 {recall:.4f}, {name} {best:.4f}",
        bound=_limits("publish.max_drop_vs_baseline", tolerance) if asked else "the live version is the bar",
    )
    if level is None:
        return gate
    reason = (
        f"recall@10 {recall:.4f} is below the {name} baseline ({best:.4f}) by more than "
        f"publish.max_drop_vs_baseline.{level} = {getattr(tolerance, level):g}"
    )
    return gate.model_copy(update={"reason": reason})


def _is_baseline_the_bar(evaluation: Evaluation, comparison: Comparison | None) -> bool:
    return evaluation.test_rows > evaluation.unknown_test_rows and (
        comparison is None or comparison.difference.rows < evaluation.test_rows / 2
    )


def _ask_baseline_places(evaluation: Evaluation, comparison: Comparison | None, settings: Publishing) -> Iterator[Gate]:
    """Where there are at most ten standard questions, all are among the first ten: the place among them counts."""
    if not _is_baseline_the_bar(evaluation, comparison):
        return
    tolerance, setting = settings.max_drop_vs_baseline, "publish.max_drop_vs_baseline"
    for figure, field in {"recall@1": "recall_at_1", "MRR": "mrr"}.items():
        own: Interval = getattr(evaluation.model, field)
        found = {name: getattr(metrics, field).value for name, metrics in evaluation.baselines.items()}
        name = max(found, key=lambda baseline: found[baseline])
        level = _find_level(found[name] - own.value, tolerance) if own.high < found[name] else None
        yield Gate(
            name=f"Best baseline, {figure}",
            outcome=_OUTCOMES[level],
            measured=f"{figure} {own.value:.4f} ({own.low:.4f} to {own.high:.4f}), {name} {found[name]:.4f}",
            bound=f"{_limits(setting, tolerance)}, if that is no chance",
            reason=f"{figure} {own.value:.4f} ({own.low:.4f} to {own.high:.4f}) is below the {name} baseline "
            f"({found[name]:.4f}) by more than {setting}.{level} = {getattr(tolerance, level):g}"
            if level
            else "",
        )


def _ask_live_places(comparison: Comparison | None, settings: Publishing) -> Iterator[Gate]:
    tolerance, setting = settings.max_drop_vs_live, "publish.max_drop_vs_live"
    for figure, paired in comparison.difference.places.items() if comparison and comparison.difference.rows else ():
        gain = paired.gain
        level = _find_level(-gain.value, tolerance) if paired.at_most < 0 else None
        yield Gate(
            name=f"Live version, {figure}",
            outcome=_OUTCOMES[level],
            measured=f"{figure} {gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})",
            bound=f"{_limits(setting, tolerance)}, if that is no chance (publish.confidence = {settings.confidence:g})",
            reason=f"{figure} is {-gain.value:.4f} below that of live version {comparison.version} on the same "
            f"{comparison.difference.rows} test rows; that is more than {setting}.{level} = "
            f"{getattr(tolerance, level):g}, and no chance"
            if comparison and level
            else "",
        )


def _ask_guess(evaluation: Evaluation, least: Bound) -> Gate:
    """A model that answers everything alike finds as many as a guess: texts without a word that it knows."""
    recall, guess = evaluation.model.recall_at_1.value, 1 / max(1, evaluation.classes)
    asked = evaluation.test_rows > evaluation.unknown_test_rows
    limits = {level: limit for level in ("stop", "warn") if (limit := getattr(least, level)) is not None}
    level = next((level for level, limit in limits.items() if asked and recall - guess <= limit), None)
    return Gate(
        name="Better than a guess",
        outcome=_OUTCOMES[level] if asked else "not asked",
        measured=f"recall@1 {recall:.4f}, of a guess {guess:.4f}",
        bound=", ".join(f"{level} at {limit:g} above" for level, limit in limits.items()) or "none",
        reason=f"recall@1 {recall:.4f} is no more than publish.min_gain_over_guess.{level} = {limits[level]:g} above "
        f"that of a guess among {evaluation.classes} standard questions ({guess:.4f}): look whether the queries hold "
        "words, and stand under the right standard questions"
        if level
        else "",
    )


def _ask_live(comparison: Comparison | None, live: str | None, settings: Publishing) -> Iterator[Gate]:
    if comparison is None or not comparison.difference.rows:
        known = "one of the two was trained on every test row" if comparison else "nothing is live"
        gate = Gate(name="Live version", outcome="not asked", measured=known, bound="the best baseline is the bar")
        if live and comparison is None:
            known = f"version {live} cannot be read"
            reason = (
                f"live {known}, and was not compared: the best baseline was the bar. This run's log says what is wrong "
                "with it; the next version that goes live replaces it, and dssm rollback goes back to an earlier one"
            )
            gate = gate.model_copy(update={"outcome": "warned", "measured": known, "reason": reason})
        yield gate
        return
    yield _ask_difference(
        "", comparison.difference, comparison, settings.max_drop_vs_live, "publish.max_drop_vs_live", settings
    )
    for size, difference in comparison.by_class_size.items():
        tolerance, setting = settings.max_drop_vs_live_by_size, "publish.max_drop_vs_live_by_size"
        yield _ask_difference(size, difference, comparison, tolerance, setting, settings)


def _ask_difference(
    size: str, difference: Difference, comparison: Comparison, tolerance: Tolerance, setting: str, settings: Publishing
) -> Gate:
    gain, rows = difference.recall_at_10, difference.rows
    level = _find_level(-gain.value, tolerance) if difference.at_most < 0 else None
    gate = Gate(
        name=f"Live version, {size} training rows" if size else "Live version",
        outcome=_OUTCOMES[level],
        measured=f"recall@10 {gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f}) on {rows:,} test rows, "
        f"{difference.won:,} won, {difference.lost:,} lost",
        bound=f"{_limits(setting, tolerance)}, if that is no chance (publish.confidence = {settings.confidence:g})",
    )
    if level is None:
        return gate
    where = f" of standard questions with {size} training rows" if size else ""
    aside = (
        f" ({comparison.seen_rows} more were left out: one of the two was trained on them)"
        if comparison.seen_rows
        else ""
    )
    reason = (
        f"recall@10 is {-gain.value:.4f} below that of live version {comparison.version} on the same {rows} test rows"
        f"{where}{aside}: {difference.lost} lost, {difference.won} won; that is more than {setting}.{level} = "
        f"{getattr(tolerance, level):g}, and no chance"
    )
    if level == "stop":
        reason += f"; look for what changed in data and settings since, or publish it all the same with {setting} = 1"
    return gate.model_copy(update={"reason": reason})


def _ask_training(training: TrainingReport, settings: Publishing) -> Gate:
    found = training.convergence
    held = found.cause in settings.hold_causes
    reason = f"training: {found.sentence}"
    if held:
        reason += f" To publish it all the same, take '{found.cause}' out of publish.hold_causes"
    return Gate(
        name="Training converged",
        outcome="passed" if found.converged else "held" if held else "warned",
        measured="converged" if found.converged else found.cause,
        bound="publish.hold_causes: " + (", ".join(settings.hold_causes) or "none"),
        reason="" if found.converged else reason,
    )


def _ask_data(verdict: Verdict) -> Gate:
    critical = [finding.rule for finding in verdict.findings if finding.severity == "critical"]
    return Gate(
        name="Corpus",
        outcome="held" if critical else "passed",
        measured=f"{len(critical)} critical finding(s), {len(verdict.warnings())} warning(s)",
        bound="none critical",
        reason=f"the corpus has critical findings: {', '.join(critical)}" if critical else "",
    )


def _ask_golden(golden: Golden | None) -> Gate:
    if golden is None:
        return Gate(name="Golden queries", outcome="not asked", measured="none", bound="publish.golden_path is empty")
    place = "first" if golden.top == 1 else f"among the first {golden.top}"
    misses, reason = golden.misses, ""
    if misses:
        beyond = f"is not among the first {max(golden.top, LOOKED_AT)}"
        examples = [
            f"“{miss.query}” ({miss.where}) should find “{miss.standard_question}”, "
            f"which {f'comes at place {miss.place}' if miss.place else beyond}; "
            f"“{miss.instead}” came first"
            for miss in misses[:_EXAMPLES]
        ]
        more = f". … All {len(misses)} stand in golden.json in the evaluate folder of this run"
        reason = (
            f"{len(misses)} of {golden.queries} golden queries do not find their standard question {place}: "
            f"{'. '.join(examples)}{more if len(misses) > _EXAMPLES else ''}. Add such queries to the corpus, or "
            "correct the golden file"
        )
    return Gate(
        name="Golden queries",
        outcome="held" if misses else "passed",
        measured=f"{golden.queries - len(misses):,} of {golden.queries:,} right",
        bound=f"all {place} (publish.golden_top = {golden.top})",
        reason=reason,
    )


_OUTCOMES = {None: "passed", "warn": "warned", "stop": "held"}


def _find_level(loss: float, tolerance: Tolerance) -> str | None:
    """Return the graver level that a loss is beyond."""
    for level in ("stop", "warn"):
        limit = getattr(tolerance, level)
        if limit is not None and loss > limit:
            return level
    return None


def _limits(setting: str, tolerance: Tolerance) -> str:
    levels = {"warns": tolerance.warn, "holds": tolerance.stop}
    told = [f"{what} beyond {limit:g} below" for what, limit in levels.items() if limit is not None]
    return f"{', '.join(told) or 'none'} ({setting})"
