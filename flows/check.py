"""`dssm check`: ingest and validate only, without Prefect's server; nothing is trained or published."""

from contextlib import suppress

from prefect.logging import disable_run_logger

from flows.train_corpus import new_run
from schemas.errors import PipelineError
from schemas.manifest import write_atomically
from schemas.outputs import DriftOutput
from schemas.run import RunResult, Status
from schemas.settings import CorpusSettings
from schemas.workspace import RESULT_FILE, Workspace
from tasks.ingest.task import ingest, read_foreign, read_golden
from tasks.prepare.corpus import describe_test
from tasks.retention import CHECK, prune_runs
from tasks.retrieval.features import Tokeniser
from tasks.validate.task import validate


def check_corpus(corpus: CorpusSettings) -> RunResult:
    """Return what can be used of a corpus, and what is to be warned about.

    Raises:
        PipelineError: it cannot be read, or is rejected.
    """
    run = Workspace.of(corpus.name, f"{new_run()}{CHECK}")
    try:
        result = _check(corpus, run)
    except PipelineError as error:
        status: Status = "rejected" if error.exit_code == 2 else "failed"
        _leave(corpus, run, RunResult(status=status, corpus=corpus.name, run=run.run, error=str(error)))
        raise
    _leave(corpus, run, result)
    return result


def _leave(corpus: CorpusSettings, run: Workspace, result: RunResult) -> None:
    """Leave run.json, and delete the oldest checks of the corpus beyond publish.keep_runs; runs are not touched."""
    with suppress(OSError):  # the answer is known, whatever becomes of what is left behind
        run.root.mkdir(parents=True, exist_ok=True)
        write_atomically(run.root / RESULT_FILE, result.model_dump_json(indent=1).encode())
        prune_runs(run, corpus.publish.keep_runs)


def _check(corpus: CorpusSettings, run: Workspace) -> RunResult:
    if corpus.text.user_dictionary:
        Tokeniser(corpus.text)  # a dictionary that is none would be told by prepare, which no check comes to
    with disable_run_logger():  # the very functions that a run's tasks are made of
        ingested = ingest.fn(corpus, run)
        if corpus.publish.golden_path:
            read_golden.fn(corpus, run, ingested)
        if corpus.decisions.foreign_path:
            read_foreign.fn(corpus, run, ingested)
        validated = validate.fn(corpus, run, ingested)
    tested = describe_test(ingested.output.folder)
    facts, drift = ingested.output.read_facts(), DriftOutput.of(run).read_drift()
    return RunResult(
        status="checked",
        corpus=corpus.name,
        run=run.run,
        rows=facts.rows,
        test_rows=facts.test_rows,
        classes=facts.classes,
        quarantined=facts.quarantined,
        files=facts.files,
        warnings=ingested.manifest.warnings
        + validated.manifest.warnings
        + (drift.warnings() if drift else [])
        + tested,
        seconds={"ingest": round(ingested.seconds, 3), "validate": round(validated.seconds, 3)},
    )
