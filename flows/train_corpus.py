"""The main path: everything that happens to one corpus, in order. Start reading here."""

import secrets
from datetime import UTC, datetime
from typing import Any

from prefect import State, flow
from prefect.exceptions import TerminationSignal
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from flows.announcements import announce, announce_missed, expect_announcement, message_end
from flows.approval import ask, find_waiting
from flows.corpora import change_settings
from flows.endings import as_failure, as_state, leave_result, name_run, tell_once
from flows.faults import as_fault
from flows.heartbeat import beating
from flows.late_runs import as_skipped, end_if_deleted, find_newer_due, free_lost_place
from flows.reports import show_report
from schemas.addresses import redact
from schemas.run import RunResult
from schemas.settings import CorpusSettings
from schemas.workspace import HEARTBEAT_FILE, Workspace
from tasks.evaluate.task import evaluate
from tasks.ingest.task import ingest, read_foreign, read_golden
from tasks.prepare.task import prepare
from tasks.publish.task import publish
from tasks.step_store import find_run
from tasks.steps import Steps
from tasks.train.task import settle, train
from tasks.validate.task import validate


@flow(
    name="train-corpus",
    flow_run_name="{corpus.name}",
    on_completion=[message_end],
    on_failure=[message_end],
    on_crashed=[message_end],
)
def train_corpus(corpus: CorpusSettings, overrides: str = "") -> State[Any]:
    """Train, measure and publish the retrieval model of one corpus.

    The steps hand each other folders and hashes, never frames or tensors; each is re-used where its
    inputs, its settings and the code are those of an earlier run.

    Args:
        corpus: its settings; those that the form of the UI does not show are as in the TOML.
        overrides: settings changed for this run, one KEY=VALUE a line, such as training.epochs=4 (`dssm settings`).
    """
    tell_once()
    run = workspace_of_run(corpus.name)
    if not run.root.exists() and (newer := find_newer_due()):
        return as_skipped(newer)

    try:
        corpus = change_settings(corpus, overrides)
        announce_missed(corpus, run)
        waiting = find_waiting(run)
        with beating(run.runs / HEARTBEAT_FILE, lambda: {"run": run.run, "step": run.last_step()}):
            result = waiting or train_and_publish(corpus, run)
        if result.status == "awaiting_approval":
            result = ask(corpus, run, result, asked=waiting is not None)
    except Exception as error:
        if (fault := as_fault(error)) is None:
            leave_result(corpus, run, "failed", redact(f"{type(error).__name__}: {error}"))
            raise
        left = leave_result(corpus, run, "rejected" if fault.exit_code == 2 else "failed", str(fault))
        if left.status == "rejected":  # else the server itself may be gone
            name_run(left, corpus.schedule)
            show_report(left)
        return as_failure(fault, left)
    except (KeyboardInterrupt, TerminationSignal):
        leave_result(corpus, run, "failed", "interrupted")
        raise
    finally:
        free_lost_place()
    announce(result, corpus.publish.on_published, run)
    name_run(result, corpus.schedule)
    show_report(result)
    return as_state(result)


def train_and_publish(corpus: CorpusSettings, run: Workspace) -> RunResult:
    """Take all steps, and return what came of them."""
    corpus = settle(corpus)
    ingested = ingest(corpus, run)
    golden = read_golden(corpus, run, ingested) if corpus.publish.golden_path else None
    validated = validate(corpus, run, ingested)
    prepared = prepare(corpus, run, ingested, validated)
    foreign = read_foreign(corpus, run, ingested) if corpus.decisions.foreign_path else None
    trained = train(corpus, run, prepared, ingested, foreign)
    evaluated = evaluate(corpus, run, prepared, trained, golden, foreign)
    steps = Steps(ingested, validated, prepared, trained, evaluated)
    if reused := steps.describe_reused():
        get_run_logger().info("%s: re-used, nothing that they depend on has changed: %s", corpus.name, reused)
    end_if_deleted()
    expect_announcement(run)
    return publish(corpus, run, steps)


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
