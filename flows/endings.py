"""How a run ends, as Prefect shows it: a state with a name of ours, one line in the log, no traceback beside a message.

What nobody foresaw is left to Prefect, with its traceback.
"""

import logging
import sys
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from prefect import State
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.exceptions import Abort
from prefect.runtime import deployment
from prefect.states import Completed, Failed

from flows.faults import as_fault
from flows.terminal import TERMINAL, take_over
from schemas.errors import PipelineError
from schemas.manifest import write_atomically
from schemas.run import RunResult, Status
from schemas.settings import CorpusSettings, Schedule
from schemas.workspace import REPORT_FILE, RESULT_FILE, Workspace
from tasks.publish.failure import write_failure_report
from tasks.registry import ModelRegistry
from tasks.retention import prune_runs
from tasks.step_store import keep_files

_LOGGER = logging.getLogger("dssm.endings")
_LOGGERS = ("prefect.flow_runs", "prefect.task_runs", "prefect.engine")


class Ended(Abort):
    """Ends the process of a deployment's run, whose state says why: the one thing Prefect raises without a word."""


def as_state(result: RunResult) -> State[Any]:
    """Return the flow's end as the UI shows it: a hold-back is red, has a name of its own, and its reasons."""
    if result.status == "held":
        return fail("HeldBack", "; ".join(result.reasons), result)
    name = result.status.replace("_", " ").title().replace(" ", "")
    recall = "" if result.recall_at_10 is None else f", recall@10 {result.recall_at_10:.3f}"
    return Completed(name=name, message=f"version {result.version}{recall}; report: {result.report}", data=result)


def as_failure(fault: PipelineError, result: RunResult) -> State[Any]:
    """Return the end of a flow that something foreseen has stopped: the owner's to mend, or the machine's.

    Args:
        fault: what has stopped it; whoever called the flow gets it.
        result: what its run has left.
    """
    fault.run, fault.report = result.run, result.report
    return fail("Rejected" if fault.exit_code == 2 else "Failed", str(fault), fault)


def fail(name: str, message: str, outcome: object) -> State[Any]:
    """Return a red end. Who called the flow gets `outcome`; the process of a deployment's run just ends.

    Prefect raises what a failed state holds, and what is no exception as a TypeError with a long traceback.
    """
    return Failed(name=name, message=message, data=Ended() if deployment.get_id() else outcome)


def leave_result(corpus: CorpusSettings, workspace: Workspace, status: Status, error: str) -> RunResult:
    """Leave run.json and report.html of a run that came to nothing; return its result.

    It counts among those that are kept, and old ones are deleted.
    """
    result = RunResult(status=status, corpus=corpus.name, run=workspace.run, error=error)
    try:
        workspace.root.mkdir(parents=True, exist_ok=True)
        result = result.model_copy(update={"report": str(write_failure_report(corpus, workspace, result))})
        write_atomically(workspace.root / RESULT_FILE, result.model_dump_json(indent=1).encode())
        keep_files(workspace, [RESULT_FILE, REPORT_FILE])
        prune_runs(workspace, corpus.publish.keep_runs, ModelRegistry.of(corpus.name, workspace.home).runs_to_spare())
    except (OSError, ValueError, PipelineError) as fault:  # the run's own end is what counts
        _LOGGER.warning("%s: not all of what the run leaves was written: %s", corpus.name, fault)
    return result


def name_run(result: RunResult, schedule: Schedule) -> None:
    """Give Prefect's run a name with day, figure and end: `bank 11-25 0.845 published`; the day is the schedule's."""
    if (context := FlowRunContext.get()) is None or context.flow_run is None:
        return
    recall = "" if result.recall_at_10 is None else f" {result.recall_at_10:.3f}"
    day = f"{datetime.now(ZoneInfo(schedule.timezone)):%m-%d}"
    name = f"{result.corpus} {day}{recall} {result.status.replace('_', ' ')}"
    with get_client(sync_client=True) as client:
        client.set_flow_run_name(context.flow_run.id, name)


def tell_once() -> None:
    """Let the log say once, and without a traceback, how a run or step of this process ended.

    The terminal of `dssm serve`, and of a worker, then says as much as that of `dssm run`.
    """
    if deployment.get_id():
        TERMINAL.shows_ends = True
        take_over()
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, _Once) for one in logger.filters):
            logger.addFilter(_Once())


class _Once(logging.Filter):
    """Drops what Prefect adds to an end that stands in the flow's last state: bad data, a full disk, `Ended`."""

    def __init__(self) -> None:
        super().__init__()
        self._failed: set[object] = set()  # task runs

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else sys.exception()
        task_run = getattr(record, "task_run_id", None)
        if isinstance(error, Ended) or (record.exc_info and error and as_fault(error)):
            self._failed.add(task_run)
            return False
        return task_run is None or task_run not in self._failed or record.levelno < logging.ERROR
