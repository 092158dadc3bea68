"""What must be set before Prefect is imported: no telemetry, quiet imports, our logs in the run's log."""

import logging
import os
from contextlib import suppress
from typing import Any

from flows.faults import as_fault
from schemas.addresses import redact

#: Of every process of ours, and of the runs that a worker starts.
DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # A server that is started again still knows who held a place, and frees that of a run that is gone; in memory
    # (Prefect's default) it would be taken for ever, and the corpus never run again.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # a command that is no run has no log there
    "RAY_USAGE_STATS_ENABLED": "0",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # seconds; see flows.serving: a run without a heartbeat has crashed
    "PREFECT_LOGGING_EXTRA_LOGGERS": "dssm",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # 20 s on a busy machine; Prefect's default is 20
}


class _NoTracebackOfFaults(logging.Filter):
    """Bad data, or a full disk, ends in one message: the traceback of our own code would bury it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1] and as_fault(record.exc_info[1]):
            record.exc_info = record.exc_text = None
        return True


class _SafeRecord(logging.LogRecord):
    """A log line of anybody in this process, without secrets: it reaches terminals, files and Prefect's database."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - what logging gives it
        super().__init__(*args, **kwargs)
        with suppress(TypeError, ValueError):  # arguments that do not fit are told by logging itself
            self.msg, self.args = redact(self.getMessage()), None
        if self.exc_info and self.exc_info[0]:
            self.exc_text = redact(logging.Formatter().formatException(self.exc_info))


def set_environment() -> None:
    """Set defaults; what the user has set stays. Call it before anything imports Prefect."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    logging.setLogRecordFactory(_SafeRecord)
    logging.getLogger("great_expectations").setLevel(logging.WARNING)  # tells of every temporary folder
    for logger in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(logger).addFilter(_NoTracebackOfFaults())
