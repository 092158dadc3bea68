"""Features to numbers: which features are kept, their weights, and texts as unit tf-idf rows. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
    def of(cls, texts: Iterable[Sequence[str]], min_texts: int, text: Text | None = None) -> Self:
        """Count over the features of every text; keep those in at least `min_texts` texts.

        A feature seen in one text only says nothing of another text: dropping those leaves a third
        of the vocabulary and the same recall. If nothing would be left, everything is kept.

        A feature's weight is its idf, ln((1 + texts) / (1 + texts that hold it)) + 1; where `text` is given,
        damped by its idf_power and times the weight of the feature's kind.
        """
        count: Counter[str] = Counter()
        total = 0
        for features in texts:
            count.update(set(features))
            total += 1
        kept = sorted(feature for feature, seen in count.items() if seen >= min_texts) or sorted(count)
        seen = np.array([count[feature] for feature in kept], dtype=np.int64)
        weights = np.log((1 + total) / (1 + seen)) + 1
        if text is not None:
            weights = weights**text.idf_power * np.array([kind_weight(feature, text) for feature in kept])
        return cls(kept, seen, weights.astype(np.float32))

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
        found = [[n for feature in text if (n := number.get(feature)) is not None] for text in texts]
        lengths = np.fromiter(map(len, found), dtype=np.int64, count=len(found))
        owner = np.repeat(np.arange(len(found), dtype=np.int64), lengths)
        flat = np.fromiter((n for row in found for n in row), dtype=np.int64, count=int(lengths.sum()))
        cells, times = np.unique(owner * max(1, len(self.features)) + flat, return_counts=True)
        owner, columns = np.divmod(cells, max(1, len(self.features)))
        weights = (1 + np.log(times)) * self.weights[columns]
        norm = np.sqrt(np.bincount(owner, weights**2, minlength=len(found)))
        norm[norm == 0] = 1  # only features of weight 0: a row of zeros
        offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(found)))]).astype(np.int64)
        return Rows(offsets, columns.astype(np.int32), (weights / norm[owner]).astype(np.float32))
