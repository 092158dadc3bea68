"""The candidate's ranking of the test rows, a shard of them per job: for a cluster."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from schemas.outputs import PrepareOutput
from tasks.evaluate.measure import Ranked, TestRows, block_rows, rank_rows
from tasks.prepare.engine import Engine
from tasks.retrieval.retriever import Model

_BLOCKS = 4  # of a shard: whole blocks, so that every product of matrices is the one of a single machine


def rank_in_shards(engine: Engine, prepared: Path, candidate: Path, classes: int) -> Ranked:
    """Return what `rank_rows` does of the candidate and all test rows.

    Args:
        engine: where the shards are ranked; it must see the same folders.
        prepared: folder of prepare.
        candidate: folder of the candidate.
        classes: number of standard questions.
    """
    rows, size = pq.read_metadata(PrepareOutput(prepared).test).num_rows, _BLOCKS * block_rows(classes)
    jobs: Iterator[tuple[Path, Path, int, int]]
    jobs = ((prepared, candidate, start, min(start + size, rows)) for start in range(0, max(1, rows), size))
    shards = list(engine.run(rank_shard, jobs))
    return Ranked(np.concatenate([ranks for ranks, _ in shards]), np.concatenate([top for _, top in shards]))


def rank_shard(prepared: Path, candidate: Path, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ranks and first ten of the test rows from `start` to before `stop`."""
    model = _load(candidate)
    test = pq.read_table(PrepareOutput(prepared).test, columns=["query", "class_id", "in_train"])
    test = test.slice(start, stop - start)
    truth = test["class_id"].to_numpy().astype(np.int64)
    rows = TestRows(test["query"].to_pylist(), truth, test["in_train"].to_numpy())
    ranked = rank_rows(model, rows, len(model.standard_questions))
    return ranked.ranks, ranked.top


@lru_cache(maxsize=1)
def _load(candidate: Path) -> Model:
    return Model(candidate)
