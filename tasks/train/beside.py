"""What a model keeps beside its numbers: fields of its standard questions, and where its kept queries stood."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.outputs import IngestOutput, PrepareOutput
from schemas.settings import CorpusSettings
from schemas.tables import EXEMPLARS
from tasks.ingest.payload import type_payload
from tasks.retrieval.model_files import EXEMPLARS_FILE
from tasks.train.exemplars import Kept


def keep_beside(
    candidate: Path, prepared: PrepareOutput, ingested: IngestOutput, settings: CorpusSettings, kept: Kept | None
) -> None:
    """Write payload.parquet and exemplars.parquet into a candidate, as far as there is something to keep."""
    classes = pq.read_table(prepared.classes, columns=["standard_question"])["standard_question"].to_pylist()
    if payload := type_payload(ingested.payload, classes, settings.source):
        payload.write(candidate)
    if kept and settings.model.exemplar_texts:
        pq.write_table(
            _texts_of_kept(prepared, ingested, classes, kept), candidate / EXEMPLARS_FILE, compression="zstd"
        )


def _texts_of_kept(prepared: PrepareOutput, ingested: IngestOutput, classes: list[str], kept: Kept) -> pa.Table:
    """Return text, file and line of each kept query; contract EXEMPLARS."""
    row_ids = pq.read_table(prepared.train, columns=["row_id"])["row_id"].to_numpy()
    is_row = kept.rows >= 0
    rows = pq.read_table(ingested.questions, columns=["query", "source", "line"]).take(row_ids[kept.rows[is_row]])
    owners = np.repeat(np.arange(len(classes)), np.diff(kept.starts))
    own = [classes[owner] for owner in owners[~is_row]]
    order = np.argsort(np.concatenate([np.flatnonzero(is_row), np.flatnonzero(~is_row)]))
    nothing = [None] * len(own)
    parts = [
        pa.table([rows["query"], rows["source"].cast(pa.string()), rows["line"]], names=EXEMPLARS.names),
        pa.table(
            [pa.array(own, pa.string()), pa.array(nothing, pa.string()), pa.array(nothing, pa.int64())],
            names=EXEMPLARS.names,
        ),
    ]
    table = pa.concat_tables(parts).take(order)
    return pa.table([table["text"], table["source"].dictionary_encode(), table["line"]], names=EXEMPLARS.names).cast(
        EXEMPLARS
    )
