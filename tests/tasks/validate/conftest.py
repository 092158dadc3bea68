"""Ingested folders, made by hand: what validate finds in front of its door."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.tables import QUARANTINE, QUESTIONS, STANDARD_QUESTIONS
from tasks.retrieval.normalise import normalise

Pairs = Sequence[tuple[str, str]]


def shuffled_pairs(rows: int = 600, classes: int = 12, seed: int = 3) -> list[tuple[str, str]]:
    """Return distinct queries, in random order, under classes of nearly equal size."""
    labels = np.random.default_rng(seed).permutation(np.arange(rows) % classes)
    return [(f"请问第{row}个问题怎么办", f"如何办理业务{label}") for row, label in enumerate(labels)]


def write_ingested(folder: Path, pairs: Pairs, unused: Sequence[str] = (), quarantine: Sequence[tuple] = ()) -> Path:
    """Write the three files of ingest into `folder`; row i stands in line i + 2 of train.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "row_id": row,
            "query": query,
            "query_norm": query.strip().lower(),
            "standard_question": standard,
            "source": "train.csv",
            "line": row + 2,
        }
        for row, (query, standard) in enumerate(pairs)
    ]
    sizes = Counter(standard for _, standard in pairs)
    classes = [
        {"id": text, "standard_question": text, "standard_norm": normalise(text), "rows": sizes[text]}
        for text in sorted({*sizes, *unused})
    ]
    bad = [dict(zip(QUARANTINE.names, row, strict=True)) for row in quarantine]
    pq.write_table(pa.Table.from_pylist(rows, QUESTIONS), folder / "questions.parquet")
    pq.write_table(pa.Table.from_pylist(classes, STANDARD_QUESTIONS), folder / "standard_questions.parquet")
    pq.write_table(pa.Table.from_pylist(bad, QUARANTINE), folder / "quarantine.parquet")
    return folder


@pytest.fixture
def ingested(tmp_path: Path) -> Callable[..., Path]:
    """Write an ingested folder from pairs of query and standard question."""
    return lambda pairs, **more: write_ingested(tmp_path / "ingested", pairs, **more)
