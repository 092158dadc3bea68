"""The profile of a corpus that a version keeps, so that a later corpus can be compared with it.

It holds the rows of each standard question and the smallest hashes of its queries, how often each word stands in the
queries, and how many standard questions have each field, such as an answer. A word is a run of letters, or two
neighbouring characters of Chinese, Japanese or Korean text; there is no dictionary. One pass over the rows makes it;
memory holds the distinct words and eight hashes of each standard question.
"""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas.outputs import IngestOutput, ValidateOutput
from schemas.tables import CORPUS_PROFILE
from tasks.ingest.payload import read_payload

QUERIES_KEPT = 8  # hashes of each standard question: enough to see that two have the same queries
WORDS_KEPT = 200_000  # the most frequent
_BATCH_ROWS = 131_072
_BATCHES_HELD = 8  # merged together: merging each one alone would cost as much
_UNSPACED = ((0x3040, 0x30FF), (0x3400, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
_NO_LETTER = r"[^\p{L}]+|[" + "".join(rf"\x{{{low:x}}}-\x{{{high:x}}}" for low, high in _UNSPACED) + "]+"


def write_corpus_profile(ingested: Path, folder: Path) -> None:
    """Write corpus_profile.parquet of the corpus in `ingested` into `folder`."""
    pq.write_table(profile_for_drift(ingested), ValidateOutput(folder).corpus_profile, compression="zstd")


def profile_for_drift(ingested: Path) -> pa.Table:
    """Return CORPUS_PROFILE of the corpus in the folder `ingested`: the same bytes from the same rows."""
    files = IngestOutput(ingested)
    classes = pq.read_table(files.standard_questions)
    texts = classes["standard_question"].combine_chunks()
    # A buffer would keep every row that was read.
    questions = pq.ParquetFile(files.questions, pre_buffer=False)
    kept, words = [(np.empty(0, np.int32), np.empty(0, np.int64))], _Words()
    for batch in questions.iter_batches(_BATCH_ROWS, columns=["query_norm", "standard_question"]):
        codes = pc.index_in(batch["standard_question"], texts).to_numpy()
        queries = batch["query_norm"].to_numpy(zero_copy_only=False)
        kept.append((codes, pd.util.hash_array(queries.astype(object), categorize=False).view(np.int64)))
        if len(kept) > _BATCHES_HELD:
            kept = [_smallest_per_class(kept)]
        words.add(batch["query_norm"])
    codes, hashes = _smallest_per_class(kept)
    starts = np.searchsorted(codes, np.arange(len(texts) + 1))
    about_classes = {
        "kind": ["class"] * len(texts),
        "id": classes["id"].to_pylist(),
        "text": texts.to_pylist(),
        "count": classes["rows"].to_pylist(),
        "queries": [hashes[start:end].tolist() for start, end in pairwise(starts)],
    }
    names, counts = words.most_frequent()
    nothing = [None] * len(names)
    about_words = {"kind": ["word"] * len(names), "id": nothing, "text": names, "count": counts, "queries": nothing}
    filled = Counter(name for cells in read_payload(files.payload).values() for name in cells)
    nothing = [None] * len(filled)
    fields = {"text": sorted(filled), "count": [filled[name] for name in sorted(filled)]}
    about_fields = {"kind": ["field"] * len(filled), "id": nothing, **fields, "queries": nothing}
    parts = (about_classes, about_words, about_fields)
    return pa.concat_tables([pa.table(about, schema=CORPUS_PROFILE) for about in parts])


class _Words:
    """Counts of words over batches of texts."""

    def __init__(self) -> None:
        self._pairs = [(np.empty(0, np.int64), np.empty(0, np.int64))]
        self._spaced = [pa.table({"word": pa.array([], pa.string()), "count": pa.array([], pa.int64())})]

    def add(self, texts: pa.Array) -> None:
        points = np.frombuffer("\n".join(texts.to_pylist()).encode("utf-32-le"), np.uint32).astype(np.int64)
        unspaced = np.zeros(len(points), bool)
        for low, high in _UNSPACED:
            unspaced |= (low <= points) & (points <= high)
        both = np.flatnonzero(unspaced[:-1] & unspaced[1:])
        self._pairs.append(np.unique((points[both] << 21) | points[both + 1], return_counts=True))
        spaced = pc.utf8_split_whitespace(pc.replace_substring_regex(texts, _NO_LETTER, " ")).flatten()
        counted = spaced.filter(pc.not_equal(spaced, "")).value_counts()
        self._spaced.append(pa.table(counted.flatten(), ["word", "count"]))
        if len(self._pairs) > _BATCHES_HELD:
            self._merge()

    def most_frequent(self) -> tuple[list[str], list[int]]:
        """Return the words in order of their text, and their counts."""
        self._merge()
        (pairs, counted), spaced = self._pairs[0], self._spaced[0]
        texts = [chr(pair >> 21) + chr(pair & 0x1FFFFF) for pair in pairs.tolist()]
        counts = dict(zip(texts, counted.tolist(), strict=True))
        counts |= zip(spaced["word"].to_pylist(), spaced["count"].to_pylist(), strict=True)
        kept = sorted(counts, key=lambda word: (-counts[word], word))[:WORDS_KEPT]
        return sorted(kept), [counts[word] for word in sorted(kept)]

    def _merge(self) -> None:
        pairs, place = np.unique(np.concatenate([keys for keys, _ in self._pairs]), return_inverse=True)
        counts = np.bincount(place, weights=np.concatenate([counts for _, counts in self._pairs]))
        self._pairs = [(pairs, counts.astype(np.int64))]
        merged = pa.concat_tables(self._spaced).group_by("word").aggregate([("count", "sum")])
        self._spaced = [merged.select(["word", "count_sum"]).rename_columns(["word", "count"])]


def _smallest_per_class(
    parts: list[tuple[NDArray[np.int32], NDArray[np.int64]]],
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return codes and hashes of the smallest distinct hashes of each class, sorted.

    Two classes with the same queries have the same ones.
    """
    codes, hashes = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((hashes, codes))
    codes, hashes = codes[order], hashes[order]
    new = np.ones(len(codes), bool)
    new[1:] = (codes[1:] != codes[:-1]) | (hashes[1:] != hashes[:-1])
    codes, hashes = codes[new], hashes[new]
    few = np.arange(len(codes)) - np.searchsorted(codes, codes) < QUERIES_KEPT
    return codes[few], hashes[few]
