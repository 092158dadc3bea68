"""What a person reads on the terminal while a command works: each line of ours once; Prefect's own only with -v."""

import logging
import os
import time
from collections.abc import Iterable
from typing import Literal, TypeGuard

from flows.environment import write_error
from schemas.workspace import CHECKOUT

VERBOSITY = "DSSM_VERBOSITY"  # read by the commands that a command starts, too
Verbosity = Literal["quiet", "normal", "verbose"]
_OURS = tuple(f"{CHECKOUT / package}{os.sep}" for package in ("flows", "tasks", "schemas"))  # .venv lies there, too


class Terminal(logging.Handler):
    """Prints what our own code logs, on standard error; a warning that was printed is not printed again."""

    def __init__(self) -> None:
        super().__init__()
        self._warned: list[str] = []
        self.shows_ends = False  # how a flow run ended, in Prefect's words: where no command prints its result

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line, unless others than ours say it, nobody wants to hear it, or it was said before."""
        ours = record.pathname.startswith(_OURS) or (self.shows_ends and _is_end(record))
        if verbosity() != "normal" or not ours or record.levelno < logging.INFO:
            return
        message = record.getMessage()
        if _is_end(record):
            write_error(f"{getattr(record, 'flow_run_name', '')}: {message.strip()}\n")
        elif record.levelno >= logging.WARNING:
            self.warn([message.strip()])
        else:
            write_error(f"{time.strftime('%H:%M:%S', time.localtime(record.created))}  {message.strip()}\n")

    def warn(self, warnings: Iterable[str], said: Iterable[str] = ()) -> None:
        """Print those warnings that stand neither in an earlier one nor in what is `said` elsewhere."""
        elsewhere = list(said)
        for warning in warnings:
            core = warning.removeprefix("training: ")
            if verbosity() != "quiet" and not any(core in text for text in [*self._warned, *elsewhere]):
                write_error(f"warning: {warning}\n")
                self._warned.append(warning)


def _is_end(record: logging.LogRecord) -> bool:
    return record.name == "prefect.flow_runs" and record.getMessage().startswith("Finished in state")


TERMINAL = Terminal()


def verbosity() -> Verbosity:
    """Return how much is to be said."""
    given = os.environ.get(VERBOSITY)
    return "quiet" if given == "quiet" else "verbose" if given == "verbose" else "normal"


def take_over() -> None:
    """Put our terminal in the place of the consoles of Prefect and logging; with -v they stay as they are."""
    if verbosity() == "verbose":
        return
    loggers = [logging.getLogger(), *(one for one in logging.root.manager.loggerDict.values() if _is_logger(one))]
    for logger in loggers:
        for handler in [one for one in logger.handlers if _is_console(one)]:
            logger.removeHandler(handler)
    for name in ("prefect", "dssm"):
        if TERMINAL not in logging.getLogger(name).handlers:
            logging.getLogger(name).addHandler(TERMINAL)
    logging.getLogger().addHandler(logging.NullHandler())  # else logging itself prints what nobody takes


def _is_logger(one: object) -> TypeGuard[logging.Logger]:
    return isinstance(one, logging.Logger)


def _is_console(handler: logging.Handler) -> bool:
    return isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler)
