"""Hard negatives: the wrong standard questions that an earlier version ranks highest.

Xiong et al. 2021, "Approximate Nearest Neighbor Negative Contrastive Learning for Dense Text Retrieval",
section 4: such negatives, of an earlier model, keep a gradient where random ones have long lost theirs.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import SettingsError
from schemas.outputs import IngestOutput
from schemas.tables import MINED
from tasks.registry import ModelRegistry
from tasks.retrieval.ranking import ranking
from tasks.retrieval.retriever import Model

_DEPTH = 32  # standard questions kept per row, before near-duplicates go
_BLOCK = 1024  # queries scored at once


def find_version(registry: ModelRegistry, version: str) -> Path:
    """Return the folder of a published version.

    Raises:
        SettingsError: the corpus has none of that name.
        StaleFile: it is damaged.
    """
    known = sorted([*(manifest.version for manifest in registry.versions()), *registry.damaged()])
    if version not in known:
        listed = f"its versions are {', '.join(known)}" if known else "it has none yet"
        raise SettingsError(
            f"negatives.mined_from = {version!r} is no version of corpus {registry.corpus!r}: {listed}; name one of "
            "them, or leave it empty to draw at random only"
        )
    return registry.fetch(version)


def mine_negatives(version: Path, ingested: Path, file: Path) -> int:
    """Write for each training row the standard questions that `version` ranks highest but the row's own.

    Args:
        version: folder of a published version of the corpus, perhaps of older standard questions.
        ingested: folder of ingest.
        file: Parquet, contract MINED.

    Returns:
        The number of rows.

    Raises:
        StaleFile: the version was made by another tokeniser, normaliser or format than this code has.
    """
    model = Model(version)
    with pq.ParquetWriter(file, MINED, compression="zstd") as writer:
        rows = 0
        questions = pq.ParquetFile(IngestOutput(ingested).questions, pre_buffer=False)  # it would keep all it read
        for batch in questions.iter_batches(_BLOCK):
            ranked = ranking(model.scores(batch["query"].to_pylist()), _DEPTH + 1)
            found = [
                [text for text in (model.standard_questions[n] for n in order) if text != own][:_DEPTH]
                for order, own in zip(ranked, batch["standard_question"].to_pylist(), strict=True)
            ]
            writer.write_batch(pa.record_batch([batch["row_id"], pa.array(found, MINED.types[1])], schema=MINED))
            rows += len(batch)
    return rows
