"""Answers a query with the nearest standard questions: what `dssm query` calls, and what evaluate measures.

    from tasks.retrieval import Retriever
    retriever = Retriever.live("bank")
    retriever.search(["怎么提前还款"], top=10)

Imports neither Prefect nor (for the bag tower) torch, and asks nobody over a network, but for a store (DSSM_STORE): a
copy of its live version is loaded, and a thread beside the queries looks for a new one every few seconds. A `Retriever`
may be used from several threads.
"""

import json
import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas.errors import NothingLive, PipelineError, StaleFile
from schemas.workspace import default_home, models_root
from tasks.mirror import Follower, fetch, follow, store_of
from tasks.retrieval.encoders import ENCODERS
from tasks.retrieval.exemplars import Exemplars
from tasks.retrieval.features import TOKENISER
from tasks.retrieval.model_files import FORMAT, ModelCard, read_arrays, read_card
from tasks.retrieval.nearest import Nearest
from tasks.retrieval.normalise import NORMALISER, normalise
from tasks.retrieval.ranking import ranking

_LOGGER = logging.getLogger("dssm.retriever")
_BLOCK = 1024  # queries scored at once
_MANY = 20_000  # standard questions; above, a product with all of them costs more than ruling most of them out


@dataclass(frozen=True)
class Hit:
    """One standard question found, with its score, at most 1.

    The mean cosine over the towers, mixed with how near the training queries kept of it lie.
    """

    standard_question: str
    score: float
    id: str


class Model:
    """One version in memory, immutable."""

    def __init__(self, folder: Path) -> None:
        """Load a candidate or a published version from `folder`.

        Raises:
            StaleFile: it was made by another tokeniser, normaliser or format than this code has, or is damaged.
            SettingsError: it needs an extra that is not installed.
        """
        self.version = folder.name
        self.card = read_card(folder)
        _check_made_here(self.card, folder)
        arrays = read_arrays(folder)
        table = pq.read_table(folder / "standard_questions.parquet")
        self.standard_questions: list[str] = table["standard_question"].to_pylist()
        self.ids: list[str] = table["id"].to_pylist()
        self.rows: NDArray[np.int64] = table["rows"].to_numpy()
        classes: NDArray[np.float32] = arrays["classes"]
        self.class_vectors: NDArray[np.float32] = classes.reshape(len(classes), -1) / np.float32(classes.shape[1])
        self.encoder = ENCODERS[self.card.model.tower](self.card, arrays, folder)
        self._exemplars: Exemplars | None = None
        if self.card.exemplar_weight:
            self._exemplars = Exemplars.of(arrays["exemplars"], arrays["exemplar_starts"])
        many = len(classes) > _MANY and self._exemplars is None
        self._nearest = Nearest(self.class_vectors) if many else None
        self._classes = self.class_vectors.T if many else np.ascontiguousarray(self.class_vectors.T)

    def scores(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, K) scores of all standard questions: what a search goes by."""
        return self._scores(self.vectors_of(self.encoder.read([normalise(query) for query in queries])))

    def _scores(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        cosines: NDArray[np.float32] = vectors @ self._classes
        if self._exemplars is None:
            return cosines
        return self._exemplars.mix(cosines, vectors, self.card.exemplar_weight)

    def cosines_of(self, read: Any) -> NDArray[np.float32]:  # noqa: ANN401 - the encoder's own form
        """Return (n, K) cosines of what the encoder has read, whatever queries are kept: they may be these."""
        cosines: NDArray[np.float32] = self.vectors_of(read) @ self._classes
        return cosines

    def vectors_of(self, read: Any) -> NDArray[np.float32]:  # noqa: ANN401 - as above
        """Return (n, S * o) vectors, of unit length per tower."""
        vectors = self.encoder.vectors(read)
        lengths = np.sqrt(np.einsum("nso,nso->ns", vectors, vectors))[:, :, None]
        unit: NDArray[np.float32] = (vectors / np.maximum(lengths, np.float32(1e-9))).reshape(len(vectors), -1)
        return unit

    def search(self, queries: Sequence[str], top: int = 10) -> list[list[Hit]]:
        """Return the `top` standard questions of each query, best first; none for an empty query."""
        found: list[list[Hit]] = []
        for start in range(0, len(queries), _BLOCK):
            block = [normalise(query) for query in queries[start : start + _BLOCK]]
            for query, (ids, scores) in zip(block, self._best(block, top), strict=True):
                hits = [
                    Hit(self.standard_questions[n], float(s), self.ids[n]) for n, s in zip(ids, scores, strict=True)
                ]
                found.append(hits if query else [])
        return found

    def _best(self, normalised: Sequence[str], top: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield the ids of the `top` standard questions of each query, best first, and their scores."""
        vectors = self.vectors_of(self.encoder.read(normalised))
        if self._nearest:
            yield from (self._nearest.search(vector, top) for vector in vectors)
            return
        scores = self._scores(vectors)
        for row, ids in zip(scores, ranking(scores, top), strict=True):
            yield ids, row[ids]


class Retriever:
    """The live version of a corpus; takes up a new live version without a gap."""

    def __init__(self, models: Path) -> None:
        """Load what is live below `models`, the folder that holds live.json.

        Raises:
            NothingLive: no version of the corpus is live.
        """
        follow(models)
        self._models = models
        self._follower = Follower(models) if store_of(models) else None
        self._lock = threading.Lock()
        self._seen, self._model = self._load()

    @classmethod
    def live(cls, corpus: str, home: Path | None = None) -> Self:
        """Return the retriever of a corpus below `home`, by default $DSSM_HOME or data/ of the checkout."""
        return cls(models_root(home or default_home()) / corpus)

    @property
    def model(self) -> Model:
        """The live version; asks the file system whether another one has gone live since.

        One that cannot be loaded is warned about once, and the one in memory goes on answering.
        """
        if self._follower:
            self._follower.poll()
        stamp = self._stamp()
        if stamp != self._seen and self._lock.acquire(blocking=False):  # others answer from the old one
            try:
                self._seen, self._model = self._load()
            except (PipelineError, OSError, ValueError, KeyError) as error:
                self._seen = stamp
                _LOGGER.warning(
                    "%s: the new live version cannot be loaded, %s answers on: %s", self._models, self.version, error
                )
            finally:
                self._lock.release()
        return self._model

    @property
    def version(self) -> str:
        """Name of the version in memory."""
        return self._model.version

    def search(self, queries: Sequence[str], top: int = 10) -> list[list[Hit]]:
        """Return the `top` standard questions of each query, best first; none for an empty query."""
        return self.model.search(queries, top)

    def _load(self) -> tuple[tuple[int, int] | None, Model]:
        stamp, version = self._stamp(), live_version(self._models)
        if version is None:
            raise NothingLive(
                f"nothing is live for corpus {self._models.name!r} (no {self._models / 'live.json'}); "
                f"publish a model first: dssm run {self._models.name}"
            )
        return stamp, Model(fetch(self._models, version))

    def _stamp(self) -> tuple[int, int] | None:
        try:
            status = (self._models / "live.json").stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_ino


def live_version(models: Path) -> str | None:
    """Return the name of the live version below `models`; None: nothing has been published, or all was withdrawn."""
    try:
        version: str | None = json.loads((models / "live.json").read_bytes())["version"]
    except FileNotFoundError:
        return None
    return version


def _check_made_here(card: ModelCard, folder: Path) -> None:
    here = {"format": FORMAT, "normaliser": NORMALISER, "tokeniser": TOKENISER}
    for name, value in here.items():
        if getattr(card, name) != value:
            raise StaleFile(
                f"{folder} was made with {name} {getattr(card, name)!r}, this code has {value!r}: its answers would be "
                "wrong without any error; run the corpus again"
            )
