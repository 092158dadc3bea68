"""The whole step: sources in, questions.parquet and its neighbours out, one batch in memory at a time.

Equal sources, settings and seed give equal bytes.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import CorpusRejected, SourceError
from schemas.ingest import IngestFacts, SourceFile
from schemas.outputs import IngestOutput
from schemas.settings import Source
from schemas.tables import PAYLOAD, QUARANTINE, QUESTIONS, STANDARD_QUESTIONS
from tasks.ingest.addresses import find_files, find_training_files, fingerprint
from tasks.ingest.input_file import InputFile
from tasks.ingest.labels import describe_joined
from tasks.ingest.melting import shorten
from tasks.ingest.question_list import QuestionList, find_question_list, join_ids, read_question_list
from tasks.ingest.sifting import EMPTY_QUERY, REMEDIES, SURROGATE, is_usable_class, sift
from tasks.ingest.sources import OpenedSource, describe_source, open_sources
from tasks.ingest.tables import BATCH_ROWS, BadRow, Pairs
from tasks.retrieval.normalise import normalise

__all__ = ["fingerprint", "ingest_corpus"]

Role = Literal["train", "test"]
Progress = Callable[[int], None]

_EXAMPLES = 3
_NULL_WORDS = ("nan", "null", "none", "n/a", "na", "#n/a", "<na>", "nat", "undefined")


@dataclass
class _Tally:
    """What has been counted of one role so far."""

    role: Role
    class_rows: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    files: list[SourceFile] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    payload: dict[str, dict[str, str]] = field(default_factory=dict)  # by class and column
    waiting: dict[str, tuple[str, BadRow]] = field(
        default_factory=dict
    )  # rows without a query, of classes without rows
    samples: list[tuple[str, str]] = field(default_factory=list)  # of the file that is read now
    rows: int = 0

    @property
    def quarantined(self) -> int:
        return self.reasons.total()

    def set_aside(self, name: str, row: BadRow) -> None:
        self.reasons[row.reason] += 1
        examples = self.examples.setdefault(row.reason, [])
        if len(examples) < _EXAMPLES:
            text = " | ".join(cell.strip() for cell in (row.query, row.question) if cell and cell.strip())
            examples.append(f"{name} line {row.line}" + (f" {shorten(text)!r}" if text else ""))

    def describe_reasons(self) -> str:
        """Return each reason with its count, examples and remedy, the most frequent first."""
        return "; ".join(
            f"{count} × {reason} ({', '.join(self.examples[reason])}): {REMEDIES[reason]}"
            for reason, count in self.reasons.most_common()
        )


class _ParquetSink:
    """A Parquet file whose row groups have a good size, however small the batches are that come in."""

    def __init__(self, file: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(file, schema, compression="zstd", version="2.6")
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0

    def add(self, columns: Iterable[Any]) -> None:
        arrays = [
            column if isinstance(column, pa.Array) else pa.array(column, field.type)
            for column, field in zip(columns, self._schema, strict=True)
        ]
        self._pending.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._pending_rows += self._pending[-1].num_rows
        if self._pending_rows >= BATCH_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._pending_rows:
            table = pa.Table.from_batches(self._pending, self._schema).unify_dictionaries()
            self._writer.write_table(table, row_group_size=2 * BATCH_ROWS)
        self._pending, self._pending_rows = [], 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()


def ingest_corpus(source: Source, folder: Path, base: Path, seed: int, progress: Progress | None = None) -> IngestFacts:
    """Read a source and write questions, test rows, standard questions and the quarantine into `folder`.

    Args:
        source: Where the rows are, and how to read them.
        folder: Exists already; gets questions.parquet, test.parquet (only with a test source),
            standard_questions.parquet and quarantine.parquet. On CorpusRejected the quarantine is complete.
        base: Folder that relative addresses count from.
        seed: Seed of a bundled corpus; nothing else is random here.
        progress: Called after every batch with the rows read so far.

    Raises:
        SourceError: a file is missing, or is no table, or lacks a column or rows.
        CorpusRejected: no training row, or no test row, is usable.
    """
    train_files, warnings = find_training_files(source, base)
    test_files = find_files(source.test_path, base, "source.test_path") if source.test_path else []
    listed = _read_list(source, base)
    train, test = _Tally("train"), _Tally("test")
    with _ParquetSink(IngestOutput(folder).quarantine, QUARANTINE) as quarantine:
        report = _Counter(progress)
        read = partial(_read_role, source=source, seed=seed, listed=listed, quarantine=quarantine, report=report)
        with _ParquetSink(IngestOutput(folder).questions, QUESTIONS) as questions:
            read(train, train_files, questions)
        if test_files:
            with _ParquetSink(IngestOutput(folder).test, QUESTIONS) as questions:
                read(test, test_files, questions)
    ids = listed.ids if listed else {}
    unlisted = {text: rows for text, rows in train.class_rows.items() if text not in ids} if listed else {}
    if unlisted:
        _refuse_clash(unlisted, ids, str(source.questions_path))
        warnings.append(_describe_unlisted(unlisted, str(source.questions_path)))
    class_rows = train.class_rows | dict.fromkeys(train.waiting, 0)
    classes = _write_standard_questions(IngestOutput(folder).standard_questions, class_rows, ids)
    _write_payload(IngestOutput(folder).payload, train.payload, {*class_rows, *ids})
    joined = [] if source.multiple_labels == "keep" else describe_joined(train.class_rows)
    warnings += [*_describe_null_words(train.class_rows), *joined, *_describe_without_query(train.waiting)]
    for tally in (train, test):
        if tally.quarantined:
            warnings.append(
                f"{tally.quarantined} of {tally.rows + tally.quarantined} {tally.role} rows were set aside: "
                f"{tally.describe_reasons()}"
            )
    return IngestFacts(
        rows=train.rows,
        test_rows=test.rows,
        classes=classes,
        quarantined=train.quarantined,
        quarantined_test=test.quarantined,
        reasons=dict((train.reasons + test.reasons).most_common()),
        without_query=len(train.waiting),
        unlisted_rows=sum(unlisted.values()),
        files=[*train.files, *test.files, *([listed.file] if listed else [])],
        warnings=[*warnings, *train.warnings, *test.warnings],
    )


class _Counter:
    """Rows read so far, told to whoever wants to know."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._rows = 0

    def add(self, rows: int) -> None:
        self._rows += rows
        if self._progress:
            self._progress(self._rows)


def _read_role(
    tally: _Tally,
    files: list[InputFile],
    questions: _ParquetSink,
    *,
    source: Source,
    seed: int,
    listed: QuestionList | None,
    quarantine: _ParquetSink,
    report: _Counter,
) -> None:
    """Read all files of one role into `questions` and `quarantine`, counting in `tally`."""
    known_classes: set[str] = set()
    empty = []
    for file in files:
        for opened in open_sources(file, source, seed):
            before = tally.rows, tally.reasons.copy()
            tally.samples = []
            for pairs in join_ids(opened.pairs, listed, opened.notes):
                _take(tally, opened.name, pairs, known_classes, questions, quarantine)
                report.add(len(pairs.lines) + len(pairs.bad))
            rows, reasons = tally.rows - before[0], tally.reasons - before[1]
            if rows + reasons.total() + len(tally.waiting) == 0:
                empty.append(f"{opened.name} {'has a header and no rows' if opened.layout else 'is empty'}")
            tally.files.append(describe_source(opened, tally.role, rows, reasons, tally.samples))
            tally.warnings += [*opened.warnings, *_describe_rivals(opened)]
    _settle_waiting(tally, quarantine)
    if tally.rows + tally.quarantined == 0:
        raise SourceError(f"{'; '.join(empty)}. Export it again: a header line, then a row for every query")
    tally.warnings += [f"{reason}; it was skipped" for reason in empty]
    if tally.rows == 0:
        raise CorpusRejected(
            f"none of the {tally.quarantined} {tally.role} rows is usable. {tally.describe_reasons()}. "
            "Every row stands with its line and reason in quarantine.parquet"
        )


def _take(
    tally: _Tally,
    name: str,
    pairs: Pairs,
    known_classes: set[str],
    questions: _ParquetSink,
    quarantine: _ParquetSink,
) -> None:
    sifted = sift(pairs, known_classes)
    rows = len(sifted.lines)
    if rows:
        source = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([name]))
        row_ids = range(tally.rows, tally.rows + rows)
        questions.add((row_ids, sifted.queries, sifted.normalised, sifted.classes, source, sifted.lines))
        tally.rows += rows
        tally.class_rows.update(sifted.classes)
        more = slice(_EXAMPLES - len(tally.samples))
        tally.samples += zip(sifted.queries[more], sifted.classes[more], strict=True)
    if pairs.payload:
        _keep_payload(tally.payload, pairs)
    bad = [row for row in sifted.bad if not _may_wait(tally, name, row)]
    _set_aside(tally, [(name, row) for row in bad], quarantine)


def _set_aside(tally: _Tally, bad: list[tuple[str, BadRow]], quarantine: _ParquetSink) -> None:
    for name, row in bad:
        tally.set_aside(name, row)
    if bad:
        rows = ((name, r.line, tally.role, r.reason, r.query, r.question) for name, r in bad)
        quarantine.add(zip(*rows, strict=True))


def _may_wait(tally: _Tally, name: str, row: BadRow) -> bool:
    """Whether a row without a query may be a standard question that is retrievable by its text alone."""
    text = row.question or ""
    if tally.role != "train" or row.reason != EMPTY_QUERY or not is_usable_class(text) or text in tally.class_rows:
        return False
    return tally.waiting.setdefault(text, (name, row))[1] is row


def _settle_waiting(tally: _Tally, quarantine: _ParquetSink) -> None:
    """Set rows without a query aside whose standard question has rows, or all of them if nothing has."""
    late = {text: row for text, row in tally.waiting.items() if text in tally.class_rows or not tally.rows}
    _set_aside(tally, list(late.values()), quarantine)
    tally.waiting = {text: row for text, row in tally.waiting.items() if text not in late}


def _keep_payload(kept: dict[str, dict[str, str]], pairs: Pairs) -> None:
    """Keep the first cell that is not blank, per standard question and column."""
    for name, cells in pairs.payload.items():
        for question, cell in zip(pairs.questions, cells, strict=True):
            if cell and (value := cell.strip()):
                kept.setdefault(question.strip(), {}).setdefault(name, value)


def _write_payload(file: Path, payload: Mapping[str, Mapping[str, str]], classes: Iterable[str]) -> None:
    """Write what goes with the standard questions; no file if nothing does."""
    texts = sorted(text for text in classes if text in payload)
    rows = [(text, json.dumps(_readable(payload[text]), ensure_ascii=False)) for text in texts]
    if rows:
        with _ParquetSink(file, PAYLOAD) as sink:
            for start in range(0, len(rows), BATCH_ROWS):
                sink.add(zip(*rows[start : start + BATCH_ROWS], strict=True))


def _readable(cells: Mapping[str, str]) -> dict[str, str]:
    """Return the cells that UTF-8 can hold: marks of undecodable bytes are lone surrogates."""
    return {name: cell for name, cell in cells.items() if not SURROGATE.search(cell)}


def _describe_rivals(opened: OpenedSource) -> list[str]:
    layout = opened.layout
    if not layout or not layout.columns.passed_over:
        return []
    read = [*layout.columns.queries, layout.columns.question]
    return [
        f"{opened.name}: read the columns {' and '.join(repr(layout.names[at]) for at in read)}, though "
        f"{', '.join(repr(layout.names[at]) for at in layout.columns.passed_over)} could be meant too; "
        "name them with --query-column and --question-column"
    ]


def _write_standard_questions(file: Path, class_rows: Mapping[str, int], ids: Mapping[str, str]) -> int:
    """Write all standard questions, those of the owner's list and those of the rows; return how many."""
    texts = sorted({*class_rows, *ids})
    with _ParquetSink(file, STANDARD_QUESTIONS) as sink:
        for start in range(0, len(texts), BATCH_ROWS):
            part = texts[start : start + BATCH_ROWS]
            norms = [normalise(text) for text in part]
            sink.add(([ids.get(text, text) for text in part], part, norms, [class_rows.get(text, 0) for text in part]))
    return len(texts)


def _read_list(source: Source, base: Path) -> QuestionList | None:
    if not source.questions_path:
        return None
    return read_question_list(find_question_list(source.questions_path, base), source)


def _refuse_clash(unlisted: Iterable[str], ids: Mapping[str, str], name: str) -> None:
    """Refuse an unlisted text that is spelled like a listed id: as its own id it would make two classes one."""
    texts = {identity: text for text, identity in ids.items()}
    clash = next((text for text in sorted(unlisted) if text in texts), None)
    if clash is not None:
        raise SourceError(
            f"{clash!r} is the id of {texts[clash]!r} in {name}, and a standard question of the training rows that the "
            "list does not have. Add it to the list, or name the column of the texts with --question-column"
        )


def _describe_unlisted(unlisted: Mapping[str, int], name: str) -> str:
    examples = ", ".join(repr(shorten(text)) for text in sorted(unlisted, key=lambda text: (-unlisted[text], text))[:3])
    return (
        f"{name} lacks {len(unlisted)} standard questions of {sum(unlisted.values())} training rows ({examples}); "
        "their text serves as their id. Add them to the list, or correct the rows"
    )


def _describe_null_words(class_rows: Mapping[str, int]) -> list[str]:
    return [
        f"the standard question {text!r} has {class_rows[text]} rows: is it how a program wrote empty cells? "
        "Then export them as empty ones"
        for text in class_rows
        if text.lower() in _NULL_WORDS
    ]


def _describe_without_query(waiting: Iterable[str]) -> list[str]:
    texts = list(waiting)
    if not texts:
        return []
    examples = ", ".join(repr(shorten(text)) for text in texts[:_EXAMPLES])
    return [
        f"{len(texts)} standard questions have no similar question ({examples}); they are retrievable by their text, "
        "and no query of theirs can be tested"
    ]
