"""The prepared files as arrays. Pure."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp
from numpy.typing import NDArray

from schemas.settings import Model
from tasks.prepare.negatives import forbidden_classes
from tasks.prepare.vocabulary import Rows


@dataclass(frozen=True)
class Texts:
    """Some texts: as tf-idf bags and as sequences of words, or of a pretrained encoder's tokens alone."""

    bags: sp.csr_matrix  # (texts, V) float32
    words: NDArray[np.int32]  # all words, one text after the other
    offsets: NDArray[np.int64]  # (texts + 1,) into `words`

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, rows: NDArray[np.int64]) -> "Texts":
        """Return the texts of `rows`, in that order."""
        lengths = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        positions = np.repeat(self.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Texts(self.bags[rows], self.words[positions], offsets)

    def followed_by(self, other: "Texts") -> "Texts":
        """Return these texts and then those of `other`."""
        bags = sp.vstack([self.bags, other.bags], format="csr")
        offsets = np.concatenate([self.offsets, other.offsets[1:] + self.offsets[-1]])
        return Texts(bags, np.concatenate([self.words, other.words]), offsets)


@dataclass(frozen=True)
class Prepared:
    """Everything that training reads."""

    queries: Texts
    labels: NDArray[np.int64]  # (rows,) class of each query
    validation: NDArray[np.bool_]  # (rows,) held out while choosing
    classes: Texts
    folder: Path
    epochs_drawn: int
    vocabulary: int  # rows of the n-gram table
    words: int  # rows of the word table; or tokens that the pretrained encoder knows

    def negatives(self, epoch: int) -> NDArray[np.int64]:
        """Return (rows, k) the negatives of `epoch` (from 0), in the order of the rows; draws cycle."""
        file = self.folder / "negatives" / f"epoch-{epoch % self.epochs_drawn:03d}.parquet"
        column = pq.read_table(file, columns=["negatives"])["negatives"].combine_chunks()
        drawn: NDArray[np.int64] = column.flatten().to_numpy().reshape(len(column), -1).astype(np.int64)
        return drawn

    def forbidden(self) -> NDArray[np.int64]:
        """Return (K, width) the classes each class never opposes: see `forbidden_classes`."""
        column = pq.read_table(self.folder / "classes.parquet", columns=["near_duplicates"])["near_duplicates"]
        return forbidden_classes(column.to_pylist())


def read_prepared(folder: Path, model: Model | None = None) -> Prepared:
    """Read the files of prepare; the negatives stay on disk until an epoch asks for them.

    Args:
        folder: of prepare.
        model: a pretrained encoder has its own tokens, which are cut here, once.

    Raises:
        SettingsError: the encoder has no tokeniser.
    """
    pretrained = model is not None and model.tower == "pretrained"
    cut = ["features", "weights", "words"]
    train = pq.read_table(
        folder / "train.parquet", columns=["class_id", "validation", *(["query"] if pretrained else cut)]
    )
    classes = pq.read_table(folder / "classes.parquet", columns=["standard_norm"] if pretrained else cut)
    vocabulary, words = (pq.read_metadata(folder / f"{name}.parquet").num_rows for name in ("vocabulary", "words"))
    if model is not None and pretrained:
        from tasks.train.pretrained import Tokeniser  # which brings torch, and is built on this module

        tokenise = Tokeniser(model)
        queries, own = tokenise(train["query"].to_pylist()), tokenise(classes["standard_norm"].to_pylist())
        words = tokenise.size
    else:
        queries, own = _texts(train, vocabulary), _texts(classes, vocabulary)
    return Prepared(
        queries=queries,
        labels=train["class_id"].to_numpy().astype(np.int64),
        validation=train["validation"].combine_chunks().to_numpy(zero_copy_only=False),
        classes=own,
        folder=folder,
        epochs_drawn=len(list((folder / "negatives").glob("epoch-*.parquet"))),
        vocabulary=vocabulary,
        words=words,
    )


def _texts(table: pa.Table, vocabulary: int) -> Texts:
    rows, words = Rows.from_lists(table["features"], table["weights"]), table["words"].combine_chunks()
    bags = sp.csr_matrix((rows.weights, rows.columns, rows.offsets), shape=(len(table), vocabulary))
    return Texts(bags, words.values.to_numpy(), words.offsets.to_numpy().astype(np.int64))
