"""A part of the prepared rows, from the blocks to Parquet: shuffled, weighted, with its negatives.

The rows of a part depend on the number of rows and the seed alone, not on the blocks or on the machine that writes it.
So its bytes are the same on every engine.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.sparse import load_npz

from schemas.outputs import PrepareOutput
from schemas.settings import CorpusSettings
from schemas.tables import TRAIN, negatives_schema
from tasks.prepare.blocks import read_part
from tasks.prepare.negatives import draw_negatives
from tasks.retrieval.vocabulary import tf_idf

ROWS = 65_536  # of a part, about; they take some 300 MB while they are written
_WEIGHED = 16_384  # rows whose weights are computed at a time


@dataclass(frozen=True)
class Part:
    """A range of the shuffle's keys."""

    number: int
    low: int
    high: int | None  # None: to the end
    blocks: list[Path]
    out: PrepareOutput
    scratch: Path  # holds weights.npy and forbidden.npz
    settings: CorpusSettings


def write_part(part: Part) -> None:
    """Write one file of train.parquet and one of each epoch's negatives."""
    rows = read_part(part.blocks, part.low, part.high)
    weights = np.load(part.scratch / "weights.npy")
    lists = [weigh(rows["features"].slice(start, _WEIGHED), weights) for start in range(0, len(rows), _WEIGHED)]
    features, values = (pa.chunked_array(column) for column in zip(*lists, strict=True))
    columns = [rows["row_id"], rows["class_id"], rows["query"], rows["validation"], features, values, rows["words"]]
    name = f"part-{part.number:05d}.parquet"
    write_table(part.out.train / name, pa.table(columns, schema=TRAIN))
    _write_negatives(part, rows, name)


def weigh(features: pa.ChunkedArray, weights: NDArray[np.float32]) -> tuple[pa.ListArray, pa.ListArray]:
    """Return numbers and tf-idf weights of texts whose features are given with repeats."""
    lists = features.combine_chunks()
    owners = np.repeat(np.arange(len(lists)), lists.value_lengths().to_numpy())
    rows = tf_idf(len(lists), owners, lists.flatten().to_numpy(), weights)
    offsets = pa.array(rows.offsets.astype(np.int32))
    return pa.ListArray.from_arrays(offsets, rows.columns), pa.ListArray.from_arrays(offsets, rows.values)


def write_table(file: Path, table: pa.Table) -> None:
    """Write Parquet. Equal tables give equal bytes, however they were put together."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    # Row groups and codec are fixed, and each column is one chunk, since a page ends where a chunk ends. A part is one
    # row group, which training reads as a whole, also where chance gave it some rows more than ROWS.
    pq.write_table(table.combine_chunks(), partial, compression="zstd", row_group_size=2 * ROWS)
    os.replace(partial, file)


def _write_negatives(part: Part, rows: pa.Table, name: str) -> None:
    settings, seed = part.settings.negatives, part.settings.seed
    forbidden = load_npz(part.scratch / "forbidden.npz")
    row_ids, labels = rows["row_id"].to_numpy(), rows["class_id"].to_numpy().astype(np.int64)
    for epoch in range(settings.epochs_drawn):
        drawn = draw_negatives(row_ids, labels, forbidden, settings.per_row, epoch, seed, settings.sampler)
        lists = pa.FixedSizeListArray.from_arrays(pa.array(drawn.ravel()), settings.per_row)
        table = pa.table([rows["row_id"], rows["class_id"], lists], schema=negatives_schema(settings.per_row))
        write_table(part.out.negatives(epoch) / name, table)
