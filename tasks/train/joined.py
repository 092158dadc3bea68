"""An encoder beside the towers: its vectors of a corpus, and both as one source of vectors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas.outputs import PrepareOutput
from schemas.settings import CorpusSettings
from tasks.retrieval.encoders import join
from tasks.retrieval.text_encoder import OnEncoded, TextEncoder
from tasks.train.data import Prepared
from tasks.train.encoder_files import make_encoder
from tasks.train.exemplars import Source
from tasks.train.projection import Projection, train_projection

DEFAULT_SHARE = 0.6
LEARNED = "learned"  # folder of what has learned from an encoder
MOST_ROWS = 131_072  # that are learned from; of more, the first: all are shuffled
SHARES = (0.0, 0.3, 0.5, DEFAULT_SHARE, 0.7, 0.8, 0.9, 1.0)  # what the validation cut chooses from


@dataclass(frozen=True)
class Encoded:
    """The vectors of a corpus by an encoder, and where its files lie."""

    queries: NDArray[np.float32]  # (rows, d), of unit length
    classes: NDArray[np.float32]  # (K, d)
    folder: Path
    fine_tuned: bool = False  # on rows of this corpus: no other night has a use for its vectors

    def learn(self, prepared: Prepared, rows: NDArray[np.int64], settings: CorpusSettings, phase: str) -> Projection:
        """Return what is learned on some rows."""
        kept = rows[:MOST_ROWS]
        queries, labels, same = self.queries[kept], prepared.labels[kept], prepared.same_answer()
        return train_projection(queries, labels, self.classes, same, settings, phase)


def encode_corpus(folder: Path, settings: CorpusSettings, cache: Path, on_encoded: OnEncoded) -> Encoded:
    """Return the vectors of all training queries and standard questions; those that `cache` has are not made again.

    Args:
        folder: of prepare.
        settings: model, settled by `settle_encoder`, and training.threads are read.
        cache: folder of what encoders are made into, and of vectors.
        on_encoded: called with the texts done, and of how many.

    Raises:
        SettingsError: the encoder cannot be used.
    """
    made, (queries, standard) = make_encoder(settings.model, cache), texts_of(folder)
    encoder = TextEncoder(made, settings.model, settings.training.threads, cache / "vectors")
    vectors = encoder.vectors(queries + standard, on_encoded)
    return Encoded(vectors[: len(queries)], vectors[len(queries) :], made)


def texts_of(folder: Path) -> tuple[list[str], list[str]]:
    """Return training queries and standard questions, normalised."""
    files = PrepareOutput(folder)
    queries: list[str] = pq.read_table(files.train, columns=["query"])["query"].to_pylist()
    standard: list[str] = pq.read_table(files.classes, columns=["standard_norm"])["standard_norm"].to_pylist()
    return queries, standard


class Learner(Protocol):
    """Makes another encoder of a frozen one, by some rows of a corpus, as often as asked."""

    optional: bool  # the frozen one may answer, if that is better

    def learn(self, prepared: Prepared, rows: NDArray[np.int64]) -> Encoded:
        """Return the corpus by what has learned from some rows, with its files."""


class Remembered:
    """A source whose vectors are computed once, however many shares they are joined by."""

    def __init__(self, source: Source) -> None:
        self._source, self.members = source, source.members
        self._rows = dict[bytes, NDArray[np.float32]]()
        self._classes: NDArray[np.float32] | None = None

    def encode_rows(self, prepared: Prepared, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return (S, n, o) vectors of training rows."""
        key = rows.tobytes()
        if key not in self._rows:
            self._rows[key] = self._source.encode_rows(prepared, rows)
        return self._rows[key]

    def class_vectors(self) -> NDArray[np.float32]:
        """Return (S, K, o) vectors of all standard questions."""
        if self._classes is None:
            self._classes = self._source.class_vectors()
        return self._classes


class Joined:
    """Towers and encoder as one member, whose cosines are the weighted mean of both."""

    members = 1

    def __init__(self, towers: Source, encoded: Encoded, projection: Projection, share: float) -> None:
        """Take what has been trained; `share` is that of the encoder."""
        self._towers, self.encoded, self._projection, self.share = towers, encoded, projection, share

    def encode_rows(self, prepared: Prepared, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return (1, n, S * o + d) vectors of unit length of training rows."""
        towers = self._towers.encode_rows(prepared, rows).transpose(1, 0, 2)
        return join(towers, self._projection.apply(self.encoded.queries[rows]), self.share).transpose(1, 0, 2)

    def class_vectors(self) -> NDArray[np.float32]:
        """Return (1, K, S * o + d) vectors of unit length of all standard questions."""
        towers = self._towers.class_vectors().transpose(1, 0, 2)
        return join(towers, self._projection.classes, self.share).transpose(1, 0, 2)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return what model.safetensors holds beside the arrays of the towers, whose "classes" these replace."""
        return {
            "classes": self.class_vectors().transpose(1, 0, 2),
            "encoder_projection": self._projection.weight,
            "encoder_bias": self._projection.bias,
        }
