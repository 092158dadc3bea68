"""The Prefect task of validate: check the corpus against its bounds, show the verdict, stop a bad run."""

from pathlib import Path

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger

from schemas.display import as_markdown, as_markdown_table
from schemas.errors import CorpusRejected, StaleFile
from schemas.language import read_words
from schemas.manifest import hash_file
from schemas.outputs import CORPUS_PROFILE_FILE, DriftOutput, IngestOutput, ValidateOutput
from schemas.settings import CorpusSettings
from schemas.validation import Drift, Verdict
from schemas.workspace import Workspace, artifact_key
from tasks.limits import time_limit
from tasks.registry import ModelRegistry
from tasks.step_store import where_step
from tasks.steps import StepNotes, StepRun, run_step
from tasks.validate.corpus import validate_corpus
from tasks.validate.drift import check_drift
from tasks.validate.verdict import describe_rejection


@task(task_run_name="validate-{corpus.name}")  # no retries: a bad corpus stays bad
def validate(corpus: CorpusSettings, workspace: Workspace, ingested: StepRun[IngestOutput]) -> StepRun[ValidateOutput]:
    """Write the verdict on `ingested`, and how it differs from the live version's; CorpusRejected if it failed."""
    inputs = {
        "ingested": ingested.manifest.key,
        "settings": corpus.validation.model_dump(exclude={"drift"}),
        "corpus": corpus.name,
        "seed": corpus.seed,
        "language": corpus.language,
    }
    columns = _find_columns(ingested.output)

    def make(out: ValidateOutput, _: Path) -> StepNotes:
        verdict = validate_corpus(
            ingested.output.folder,
            out.folder,
            corpus.validation,
            corpus.name,
            corpus.seed,
            language=corpus.language,
            columns=columns,
        )
        return StepNotes(warnings=verdict.warnings())

    with time_limit("validate", corpus.limits.validation):
        step = run_step(workspace, ValidateOutput, inputs, make)
    verdict = step.output.read_verdict()
    if verdict.outcome == "fail":
        _show(corpus, verdict, None)
        where = where_step(workspace, step.manifest)
        why = describe_rejection(corpus.name, verdict.findings, step.output.findings.name, corpus.language)
        raise CorpusRejected(f"{why}\n{read_words(corpus.language)('rejection.where', where=where)}")
    try:
        drift = _compare(corpus, workspace, step)
    except CorpusRejected:
        _show(corpus, verdict, DriftOutput.rejected(workspace).read_drift())
        raise
    _show(corpus, verdict, drift)
    logger, words = get_run_logger(), read_words(corpus.language)
    logger.info("%s: %s", corpus.name, drift.summary(corpus.language) if drift else words("drift.none"))
    for warning in verdict.warnings() + (drift.warnings() if drift else []):
        logger.warning("%s: %s", corpus.name, warning)
    return step


def _find_columns(ingested: IngestOutput) -> tuple[str, str] | None:
    """Return the columns that queries and standard questions were read from; None: not two, or not the same in all."""
    found = {tuple(file.columns) for file in ingested.read_facts().files if file.role == "train"}
    (columns,) = found if len(found) == 1 else ((),)
    return (columns[0], columns[1]) if len(columns) == 2 else None


def _compare(corpus: CorpusSettings, workspace: Workspace, step: StepRun[ValidateOutput]) -> Drift | None:
    """Compare the corpus with the one that the live version was trained on; CorpusRejected if it changed too much.

    This is a step of its own, because the live version changes while corpus and verdict stay.
    """
    if (live := _find_live_profile(ModelRegistry.of(corpus.name, workspace.home))) is None:
        return None
    inputs = {
        "validated": step.manifest.key,
        "live": live.parent.name,
        "profile": hash_file(live),
        "bounds": corpus.validation.drift.model_dump(),
        "language": corpus.language,
    }

    def make(out: DriftOutput, _: Path) -> StepNotes:
        now, bounds = step.output.corpus_profile, corpus.validation.drift
        drift = check_drift(live, now, out.folder, live.parent.name, bounds, corpus.name, corpus.language)
        return StepNotes(warnings=drift.warnings())

    with time_limit("validate", corpus.limits.validation):
        return run_step(workspace, DriftOutput, inputs, make).output.read_drift()


def _find_live_profile(registry: ModelRegistry) -> Path | None:
    """Return the corpus profile of the live version; None: nothing is live, or its profile is missing or damaged.

    A damaged version, or one of an older format, must not block its successor.
    """
    if (version := registry.live().version) is None:
        return None
    try:
        return registry.fetch(version, CORPUS_PROFILE_FILE) / CORPUS_PROFILE_FILE
    except StaleFile as error:
        get_run_logger().warning("drift is not measured: no profile of live version %s: %s", version, error)
    return None


def _show(corpus: CorpusSettings, verdict: Verdict, drift: Drift | None) -> None:
    """Leave the findings in the Prefect UI; `dssm check` has none."""
    if TaskRunContext.get() is None:
        return
    findings = verdict.findings + (drift.findings if drift else [])
    create_table_artifact(
        table=as_markdown_table(
            {"rule": f.rule, "severity": f.severity, "offenders": f.offenders, "what": f.statement, "do": f.remedy}
            for f in findings
        )
        or [{"rule": "all", "severity": "pass", "offenders": 0, "what": "every bound holds", "do": ""}],
        key=artifact_key(corpus.name, "validation"),
        # the UI wraps no cell of a table, so the sentences stand above it
        description=f"Validation of {corpus.name}: **{verdict.outcome}**\n"
        + "".join(f"\n- **{f.rule}**: {as_markdown(f.statement)} → {as_markdown(f.remedy)}" for f in findings)
        + (f"\n\n{as_markdown(drift.summary(corpus.language))}" if drift else ""),
    )
