"""`dssm check`: ingest and validate only, without Prefect's server; nothing is trained or published."""

from prefect.logging import disable_run_logger

from flows.train_corpus import new_run
from schemas.outputs import DriftOutput
from schemas.run import RunResult
from schemas.settings import CorpusSettings
from schemas.workspace import Workspace
from tasks.ingest.task import ingest, read_golden
from tasks.validate.task import validate


def check_corpus(corpus: CorpusSettings) -> RunResult:
    """Return what can be used of a corpus, and what is to be warned about.

    Raises:
        PipelineError: it cannot be read, or is rejected.
    """
    run = Workspace.of(corpus.name, new_run())
    with disable_run_logger():  # the very functions that a run's tasks are made of
        ingested = ingest.fn(corpus, run)
        if corpus.publish.golden_path:
            read_golden.fn(corpus, run, ingested)
        validated = validate.fn(corpus, run, ingested)
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
        warnings=ingested.manifest.warnings + validated.manifest.warnings + (drift.warnings() if drift else []),
        seconds={"ingest": round(ingested.seconds, 3), "validate": round(validated.seconds, 3)},
    )
