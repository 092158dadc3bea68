"""The Prefect tasks of ingest: one reads the source, the others golden and foreign queries."""

import errno
from pathlib import Path
from typing import Any

from prefect import State, Task, task
from prefect.client.schemas.objects import TaskRun
from prefect.logging import get_run_logger

from schemas.corrections import Correction, corrections_path, parse_corrections
from schemas.errors import PipelineError, Unreachable
from schemas.outputs import ForeignOutput, GoldenOutput, IngestOutput
from schemas.settings import CorpusSettings
from schemas.workspace import Workspace
from tasks.ingest.addresses import digest, fingerprint
from tasks.ingest.corpus import ingest_corpus
from tasks.ingest.foreign import find_query_files, write_foreign
from tasks.ingest.golden import find_golden_files, write_golden
from tasks.ingest.guard import without_secrets
from tasks.ingest.overlay import take_edits
from tasks.limits import time_limit
from tasks.registry import ModelRegistry
from tasks.retrieval.edits import known_edits
from tasks.shared_file import SharedFile
from tasks.steps import StepNotes, StepRun, run_step


def _is_worth_retrying(_task: Task, _run: TaskRun, state: State) -> bool:  # type: ignore[type-arg]  # Prefect's own signature
    """Retry a lost connection, never bad data or a full disk."""
    error = state.result(raise_on_failure=False)
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    return isinstance(error, Unreachable) or not (full or isinstance(error, PipelineError))


@task(task_run_name="ingest-{corpus.name}", retries=2, retry_delay_seconds=5, retry_condition_fn=_is_worth_retrying)
def ingest(corpus: CorpusSettings, workspace: Workspace) -> StepRun[IngestOutput]:
    """Read `corpus.source`. Relative addresses count from the working directory."""
    with without_secrets(), time_limit("ingest", corpus.limits.ingest):
        return _ingest(corpus, workspace)


def _ingest(corpus: CorpusSettings, workspace: Workspace) -> StepRun[IngestOutput]:
    base = Path.cwd()
    inputs: dict[str, Any] = {
        "files": fingerprint(corpus.source, base, corpus.seed),
        "source": corpus.source.model_dump(),
    }
    corrections = _read_corrections(corpus, workspace)
    if corrections:
        inputs["corrections"] = [one.model_dump(exclude={"batch", "action", "gain"}) for one in corrections]
    edits, unread = known_edits(ModelRegistry.of(corpus.name, workspace.home))
    if edits:
        inputs["edits"] = [edit.model_dump(mode="json") for edit in edits]

    def make(out: IngestOutput, _: Path) -> StepNotes:
        facts = ingest_corpus(corpus.source, out.folder, base, corpus.seed, corrections=corrections)
        if edits:
            facts = take_edits(out, facts, edits)
        return StepNotes(facts, facts.warnings)

    step = run_step(workspace, IngestOutput, inputs, make)
    for warning in unread:
        get_run_logger().warning("%s: %s", corpus.name, warning)
    facts = step.output.read_facts()
    get_run_logger().info(
        "%s: %d rows of %d standard questions, %d set aside",
        corpus.name,
        facts.rows,
        facts.classes,
        facts.quarantined + facts.quarantined_test,
    )
    if facts.corrections:
        kinds = ", ".join(f"{do} {n}" for do, n in facts.corrections.items() if n and do != "all")
        get_run_logger().info("%s: corrections laid over the rows: %s", corpus.name, kinds)
    return step


def _read_corrections(corpus: CorpusSettings, workspace: Workspace) -> list[Correction]:
    file = SharedFile(workspace.home, corrections_path(corpus.name))
    return parse_corrections(file.read(), file.where)


@task(task_run_name="golden-{corpus.name}", retries=2, retry_delay_seconds=5, retry_condition_fn=_is_worth_retrying)
def read_golden(corpus: CorpusSettings, workspace: Workspace, ingested: StepRun[IngestOutput]) -> StepRun[GoldenOutput]:
    """Read `publish.golden_path`: a mistake in it is better known before the training than after."""
    with without_secrets(), time_limit("ingest", corpus.limits.ingest):
        return _read_golden(corpus, workspace, ingested)


def _read_golden(
    corpus: CorpusSettings, workspace: Workspace, ingested: StepRun[IngestOutput]
) -> StepRun[GoldenOutput]:
    files = find_golden_files(str(corpus.publish.golden_path), Path.cwd())
    inputs = {
        "files": {file.name: digest(file) for file in files},
        "source": corpus.source.model_dump(include={"query_column", "question_column", "encoding", "sheet"}),
        "ingested": ingested.manifest.key,
    }

    def make(out: GoldenOutput, _: Path) -> StepNotes:
        write_golden(files, corpus.source, ingested.output.folder, out.folder, _read_corrections(corpus, workspace))
        return StepNotes()

    step = run_step(workspace, GoldenOutput, inputs, make)
    get_run_logger().info("%s: %d golden queries", corpus.name, step.manifest.files[0].rows)
    return step


@task(task_run_name="foreign-{corpus.name}", retries=2, retry_delay_seconds=5, retry_condition_fn=_is_worth_retrying)
def read_foreign(
    corpus: CorpusSettings, workspace: Workspace, ingested: StepRun[IngestOutput]
) -> StepRun[ForeignOutput]:
    """Read `decisions.foreign_path`."""
    with without_secrets(), time_limit("ingest", corpus.limits.ingest):
        return _read_foreign(corpus, workspace, ingested)


def _read_foreign(
    corpus: CorpusSettings, workspace: Workspace, ingested: StepRun[IngestOutput]
) -> StepRun[ForeignOutput]:
    files = find_query_files(corpus.decisions.foreign_path or [], Path.cwd(), "decisions.foreign_path")
    inputs = {
        "files": {file.name: file.name if file.bundled else digest(file) for file in files},
        "source": corpus.source.model_dump(include={"encoding"}),
        "seed": corpus.seed,
        "ingested": ingested.manifest.key,
    }

    def make(out: ForeignOutput, _: Path) -> StepNotes:
        write_foreign(files, corpus.source, ingested.output.folder, corpus.seed, out.folder)
        return StepNotes()

    step = run_step(workspace, ForeignOutput, inputs, make)
    get_run_logger().info("%s: %d foreign queries", corpus.name, step.manifest.files[0].rows)
    return step
