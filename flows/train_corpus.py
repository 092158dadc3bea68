"""The main path: everything that happens to one corpus, in order. Start reading here."""

import secrets
from datetime import UTC, datetime
from typing import Any

from prefect import State, flow
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from flows.announcements import announce, message_end
from flows.approval import ask, find_waiting
from flows.late_runs import as_skipped, find_newer_due
from schemas.outputs import DriftOutput
from schemas.run import RunResult
from schemas.settings import CorpusSettings
from schemas.workspace import Workspace
from tasks.evaluate.task import evaluate, mine
from tasks.ingest.task import ingest, read_golden
from tasks.prepare.task import prepare
from tasks.publish.task import publish
from tasks.step_store import find_run
from tasks.steps import Steps
from tasks.train.task import train
from tasks.validate.task import validate


@flow(
    name="train-corpus",
    flow_run_name="{corpus.name}",
    on_completion=[message_end],
    on_failure=[message_end],
    on_crashed=[message_end],
)
def train_corpus(corpus: CorpusSettings) -> State[Any]:
    """Train, measure and publish the retrieval model of one corpus.

    The steps hand each other folders and hashes, never frames or tensors; each is re-used where its
    inputs, its settings and the code are those of an earlier run.
    """
    run = workspace_of_run(corpus.name)
    if not run.root.exists() and (newer := find_newer_due()):
        return as_skipped(newer)

    waiting = find_waiting(run)
    if not (result := waiting):
        ingested = ingest(corpus, run)
        golden = read_golden(corpus, run, ingested) if corpus.publish.golden_path else None
        validated = validate(corpus, run, ingested)
        mined = mine(corpus, run, ingested) if corpus.negatives.mined_from else None
        prepared = prepare(corpus, run, ingested, validated, mined)
        trained = train(corpus, run, prepared)
        evaluated = evaluate(corpus, run, prepared, trained, golden)
        result = publish(corpus, run, Steps(ingested, validated, prepared, trained, evaluated))
    if result.status == "awaiting_approval":
        result = ask(corpus, run, result, asked=waiting is not None)
    announce(result, corpus.publish.on_published)
    return as_state(result)


@flow(name="check-corpus", flow_run_name="{corpus.name}")
def check_corpus(corpus: CorpusSettings) -> RunResult:
    """Ingest and validate only: nothing is trained or published."""
    run = Workspace.of(corpus.name, new_run())

    ingested = ingest(corpus, run)
    if corpus.publish.golden_path:
        read_golden(corpus, run, ingested)
    validated = validate(corpus, run, ingested)
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


def workspace_of_run(corpus: str) -> Workspace:
    """Return the folders of Prefect's run: new ones, or where it began when it is resumed or retried."""
    suffix = (flow_run.get_id() or secrets.token_hex(6))[-6:]
    workspace = Workspace.of(corpus, new_run(suffix))
    begun = sorted(workspace.runs.glob(f"*-{suffix}"))
    name = begun[-1].name if begun else find_run(workspace, f"-{suffix}")
    return Workspace.of(corpus, name) if name else workspace


def new_run(suffix: str | None = None) -> str:
    """Return a fresh run id; ids sort by time."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{suffix or secrets.token_hex(3)}"


def as_state(result: RunResult) -> State[RunResult]:
    """Return the flow's end as the UI shows it: a hold-back is red, has a name of its own, and its reasons."""
    if result.status == "held":
        return Failed(name="HeldBack", message="; ".join(result.reasons), data=result)
    name = result.status.replace("_", " ").title().replace(" ", "")
    recall = "" if result.recall_at_10 is None else f", recall@10 {result.recall_at_10:.3f}"
    return Completed(name=name, message=f"version {result.version}{recall}; report: {result.report}", data=result)
