"""How a run ends, as Prefect shows it: a state with a name of ours, one line in the log, no traceback of what is told.

What nobody foresaw is left to Prefect, with its traceback.
"""

import logging
import sys
from typing import Any

from prefect import State
from prefect.exceptions import Abort
from prefect.runtime import deployment
from prefect.states import Completed, Failed

from flows.faults import as_fault
from schemas.errors import PipelineError
from schemas.run import RunResult

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


def as_failure(fault: PipelineError) -> State[Any]:
    """Return the end of a flow that something foreseen has stopped: the owner's to mend, or the machine's."""
    return fail("Rejected" if fault.exit_code == 2 else "Failed", str(fault), fault)


def fail(name: str, message: str, outcome: object) -> State[Any]:
    """Return a red end. Who called the flow gets `outcome`; the process of a deployment's run just ends.

    Prefect raises what a failed state holds, and what is no exception as a TypeError with a long traceback.
    """
    return Failed(name=name, message=message, data=Ended() if deployment.get_id() else outcome)


def tell_once() -> None:
    """Let the log say once, and without a traceback, how a run or step of this process ended."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, _Once) for one in logger.filters):
            logger.addFilter(_Once())


class _Once(logging.Filter):
    """Drops what Prefect adds to an end that the flow's last state tells: bad data, a full disk, `Ended`."""

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
