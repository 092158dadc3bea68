"""The signals that end a command: of a service manager (SIGTERM), of a closed terminal (SIGHUP), and Ctrl-C."""

import atexit
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

INTERRUPTED = 130  # exit code
_Handler = Callable[[int, FrameType | None], None]


def interrupt_on_signals() -> None:
    """Let SIGTERM and SIGHUP end this process as Ctrl-C does; one that is ignored, as under nohup, stays so."""
    _handle(_interrupt)


def exit_on_signals() -> None:
    """Let SIGTERM and SIGHUP end a service, which is no failure; one that is ignored, as under nohup, stays so."""
    _handle(_exit)


def leave_soon() -> None:
    """Make an interrupted process end as soon as what it has to tell others is told; a second Ctrl-C ends it at once.

    Python would take seconds to take the libraries apart.
    """
    _handle(_leave, signal.SIGINT)
    _STATE.append("interrupted")


def _handle(handler: _Handler, *more: signal.Signals) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, *more):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _exit(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _leave(_number: int = 0, _frame: FrameType | None = None) -> None:
    if _STATE:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(INTERRUPTED)


_STATE: list[str] = []
atexit.register(_leave)  # before all others, and so the last to run
