"""A block of rows, cut into words and features. It lies on disk until the vocabulary is known.

A block numbers its features itself, in the order in which it meets them. `BLOCK.rows.arrow` holds its rows, sorted by
the key of the shuffle: the rows of one part of train.parquet stand together and are read without the rest.
`BLOCK.features.arrow` and `BLOCK.words.arrow` say what the numbers mean and in how many texts each stands. Once the
vocabulary is chosen, `BLOCK.features.npy` and `BLOCK.words.npy` translate them into its numbers.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas.settings import Text
from tasks.retrieval.codes import Coded, code_features, code_spelled, pieces
from tasks.retrieval.features import Tokeniser

KINDS = ("features", "words")
_LISTS = pa.list_(pa.int32())
_ROWS = pa.schema(
    [
        ("key", pa.uint64()),
        ("row_id", pa.int64()),
        ("class_id", pa.int32()),
        ("validation", pa.bool_()),
        ("query", pa.string()),
        ("features", _LISTS),  # with repeats
        ("words", _LISTS),
    ]
)
_NUMBERED = pa.schema([("text", pa.string()), ("key", pa.uint64()), ("texts", pa.int32())])


@dataclass(frozen=True)
class Block:
    """Some rows of a file of ingest, and their side of the split."""

    name: Path  # of the block's files, without suffix
    file: Path  # of ingest
    column: str  # of normalised texts
    span: tuple[int, int]  # rows of the file
    kept: NDArray[np.bool_]  # (span,) which of these; the arrays below are of those
    keys: NDArray[np.uint64]  # of the shuffle
    labels: NDArray[np.int32]
    validation: NDArray[np.bool_]
    first: NDArray[np.bool_]  # the text stands in no row before
    text: Text


class _Numbered(NamedTuple):
    """The features, or the words, of some texts, each as the number of a distinct one."""

    texts: list[str]  # distinct, in the order of their numbers
    codes: NDArray[np.uint64]  # theirs
    numbers: NDArray[np.int32]  # of all, text after text
    lengths: NDArray[np.int64]  # (texts,) how many of these


def cut_block(block: Block) -> None:
    """Write the files of a block, unless an interrupted run has left them: they are complete."""
    rows_file = block.name.with_suffix(".rows.arrow")
    if rows_file.exists():
        return
    texts = read_span(block.file, [block.column], block.span)[block.column].filter(pa.array(block.kept))
    encoded = texts.combine_chunks().dictionary_encode()
    places = encoded.indices.to_numpy()
    first = np.bincount(places, weights=block.first, minlength=len(encoded.dictionary)) > 0
    cut = dict(zip(KINDS, _cut(encoded.dictionary.to_pylist(), block.text), strict=True))
    for kind, (numbered, lists) in cut.items():
        counts = _count_texts(lists, first, len(numbered.texts))
        table = pa.record_batch([numbered.texts, numbered.codes, counts], schema=_NUMBERED)
        _write(block.name.with_suffix(f".{kind}.arrow"), table)
    row_ids = block.span[0] + np.flatnonzero(block.kept)
    columns = [
        block.keys,
        row_ids,
        block.labels,
        block.validation,
        texts.combine_chunks(),
        *(lists.take(encoded.indices) for _, lists in cut.values()),
    ]
    order = np.lexsort((row_ids, block.keys))
    _write(rows_file, pa.record_batch(columns, schema=_ROWS).take(pa.array(order)))


def number_block(name: Path, kind: str, vocabulary: Path, unknown: int) -> None:
    """Write the number in the vocabulary of each feature, or word, of a block. `save_numbers` wrote the vocabulary."""
    with np.load(vocabulary) as known:
        keys, numbers = known["keys"], known["numbers"]
    mine = read_numbered(name, kind)["key"].to_numpy()
    places = np.minimum(np.searchsorted(keys, mine), max(0, len(keys) - 1))
    found = np.full(len(mine), unknown, np.int32)
    if len(keys):
        found = np.where(keys[places] == mine, numbers[places], np.int32(unknown))
    np.save(name.with_suffix(f".{kind}.npy"), found)


def save_numbers(file: Path, texts: list[str], start: int) -> None:
    """Write the keys of the vocabulary's texts, numbered from `start` on, for `number_block`."""
    keys = code_spelled(texts)
    order = np.argsort(keys)
    np.savez(file, keys=keys[order], numbers=(order + start).astype(np.int32))


def read_numbered(name: Path, kind: str) -> pa.RecordBatch:
    """Return text, key and number of texts of each feature, or word, of a block, in the order of its numbers."""
    return _read(name.with_suffix(f".{kind}.arrow"))


def look_up(names: list[Path], kind: str, keys: NDArray[np.uint64]) -> list[str]:
    """Return the texts that belong to some keys. The keys increase, and each stands in one of the blocks."""
    texts = np.empty(len(keys), dtype=object)
    missing = np.ones(len(keys), dtype=bool)
    for name in names:
        if not missing.any():
            break
        numbered = read_numbered(name, kind)
        mine = numbered["key"].to_numpy()
        places = np.minimum(np.searchsorted(keys, mine), len(keys) - 1)
        found = np.flatnonzero((keys[places] == mine) & missing[places])
        texts[places[found]] = numbered["text"].take(pa.array(found)).to_pylist()
        missing[places[found]] = False
    return list(texts)


def read_part(names: list[Path], low: int, high: int | None) -> pa.Table:
    """Return the rows of all blocks with `low` <= key < `high`, in order, their features and words as numbered.

    An unknown word has number 0; unknown features are left out.
    """
    parts = [part for name in names if len(part := _slice(name, low, high))]
    table = pa.Table.from_batches(parts, _ROWS).combine_chunks()
    return table.take(np.lexsort((table["row_id"].to_numpy(), table["key"].to_numpy())))


def _slice(name: Path, low: int, high: int | None) -> pa.RecordBatch:
    # Mapped, so that only these rows of a block are read. Copied, since the pages of all blocks would stay in memory.
    batch = pa.ipc.open_file(pa.memory_map(str(name.with_suffix(".rows.arrow")))).get_batch(0)
    keys = batch["key"].to_numpy()
    start = int(np.searchsorted(keys, np.uint64(low)))
    stop = len(keys) if high is None else int(np.searchsorted(keys, np.uint64(high)))
    batch = batch.take(pa.array(np.arange(start, stop)))
    for kind in KINDS if len(batch) else ():
        numbers = np.load(name.with_suffix(f".{kind}.npy"), mmap_mode="r")
        column = batch.schema.get_field_index(kind)
        batch = batch.set_column(column, _ROWS.field(kind), _translate(batch[kind], numbers))
    return batch


def _translate(lists: pa.ListArray, numbers: NDArray[np.int32]) -> pa.ListArray:
    """Return lists of a block's own numbers as the vocabulary's, without those below 0."""
    flat = numbers[lists.flatten().to_numpy()]
    lengths = lists.value_lengths().to_numpy()
    known = flat >= 0
    ends = np.concatenate([[0], np.cumsum(known)])[np.concatenate([[0], np.cumsum(lengths)])]
    return pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), pa.array(flat[known]))


def read_span(file: Path, columns: list[str], span: tuple[int, int]) -> pa.Table:
    """Return some columns of the rows of `span`; only row groups that hold some of them are read."""
    parquet = pq.ParquetFile(file)
    sizes = [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    groups = np.flatnonzero((starts[1:] > span[0]) & (starts[:-1] < span[1])).tolist()
    if not groups:
        return parquet.schema_arrow.empty_table().select(columns)
    return parquet.read_row_groups(groups, columns=columns).slice(span[0] - starts[groups[0]], span[1] - span[0])


def _cut(texts: list[str], text: Text) -> Iterator[tuple[_Numbered, pa.ListArray]]:
    """Yield the distinct features, and each text's as their numbers; then the same of words."""
    tokeniser = Tokeniser(text)
    found: tuple[list[_Numbered], list[_Numbered]] = ([], [])
    for piece in pieces(texts):
        cut = [tokeniser.cut(one) for one in texts[piece]]
        found[0].append(_number(list(code_features(cut, text)), len(cut)))
        words = [word for one in cut for word in one.words]
        owners = np.repeat(np.arange(len(cut)), [len(one.words) for one in cut])
        spelled = Coded(owners, code_spelled(words), partial(_take, words))
        found[1].append(_number([spelled], len(cut)))
    for numbered in found:
        joined = _join(numbered)
        offsets = np.concatenate([[0], np.cumsum(joined.lengths)]).astype(np.int32)
        yield joined, pa.ListArray.from_arrays(pa.array(offsets), pa.array(joined.numbers))


def _number(parts: list[Coded], count: int) -> _Numbered:
    """Number the distinct ones of the tokens of `count` texts."""
    codes = np.concatenate([np.zeros(0, np.uint64), *(part.codes for part in parts)])
    owners = np.concatenate([np.zeros(0, np.int64), *(part.owners for part in parts)])
    numbers, distinct, first = _factorise(codes)
    ends = np.cumsum([len(part.codes) for part in parts])
    texts: list[str] = []
    for part, start, (low, high) in zip(parts, [0, *ends], pairwise(np.searchsorted(first, [0, *ends])), strict=False):
        texts += part.spell(first[low:high] - start)
    by_text = numbers[np.argsort(owners, kind="stable")]
    return _Numbered(texts, distinct, by_text, np.bincount(owners, minlength=count))


def _join(parts: list[_Numbered]) -> _Numbered:
    """Return the texts of all parts, numbered together."""
    codes = np.concatenate([np.zeros(0, np.uint64), *(part.codes for part in parts)])
    numbers, distinct, first = _factorise(codes)
    texts = _take([text for part in parts for text in part.texts], first)
    starts = np.cumsum([0, *(len(part.codes) for part in parts)])
    translated = [numbers[start:][part.numbers] for start, part in zip(starts, parts, strict=False)]
    lengths = np.concatenate([np.zeros(0, np.int64), *(part.lengths for part in parts)])
    return _Numbered(texts, distinct, np.concatenate([np.zeros(0, np.int32), *translated]), lengths)


def _factorise(codes: NDArray[np.uint64]) -> tuple[NDArray[np.int32], NDArray[np.uint64], NDArray[np.int64]]:
    """Return each code's number in the order in which they come, the distinct ones, and where each comes first."""
    numbers, distinct = pd.factorize(codes)
    first = np.flatnonzero(np.diff(np.maximum.accumulate(numbers), prepend=-1))
    return numbers.astype(np.int32), distinct, first


def _take(texts: list[str], places: NDArray[np.integer]) -> list[str]:
    return [texts[n] for n in places.tolist()]


def _count_texts(lists: pa.ListArray, counted: NDArray[np.bool_], size: int) -> NDArray[np.int32]:
    """Return (size,) the number of `counted` texts in which each number stands."""
    owner = np.repeat(np.arange(len(lists)), lists.value_lengths().to_numpy())
    flat = lists.flatten().to_numpy()
    keep = counted[owner]
    # Not np.unique: it hashes since numpy 2.3, which takes eleven times as long here.
    cells = np.sort(owner[keep] * max(1, size) + flat[keep])
    new = np.ones(len(cells), dtype=bool)
    new[1:] = cells[1:] != cells[:-1]
    return np.bincount(cells[new] % max(1, size), minlength=size).astype(np.int32)


def _write(file: Path, batch: pa.RecordBatch) -> None:
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    with pa.ipc.new_file(str(partial), batch.schema) as writer:
        writer.write_batch(batch)
    os.replace(partial, file)


def _read(file: Path) -> pa.RecordBatch:
    with pa.ipc.open_file(str(file)) as reader:
        return reader.get_batch(0)
