"""The test rows that the candidate gets wrong, worst first."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.outputs import PrepareOutput
from schemas.tables import FAILING


def find_failing(prepared: PrepareOutput, ranked: Path, asked: Path) -> pa.Table:
    """Return the test rows whose standard question does not come first: FAILING, the furthest behind first.

    Rows whose standard question the corpus does not have come last: no model can find it.

    Args:
        prepared: what prepare left.
        ranked: ranked.parquet of evaluate.
        asked: file of ingest that the test rows stand in.
    """
    test = pq.read_table(prepared.test, columns=["row_id", "query", "standard_question"])
    places = pq.read_table(ranked)
    rank = places["rank"].to_numpy()
    wrong = np.flatnonzero(rank != 0)
    worst = pa.array(wrong[np.argsort(-rank[wrong], kind="stable")])
    test, places = test.take(worst), places.take(worst)
    texts = pq.read_table(prepared.classes, columns=["standard_question"])["standard_question"]
    first = texts.take(pc.list_element(places["top"], 0))
    found = places["rank"].to_numpy()
    where = _find_places(asked, test["row_id"])
    columns = [
        where["source"],
        where["line"],
        test["query"],
        test["standard_question"],
        first,
        pa.array(found + 1, mask=found < 0),
    ]
    return pa.table(columns, schema=FAILING)


def _find_places(asked: Path, row_ids: pa.ChunkedArray) -> pa.Table:
    """Return source and line of rows, in their order."""
    wanted = pc.field("row_id").isin(row_ids.combine_chunks())
    rows = pq.read_table(asked, columns=["row_id", "source", "line"], filters=wanted)
    rows = rows.set_column(1, "source", rows["source"].cast(pa.string()))
    return rows.take(pc.index_in(row_ids, rows["row_id"].combine_chunks()))
