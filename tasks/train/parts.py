"""The parts of a model that was trained: its card, its arrays, and the encoder's files."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.settings import CorpusSettings
from tasks.retrieval.model_files import ENCODER, ModelCard
from tasks.train.data import Prepared
from tasks.train.encoder_files import copy_encoder
from tasks.train.ensemble import Ensemble
from tasks.train.exemplars import Kept, keep_exemplars
from tasks.train.joined import Joined
from tasks.train.towers import find_tower


def gather_parts(
    ensemble: Ensemble,
    joined: Joined | None,
    prepared: Prepared,
    rows: NDArray[np.int64],
    weight: float,
    settings: CorpusSettings,
) -> tuple[ModelCard, dict[str, NDArray[Any]], Kept | None]:
    """Return the card of a model, the arrays of model.safetensors, and the queries that are kept.

    Args:
        ensemble: its towers, trained on `rows`.
        joined: the towers beside an encoder; None: without one, be it that its share is 0.
        prepared: the data.
        rows: numbers of the rows it was trained on, of which queries are kept.
        weight: of the kept queries; 0 where there is no room for any.
        settings: of the corpus, with the members of `ensemble`.
    """
    arrays: dict[str, NDArray[Any]] = ensemble.arrays() | (joined.arrays() if joined else {})
    kept = keep_exemplars(joined or ensemble, prepared, rows, settings.model.exemplars if weight else 0)
    if kept:
        arrays |= {"exemplars": kept.vectors, "exemplar_starts": kept.starts}
    model = settings.model
    if model.encoder_beside and joined is None:  # nothing of it is needed to answer
        model = model.without_encoder()
    if joined:
        model = model.model_copy(update={"fine_tune": joined.encoded.fine_tuned})
    card = ModelCard(
        corpus=settings.name,
        text=settings.text,
        model=model,
        classes=len(prepared.classes),
        features=find_tower(settings.model).features(prepared.sizes),
        exemplar_weight=weight if kept else 0.0,
        encoder_share=joined.share if joined else 0.0,
    )
    return card, arrays, kept


def write_encoder(ensemble: Ensemble, joined: Joined | None, folder: Path) -> None:
    """Write the files of the encoder into the folder of a model: a fine-tuned one, that beside the towers, or none."""
    ensemble.write(folder / ENCODER)
    if joined:
        copy_encoder(joined.encoded.folder, folder / ENCODER)
