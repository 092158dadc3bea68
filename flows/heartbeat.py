"""Signs of life for a probe: a file whose time is young while a process is at work, and says what it does."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from schemas.manifest import write_atomically

_SECONDS = 15.0  # between two signs


def beat(file: Path, **facts: object) -> None:
    """Write one sign of life; a disk that does not take it is no reason to stop."""
    sign = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "pid": os.getpid(), **facts}
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(sign).encode())


@contextmanager
def beating(file: Path, facts: Callable[[], dict[str, object]], every: float = _SECONDS) -> Iterator[None]:
    """Give signs of life until the block ends; then the file is gone."""
    ended = threading.Event()

    def go_on() -> None:
        while not ended.wait(every):
            beat(file, **facts())

    beat(file, **facts())
    thread = threading.Thread(target=go_on, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with suppress(OSError):
            file.unlink(missing_ok=True)
