"""Features to numbers: their weights, and texts as unit tf-idf rows. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.settings import Text
from schemas.tables import VOCABULARY
from tasks.retrieval.codes import KINDS, CodeTable, code_features, code_spelled, pieces
from tasks.retrieval.features import Tokeniser, kind_weight
from tasks.retrieval.rows import Rows


@dataclass(frozen=True)
class Vocabulary:
    """The features a model knows, with the number of texts they stand in and their weight."""

    features: list[str]
    texts: NDArray[np.int64]
    weights: NDArray[np.float32]  # of one occurrence: idf, damped, times that of the kind of feature

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
        texts, weights = (np.from_dlpack(table[name].combine_chunks()) for name in ("texts", "weight"))
        return cls(table["feature"].to_pylist(), texts.astype(np.int64), weights.astype(np.float32))

    def to_table(self) -> pa.Table:
        """Return the table of contract VOCABULARY."""
        return pa.table([self.features, self.texts, self.weights], schema=VOCABULARY)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {feature: number for number, feature in enumerate(self.features)}

    @cached_property
    def _table(self) -> CodeTable:
        return CodeTable(code_spelled(self.features))

    def row(self, text: str, tokeniser: Tokeniser) -> tuple[NDArray[np.int64], NDArray[np.float32], float]:
        """Return the known features of one normalised text, (n,) increasing numbers and values: its row of `read`.

        Of one text the features are spelled faster than they are coded, and found in a tenth of the time. The last
        value is the share of its features that are known, as `read` has it.
        """
        found, shares = list[int](), list[float]()
        for kind in tokeniser.features_by_kind(text):
            if kind:
                known = [number for number in map(self._numbers.get, kind) if number is not None]
                shares.append(len(known) / len(kind))
                found += known
        times = Counter(found) if len(set(found)) < len(found) else None
        numbers = np.array(sorted(times or found), dtype=np.int64)
        values: NDArray[np.float64] = self.weights[numbers].astype(np.float64)
        if times:
            counts = np.array([times[number] for number in numbers.tolist()])
            values = (1 + np.log(np.arange(1, counts.max() + 1)))[counts - 1] * values
        norm = np.sqrt(np.bincount(np.zeros(len(numbers), np.int64), values**2, minlength=1))
        share = sum(shares) / max(1, len(shares))
        return numbers, (values / (norm if norm[0] else 1)).astype(np.float32), share

    def rows(self, texts: Sequence[str], tokeniser: Tokeniser) -> Rows:
        """Return normalised texts as `tf_idf` rows of their known features; without any, an empty row."""
        return self.read(texts, tokeniser)[0]

    def read(self, texts: Sequence[str], tokeniser: Tokeniser) -> tuple[Rows, NDArray[np.float64]]:
        """Return the rows of normalised texts, and (texts,) the share of their features that are known.

        It is the mean over the kinds of features that a text has: foreign English has hardly a new n-gram, but pairs
        of words that are new. A text without features has 0.
        """
        parts = [self._read(texts[piece], tokeniser) for piece in pieces(texts)]
        if len(parts) == 1:
            return parts[0]
        rows, known = zip(*parts, strict=True)
        return Rows.stack(rows), np.concatenate(known)

    def _read(self, texts: Sequence[str], tokeniser: Tokeniser) -> tuple[Rows, NDArray[np.float64]]:
        parts = list(code_features([tokeniser.cut(text) for text in texts], tokeniser.text))
        owners = np.concatenate([np.zeros(0, np.int64), *(part.owners for part in parts)])
        codes = np.concatenate([np.zeros(0, np.uint64), *(part.codes for part in parts)])
        numbers = self._table.find(codes)
        kinds = np.repeat([KINDS.index(part.kind) for part in parts], [len(part.codes) for part in parts])
        rows = tf_idf(len(texts), owners[numbers >= 0], numbers[numbers >= 0], self.weights)
        return rows, _share_known(len(texts), owners, kinds.astype(np.int64), numbers >= 0)

    def weigh(self, count: int, owners: NDArray[np.integer], codes: NDArray[np.uint64]) -> Rows:
        """Return `count` texts as `tf_idf` rows of the features with these (N,) codes, as far as they are known."""
        numbers = self._table.find(codes)
        return tf_idf(count, owners[numbers >= 0], numbers[numbers >= 0], self.weights)


def _share_known(
    count: int, owners: NDArray[np.integer], kinds: NDArray[np.int64], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return (count,) the share of each text's features that are known, over kinds alike."""
    cells, size = owners * len(KINDS) + kinds, count * len(KINDS)
    total = np.bincount(cells, minlength=size).reshape(count, -1)
    found = np.bincount(cells[known], minlength=size).reshape(count, -1)
    shares: NDArray[np.float64] = (found / np.maximum(total, 1)).sum(axis=1)
    shares /= np.maximum(np.count_nonzero(total, axis=1), 1)
    return shares


def tf_idf(count: int, owners: NDArray[np.integer], numbers: NDArray[np.integer], weights: NDArray[np.float32]) -> Rows:
    """Return (count, vocabulary) texts as tf-idf rows of length 1, (1 + ln tf) * weight, normalised; each by itself.

    The numbers of a row increase.

    Args:
        count: of texts.
        owners: (N,) the text that each feature stands in, repeats included, in any order.
        numbers: (N,) its number.
        weights: (vocabulary,) of one occurrence.
    """
    bits = len(weights).bit_length()
    cells = np.sort((owners.astype(np.int64) << bits) | numbers)  # not np.unique: of these it costs twice as much
    starts = np.flatnonzero(np.append(True, cells[1:] != cells[:-1])[: len(cells)])
    times = np.diff(starts, append=len(cells))
    owners, columns = cells[starts] >> bits, cells[starts] & ((1 << bits) - 1)
    values = (1 + np.log(np.arange(1, times.max(initial=0) + 1)))[times - 1] * weights[columns]
    norm = np.sqrt(np.bincount(owners, values**2, minlength=count))
    norm[norm == 0] = 1  # only features of weight 0: a row of zeros
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=count))]).astype(np.int64)
    values = (values / norm[owners]).astype(np.float32)
    return Rows(values, columns.astype(np.int32), offsets, len(weights))


def rows_from_lists(features: pa.ChunkedArray, weights: pa.ChunkedArray, vocabulary: int) -> Rows:
    """Return the (rows, vocabulary) rows that two list columns hold, as prepare wrote them."""
    columns, values = features.combine_chunks(), weights.combine_chunks()
    offsets = columns.offsets.to_numpy().astype(np.int64)
    start, end = offsets[0], offsets[-1]  # a slice of a longer column starts later
    cells = values.values.to_numpy()[start:end], columns.values.to_numpy()[start:end]
    return Rows(*cells, offsets - start, vocabulary)
