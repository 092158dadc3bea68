"""From a validated corpus to shuffled, negative-sampled Parquet. Pure: files in, files and facts out."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas.prepared import PreparedFacts
from schemas.settings import CorpusSettings
from schemas.tables import CLASSES, TEST, TRAIN, WORDS, negatives_schema
from tasks.prepare.features import TOKENISER, UNKNOWN_WORD, cut_texts
from tasks.prepare.hashing import keys, text_keys
from tasks.prepare.negatives import (
    allowed_candidates,
    draw_negatives,
    forbidden_classes,
    near_duplicates,
    put_mined,
)
from tasks.prepare.split import hold_out
from tasks.prepare.vocabulary import Rows, Vocabulary


@dataclass(frozen=True)
class Sides:
    """The rows of a corpus, split."""

    train: pa.Table  # contract QUESTIONS plus class_id and validation, in source order
    test: pa.Table  # contract TEST
    overlap: int


def prepare_corpus(
    ingested: Path, folder: Path, settings: CorpusSettings, processes: int = 1, mined: Path | None = None
) -> PreparedFacts:
    """Write train, test, classes, vocabulary, words and negatives of a corpus into `folder`.

    Args:
        ingested: folder of ingest, with questions.parquet, standard_questions.parquet, perhaps test.parquet.
        folder: an existing folder.
        settings: of the corpus; text, split, negatives and seed are read.
        processes: for the tokeniser; the bytes do not depend on it.
        mined: file of `mine_negatives`, where the settings want mined negatives.
    """
    standard = pq.read_table(ingested / "standard_questions.parquet")
    sides = _split(ingested, standard, settings)
    train = _shuffle(sides.train, settings)

    texts = train["query_norm"].to_pylist()
    class_texts = standard["standard_norm"].to_pylist()
    cut = cut_texts(texts + class_texts, settings.text, processes)
    distinct = dict(zip(texts + class_texts, cut, strict=True)).values()  # a repeated query counts once
    vocabulary = Vocabulary.of((features for _, features in distinct), settings.text.min_texts, settings.text)
    words = Vocabulary.of((words for words, _ in distinct), 1)

    _write(folder / "vocabulary.parquet", vocabulary.to_table())
    _write(folder / "words.parquet", _words_table(words))
    _write(folder / "test.parquet", sides.test)
    _write(folder / "train.parquet", _train_table(train, cut[: len(texts)], vocabulary, words))
    duplicates = near_duplicates(class_texts, settings.negatives.near_duplicate)
    classes = _classes_table(standard, train, cut[len(texts) :], vocabulary, words, duplicates)
    _write(folder / "classes.parquet", classes)
    forbidden = forbidden_classes(duplicates)
    candidates = _mined_candidates(mined, train, standard, forbidden) if mined else None
    _write_negatives(folder / "negatives", train, forbidden, candidates, settings)
    return _facts(settings, train, sides, classes, vocabulary, words)


def _split(ingested: Path, standard: pa.Table, settings: CorpusSettings) -> Sides:
    questions = pq.read_table(ingested / "questions.parquet")
    labels = _labels(questions, standard)
    split = settings.split
    official = ingested / "test.parquet"
    if official.exists():
        train, test = questions, pq.read_table(official)
    else:
        held = hold_out(_query_keys(questions), labels, split.test_share, settings.seed, "test")
        train, test = questions.filter(pa.array(~held)), questions.filter(pa.array(held))
        labels = labels[~held]
    cut = hold_out(
        _query_keys(train), labels, split.validation_share, settings.seed, "validation", lend_single_rows=True
    )
    train = train.append_column("class_id", pa.array(labels.astype(np.int32)))
    train = train.append_column("validation", pa.array(cut))
    in_train = pc.is_in(test["query_norm"], pc.unique(train["query_norm"]))
    columns = [
        test["row_id"],
        pa.array(_labels(test, standard).astype(np.int32)),
        test["query"],
        test["standard_question"],
        in_train,
        test["line"],
    ]
    return Sides(train, pa.table(columns, schema=TEST), pc.sum(in_train).as_py() or 0)


def _labels(questions: pa.Table, standard: pa.Table) -> NDArray[np.int64]:
    """Return each row's class: the row number of its text in `standard`; -1 if it is not there."""
    found = pc.index_in(questions["standard_question"], standard["standard_question"].combine_chunks())
    labels: NDArray[np.int64] = pc.fill_null(found, -1).to_numpy().astype(np.int64)
    return labels


def _query_keys(questions: pa.Table) -> NDArray[np.uint64]:
    return text_keys(questions["query_norm"].to_pylist())


def _shuffle(train: pa.Table, settings: CorpusSettings) -> pa.Table:
    if not settings.split.shuffle:
        return train
    row_ids = train["row_id"].to_numpy()
    return train.take(np.lexsort((row_ids, keys(settings.seed, "shuffle", row_ids))))


def _train_table(
    train: pa.Table, cut: list[tuple[list[str], list[str]]], vocabulary: Vocabulary, words: Vocabulary
) -> pa.Table:
    rows = vocabulary.rows([features for _, features in cut])
    columns = [
        train["row_id"],
        train["class_id"],
        train["query_norm"],
        train["validation"],
        *_lists(rows),
        _word_lists(cut, words),
    ]
    return pa.table(columns, schema=TRAIN)


def _classes_table(
    standard: pa.Table,
    train: pa.Table,
    cut: list[tuple[list[str], list[str]]],
    vocabulary: Vocabulary,
    words: Vocabulary,
    duplicates: list[list[int]],
) -> pa.Table:
    count = len(standard)
    columns = [
        pa.array(np.arange(count, dtype=np.int32)),
        standard["id"],
        standard["standard_question"],
        standard["standard_norm"],
        pa.array(np.bincount(train["class_id"].to_numpy(), minlength=count)),
        *_lists(vocabulary.rows([features for _, features in cut])),
        _word_lists(cut, words),
        pa.array(duplicates, type=pa.list_(pa.int32())),
    ]
    return pa.table(columns, schema=CLASSES)


def _lists(rows: Rows) -> tuple[pa.Array, pa.Array]:
    offsets = pa.array(rows.offsets.astype(np.int32))
    return pa.ListArray.from_arrays(offsets, rows.columns), pa.ListArray.from_arrays(offsets, rows.weights)


def _word_lists(cut: list[tuple[list[str], list[str]]], words: Vocabulary) -> pa.Array:
    number = {word: i + 1 for i, word in enumerate(words.features)}  # 0 is the unknown word
    return pa.array([[number.get(word, 0) for word in one] for one, _ in cut], type=pa.list_(pa.int32()))


def _words_table(words: Vocabulary) -> pa.Table:
    return pa.table([[UNKNOWN_WORD, *words.features], [0, *words.texts.tolist()]], schema=WORDS)


def _mined_candidates(
    file: Path, train: pa.Table, standard: pa.Table, forbidden: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return (rows, depth) class ids of what was mined for each training row and may oppose it, then -1."""
    mined = pq.read_table(file)
    places = pc.index_in(train["row_id"].combine_chunks(), mined["row_id"].combine_chunks())
    texts = mined["standard_questions"].combine_chunks().take(places)
    lengths = texts.value_lengths().to_numpy()
    table = np.full((len(texts), max(1, lengths.max(initial=0))), -1, dtype=np.int64)
    classes = pc.index_in(texts.flatten(), standard["standard_question"].combine_chunks())  # null: no longer there
    table[np.arange(table.shape[1]) < lengths[:, None]] = pc.fill_null(classes, -1).to_numpy()
    return allowed_candidates(table, train["class_id"].to_numpy().astype(np.int64), forbidden)


def _write_negatives(
    folder: Path,
    train: pa.Table,
    forbidden: NDArray[np.int64],
    mined: NDArray[np.int64] | None,
    settings: CorpusSettings,
) -> None:
    folder.mkdir()
    row_ids, labels = train["row_id"].to_numpy(), train["class_id"].to_numpy().astype(np.int64)
    per_row = settings.negatives.per_row
    for epoch in range(settings.negatives.epochs_drawn):
        drawn = draw_negatives(row_ids, labels, forbidden, per_row, epoch, settings.seed, settings.negatives.sampler)
        if mined is not None:
            drawn = put_mined(drawn, mined, row_ids, settings.negatives.mined_per_row, epoch, settings.seed)
        lists = pa.FixedSizeListArray.from_arrays(pa.array(drawn.ravel()), per_row)
        table = pa.table([train["row_id"], train["class_id"], lists], schema=negatives_schema(per_row))
        _write(folder / f"epoch-{epoch:03d}.parquet", table)


def _write(file: Path, table: pa.Table) -> None:
    # Fixed row groups and codec: equal tables, equal bytes.
    pq.write_table(table, file, compression="zstd", row_group_size=65_536)


def _facts(
    settings: CorpusSettings,
    train: pa.Table,
    sides: Sides,
    classes: pa.Table,
    vocabulary: Vocabulary,
    words: Vocabulary,
) -> PreparedFacts:
    tested = set(sides.test["class_id"].to_pylist())
    unknown = pc.sum(pc.equal(sides.test["class_id"], -1)).as_py() or 0
    official = settings.source.test_path is not None
    warnings = []
    if unknown:
        warnings.append(f"{unknown} test row(s) have a standard question that no training row has: counted as misses")
    if sides.overlap:
        warnings.append(f"{sides.overlap} test row(s) repeat a training query; recall is given with and without them")
    return PreparedFacts(
        rows=len(train),
        validation_rows=pc.sum(train["validation"]).as_py() or 0,
        test_rows=len(sides.test),
        classes=len(classes),
        untested_classes=len(classes) - len(tested - {-1}),
        unknown_test_rows=unknown,
        overlap_rows=sides.overlap,
        official_test=official,
        features=len(vocabulary.features),
        words=len(words.features),
        negatives_per_row=settings.negatives.per_row,
        epochs_drawn=settings.negatives.epochs_drawn,
        tokeniser=TOKENISER,
        warnings=warnings,
    )
