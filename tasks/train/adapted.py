"""A corpus by an encoder that has learned from it: tried on validation cuts, and made into files."""

import logging
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from schemas.errors import SettingsError
from schemas.settings import CorpusSettings
from tasks.retrieval.text_encoder import TextEncoder
from tasks.train.adapters import Adaptable
from tasks.train.data import Prepared
from tasks.train.encoder_files import is_whole, write_graph
from tasks.train.joined import Encoded, texts_of

ADAPTED = "adapted"  # folder of the encoders that have learned
_LOGGER = logging.getLogger("dssm.adapters")
_MOST_PRODUCTS = 4e12  # of adapters that are tried unasked: three minutes on two cores


class Adapters:
    """Makes the encoder learn from some rows of a corpus, as often as asked."""

    form = "adapted"

    def __init__(self, folder: Path, settings: CorpusSettings) -> None:
        """Load the encoder, settled by `settle_encoder`; `folder` is that of prepare.

        Raises:
            SettingsError: the encoder cannot be used.
        """
        queries, standard = texts_of(folder)
        self._texts, self._queries, self._settings = queries + standard, len(queries), settings
        self.only = settings.model.encoder_adapters == "on"  # whether the encoder as it is needs no trial
        self._adaptable = Adaptable(settings.model, self._texts, settings.training.threads)

    def are_worth_trying(self, trainings: int) -> bool:
        """Return whether so many trainings are made, or at least tried, as model.encoder_adapters says.

        Raises:
            SettingsError: they are wanted, and the encoder's layers are not those of BERT.
        """
        wanted = self._settings.model.encoder_adapters == "on"
        if wanted and not self._adaptable.can_learn:
            raise SettingsError(
                f"model.encoder_adapters = 'on', and the layers of model.encoder = {self._settings.model.encoder!r} "
                "are not those of BERT or RoBERTa; set model.encoder_adapters = 'off', or name another encoder"
            )
        return wanted or (self._adaptable.can_learn and trainings * self._adaptable.cost <= _MOST_PRODUCTS)

    def try_out(self, prepared: Prepared, rows: NDArray[np.int64], phase: str) -> Encoded:
        """Return the corpus by an encoder that has learned from some rows, in 32 bits and without files."""
        with self._learned(prepared, rows, phase):
            vectors = self._adaptable.vectors()
        return Encoded(vectors[: self._queries], vectors[self._queries :], Path(), adapted=True)

    def make(self, prepared: Prepared, rows: NDArray[np.int64], phase: str, folder: Path) -> Encoded:
        """Return the same by its files, in `folder`: made there, unless a run that was interrupted has made them."""
        model = self._settings.model
        if not is_whole(folder):
            with self._learned(prepared, rows, phase):
                write_graph(self._adaptable.encoder.module, self._adaptable.tokeniser, model, folder)
        vectors = TextEncoder(folder, model, self._settings.training.threads).vectors(self._texts)
        return Encoded(vectors[: self._queries], vectors[self._queries :], folder, adapted=True)

    def _learned(self, prepared: Prepared, rows: NDArray[np.int64], phase: str) -> AbstractContextManager[None]:
        _LOGGER.info("%d queries teach the encoder (%s)", len(rows), phase)
        own = np.arange(self._queries, len(self._texts))
        return self._adaptable.adapted(rows, prepared.labels[rows], own, self._settings, phase)


def open_adapters(folder: Path, settings: CorpusSettings, cuts: int) -> Adapters | None:
    """Return the adapters of an encoder, None where the settings or the time they would take say no.

    Args:
        folder: of prepare.
        settings: model, settled, loss, training and seed are read.
        cuts: on which they are tried, each by a training of its own.

    Raises:
        SettingsError: they are wanted, and the encoder's layers are not those of BERT.
    """
    wanted, share = settings.model.encoder_adapters, settings.model.encoder_share
    if wanted == "off" or share == 0 or (wanted == "auto" and not cuts):
        return None
    adapters = Adapters(folder, settings)
    return adapters if adapters.are_worth_trying(cuts + 1) else None
