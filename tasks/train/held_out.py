"""The models of the choosing phase, kept for a moment: what they make of queries held out calibrates the decisions.

They have fewer members than the refit, and none of the held-out rows. Where there are several cuts, each row is asked
of a model that has not seen it, and all are calibrated together (cross-conformal prediction, Vovk 2015, section 3).
Whether what is promised holds for the refit is measured on test rows: `python -m tests.benchmarks.decisions`,
docs/decisions.md.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas.decisions import Decisions
from schemas.outputs import ForeignOutput, PrepareOutput
from schemas.settings import CorpusSettings
from tasks.prepare.groups import group_of, read_groups
from tasks.retrieval.decisions import Numbers, Signals
from tasks.retrieval.model_files import TABLES, write_candidate
from tasks.retrieval.retriever import Model
from tasks.train.calibration import calibrate
from tasks.train.data import Prepared
from tasks.train.ensemble import Ensemble, rows_of
from tasks.train.joined import Joined
from tasks.train.parts import gather_parts, write_encoder

_COLUMNS = {"bag": "features", "lstm": "words"}  # of train.parquet, by tower
HELD_OUT = "held_out"  # folder of the models that have chosen, one of each cut, until they have calibrated
_ASKED = "asked.parquet"  # beside the files of a model: what it is to be asked
_MOST = 5_000  # queries looked at; so many give a share of 5 % to 0.3 points


def write_held_out(
    ensemble: Ensemble,
    joined: Joined | None,
    prepared: Prepared,
    asked: NDArray[np.bool_],
    weight: float,
    settings: CorpusSettings,
    to: Path,
) -> None:
    """Write the model that `ensemble` is into a new folder, without the features that only held-out rows brought.

    The first of the held-out rows that are to be asked lie beside it.

    Prepare counts the features of all rows. To a held-out query its own would all be known, which those of a
    customer are not.

    Args:
        ensemble: trained outside the validation rows.
        joined: that beside an encoder; None: without one.
        prepared: the data, with the cut.
        asked: (rows,) mask of the rows that it is to be asked, all of them held out.
        weight: of the exemplars.
        settings: of the corpus, with the members of `ensemble`.
        to: the folder.
    """
    to.mkdir(parents=True)
    _write_asked(prepared, asked, to / _ASKED)
    card, arrays, _ = gather_parts(ensemble, joined, prepared, rows_of(prepared, "choose"), weight, settings)
    write_encoder(ensemble, joined, to)
    table = TABLES.get(settings.model.tower)
    if table is None:
        write_candidate(to, card, prepared.folder, arrays)
        return
    known = pq.read_table(prepared.folder / table)
    least = settings.text.least_texts(len(prepared.labels))
    seen = _count_texts(prepared, _COLUMNS[settings.model.tower], len(known)) >= least
    seen[0] |= settings.model.tower == "lstm"  # the unknown word
    arrays["embeddings"] = arrays["embeddings"][seen]
    write_candidate(to, card, prepared.folder, arrays)
    pq.write_table(known.filter(seen), to / table)


def _write_asked(prepared: Prepared, wanted: NDArray[np.bool_], to: Path) -> None:
    rows = np.flatnonzero(wanted)[:_MOST]
    found, start = list[pa.Table](), 0
    for batch in _batches(prepared.folder, ["query", "class_id"]):
        end = start + len(batch)
        here = rows[(rows >= start) & (rows < end)]
        found.append(pa.Table.from_batches([batch.take(here - start)]))
        if not len(rows) or end > rows[-1]:
            break
        start = end
    pq.write_table(pa.concat_tables(found), to)


def _count_texts(prepared: Prepared, column: str, features: int) -> NDArray[np.int64]:
    """Return (features,) in how many standard questions and training rows outside the validation cut each stands."""
    counts = np.zeros(features, np.int64)
    for numbers in _texts(prepared, column):
        counts += np.bincount(numbers, minlength=features)
    return counts


def _texts(prepared: Prepared, column: str) -> Iterator[NDArray[np.integer]]:
    classes = PrepareOutput(prepared.folder).classes
    yield pq.read_table(classes, columns=[column])[column].combine_chunks().flatten().to_numpy()
    start = 0
    for batch in _batches(prepared.folder, [column]):
        used = np.flatnonzero(~prepared.validation[start : start + len(batch)])
        yield batch[column].take(used).flatten().to_numpy()
        start += len(batch)


def _batches(prepared: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield the training rows, in their order."""
    for part in PrepareOutput(prepared).train_parts():
        yield from pq.ParquetFile(part).iter_batches(columns=columns)


def calibrate_on_held_out(
    folder: Path, prepared: Path, settings: CorpusSettings, foreign: Path | None, cache: Path
) -> Decisions | None:
    """Return what to decide by, from what the models in `folder` make of the rows that they have not seen.

    Args:
        folder: of folders of `write_held_out`.
        prepared: folder of prepare, of its groups: an answer of the same group is right.
        settings: of the corpus.
        foreign: folder of the foreign queries; None: there are none.
        cache: folder of what encoders make of texts.
    """
    all_signals, all_places, all_gaps = list[Signals](), list[NDArray[np.int64]](), list[Numbers]()
    others, grouped = list[Signals](), read_groups(PrepareOutput(prepared))
    for part in sorted(folder.iterdir()):
        asked, model = pq.read_table(part / _ASKED), Model(part)
        model.remember(cache / "vectors", settings.training.threads)
        signals, first, scores = model.signals(asked["query"].to_pylist())
        groups = group_of(grouped, len(model.ids))
        found = groups[first] == groups[asked["class_id"].to_numpy()][:, None]
        places = np.where(found.any(axis=1), found.argmax(axis=1), -1)
        all_signals.append(signals)
        all_places.append(places)
        all_gaps.append(scores[:, 0] - scores[np.arange(len(scores)), places])
        if foreign:
            others.append(model.signals(ForeignOutput(foreign).read_for_calibration())[0])
    return calibrate(
        Signals.join(all_signals),
        np.concatenate(all_places),
        np.concatenate(all_gaps),
        settings.decisions,
        Signals.join(others) if others else None,
    )
