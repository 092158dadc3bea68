"""The door of ingest: read the source into questions, standard questions and quarantine; and the golden queries."""

import errno
from pathlib import Path

from prefect import State, Task, task
from prefect.client.schemas.objects import TaskRun
from prefect.logging import get_run_logger

from schemas.errors import PipelineError
from schemas.settings import CorpusSettings
from schemas.workspace import Workspace
from tasks.ingest.addresses import digest, fingerprint
from tasks.ingest.corpus import ingest_corpus
from tasks.ingest.golden import find_golden_files, write_golden
from tasks.ingest.guard import without_secrets
from tasks.steps import Made, StepRun, run_step


def _is_worth_retrying(_task: Task, _run: TaskRun, state: State) -> bool:  # type: ignore[type-arg]  # Prefect's own signature
    """Retry a lost connection, never bad data or a full disk."""
    error = state.result(raise_on_failure=False)
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    return not (full or isinstance(error, PipelineError))


@task(task_run_name="ingest-{corpus.name}", retries=2, retry_delay_seconds=5, retry_condition_fn=_is_worth_retrying)
def ingest(corpus: CorpusSettings, workspace: Workspace) -> StepRun:
    """Read `corpus.source`. Relative addresses count from the working directory."""
    with without_secrets():
        return _ingest(corpus, workspace)


def _ingest(corpus: CorpusSettings, workspace: Workspace) -> StepRun:
    base = Path.cwd()
    inputs = {"files": fingerprint(corpus.source, base, corpus.seed), "source": corpus.source.model_dump()}

    def make(folder: Path, _: Path) -> Made:
        facts = ingest_corpus(corpus.source, folder, base, corpus.seed)
        return Made(facts.model_dump(), facts.warnings)

    step = run_step(workspace, "ingest", inputs, make)
    facts = step.manifest.facts
    get_run_logger().info(
        "%s: %d rows of %d standard questions, %d set aside",
        corpus.name,
        facts["rows"],
        facts["classes"],
        facts["quarantined"] + facts["quarantined_test"],
    )
    return step


@task(task_run_name="golden-{corpus.name}", retries=2, retry_delay_seconds=5, retry_condition_fn=_is_worth_retrying)
def read_golden(corpus: CorpusSettings, workspace: Workspace, ingested: StepRun) -> StepRun:
    """Read `publish.golden_path`: a mistake in it is better known before the training than after."""
    with without_secrets():
        return _read_golden(corpus, workspace, ingested)


def _read_golden(corpus: CorpusSettings, workspace: Workspace, ingested: StepRun) -> StepRun:
    files = find_golden_files(str(corpus.publish.golden_path), Path.cwd())
    inputs = {
        "files": {file.name: digest(file) for file in files},
        "source": corpus.source.model_dump(include={"query_column", "question_column", "encoding", "sheet"}),
        "ingested": ingested.manifest.key,
    }

    def make(folder: Path, _: Path) -> Made:
        return Made({"queries": write_golden(files, corpus.source, ingested.folder, folder)}, [])

    step = run_step(workspace, "golden", inputs, make)
    get_run_logger().info("%s: %d golden queries", corpus.name, step.manifest.facts["queries"])
    return step
