"""Which queries a version was trained on, and which rows it was measured on.

A test row that a version was trained on says nothing of it beside a candidate that was not. A split of ours moves with
the corpus and its seed: another seed, and most test rows are ones that last night's version has learnt by heart. Kept
are 32 bits of a hash of each normalised query: about two bytes a row, and of unseen queries one in 86,000 is taken for
seen at 50,000 rows.
"""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas.manifest import hash_json
from schemas.outputs import PrepareOutput
from tasks.retrieval.hashing import text_keys
from tasks.retrieval.normalise import normalise_all

TRAINED_ON = "trained_on.parquet"


def list_trained_on(prepared: Path) -> bytes:
    """Return the file that goes beside a version: the keys of the queries in train.parquet of `prepared`."""
    keys = [np.zeros(0, np.int64)]
    for part in PrepareOutput(prepared).train_parts():
        keys += [_keys(batch["query"].to_pylist()) for batch in pq.ParquetFile(part).iter_batches(columns=["query"])]
    file = BytesIO()
    table = pa.table({"query_key": np.unique(np.concatenate(keys))})
    pq.write_table(
        table, file, compression="zstd", use_dictionary=False, column_encoding={"query_key": "DELTA_BINARY_PACKED"}
    )
    return file.getvalue()


def hash_test_rows(prepared: Path) -> str:
    """Return the sha256 of the rows that a version is measured on, queries and standard questions, in any order."""
    table = pq.read_table(PrepareOutput(prepared).test, columns=["query", "standard_question"])
    return hash_json(sorted(map(list, zip(*(column.to_pylist() for column in table.columns), strict=True))))


def was_trained_on(version: Path, queries: Sequence[str]) -> NDArray[np.bool_]:
    """Return a mask (queries,) of those that `version` was trained on; none where it does not say."""
    file = version / TRAINED_ON
    if not file.exists():
        return np.zeros(len(queries), dtype=bool)
    return np.isin(_keys(normalise_all(queries)), pq.read_table(file)["query_key"].to_numpy())


def _keys(normalised: Sequence[str]) -> NDArray[np.int64]:
    return (text_keys(normalised) >> np.uint64(32)).astype(np.int64)
