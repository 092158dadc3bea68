"""One small table, and a way to ingest it as anything."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from schemas.ingest import IngestFacts
from schemas.settings import Source
from tasks.ingest.corpus import ingest_corpus

# Chinese, English, an emoji; a comma, a quotation mark and a line end inside cells.
ROWS = [
    ("怎么提前还款，麻烦吗", "提前还款"),
    ('我想"退票", 可以吗', "机票退票"),
    ("第一行\n第二行", "机票退票"),
    ("How do I Cancel 😀", "Cancel booking"),
]


class Ingested:
    """Facts and files of one ingest."""

    def __init__(self, facts: IngestFacts, folder: Path) -> None:
        self.facts, self.folder = facts, folder

    def rows(self, file: str = "questions", *columns: str) -> list[tuple[Any, ...]]:
        """Return the rows of a file, all columns or some."""
        table = pq.read_table(self.folder / f"{file}.parquet", columns=list(columns) or None)
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    @property
    def pairs(self) -> list[tuple[Any, ...]]:
        """The usable training rows."""
        return self.rows("questions", "query", "standard_question")

    @property
    def reasons(self) -> list[tuple[Any, ...]]:
        """The rows set aside."""
        return self.rows("quarantine", "line", "reason")


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def ingest(tmp_path, out):
    """Ingest `path` (relative to tmp_path) with other settings of the source."""

    def run(path: str | list[str] = "t.csv", seed: int = 1, **settings: Any) -> Ingested:
        return Ingested(ingest_corpus(Source(path=path, **settings), out, tmp_path, seed), out)

    return run


@pytest.fixture
def write(tmp_path):
    """Write text (UTF-8) or bytes to a file of tmp_path."""

    def run(content: str | bytes, name: str = "t.csv") -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return run
