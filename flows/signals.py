"""The signals that end a command: of a service manager (SIGTERM), of a closed terminal (SIGHUP), and Ctrl-C."""

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from schemas.errors import MachineFault

INTERRUPTED = 130  # exit code
_Handler = Callable[[int, FrameType | None], None]


def interrupt_on_signals() -> None:
    """Let SIGTERM and SIGHUP end this process as Ctrl-C does; one that is ignored, as under nohup, stays so."""
    _handle(_interrupt)


def exit_on_signals() -> None:
    """Let SIGTERM and SIGHUP end a service, which is no failure; one that is ignored, as under nohup, stays so."""
    _handle(_exit)


def hang_up_as_terminated() -> None:
    """Let SIGHUP end a server of uvicorn as SIGTERM does, for which alone it has a way; an ignored one stays so."""
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))


@contextmanager
def heeding_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt where a library made another exception of it, as pydantic does while it serialises."""
    begun, before = len(_INTERRUPTS), signal.getsignal(signal.SIGINT)
    if before != signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    except Exception as error:
        if len(_INTERRUPTS) > begun:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, before)


def end_without_memory(last_words: str) -> None:
    """Let a thread that finds no memory end the process: whoever started it would wait for it for ever.

    The main thread gets a MemoryError. Where it has not ended within `_PATIENCE` seconds, the process does, with
    `last_words` on standard output.

    An interrupt that Python drops comes once more: one that arrives while an object is deleted can't be raised there.
    """

    def report(found: Any) -> None:  # noqa: ANN401 - of sys.unraisablehook or threading.excepthook
        if not issubclass(found.exc_type, Exception) and not hasattr(found, "thread"):
            number = getattr(found.exc_value, "signal", (_INTERRUPTS or [signal.SIGINT])[-1])
            again = threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
        elif issubclass(found.exc_type, MemoryError) or "can't start new thread" in str(found.exc_value):
            os.kill(os.getpid(), signal.SIGALRM)
        elif hasattr(found, "thread"):
            threading.__excepthook__(found)
        else:
            sys.__unraisablehook__(found)

    def raise_in_main(_number: int, _frame: FrameType | None) -> None:
        if _NO_MEMORY:
            os.write(2, f"dssm: {_NO_MEMORY[0]}\n".encode())
            os.write(1, last_words.encode())
            os._exit(MachineFault.exit_code)
        _NO_MEMORY.append("out of memory: a thread could not be started; close other programs, or raise ulimit -v")
        signal.alarm(_PATIENCE)
        raise MemoryError(_NO_MEMORY[0])

    sys.unraisablehook = threading.excepthook = report
    signal.signal(signal.SIGALRM, raise_in_main)


def leave_without_memory(code: object) -> None:
    """End a process in which a thread found no memory: Python would wait for that thread."""
    if _NO_MEMORY:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else MachineFault.exit_code)


def leave_soon() -> None:
    """Make an interrupted process end as soon as others know of it; a second Ctrl-C ends it at once.

    Python would take seconds to take the libraries apart.
    """
    _handle(_leave, signal.SIGINT)
    _STATE.append("interrupted")


def _handle(handler: _Handler, *more: signal.Signals) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, *more):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    _INTERRUPTS.append(number)
    raise KeyboardInterrupt


def _exit(number: int, _frame: FrameType | None) -> None:
    _INTERRUPTS.append(number)
    sys.exit(0)


def _leave(_number: int = 0, _frame: FrameType | None = None) -> None:
    if _STATE:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(INTERRUPTED)


_PATIENCE = 15  # seconds
_AGAIN_SECONDS = 0.05  # until a dropped interrupt comes once more: the deletion has ended by then
_NO_MEMORY: list[str] = []
_INTERRUPTS: list[int] = []
_STATE: list[str] = []
atexit.register(_leave)  # before all others, and so the last to run
