"""What must be set before Prefect is imported: no telemetry, quiet imports, our logs in the run's log."""

import logging
import os

from flows.faults import as_fault

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
            record.exc_info = None
        return True


def set_environment() -> None:
    """Set defaults; what the user has set stays. Call it before anything imports Prefect."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("great_expectations").setLevel(logging.WARNING)  # tells of every temporary folder
    for logger in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(logger).addFilter(_NoTracebackOfFaults())
