"""The model of the choosing phase, kept for a moment: what it makes of the queries held out calibrates the decisions.

It has fewer members than the refit, and none of the held-out rows. Whether what it promises holds for the refit is
measured on test rows: `python -m tests.benchmarks.decisions`, docs/decisions.md.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas.decisions import Decisions
from schemas.outputs import ForeignOutput, PrepareOutput
from schemas.settings import CorpusSettings
from tasks.retrieval.model_files import TABLES, write_candidate
from tasks.retrieval.retriever import Model
from tasks.train.calibration import calibrate
from tasks.train.data import Prepared
from tasks.train.ensemble import Ensemble, rows_of
from tasks.train.joined import Joined
from tasks.train.parts import gather_parts, write_encoder

_COLUMNS = {"bag": "features", "lstm": "words"}  # of train.parquet, by tower
HELD_OUT = "held_out"  # folder of the model that has chosen, until it has calibrated
_MOST = 5_000  # queries looked at; so many give a share of 5 % to 0.3 points


def write_held_out(
    ensemble: Ensemble,
    joined: Joined | None,
    prepared: Prepared,
    weight: float,
    settings: CorpusSettings,
    to: Path,
) -> None:
    """Write the model that `ensemble` is into a new folder, without the features that only held-out rows brought.

    Prepare counts the features of all rows. To a held-out query its own would all be known, which those of a
    customer are not.

    Args:
        ensemble: trained outside the validation rows.
        joined: that beside a frozen encoder; None: without one.
        prepared: the data.
        weight: of the exemplars.
        settings: of the corpus, with the members of `ensemble`.
        to: the folder.
    """
    to.mkdir(parents=True)
    card, arrays, _ = gather_parts(ensemble, joined, prepared, rows_of(prepared, "choose"), weight, settings)
    write_encoder(ensemble, joined, to)
    table = TABLES.get(settings.model.tower)
    if table is None:
        write_candidate(to, card, prepared.folder, arrays)
        return
    known = pq.read_table(prepared.folder / table)
    seen = _count_texts(prepared.folder, _COLUMNS[settings.model.tower], len(known)) >= settings.text.min_texts
    seen[0] |= settings.model.tower == "lstm"  # the unknown word
    arrays["embeddings"] = arrays["embeddings"][seen]
    write_candidate(to, card, prepared.folder, arrays)
    pq.write_table(known.filter(seen), to / table)


def _count_texts(prepared: Path, column: str, features: int) -> NDArray[np.int64]:
    """Return (features,) in how many standard questions and training rows outside the validation cut each stands."""
    counts = np.zeros(features, np.int64)
    for numbers in _texts(prepared, column):
        counts += np.bincount(numbers, minlength=features)
    return counts


def _texts(prepared: Path, column: str) -> Iterator[NDArray[np.integer]]:
    files = PrepareOutput(prepared)
    yield pq.read_table(files.classes, columns=[column])[column].combine_chunks().flatten().to_numpy()
    for part in files.train_parts():
        for batch in pq.ParquetFile(part).iter_batches(columns=[column, "validation"]):
            used = np.flatnonzero(~batch["validation"].to_numpy(zero_copy_only=False))
            yield batch[column].take(used).flatten().to_numpy()


def calibrate_on_held_out(
    folder: Path, prepared: Path, settings: CorpusSettings, foreign: Path | None, cache: Path
) -> Decisions | None:
    """Return what to decide by, from what the model in `folder` makes of the validation cut.

    Args:
        folder: of `write_held_out`.
        prepared: folder of prepare.
        settings: of the corpus.
        foreign: folder of the foreign queries; None: there are none.
        cache: folder of what encoders make of texts.
    """
    held = pq.read_table(
        PrepareOutput(prepared).train, columns=["query", "class_id"], filters=[("validation", "=", True)]
    ).slice(0, _MOST)
    model = Model(folder)
    model.remember(cache / "vectors", settings.training.threads)
    signals, first, scores = model.signals(held["query"].to_pylist())
    found = first == held["class_id"].to_numpy()[:, None]
    places = np.where(found.any(axis=1), found.argmax(axis=1), -1)
    gaps = scores[:, 0] - scores[np.arange(len(scores)), places]
    others = model.signals(ForeignOutput(foreign).read_for_calibration())[0] if foreign else None
    return calibrate(signals, places, gaps, settings.decisions, others)
