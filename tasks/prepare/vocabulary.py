"""Features to numbers: their weights, and texts as unit tf-idf rows. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.settings import Text
from schemas.tables import VOCABULARY
from tasks.prepare.features import kind_weight


@dataclass(frozen=True)
class Rows:
    """Sparse rows: row i holds columns[offsets[i]:offsets[i+1]], increasing, with their weights (CSR)."""

    offsets: NDArray[np.int64]
    columns: NDArray[np.int32]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def from_lists(cls, features: pa.ChunkedArray, weights: pa.ChunkedArray) -> Self:
        """Read back from two list columns."""
        columns, values = features.combine_chunks(), weights.combine_chunks()
        offsets = columns.offsets.to_numpy().astype(np.int64)
        start, end = offsets[0], offsets[-1]  # a slice of a longer column starts later
        return cls(offsets - start, columns.values.to_numpy()[start:end], values.values.to_numpy()[start:end])


@dataclass(frozen=True)
class Vocabulary:
    """The features a model knows, with the number of texts they stand in and their weight."""

    features: list[str]
    texts: NDArray[np.int64]
    weights: NDArray[np.float32]  # of one occurrence: idf, damped, times that of the kind of feature

    def __post_init__(self) -> None:
        object.__setattr__(self, "number", {feature: i for i, feature in enumerate(self.features)})

    @classmethod
    def of(cls, features: Sequence[str], seen: NDArray[np.integer], total: int, text: Text | None = None) -> Self:
        """Weigh features by the texts they stand in.

        A feature's weight is its idf, ln((1 + texts) / (1 + texts that hold it)) + 1; where `text` is given,
        damped by its idf_power and times the weight of the feature's kind.

        Args:
            features: distinct, in any order.
            seen: (features,) texts that hold each.
            total: texts.
            text: the settings.
        """
        order = sorted(range(len(features)), key=features.__getitem__)
        kept, counts = [features[i] for i in order], np.asarray(seen, dtype=np.int64)[order]
        weights = np.log((1 + total) / (1 + counts)) + 1
        if text is not None:
            weights = weights**text.idf_power * np.array([kind_weight(feature, text) for feature in kept])
        return cls(kept, counts, weights.astype(np.float32))

    @classmethod
    def from_table(cls, table: pa.Table) -> Self:
        """Rebuild from a table of contract VOCABULARY."""
        return cls(table["feature"].to_pylist(), table["texts"].to_numpy().astype(np.int64), table["weight"].to_numpy())

    def to_table(self) -> pa.Table:
        """Return the table of contract VOCABULARY."""
        return pa.table([self.features, self.texts, self.weights], schema=VOCABULARY)

    def rows(self, texts: Sequence[Sequence[str]]) -> Rows:
        """Return each text's known features as a tf-idf row of length 1: (1 + ln tf) * weight, normalised.

        A text without a known feature is an empty row.
        """
        number: dict[str, int] = self.number  # type: ignore[attr-defined]  # set in __post_init__
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        found = map(number.get, chain.from_iterable(texts), repeat(-1))
        flat = np.fromiter(found, dtype=np.int64, count=int(lengths.sum()))
        known = flat >= 0
        owner = np.repeat(np.arange(len(texts)), lengths)[known]
        return tf_idf(np.bincount(owner, minlength=len(texts)), flat[known], self.weights)


def tf_idf(lengths: NDArray[np.int64], numbers: NDArray[np.integer], weights: NDArray[np.float32]) -> Rows:
    """Return texts as tf-idf rows of length 1, (1 + ln tf) * weight, normalised; each by itself.

    Args:
        lengths: (texts,) features of each.
        numbers: their numbers, one text after the other, repeats included.
        weights: (vocabulary,) of one occurrence.
    """
    count, size = len(lengths), max(1, len(weights))
    owner = np.repeat(np.arange(count, dtype=np.int64), lengths)
    cells, times = np.unique(owner * size + numbers, return_counts=True)
    owner, columns = np.divmod(cells, size)
    values = (1 + np.log(times)) * weights[columns]
    norm = np.sqrt(np.bincount(owner, values**2, minlength=count))
    norm[norm == 0] = 1  # only features of weight 0: a row of zeros
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=count))]).astype(np.int64)
    return Rows(offsets, columns.astype(np.int32), (values / norm[owner]).astype(np.float32))
