"""The towers of a published model: texts in, vectors out. Free of torch, but for `lstm` and `pretrained`."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.errors import SettingsError, StaleFile
from tasks.retrieval.features import Tokeniser
from tasks.retrieval.model_files import ENCODER, ModelCard, read_table, reading
from tasks.retrieval.rows import Rows
from tasks.retrieval.text_encoder import TextEncoder
from tasks.retrieval.token_vectors import TokenVectors
from tasks.retrieval.vocabulary import Vocabulary, rows_from_lists


@dataclass(frozen=True)
class Read:
    """Texts as a tower takes them."""

    form: Any  # the tower's own, handed back to `vectors`
    known: NDArray[np.floating] | None = None  # (n,) share of each text's features that it knows; None: not asked


class Encoder(Protocol):
    """A tower that reads texts, or what prepare has already read, and gives vectors."""

    def read(self, texts: Sequence[str]) -> Read:
        """Return normalised texts as the tower takes them, with the shares that are known."""

    def read_prepared(self, table: pa.Table) -> Read:
        """Return rows of train.parquet or classes.parquet, without tokenising again."""

    def vectors(self, read: Read) -> NDArray[np.float32]:
        """Return (n, S, o) vectors, not yet of unit length; zero for a text without any known feature."""


class BagEncoder:
    """The bag tower in numpy."""

    def __init__(self, card: ModelCard, arrays: dict[str, NDArray[np.float32]], folder: Path) -> None:
        self._card, self._arrays = card, arrays
        embeddings = arrays.pop("embeddings")
        with reading(folder / "vocabulary.parquet") as file:
            self._vocabulary = Vocabulary.from_table(read_table(file))
            if len(self._vocabulary.features) != len(embeddings):
                raise ValueError(f"{len(self._vocabulary.features)} features, but {len(embeddings)} embeddings")
        self._tokeniser = Tokeniser(card.text)
        self._shape = embeddings.shape[1:]
        self._embeddings = embeddings.reshape(len(embeddings), -1)
        self.read([""])  # builds what features are looked up in: not while the first query waits
        self.read(["", ""])

    def read(self, texts: Sequence[str]) -> Read:
        """Return the texts' tf-idf rows."""
        if len(texts) == 1:
            numbers, values, known = self._vocabulary.row(texts[0], self._tokeniser)
            row = Rows(values, numbers, np.array([0, len(numbers)]), self.size)
            return Read(row, np.array([known]))
        return Read(*self._vocabulary.read(texts, self._tokeniser))

    def read_prepared(self, table: pa.Table) -> Read:
        """Return the tf-idf rows that prepare wrote."""
        return Read(rows_from_lists(table["features"], table["weights"], len(self._embeddings)))

    @property
    def size(self) -> int:
        """Number of features it knows."""
        return len(self._embeddings)

    def names(self, numbers: NDArray[np.integer]) -> list[str]:
        """Return features by their numbers, marked by kind as `Tokeniser.features` does."""
        return [self._vocabulary.features[number] for number in numbers.tolist()]

    def parts(self, text: str) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        """Return a text's known features, what each adds to its vector, and what none does; no hidden layers.

        The vector is their sum: layers without a function between them are linear, but for a bias.

        Returns:
            (F,) numbers, (F, S, o) parts and (S, o) the bias.
        """
        numbers, values, _ = self._vocabulary.row(text, self._tokeniser)
        weighted = (self._embeddings[numbers] * values[:, None]).reshape(len(numbers), *self._shape)
        nothing = np.zeros((1, *self._shape), np.float32)
        bias = apply_layers(self._card, self._arrays, nothing)[0]
        return numbers, apply_layers(self._card, self._arrays, weighted) - bias, bias

    def vectors(self, read: Read) -> NDArray[np.float32]:
        """Return (n, S, o): weighted sums of embeddings through the layers."""
        rows: Rows = read.form
        sums = rows.times(self._embeddings)
        return apply_layers(self._card, self._arrays, sums.reshape(len(sums), *self._shape))


def apply_layers(
    card: ModelCard, arrays: dict[str, NDArray[np.float32]], x: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Apply the layers behind the embeddings: (n, S, in) to (n, S, o), as `tasks.train.towers.Layers` does."""
    count = sum(name.startswith("layers.weights.") for name in arrays)
    hidden = len(card.model.hidden_dims) - (card.model.tower == "lstm" and bool(card.model.hidden_dims))
    for number in range(count):
        weight, bias = arrays[f"layers.weights.{number}"], arrays[f"layers.biases.{number}"]
        x = (x.transpose(1, 0, 2) @ weight + bias).transpose(1, 0, 2)
        if number < hidden:
            x = _ACTIVATIONS[card.model.activation](x)
    return x


_erf = np.frompyfunc(math.erf, 1, 1)  # numpy has none


def _gelu(x: NDArray[np.float32]) -> NDArray[np.float32]:
    y: NDArray[np.float32] = x * np.float32(0.5) * (1 + _erf(x / np.float32(np.sqrt(2))).astype(np.float32))
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
        with reading(folder / "words.parquet") as file:
            words: list[str] = read_table(file)["word"].to_pylist()
        self._number = {word: n for n, word in enumerate(words)}
        self._embeddings = torch.tensor(arrays["embeddings"]).transpose(0, 1)  # (S, V, d)
        states = {name[5:]: torch.from_numpy(array) for name, array in arrays.items() if name.startswith("lstm.")}
        size = states["weight_hh_l0"].shape[2]
        self._lstms = [torch.nn.LSTM(self._embeddings.shape[2], size, batch_first=True) for _ in self._embeddings]
        for tower, lstm in enumerate(self._lstms):
            lstm.load_state_dict({name: stacked[tower] for name, stacked in states.items()})

    def read(self, texts: Sequence[str]) -> Read:
        """Return the texts' words by number, 0 for an unknown one."""
        rows = [[self._number.get(word, 0) for word in self._tokeniser.words(text)] for text in texts]
        return Read(rows, np.array([sum(map(bool, row)) / max(1, len(row)) for row in rows]))

    def read_prepared(self, table: pa.Table) -> Read:
        """Return the words that prepare wrote."""
        return Read(table["words"].to_pylist())

    def vectors(self, read: Read) -> NDArray[np.float32]:
        """Return (n, S, o): each LSTM's last state through the layers."""
        import torch

        rows: list[list[int]] = read.form
        grid = torch.zeros(len(rows), max(1, *map(len, rows)) if rows else 1, dtype=torch.long)
        for n, row in enumerate(rows):
            grid[n, : len(row)] = torch.tensor(row)
        last = torch.tensor([max(len(row), 1) - 1 for row in rows], dtype=torch.long)
        with torch.no_grad():
            states = [
                lstm(table[grid])[0][torch.arange(len(rows)), last]
                for table, lstm in zip(self._embeddings, self._lstms, strict=True)
            ]
        return apply_layers(self._card, self._arrays, torch.stack(states, dim=1).numpy())


class PretrainedEncoder:
    """The pretrained tower, from the files of its own folder; imports torch and transformers."""

    def __init__(self, card: ModelCard, arrays: dict[str, NDArray[np.float32]], folder: Path) -> None:
        from tasks.retrieval import pretrained  # which brings torch

        self._card, self._arrays = card, arrays
        pretrained.load_transformers()  # not to have it is no fault of the folder
        try:
            self._tokenise = pretrained.Tokeniser(card.model)
            self._encoder = pretrained.Encoder(card.model, self._tokenise.size)
        except SettingsError as error:
            raise StaleFile(f"{folder} is damaged: {error}; run the corpus again") from error

    def read(self, texts: Sequence[str]) -> Read:
        """Return the texts' tokens: there is none that it does not know."""
        return Read(self._tokenise(texts), np.ones(len(texts)))

    def read_prepared(self, table: pa.Table) -> Read:
        """Return the tokens of the queries: prepare does not know them."""
        return self.read(table["query"].to_pylist())

    def vectors(self, read: Read) -> NDArray[np.float32]:
        """Return (n, 1, o): the encoder's pooled states through the layers."""
        return apply_layers(self._card, self._arrays, self._encoder.vectors(read.form)[:, None])


class JoinedEncoder:
    """A tower and an encoder side by side: one vector whose products are the weighted mean of their cosines."""

    def __init__(self, tower: Encoder, card: ModelCard, arrays: dict[str, NDArray[np.float32]], folder: Path) -> None:
        self._tower, self._share, self._towers = tower, card.encoder_share, card.model.ensemble
        self.texts: TextEncoder | TokenVectors
        if card.model.serve == "bag":
            self.texts = TokenVectors(folder / ENCODER)
        else:
            self.texts = TextEncoder(folder / ENCODER, card.model)
        self._weight, self._bias = arrays["encoder_projection"], arrays["encoder_bias"]

    def read(self, texts: Sequence[str]) -> Read:
        """Return what the tower reads of the texts, and the texts."""
        read = self._tower.read(texts)
        return Read((read, texts), read.known)

    def read_prepared(self, table: pa.Table) -> Read:
        """Return the same, of rows that prepare wrote."""
        return Read((self._tower.read_prepared(table), table["query"].to_pylist()))

    def vectors(self, read: Read) -> NDArray[np.float32]:
        """Return (n, 1, S * o + d)."""
        of_tower, texts = read.form
        encoded = project(self.texts.vectors(texts), self._weight, self._bias)
        return join(to_unit(self._tower.vectors(of_tower)), encoded, self._share)

    def to_unit(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, 1, S * o + d) sums of joined vectors in the form of `join`: towers and encoder have their shares.

        Where texts differ more to the towers than to the encoder, a sum's parts have other lengths.
        """
        of_towers, encoded = np.split(vectors, [-self._weight.shape[1]], axis=2)
        towers = to_unit(of_towers.reshape(len(vectors), self._towers, -1))
        return join(towers, to_unit(encoded)[:, 0], self._share)


def project(
    vectors: NDArray[np.float32], weight: NDArray[np.float32], bias: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return (n, d) vectors of an encoder as they were learned to be turned, of unit length; zeros stay zero."""
    turned = to_unit((vectors @ weight + bias)[:, None])[:, 0]
    turned[~vectors.any(axis=1)] = 0
    return turned


def to_unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n, S, o) vectors of unit length per tower; those that are zero stay so."""
    lengths = np.sqrt(np.einsum("nso,nso->ns", vectors, vectors))[:, :, None]
    unit: NDArray[np.float32] = vectors / np.maximum(lengths, np.float32(1e-9))
    return unit


def join(towers: NDArray[np.float32], encoded: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Return (n, 1, S * o + d) vectors whose products are (1 - share) * mean cosine of towers + share * cosine.

    Args:
        towers: (n, S, o), of unit length per tower.
        encoded: (n, d), of unit length.
        share: of the encoder, from 0 to 1.
    """
    flat = towers.reshape(len(towers), -1) * np.float32(np.sqrt((1 - share) / towers.shape[1]))
    return np.concatenate([flat, encoded * np.float32(np.sqrt(share))], axis=1)[:, None]


ENCODERS: dict[str, Callable[[ModelCard, dict[str, NDArray[np.float32]], Path], Encoder]] = {
    "bag": BagEncoder,
    "lstm": LstmEncoder,
    "pretrained": PretrainedEncoder,
}


def make_encoder(card: ModelCard, arrays: dict[str, NDArray[np.float32]], folder: Path) -> Encoder:
    """Return what reads texts for a published model.

    Raises:
        SettingsError: it needs an extra that is not installed.
    """
    tower = ENCODERS[card.model.tower](card, arrays, folder)
    return JoinedEncoder(tower, card, arrays, folder) if card.encoder_share else tower
