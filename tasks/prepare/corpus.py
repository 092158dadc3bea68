"""From a validated corpus to shuffled, negative-sampled Parquet, in bounded memory: files in, files and facts out.

There are three steps, each a number of jobs that any engine may run:
cut      blocks of rows into words and features, numbered block by block (tasks.prepare.blocks)
number   the blocks' features by the vocabulary, which is chosen when all blocks are counted
write    parts of the shuffled rows, with their negatives (tasks.prepare.parts)
This module holds some 40 bytes a row: its class, the key of its query, and its side of the split.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.sparse import save_npz

from schemas.outputs import IngestOutput, PrepareOutput
from schemas.prepared import PreparedFacts
from schemas.settings import CorpusSettings
from schemas.tables import CLASSES, TEST, WORDS
from tasks.ingest.corrections import DRAFTED
from tasks.ingest.groups import read_groups as read_texts
from tasks.prepare.blocks import Block, cut_block, look_up, number_block, read_numbered, read_part, save_numbers
from tasks.prepare.counting import Tally
from tasks.prepare.engine import Engine, OpenEngine, open_local
from tasks.prepare.groups import bar_groups, number_groups, write_groups
from tasks.prepare.negatives import forbidden_classes
from tasks.prepare.parts import ROWS, Part, weigh, write_part, write_table
from tasks.prepare.split import hold_out
from tasks.retrieval.features import TOKENISER, UNKNOWN_WORD
from tasks.retrieval.hashing import keys, text_keys
from tasks.retrieval.vocabulary import Vocabulary
from tasks.validate.near_duplicates import near_duplicates

BLOCK_ROWS = 32_768
_SMALL_BLOCK_ROWS = 4_096
_READ_ROWS = 131_072
_NORM = ["query_norm"]
_MANY_ROWS = 20_000  # below, starting processes costs more than it saves


@dataclass(frozen=True)
class _Index:
    """What is kept in memory of every row of ingest, in source order."""

    labels: NDArray[np.int32]  # class
    keys: NDArray[np.uint64]  # of the normalised query
    test: NDArray[np.bool_]
    validation: NDArray[np.bool_]


@dataclass
class _Tested:
    """Counts of the test rows."""

    classes: NDArray[np.bool_]  # (K,) has a test row
    rows: int = 0
    unknown: int = 0
    overlap: int = 0


def prepare_corpus(
    ingested: Path,
    folder: Path,
    settings: CorpusSettings,
    processes: int = 1,
    *,
    scratch: Path | None = None,
    engine: OpenEngine | None = None,
) -> PreparedFacts:
    """Write train, test, classes, vocabulary, words and negatives of a corpus into `folder`.

    Args:
        ingested: folder of ingest, with questions.parquet, standard_questions.parquet, perhaps test.parquet.
        folder: an existing folder.
        settings: of the corpus; text, split, negatives and seed are read.
        processes: that share the work; the bytes do not depend on it.
        scratch: folder for the blocks; those that an interrupted run with the same inputs left there are used.
        engine: where the jobs run; it must see the same folders. None: in processes here.
    """
    if scratch is None:
        with TemporaryDirectory(dir=folder.parent, prefix=".cut-") as made:
            return prepare_corpus(ingested, folder, settings, processes, scratch=Path(made), engine=engine)
    scratch.mkdir(exist_ok=True)
    files, out = IngestOutput(ingested), PrepareOutput(folder)
    standard = pq.read_table(files.standard_questions)
    index = _index(files, standard, settings)
    tested = _write_test(files, out.test, standard, index)
    small = len(index.labels) <= _MANY_ROWS
    with (engine or partial(open_local, 1 if small else processes))() as run:
        size = BLOCK_ROWS if small else max(_SMALL_BLOCK_ROWS, min(BLOCK_ROWS, len(index.labels) // (4 * processes)))
        blocks, class_blocks, total = _cut(run, files, standard, index, scratch, size, settings)
        least = settings.text.least_texts(int((~index.test).sum()))
        vocabulary, words = _number(run, blocks + class_blocks, total, least, scratch, settings)
        write_table(out.vocabulary, vocabulary.to_table())
        write_table(out.words, words)
        duplicates = near_duplicates(standard["standard_norm"].to_pylist(), settings.negatives.near_duplicate)
        classes = _classes_table(standard, index, class_blocks, vocabulary, duplicates)
        write_table(out.classes, classes)
        np.save(scratch / "weights.npy", vocabulary.weights)
        groups = number_groups(read_texts(files), standard["standard_question"].to_pylist())
        write_groups(out, groups)
        save_npz(scratch / "forbidden.npz", forbidden_classes(bar_groups(duplicates, groups)))
        _write_parts(run, index, blocks, out, scratch, settings)
    return _facts(settings, index, tested, len(vocabulary.features), len(words) - 1)


def _index(ingested: IngestOutput, standard: pa.Table, settings: CorpusSettings) -> _Index:
    file = pq.ParquetFile(ingested.questions, pre_buffer=False)  # a buffer would keep every row that was read
    rows = file.metadata.num_rows
    labels, queries = np.empty(rows, np.int32), np.empty(rows, np.uint64)
    start = 0
    drafted = np.zeros(rows, dtype=bool)
    for batch in file.iter_batches(_READ_ROWS, columns=["query_norm", "standard_question", "source"]):
        here = slice(start, start + len(batch))
        drafted[here] = pc.ends_with(batch["source"].cast(pa.string()), DRAFTED).to_numpy(zero_copy_only=False)
        labels[here], queries[here] = _labels(batch, standard), text_keys(batch["query_norm"].to_pylist())
        start += len(batch)
    split, test = settings.split, np.zeros(rows, dtype=bool)
    if not ingested.test.exists():
        share = min(split.test_share, split.max_test_rows / max(1, rows))
        test = hold_out(queries, labels, share, settings.seed, "test")
        test &= ~np.isin(queries, queries[drafted])  # what a language model wrote measures nothing
    train = ~test
    validation = np.zeros(rows, dtype=bool)
    share = min(split.validation_share, split.max_validation_rows / max(1, int(train.sum())))
    validation[train] = hold_out(
        queries[train], labels[train], share, settings.seed, "validation", lend_single_rows=True
    )
    return _Index(labels, queries, test, validation)


def _labels(questions: pa.RecordBatch, standard: pa.Table) -> NDArray[np.int32]:
    """Return each row's class: the row number of its text in `standard`; -1 if it is not there."""
    found = pc.index_in(questions["standard_question"], standard["standard_question"].combine_chunks())
    labels: NDArray[np.int32] = pc.fill_null(found, -1).to_numpy()
    return labels


def _write_test(ingested: IngestOutput, file: Path, standard: pa.Table, index: _Index) -> _Tested:
    """Write the held-out rows in source order: those of the official test file, or of the split."""
    known = np.sort(index.keys) if ingested.test.exists() else None
    origin = ingested.test if known is not None else ingested.questions
    source = pq.ParquetFile(origin, pre_buffer=False)  # a buffer would keep every row that was read
    tested, start = _Tested(np.zeros(len(standard), dtype=bool)), 0
    names = ["row_id", "query", "query_norm", "standard_question", "line"]
    with pq.ParquetWriter(file, TEST, compression="zstd") as writer:
        writer.write_table(TEST.empty_table())
        for batch in source.iter_batches(_READ_ROWS, columns=names):
            in_train = np.zeros(len(batch), dtype=bool)
            if known is not None:
                in_train = _is_among(text_keys(batch["query_norm"].to_pylist()), known)
            else:  # a query is on one side only
                held = index.test[start : start + len(batch)]
                start += len(batch)
                batch, in_train = batch.filter(pa.array(held)), in_train[held]
            labels = _labels(batch, standard)
            tested.classes[labels[labels >= 0]] = True
            tested.rows += len(batch)
            tested.unknown += int((labels < 0).sum())
            tested.overlap += int(in_train.sum())
            columns = [batch["row_id"], labels, batch["query"], batch["standard_question"], in_train, batch["line"]]
            writer.write_batch(pa.record_batch(columns, schema=TEST))
    return tested


def describe_test(ingested: Path) -> list[str]:
    """Return what a run would warn of the official test rows that ingest wrote into a folder; nothing without any."""
    files = IngestOutput(ingested)
    if not files.test.exists():
        return []
    read = partial(pq.ParquetFile, pre_buffer=False)
    standard = pq.read_table(files.standard_questions)
    norms = (batch["query_norm"].to_pylist() for batch in read(files.questions).iter_batches(_READ_ROWS, columns=_NORM))
    known = np.sort(np.concatenate([np.empty(0, np.uint64), *map(text_keys, norms)]))
    unknown = overlap = 0
    for batch in read(files.test).iter_batches(_READ_ROWS, columns=[*_NORM, "standard_question"]):
        unknown += int((_labels(batch, standard) < 0).sum())
        overlap += int(_is_among(text_keys(batch["query_norm"].to_pylist()), known).sum())
    return _describe_test(unknown, overlap)


def _describe_test(unknown: int, overlap: int) -> list[str]:
    warnings = []
    if unknown:
        warnings.append(f"{unknown} test row(s) have a standard question that no training row has: counted as misses")
    if overlap:
        warnings.append(f"{overlap} test row(s) repeat a training query; recall is given with and without them")
    return warnings


def _is_among(wanted: NDArray[np.uint64], known: NDArray[np.uint64]) -> NDArray[np.bool_]:
    places = np.minimum(np.searchsorted(known, wanted), max(0, len(known) - 1))
    return known[places] == wanted if len(known) else np.zeros(len(wanted), dtype=bool)


def _cut(
    run: Engine,
    ingested: IngestOutput,
    standard: pa.Table,
    index: _Index,
    scratch: Path,
    size: int,
    settings: CorpusSettings,
) -> tuple[list[Path], list[Path], int]:
    """Cut training rows and standard questions; return the names of their blocks and the number of distinct texts."""
    train = np.flatnonzero(~index.test)
    texts = np.concatenate([index.keys[train], text_keys(standard["standard_norm"].to_pylist())])
    first = np.zeros(len(texts), dtype=bool)  # a repeated query counts once
    first[np.unique(texts, return_index=True)[1]] = True
    first_of_rows = np.zeros(len(index.labels), dtype=bool)
    first_of_rows[train] = first[: len(train)]
    first_of_classes = first[len(train) :]
    rows_file, classes_file = ingested.questions, ingested.standard_questions
    names: list[Path] = []
    class_names: list[Path] = []

    def blocks() -> Iterator[tuple[Block]]:
        for start in range(0, len(index.labels), size):
            stop = min(start + size, len(index.labels))
            kept = ~index.test[start:stop]
            row_ids = start + np.flatnonzero(kept)
            names.append(scratch / f"rows-{start:012d}-{stop:012d}")
            yield (
                Block(
                    names[-1],
                    rows_file,
                    "query_norm",
                    (start, stop),
                    kept,
                    keys(settings.seed, "shuffle", row_ids) if settings.split.shuffle else row_ids.astype(np.uint64),
                    index.labels[row_ids],
                    index.validation[row_ids],
                    first_of_rows[row_ids],
                    settings.text,
                ),
            )
        for start in range(0, len(standard), size):
            stop = min(start + size, len(standard))
            number, kept = np.arange(start, stop), np.ones(stop - start, dtype=bool)
            class_names.append(scratch / f"classes-{start:012d}-{stop:012d}")
            yield (
                Block(
                    class_names[-1],
                    classes_file,
                    "standard_norm",
                    (start, stop),
                    kept,
                    number.astype(np.uint64),
                    number.astype(np.int32),
                    ~kept,
                    first_of_classes[start:stop],
                    settings.text,
                ),
            )

    for _ in run.run(cut_block, blocks()):
        pass
    return names, class_names, int(first.sum())


def _number(
    run: Engine, names: list[Path], total: int, least: int, scratch: Path, settings: CorpusSettings
) -> tuple[Vocabulary, pa.Table]:
    """Choose features and words, write their numbers for the blocks, and return vocabulary and WORDS."""
    chosen: dict[str, tuple[list[str], NDArray[np.int64]]] = {}
    for kind, texts in (("features", least), ("words", 1)):
        tally = Tally()
        for name in names:
            numbered = read_numbered(name, kind)
            tally.add(numbered["key"].to_numpy(), numbered["texts"].to_numpy())
        kept, counts = tally.keep(texts, settings.text.max_features)
        chosen[kind] = look_up(names, kind, kept), counts
    vocabulary = Vocabulary.of(*chosen["features"], total, settings.text)
    words = Vocabulary.of(*chosen["words"], total)
    jobs = []
    for kind, known, start, unknown in (("features", vocabulary, 0, -1), ("words", words, 1, 0)):
        save_numbers(scratch / f"{kind}.npz", known.features, start)
        jobs += [(name, kind, scratch / f"{kind}.npz", unknown) for name in names]
    for _ in run.run(number_block, jobs):
        pass
    return vocabulary, pa.table([[UNKNOWN_WORD, *words.features], [0, *words.texts.tolist()]], schema=WORDS)


def _classes_table(
    standard: pa.Table, index: _Index, names: list[Path], vocabulary: Vocabulary, duplicates: list[list[int]]
) -> pa.Table:
    count = len(standard)
    cut = read_part(names, 0, None)
    features, weights = weigh(cut["features"], vocabulary.weights)
    columns = [
        pa.array(np.arange(count, dtype=np.int32)),
        standard["id"],
        standard["standard_question"],
        standard["standard_norm"],
        pa.array(np.bincount(index.labels[~index.test], minlength=count)),
        features,
        weights,
        cut["words"],
        pa.array(duplicates, type=pa.list_(pa.int32())),
    ]
    return pa.table(columns, schema=CLASSES)


def _write_parts(
    run: Engine, index: _Index, names: list[Path], out: PrepareOutput, scratch: Path, settings: CorpusSettings
) -> None:
    out.train.mkdir()
    for epoch in range(settings.negatives.epochs_drawn):
        out.negatives(epoch).mkdir(parents=True)
    rows = int((~index.test).sum())
    count = max(1, -(-rows // ROWS))
    keys_end = 1 << 64 if settings.split.shuffle else len(index.labels)
    bounds = [number * keys_end // count for number in range(count)]
    jobs = (
        (Part(number, low, high, names, out, scratch, settings),)
        for number, (low, high) in enumerate(zip(bounds, [*bounds[1:], None], strict=True))
    )
    for _ in run.run(write_part, jobs):
        pass


def _facts(settings: CorpusSettings, index: _Index, tested: _Tested, features: int, words: int) -> PreparedFacts:
    return PreparedFacts(
        rows=int((~index.test).sum()),
        validation_rows=int(index.validation.sum()),
        test_rows=tested.rows,
        classes=len(tested.classes),
        untested_classes=int((~tested.classes).sum()),
        unknown_test_rows=tested.unknown,
        overlap_rows=tested.overlap,
        official_test=settings.source.test_path is not None,
        features=features,
        words=words,
        negatives_per_row=settings.negatives.per_row,
        epochs_drawn=settings.negatives.epochs_drawn,
        tokeniser=TOKENISER,
        warnings=_describe_test(tested.unknown, tested.overlap),
    )
