"""What the doctor looks at: the rows of a run, and what its candidate made of the held-out ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp
from numpy.typing import NDArray

from schemas.outputs import EvaluateOutput, PrepareOutput
from tasks.evaluate.measure import TOP
from tasks.prepare.groups import read_groups
from tasks.retrieval.vocabulary import rows_from_lists

MOST_ROWS = 250_000  # training rows that are looked at: all are shuffled


@dataclass(frozen=True)
class Case:
    """One run's corpus, and how its candidate answers the held-out rows."""

    texts: list[str]  # (K,) standard questions
    sizes: NDArray[np.int64]  # (K,) training rows
    near_duplicates: list[list[int]]  # (K,)
    queries: list[str]  # (n,) training rows, normalised
    labels: NDArray[np.int64]  # (n,)
    row_ids: NDArray[np.int64]  # (n,)
    asked: list[str]  # (t,) held-out rows, as given
    truth: NDArray[np.int64]  # (t,) -1: not in the corpus
    ranks: NDArray[np.int64]  # (t,) from 0; -1: not in the corpus
    top: NDArray[np.int64]  # (t, up to 10) classes, best first
    groups: Sequence[Sequence[int]] = ()  # classes that have the same answer, as the owner has said

    @classmethod
    def read(cls, prepared: PrepareOutput, evaluated: EvaluateOutput) -> "Case":
        """Read the files of prepare and evaluate."""
        train = _read_train(prepared, ["row_id", "class_id", "query"])
        classes = pq.read_table(prepared.classes, columns=["standard_question", "rows", "near_duplicates"])
        test, ranked = pq.read_table(prepared.test), pq.read_table(evaluated.ranked)
        width = max(1, min(TOP, len(classes)))
        top = np.array(ranked["top"].to_pylist(), dtype=np.int64).reshape(len(ranked), width)
        return cls(
            texts=classes["standard_question"].to_pylist(),
            sizes=classes["rows"].to_numpy().astype(np.int64),
            near_duplicates=classes["near_duplicates"].to_pylist(),
            queries=train["query"].to_pylist(),
            labels=train["class_id"].to_numpy().astype(np.int64),
            row_ids=train["row_id"].to_numpy(),
            asked=test["query"].to_pylist(),
            truth=test["class_id"].to_numpy().astype(np.int64),
            ranks=ranked["rank"].to_numpy(),
            top=top,
            groups=read_groups(prepared),
        )


def read_features(prepared: PrepareOutput) -> tuple[sp.csr_array, sp.csr_array]:
    """Return the unit tf-idf rows of the training rows that a case has, and of the standard questions."""
    train = _read_train(prepared, ["features", "weights"])
    classes = pq.read_table(prepared.classes, columns=["features", "weights"])
    size = pq.read_metadata(prepared.vocabulary).num_rows
    queries, texts = (rows_from_lists(table["features"], table["weights"], size).matrix() for table in (train, classes))
    return queries, texts


def _read_train(prepared: PrepareOutput, columns: list[str]) -> pa.Table:
    parts: list[pa.Table] = []
    for file in _parts(prepared):
        if sum(map(len, parts)) < MOST_ROWS:
            parts.append(pq.read_table(file, columns=columns))
    return pa.concat_tables(parts).slice(0, MOST_ROWS)


def _parts(prepared: PrepareOutput) -> list[Path]:
    return prepared.train_parts()
