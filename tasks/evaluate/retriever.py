"""Answers a query with the nearest standard questions: what `dssm query` calls, and what evaluate measures.

    from tasks.evaluate.retriever import Retriever
    retriever = Retriever.live("bank")
    retriever.search(["怎么提前还款"], top=10)

Imports neither Prefect nor (for the bag tower) torch, and asks nobody over a network, but for a store (DSSM_STORE): a
copy of its live version is loaded, and a thread beside the queries looks for a new one every few seconds. A `Retriever`
may be used from several threads.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp
from numpy.typing import NDArray

from schemas.errors import NothingLive, PipelineError, SettingsError, StaleFile
from schemas.workspace import default_home, models_root
from tasks.evaluate.metrics import ranking
from tasks.evaluate.nearest import Nearest
from tasks.ingest.normalise import NORMALISER, normalise
from tasks.mirror import Follower, fetch, follow, store_of
from tasks.prepare.features import TOKENISER, Tokeniser
from tasks.prepare.vocabulary import Rows, Vocabulary
from tasks.train.candidate import FORMAT, ModelCard, read_arrays, read_card
from tasks.train.data import Texts
from tasks.train.exemplars import Exemplars

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


class Encoder(Protocol):
    """A tower that reads texts, or what prepare has already read, and gives vectors."""

    def read(self, texts: Sequence[str]) -> Any:  # noqa: ANN401 - its own form of input, handed back to `vectors`
        """Return the input of normalised texts."""

    def read_prepared(self, table: pa.Table) -> Any:  # noqa: ANN401 - as above
        """Return the input of rows of train.parquet or classes.parquet, without tokenising again."""

    def vectors(self, read: Any) -> NDArray[np.float32]:  # noqa: ANN401 - as above
        """Return (n, S, o) vectors, not yet of unit length; zero for a text without any known feature."""


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
        self.encoder = _ENCODERS[self.card.model.tower](self.card, arrays, folder)
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


class BagEncoder:
    """The bag tower in numpy."""

    def __init__(self, card: ModelCard, arrays: dict[str, NDArray[np.float32]], folder: Path) -> None:
        self._card, self._arrays = card, arrays
        self._vocabulary = Vocabulary.from_table(pq.read_table(folder / "vocabulary.parquet"))
        self._tokeniser = Tokeniser(card.text)
        embeddings = arrays.pop("embeddings")  # in half precision, which no product takes: kept in single precision
        self._shape = embeddings.shape[1:]
        self._embeddings = embeddings.reshape(len(embeddings), -1).astype(np.float32)
        self.read([""])  # builds what features are looked up in: not while the first query waits

    def read(self, texts: Sequence[str]) -> Rows:
        """Return the texts' tf-idf rows."""
        return self._vocabulary.rows(texts, self._tokeniser)

    def read_prepared(self, table: pa.Table) -> Rows:
        """Return the tf-idf rows that prepare wrote."""
        return Rows.from_lists(table["features"], table["weights"])

    def vectors(self, read: Rows) -> NDArray[np.float32]:
        """Return (n, S, o): weighted sums of embeddings through the layers."""
        bags = sp.csr_array((read.weights, read.columns, read.offsets), shape=(len(read), len(self._embeddings)))
        return apply_layers(self._card, self._arrays, (bags @ self._embeddings).reshape(len(read), *self._shape))


def apply_layers(
    card: ModelCard, arrays: dict[str, NDArray[np.float32]], x: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Apply the layers behind the embeddings: (n, S, in) to (n, S, o), as `tasks.train.towers.Layers` does."""
    count = sum(name.startswith("layers.weights.") for name in arrays)
    hidden = len(card.model.hidden) - (card.model.tower == "lstm" and bool(card.model.hidden))
    for number in range(count):
        weight, bias = arrays[f"layers.weights.{number}"], arrays[f"layers.biases.{number}"]
        x = np.einsum("nsi,sio->nso", x, weight, optimize=True) + bias[:, 0]
        if number < hidden:
            x = _ACTIVATIONS[card.model.activation](x)
    return x


def _gelu(x: NDArray[np.float32]) -> NDArray[np.float32]:
    from scipy.special import erf

    y: NDArray[np.float32] = (x * np.float32(0.5) * (1 + erf(x / np.float32(np.sqrt(2))))).astype(np.float32)
    return y


_ACTIVATIONS: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "gelu": _gelu,
    "none": lambda x: x,
}


class LstmEncoder:
    """The LSTM tower; imports torch."""

    def __init__(self, card: ModelCard, arrays: dict[str, NDArray[np.float32]], folder: Path) -> None:
        import torch

        self._card, self._arrays = card, arrays
        self._tokeniser = Tokeniser(card.text)
        words: list[str] = pq.read_table(folder / "words.parquet")["word"].to_pylist()
        self._number = {word: n for n, word in enumerate(words)}
        self._embeddings = torch.from_numpy(arrays["embeddings"].astype(np.float32)).transpose(0, 1)  # (S, V, d)
        states = {name[5:]: torch.from_numpy(array) for name, array in arrays.items() if name.startswith("lstm.")}
        size = states["weight_hh_l0"].shape[2]
        self._lstms = [torch.nn.LSTM(self._embeddings.shape[2], size, batch_first=True) for _ in self._embeddings]
        for tower, lstm in enumerate(self._lstms):
            lstm.load_state_dict({name: stacked[tower] for name, stacked in states.items()})

    def read(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the texts' words by number, 0 for an unknown one."""
        return [[self._number.get(word, 0) for word in self._tokeniser.words(text)] for text in texts]

    def read_prepared(self, table: pa.Table) -> list[list[int]]:
        """Return the words that prepare wrote."""
        words: list[list[int]] = table["words"].to_pylist()
        return words

    def vectors(self, read: list[list[int]]) -> NDArray[np.float32]:
        """Return (n, S, o): each LSTM's last state through the layers."""
        import torch

        grid = torch.zeros(len(read), max(1, *map(len, read)) if read else 1, dtype=torch.long)
        for n, row in enumerate(read):
            grid[n, : len(row)] = torch.tensor(row)
        last = torch.tensor([max(len(row), 1) - 1 for row in read], dtype=torch.long)
        with torch.no_grad():
            states = [
                lstm(table[grid])[0][torch.arange(len(read)), last]
                for table, lstm in zip(self._embeddings, self._lstms, strict=True)
            ]
        return apply_layers(self._card, self._arrays, torch.stack(states, dim=1).numpy())


class PretrainedEncoder:
    """The pretrained tower, from the files of its own folder; imports torch and transformers."""

    def __init__(self, card: ModelCard, arrays: dict[str, NDArray[np.float32]], folder: Path) -> None:
        from tasks.train import pretrained

        self._card, self._arrays = card, arrays
        pretrained.load_transformers()  # not to have it is no fault of the folder
        try:
            self._tokenise = pretrained.Tokeniser(card.model)
            self._encoder = pretrained.Encoder(card.model, self._tokenise.size)
        except SettingsError as error:
            raise StaleFile(f"{folder} is damaged: {error}; run the corpus again") from error

    def read(self, texts: Sequence[str]) -> Texts:
        """Return the texts' tokens."""
        return self._tokenise(texts)

    def read_prepared(self, table: pa.Table) -> Texts:
        """Return the tokens of the queries: prepare does not know them."""
        return self._tokenise(table["query"].to_pylist())

    def vectors(self, read: Texts) -> NDArray[np.float32]:
        """Return (n, 1, o): the encoder's pooled states through the layers."""
        return apply_layers(self._card, self._arrays, self._encoder.vectors(read)[:, None])


_ENCODERS: dict[str, Callable[[ModelCard, dict[str, NDArray[np.float32]], Path], Encoder]] = {
    "bag": BagEncoder,
    "lstm": LstmEncoder,
    "pretrained": PretrainedEncoder,
}
