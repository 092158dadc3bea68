"""How long a step may take. One that hangs at night would hold its place, and its corpus never be trained again."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from schemas.errors import MachineFault

_AGAIN_SECONDS = 5.0  # until it is said once more, should somebody on the way have caught it


@contextmanager
def time_limit(step: str, minutes: float) -> Iterator[None]:
    """End what is done inside when its time is over; in the main thread of a process, which alone gets signals.

    Raises:
        MachineFault: it took longer; what is finished and every checkpoint stays.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    until = time.monotonic() + 60 * minutes

    def end(number: int, frame: FrameType | None) -> None:
        if time.monotonic() >= until:
            raise MachineFault(
                f"{step} took longer than {minutes:g} minutes and was ended. If it was at work, raise limits.{step}; "
                "run the same command again: it goes on after what is finished, and after the last checkpoint"
            )
        if callable(before):  # somebody else's alarm
            before(number, frame)

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, 60 * minutes, _AGAIN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
