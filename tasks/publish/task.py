"""Publish: the gates, the report, an immutable version, and the live pointer last."""

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.logging import get_run_logger

from schemas.display import as_markdown, as_markdown_table
from schemas.errors import PipelineError, StaleFile
from schemas.evaluation import Gate
from schemas.language import Words, read_words
from schemas.live import VersionManifest
from schemas.manifest import write_atomically
from schemas.outputs import CORPUS_PROFILE_FILE
from schemas.run import RunResult, Status
from schemas.settings import CorpusSettings
from schemas.workspace import (
    COMPARISON_FILE,
    DIAGNOSIS_FILE,
    HEALTH_FILE,
    REPORT_FILE,
    RESULT_FILE,
    SETTINGS_FILE,
    Workspace,
    artifact_key,
)
from tasks.doctor.health import describe_health
from tasks.doctor.sheet import TODO_FILES
from tasks.doctor.visit import visit
from tasks.evaluate.comparison import compare
from tasks.evaluate.training_queries import TRAINED_ON, hash_test_rows, list_trained_on
from tasks.limits import time_limit
from tasks.publish.card import write_card
from tasks.publish.findings import LISTS, Findings, read_findings, write_report
from tasks.publish.gates import (
    ask_gates,
    ask_golden_gate,
    changes_much,
    list_overrides,
    list_reasons,
    refuse_again,
    tell_answer,
)
from tasks.publish.result import summarise_run
from tasks.registry import ModelRegistry
from tasks.retention import prune_runs
from tasks.retrieval.edits import carry_edits
from tasks.step_store import keep_files, prune
from tasks.steps import Steps
from tasks.update import Update
from tasks.version_files import hash_candidate


@task(task_run_name="publish-{corpus.name}")
def publish(corpus: CorpusSettings, workspace: Workspace, steps: Steps) -> RunResult:
    """Decide, and change what is live only after everything else is on disk; write report.html and run.json."""
    began = time.monotonic()
    found = read_findings(workspace, steps)
    write_atomically(workspace.root / SETTINGS_FILE, corpus.model_dump_json(indent=1).encode())

    registry = ModelRegistry.of(corpus.name, workspace.home)
    damaged = _damaged_versions(registry)

    def decide_and_publish(update: Update) -> tuple[Status, str | None, list[Gate]]:
        nonlocal found
        found = _beside_live(corpus, workspace, update, steps, found)
        gates = _ask(found, update.live.version, corpus)
        approval = corpus.publish.approval or changes_much(found.comparison, corpus.publish)
        status, version, asked = _decide(corpus, update, steps.train.output.candidate, gates, approval)
        made = None
        if version is None and status in ("published", "awaiting_approval"):
            made = _add_version(corpus, workspace, update, steps, found)
            version = made.version
        write_report(corpus, workspace, update.registry, steps, found, asked, status, version)
        if made and status == "published":
            update.go_live(made, "published")
        elif made:
            update.wait_for_approval(made)
        _tidy(corpus, workspace, update)
        return status, version, asked

    with time_limit("publish", corpus.limits.publish):
        status, version, asked = registry.change(decide_and_publish)
    reasons = list_reasons(asked, "held") if status == "held" else []
    warnings = (found.drift.warnings() if found.drift else []) + list_reasons(asked, "warned") + damaged
    warnings += _doubt(found, status, version, asked, read_words(corpus.language))
    warnings += _see_doctor(corpus, workspace, status)
    seconds = {name: step.seconds for name, step in steps.named().items()} | {"publish": time.monotonic() - began}
    result = summarise_run(corpus, workspace, steps, found.evaluation, status, version, reasons, warnings, seconds)
    if status == "held":
        result = result.model_copy(update={"overrides": list_overrides(asked)})
    result = _leave(corpus, workspace, registry, result)
    _show(corpus.name, result, asked, warnings)
    return result


def leave_answered(workspace: Workspace, result: RunResult) -> RunResult:
    """Write report, run.json and the gates of the UI anew once a person has answered; return the result.

    Args:
        workspace: of a run that waited for approval.
        result: of it, with what came of the answer.
    """
    written = (workspace.root / SETTINGS_FILE).read_bytes()
    corpus = CorpusSettings.model_validate_json(written, context={"fill_defaults": True, "stored": True})
    try:
        steps, registry = Steps.of(workspace, result.seconds), ModelRegistry.of(corpus.name, workspace.home)
        found = read_findings(workspace, steps)
        live = found.comparison.version if found.comparison else None
        asked = _ask(found, live, corpus)
        gates = [tell_answer(result.status, result.reasons, corpus.language), *asked]
        write_report(corpus, workspace, registry, steps, found, gates, result.status, result.version)
        _show(corpus.name, result, gates, [])
    except (OSError, ValueError, PipelineError) as error:  # what was answered is done
        get_run_logger().warning("%s: the report does not tell what was answered: %s", corpus.name, error)
    return _leave(corpus, workspace, ModelRegistry.of(corpus.name, workspace.home), result)


def _ask(found: Findings, live: str | None, corpus: CorpusSettings) -> list[Gate]:
    return ask_gates(
        found.evaluation,
        found.training,
        found.verdict,
        found.comparison,
        live,
        found.golden,
        corpus.publish,
        corpus.language,
    )


def _doubt(found: Findings, status: Status, version: str | None, gates: list[Gate], words: Words) -> list[str]:
    """Return why the version that answers on, or one that is only measured, would be held back today, as warnings."""
    key = "gate.live_breaks"
    if status == "unchanged":  # the candidate is the live version
        reasons = list_reasons(gates, "held")
    elif status == "measured":
        key, reasons = "gate.measured_breaks", list_reasons(gates, "held")
    elif status != "published" and found.comparison and found.comparison.golden:
        version = found.comparison.version
        reasons = list_reasons([ask_golden_gate(found.comparison.golden, words)], "held")
    else:
        return []
    return [words(key, version=version, why=why) for why in reasons]


def _see_doctor(corpus: CorpusSettings, workspace: Workspace, status: Status) -> list[str]:
    """Write the health report; a failure is a warning, since advice must not hold a night back."""
    try:
        said = visit(corpus, workspace, status=status)
    except Exception as error:
        get_run_logger().info("%s: why there is no health report", corpus.name, exc_info=True)
        why = str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}"
        return [f"the health report was not written: {why}"]
    create_markdown_artifact(
        key=artifact_key(corpus.name, "health"),
        markdown=describe_health(said, corpus.language),
        description=f"What the owner of {corpus.name} can do",
    )
    return said.warnings


def _damaged_versions(registry: ModelRegistry) -> list[str]:
    """Return what is wrong with the live version and with those that are set aside, one sentence each."""
    live, damaged = registry.live().version, registry.damaged()
    if live and live not in damaged:
        try:
            registry.verify(live)
        except StaleFile as error:
            damaged[live] = str(error)
    return [f"{'live ' if name == live else ''}version {name} is damaged: {why}" for name, why in damaged.items()]


def _beside_live(
    corpus: CorpusSettings, workspace: Workspace, update: Update, steps: Steps, found: Findings
) -> Findings:
    """Return the findings with a comparison with what is live now: another run may have published since evaluate."""
    compared = found.comparison.version if found.comparison else None
    if update.live.version == compared:
        return found
    outputs = steps.prepare.output, steps.evaluate.output, steps.train.output.candidate
    return replace(found, comparison=compare(corpus, workspace, update.registry, *outputs))


def _decide(
    corpus: CorpusSettings, update: Update, candidate: Path, gates: list[Gate], approval: bool
) -> tuple[Status, str | None, list[Gate]]:
    """Return the status, the version it is about, and the gates with the one that only the versions can answer."""
    digest = hash_candidate(candidate)
    live, registry = update.live, update.registry
    same = [m.version for m in registry.versions() if m.candidate == digest]
    if live.version in same and registry.is_whole(live.version):
        return "unchanged", live.version, gates
    if not corpus.publish.go_live:
        return "measured", None, gates
    if taken_back := [one.version for one in live.withdrawn if one.candidate == digest]:
        return "held", None, [refuse_again(taken_back[-1], corpus.language)]
    if approval and live.pending in same:
        return "awaiting_approval", live.pending, gates
    if list_reasons(gates, "held"):
        return "held", None, gates
    return ("awaiting_approval" if approval else "published"), None, gates


def _add_version(
    corpus: CorpusSettings, workspace: Workspace, update: Update, steps: Steps, found: Findings
) -> VersionManifest:
    """Copy the candidate beside the other versions; nothing points at it yet."""
    evaluation, taken = found.evaluation, steps.ingest.output.read_taken()
    with TemporaryDirectory(prefix=".edit-", suffix=".partial", dir=update.registry.folder) as scratch:
        candidate, overlay = carry_edits(update, steps.train.output.candidate, taken.edits, taken.left, Path(scratch))
        manifest = update.find_named(candidate, workspace.run)
        if manifest:
            return manifest
        extra = {
            "README.md": write_card(corpus, evaluation, found.training, found.verdict, workspace.run).encode(),
            steps.evaluate.output.evaluation.name: steps.evaluate.output.evaluation.read_bytes(),
            SETTINGS_FILE: corpus.model_dump_json(indent=1).encode(),
            TRAINED_ON: list_trained_on(steps.prepare.output.folder),
            CORPUS_PROFILE_FILE: steps.validate.output.corpus_profile.read_bytes(),
            **overlay,
        }
        recall = (evaluation.model.recall_at_1.value, evaluation.model.recall_at_10.value, evaluation.test_rows)
        tested = hash_test_rows(steps.prepare.output.folder)
        return update.add(candidate, extra, workspace.run, recall, tested)


def _tidy(corpus: CorpusSettings, workspace: Workspace, update: Update) -> None:
    """Delete old runs and versions, under the lock; a failure is a warning, since a version may have gone live."""
    try:
        prune_runs(workspace, corpus.publish.keep_runs, update.registry.runs_to_spare())
        update.prune(corpus.publish.keep_versions)
    except (OSError, PipelineError) as error:
        get_run_logger().warning("%s: not all old versions were deleted: %s", corpus.name, error)


def _leave(corpus: CorpusSettings, workspace: Workspace, registry: ModelRegistry, result: RunResult) -> RunResult:
    """Leave run.json here and in the store, and delete what is old there; return the result.

    Where a version has gone live, a failure here is a warning: a failed run would hide that.
    """
    try:
        write_atomically(workspace.root / RESULT_FILE, result.model_dump_json(indent=1).encode())
        reports = [*LISTS, *TODO_FILES, DIAGNOSIS_FILE, HEALTH_FILE, REPORT_FILE]
        keep_files(workspace, [SETTINGS_FILE, COMPARISON_FILE, *reports, RESULT_FILE])
        prune(workspace, corpus.publish.keep_runs, registry.runs_to_spare())
    except (OSError, PipelineError) as error:
        if result.status != "published":
            raise
        warning = f"version {result.version} is live, but what its run leaves is not complete: {error}"
        get_run_logger().warning("%s: %s", corpus.name, warning)
        return result.model_copy(update={"warnings": [*result.warnings, warning]})
    return result


def _show(corpus: str, result: RunResult, gates: list[Gate], warnings: list[str]) -> None:
    """Leave the gates in the Prefect UI, and the end of the run in its log."""
    create_table_artifact(
        table=as_markdown_table(
            {"gate": gate.name, "outcome": gate.outcome, "measured": gate.measured, "bound": gate.bound}
            for gate in gates
        ),
        key=artifact_key(corpus, "gates"),
        # the UI wraps no cell of a table: what is to be read stands above it
        description=f"{corpus}: **{result.status}**\n"
        + "".join(f"\n- **{gate.name}**: {as_markdown(gate.reason)}" for gate in gates if gate.reason),
    )
    get_run_logger().info("%s: %s %s", corpus, result.status, result.version or "")  # the run's state has the reasons
    for warning in warnings:
        get_run_logger().warning("%s: %s", corpus, warning)
