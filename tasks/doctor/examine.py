"""The closer look: models are trained that have not seen the rows they judge. It takes about as long as a training."""

import pyarrow.parquet as pq

from schemas.errors import SettingsError
from schemas.outputs import EvaluateOutput, PrepareOutput
from schemas.settings import CorpusSettings
from schemas.workspace import Workspace
from tasks.doctor.case import MOST_ROWS, Case, read_features
from tasks.doctor.cross_fit import cross_fit
from tasks.doctor.curves import fit_curve
from tasks.doctor.diagnosis import Evidence
from tasks.doctor.memory import change_state
from tasks.retrieval.hashing import text_keys
from tasks.train.data import read_prepared

HALF, MOST = 2, 5  # folds: models of half of the rows, and of four fifths


def examine(corpus: CorpusSettings, workspace: Workspace) -> Evidence:
    """Return what seven models make of the training rows that they have not seen, and remember the learning curve.

    Args:
        corpus: its settings; a bag tower is trained, whatever tower they name.
        workspace: of the run.

    Raises:
        SettingsError: there are too many rows.
    """
    prepared_files = PrepareOutput.of(workspace)
    rows = sum(pq.read_metadata(file).num_rows for file in prepared_files.train_parts())
    if rows > MOST_ROWS:
        raise SettingsError(
            f"{corpus.name!r} has {rows:,} training rows; models are asked about {MOST_ROWS:,} at most. Give --quick"
        )
    case, bag = Case.read(prepared_files, EvaluateOutput.of(workspace)), as_bag(corpus)
    prepared, keys = read_prepared(prepared_files.folder, bag.model), text_keys(case.queries)
    half, most = (cross_fit(prepared, bag, keys, folds) for folds in (HALF, MOST))
    curve = fit_curve(case.labels, half, most)
    change_state(workspace, lambda state: state.model_copy(update={"curve": curve}))
    return Evidence(found=most, curve=curve, bags=read_features(prepared_files))


def as_bag(corpus: CorpusSettings) -> CorpusSettings:
    """Return the settings of a bag tower on the same files."""
    model = corpus.model.model_copy(update={"tower": "bag", "encoder": None})
    return corpus.model_copy(update={"model": model})
