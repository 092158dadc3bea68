"""What was asked and answered, as JSON Lines for whoever improves the corpus; written beside the requests."""

import json
import logging
import os
import queue
import re
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from tasks.locks import locked

_LOGGER = logging.getLogger("dssm.query_log")
_DIGIT = re.compile(r"\d")
_WAITING = 10_000  # lines; above, a disk that is too slow costs lines, not answers
_AT_ONCE = 500  # lines


class QueryLog:
    """Appends lines to a file, and turns it over when it is full; several processes may write to one."""

    def __init__(
        self,
        file: Path,
        most_bytes: int = 100 << 20,
        keep: int = 5,
        mask_digits: bool = True,
        on_loss: Callable[[int], None] = lambda lines: None,
    ) -> None:
        """Write nothing yet.

        Args:
            file: where to; older ones are FILE.1 (the newest) to FILE.`keep`.
            most_bytes: after which the file is turned over.
            keep: how many older files there are.
            mask_digits: whether "#" stands for every digit of a query: numbers of cards and telephones.
            on_loss: called with the number of lines that could not be written.
        """
        self._file, self._most, self._keep, self._mask, self._on_loss = file, most_bytes, keep, mask_digits, on_loss
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._run, name="query-log", daemon=True)
        self._warned = ""

    def start(self) -> None:
        """Begin to write, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end."""
        self._lines.put(None)
        self._thread.join()

    def add(self, line: dict[str, Any]) -> None:
        """Note a line; its "query" is masked. Waits for nothing."""
        if self._mask and "query" in line:
            line = line | {"query": _DIGIT.sub("#", line["query"])}
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._on_loss(1)

    def _run(self) -> None:
        ended = False
        while not ended:
            lines = [self._lines.get()]
            while len(lines) < _AT_ONCE and not self._lines.empty():
                lines.append(self._lines.get())
            ended = lines[-1] is None
            self._write([line for line in lines if line is not None])

    def _write(self, lines: list[dict[str, Any]]) -> None:
        try:
            self._append("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode())
            self._warned = ""
        except OSError as error:  # a full disk costs lines, not answers
            self._on_loss(len(lines))
            if self._warned != str(error):
                _LOGGER.warning("the query log cannot be written, its lines are lost: %s", error)
            self._warned = str(error)

    def _append(self, content: bytes) -> None:
        with locked(self._file.with_name(f".{self._file.name}.lock")):
            if self._file.exists() and self._file.stat().st_size >= self._most:
                self._turn_over()
            descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)  # customers' words
            with open(descriptor, "ab", buffering=0) as stream:
                stream.write(content)

    def _turn_over(self) -> None:
        names = [self._file, *(self._file.with_name(f"{self._file.name}.{n + 1}") for n in range(self._keep))]
        for newer, older in reversed(list(pairwise(names))):
            if newer.exists():
                os.replace(newer, older)
        if not self._keep:
            self._file.unlink()
