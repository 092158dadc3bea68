"""Vectors of texts by content, kept from night to night and shared by all corpora of a home."""

import hashlib
import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_LOGGER = logging.getLogger("dssm.vectors")
_ASKED = 500  # texts looked up by one statement
_WAIT_SECONDS = 60.0  # for another process that writes


class VectorCache:
    """The vectors of one encoder in one SQLite file. Whatever is wrong with the file costs time, never a run."""

    def __init__(self, folder: Path, encoder: str) -> None:
        """Take the file of an encoder, by its hash, in `folder`, which need not exist."""
        self._file = folder / f"{encoder[:32]}.sqlite"

    def get(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return the vectors of those texts that are known."""
        texts_of = {_digest(text): text for text in texts}
        found, digests = dict[str, NDArray[np.float32]](), list(texts_of)
        try:
            if not self._file.exists():
                return found
            with self._open() as database:
                for start in range(0, len(digests), _ASKED):
                    part = digests[start : start + _ASKED]
                    marks = ",".join("?" * len(part))
                    rows = database.execute(f"SELECT text, vector FROM vectors WHERE text IN ({marks})", part)
                    found |= {texts_of[text]: np.frombuffer(vector, np.float32) for text, vector in rows}
        except (sqlite3.Error, OSError, ValueError) as error:
            self._give_up(error)
            return {}
        return found

    def put(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Keep the vectors of texts."""
        rows = [(_digest(text), vector.astype(np.float32).tobytes()) for text, vector in vectors.items()]
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._open() as database:
                database.execute("PRAGMA page_size = 65536")  # of a new file: smaller pages stay half empty
                database.execute(
                    "CREATE TABLE IF NOT EXISTS vectors (text BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID"
                )
                database.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self._file, timeout=_WAIT_SECONDS)
        try:
            with database:  # commits
                yield database
        finally:
            database.close()

    def _give_up(self, error: Exception) -> None:
        """Throw a damaged file away; it is made anew."""
        _LOGGER.warning("vectors kept in %s cannot be used (%s); texts are encoded again", self._file, error)
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            self._file.unlink(missing_ok=True)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
