"""The whole step: sources in, questions.parquet and its neighbours out, one batch in memory at a time.

Equal sources, settings and seed give equal bytes.
"""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.corrections import Correction
from schemas.errors import CorpusRejected, SourceError
from schemas.ingest import IngestFacts, SourceFile
from schemas.outputs import IngestOutput
from schemas.settings import Source
from schemas.suggestions import did_you_mean, nearest
from schemas.tables import QUARANTINE, QUESTIONS, STANDARD_QUESTIONS
from tasks.ingest.addresses import find_files, find_training_files, fingerprint
from tasks.ingest.columns import quoted
from tasks.ingest.corrections import DRAFTED, Overlay
from tasks.ingest.groups import write_groups
from tasks.ingest.input_file import InputFile
from tasks.ingest.labels import describe_joined
from tasks.ingest.melting import shorten
from tasks.ingest.oddities import NULL_WORDS, ODDITIES
from tasks.ingest.payload import Cells, find_doubts, keep_payload, write_payload
from tasks.ingest.quarantine import EMPTY_QUERY, REMEDIES, Separated, is_usable_class, separate
from tasks.ingest.question_list import QuestionList, find_question_list, join_ids, read_question_list
from tasks.ingest.sources import OpenedSource, describe_source, open_sources
from tasks.ingest.tables import BATCH_ROWS, SIGN, BadRow, Pairs
from tasks.retrieval.normalise import normalise

__all__ = ["fingerprint", "ingest_corpus"]

Role = Literal["train", "test"]
Progress = Callable[[int], None]

_EXAMPLES = 3
_NUMBER, _FEWEST_NUMBERS = re.compile(r"[+-]?\d+(?:\.\d+)?"), 2
_CODE = re.compile(  # of a row elsewhere, as Airtable, MongoDB and others have it
    rf"{_NUMBER.pattern}|rec[0-9A-Za-z]{{14}}|(?=.*\d)[0-9a-f]{{24,64}}|[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}"
)
_NO_LINE = 0  # of a standard question that a file names without a row
_SAMPLED = 100  # standard questions, of which one is a code where half of them are


@dataclass
class _Tally:
    """What has been counted of one role so far."""

    role: Role
    most: int  # characters of a text
    class_rows: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    files: list[SourceFile] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    payload: Cells = field(default_factory=dict)
    waiting: dict[str, tuple[str, BadRow]] = field(
        default_factory=dict
    )  # rows without a query, of classes without rows
    samples: list[tuple[str, str]] = field(default_factory=list)  # of the file that is read now
    columns: dict[str, None] = field(default_factory=dict)  # names in all tables, in their order
    rows: int = 0

    @property
    def quarantined(self) -> int:
        return self.reasons.total()

    def set_aside(self, name: str, row: BadRow) -> None:
        self.reasons[row.reason] += 1
        examples = self.examples.setdefault(row.reason, [])
        if len(examples) < _EXAMPLES:
            text = " | ".join(cell.strip() for cell in (row.query, row.question) if cell and cell.strip())
            where = name if row.line == _NO_LINE else f"{name} line {row.line}"
            examples.append(where + (f" {shorten(text)!r}" if text else ""))

    def describe_reasons(self) -> str:
        """Return each reason with its count, examples and remedy, the most frequent first."""
        return "; ".join(
            f"{count} × {reason} ({', '.join(self.examples[reason])}): {REMEDIES[reason]}"
            for reason, count in self.reasons.most_common()
        )


class ParquetSink:
    """A Parquet file whose row groups have a good size, however small the batches are that come in."""

    def __init__(self, file: Path, schema: pa.Schema) -> None:
        """Open `file` for rows of a schema."""
        self._schema = schema
        self._writer = pq.ParquetWriter(file, schema, compression="zstd", version="2.6")
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0

    def add(self, columns: Iterable[Any]) -> None:
        """Add rows, column by column."""
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


def ingest_corpus(
    source: Source,
    folder: Path,
    base: Path,
    seed: int,
    progress: Progress | None = None,
    corrections: Sequence[Correction] = (),
) -> IngestFacts:
    """Read a source and write questions, test rows, standard questions and the quarantine into `folder`.

    Args:
        source: Where the rows are, and how to read them.
        folder: Exists already; gets questions.parquet, test.parquet (only with a test source),
            standard_questions.parquet and quarantine.parquet. On CorpusRejected the quarantine is complete.
        base: Folder that relative addresses count from.
        seed: Seed of a bundled corpus; nothing else is random here.
        progress: Called after every batch with the rows read so far.
        corrections: The owner's, which are laid over the rows.

    Raises:
        SourceError: a file is missing, or is no table, or lacks a column or rows.
        CorpusRejected: no training row, or no test row, is usable.
    """
    train_files, warnings = find_training_files(source, base)
    test_files = find_files(source.test_path, base, "source.test_path") if source.test_path else []
    listed = _read_list(source, base)
    train, test = (_Tally(role, source.max_cell_characters) for role in ("train", "test"))
    overlay = Overlay(corrections, "the corrections")
    with ParquetSink(IngestOutput(folder).quarantine, QUARANTINE) as quarantine:
        report = _Counter(progress)
        read = partial(
            _read_role,
            source=source,
            seed=seed,
            listed=listed,
            quarantine=quarantine,
            report=report,
            overlay=overlay,
        )
        with ParquetSink(IngestOutput(folder).questions, QUESTIONS) as questions:
            read(train, train_files, questions)
            for drafted in (False, True):
                _keep(train, overlay.name + drafted * DRAFTED, overlay.additions(drafted), questions)
        if test_files:
            with ParquetSink(IngestOutput(folder).test, QUESTIONS) as questions:
                read(test, test_files, questions)
    ids = _rename_listed(listed.ids, overlay) if listed else {}
    unlisted = {text: rows for text, rows in train.class_rows.items() if text not in ids} if listed else {}
    if unlisted:
        _refuse_clash(unlisted, ids, str(source.questions_path))
        warnings.append(_describe_unlisted(unlisted, str(source.questions_path)))
    class_rows = dict.fromkeys(map(overlay.rename, train.waiting), 0) | train.class_rows
    classes = _write_standard_questions(IngestOutput(folder).standard_questions, class_rows, ids)
    write_groups(IngestOutput(folder), overlay.groups({*class_rows, *ids}))
    payload = _merge(train.payload, _rename(listed.payload, overlay) if listed else {}, {*class_rows, *ids})
    write_payload(IngestOutput(folder).payload, payload, payload)
    joined = [] if source.multiple_labels == "keep" else describe_joined(train.class_rows)
    names = [*train.columns, *{name: None for row in (listed.payload if listed else {}).values() for name in row}]
    warnings += [
        *_describe_unmatched(source, names),
        *find_doubts(payload, source),
        *_describe_null_words(train.class_rows),
        *joined,
    ]
    warnings += [*_describe_odd(train.class_rows), *_describe_numbers(train.class_rows)]
    warnings += [*_describe_without_query(train.waiting), *overlay.warnings()]
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
        corrections=overlay.count(),
        without_query=len(train.waiting),
        unlisted_rows=sum(unlisted.values()),
        files=[*train.files, *test.files, *(listed.files if listed else [])],
        warnings=[*warnings, *train.warnings, *test.warnings, *(listed.warnings if listed else [])],
    )


class _Counter:
    """Rows read so far, for whoever shows the progress."""

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
    questions: ParquetSink,
    *,
    source: Source,
    seed: int,
    listed: QuestionList | None,
    quarantine: ParquetSink,
    report: _Counter,
    overlay: Overlay,
) -> None:
    """Read all files of one role into `questions` and `quarantine`, counting in `tally`."""
    known_classes: set[str] = set()
    empty = []
    for file in files:
        for opened in open_sources(file, source, seed):
            before = tally.rows, tally.reasons.copy()
            tally.samples = []
            for pairs in join_ids(opened.pairs, listed, opened.notes):
                _take(tally, opened.name, pairs, known_classes, questions, quarantine, overlay)
                report.add(len(pairs.lines) + len(pairs.bad))
            _take_unasked(tally, opened, listed)
            rows, reasons = tally.rows - before[0], tally.reasons - before[1]
            if rows + reasons.total() + len(tally.waiting) == 0:
                empty.append(f"{opened.name} {'has a header and no rows' if opened.layout else 'is empty'}")
            tally.columns |= dict.fromkeys(filter(None, opened.layout.names if opened.layout else ()))
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
    questions: ParquetSink,
    quarantine: ParquetSink,
    overlay: Overlay,
) -> None:
    train = tally.role == "train"
    separated = separate(pairs if train else overlay.rename_all(pairs), known_classes, tally.most)
    _keep(tally, name, overlay.apply(separated) if train else separated, questions)
    if pairs.payload:
        keep_payload(tally.payload, overlay.rename_all(pairs))
    bad = [row for row in separated.bad if not _may_wait(tally, name, row)]
    _set_aside(tally, [(name, row) for row in bad], quarantine)


def _keep(tally: _Tally, name: str, separated: Separated, questions: ParquetSink) -> None:
    """Write usable rows of a file, and count them."""
    rows = len(separated.lines)
    if rows:
        source = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([name]))
        row_ids = range(tally.rows, tally.rows + rows)
        questions.add((row_ids, separated.queries, separated.normalised, separated.classes, source, separated.lines))
        tally.rows += rows
        tally.class_rows.update(separated.classes)
        more = slice(_EXAMPLES - len(tally.samples))
        tally.samples += zip(separated.queries[more], separated.classes[more], strict=True)


def _set_aside(tally: _Tally, bad: list[tuple[str, BadRow]], quarantine: ParquetSink) -> None:
    for name, row in bad:
        tally.set_aside(name, row)
    if bad:
        rows = ((name, r.line, tally.role, r.reason, r.query, r.question) for name, r in bad)
        quarantine.add(zip(*rows, strict=True))


def _may_wait(tally: _Tally, name: str, row: BadRow) -> bool:
    """Whether a row without a query may be a standard question that is retrievable by its text alone."""
    text = row.question or ""
    if (
        tally.role != "train"
        or row.reason != EMPTY_QUERY
        or not is_usable_class(text, tally.most)
        or text in tally.class_rows
    ):
        return False
    return tally.waiting.setdefault(text, (name, row))[1] is row


def _take_unasked(tally: _Tally, opened: OpenedSource, listed: QuestionList | None) -> None:
    """Let the standard questions wait that a file names and that may have no row; ids of a list are none."""
    ids = {*listed.ids.values()} if listed else set()
    for text in map(str.strip, opened.unasked):
        if text not in ids:
            _may_wait(tally, opened.name, BadRow(_NO_LINE, EMPTY_QUERY, "", text))


def _settle_waiting(tally: _Tally, quarantine: ParquetSink) -> None:
    """Set rows without a query aside whose standard question has rows, or all of them if nothing has."""
    late = {text: row for text, row in tally.waiting.items() if text in tally.class_rows or not tally.rows}
    rows = [(name, row) for name, row in late.values() if row.line != _NO_LINE or not (tally.rows or tally.quarantined)]
    _set_aside(tally, rows, quarantine)
    tally.waiting = {text: row for text, row in tally.waiting.items() if text not in late}


def _rename(payload: Cells, overlay: Overlay) -> Cells:
    return {overlay.rename(text): cells for text, cells in payload.items()}


def _merge(of_rows: Cells, of_list: Cells, classes: Iterable[str]) -> Cells:
    """Return what is known of each standard question; the list knows better than the rows."""
    if not (of_rows or of_list):
        return {}
    merged = {text: of_rows.get(text, {}) | of_list.get(text, {}) for text in sorted(classes)}
    return {text: cells for text, cells in merged.items() if cells}


def _describe_rivals(opened: OpenedSource) -> list[str]:
    layout = opened.layout
    if not layout or not layout.columns.passed_over:
        return []
    read = [*layout.columns.queries, layout.columns.question]
    return [
        f"{opened.name}: read the columns {' and '.join(repr(layout.names[at]) for at in read)}, though "
        f"{', '.join(repr(layout.names[at]) for at in layout.columns.passed_over)} would do as well; "
        "name them with --query-column and --question-column"
    ]


def _describe_unmatched(source: Source, names: Sequence[str]) -> list[str]:
    """Return a warning of each name or pattern of columns to keep that no table has: a typo loses what they hold."""
    given = [source.payload_columns] if isinstance(source.payload_columns, str) else source.payload_columns
    return [
        f"no column of the rows is called {one!r}, so that nothing of it is kept (source.payload_columns)"
        f"{did_you_mean(one, nearest(one, names)) or '.'} Columns found: {quoted(names) or 'none'}. Correct it, "
        "or take it out"
        for one in given
        if not any(fnmatchcase(name, one) for name in names)
    ]


def _write_standard_questions(file: Path, class_rows: Mapping[str, int], ids: Mapping[str, str]) -> int:
    """Write all standard questions, those of the owner's list and those of the rows; return how many."""
    texts = sorted({*class_rows, *ids})
    with ParquetSink(file, STANDARD_QUESTIONS) as sink:
        for start in range(0, len(texts), BATCH_ROWS):
            part = texts[start : start + BATCH_ROWS]
            norms = [normalise(text) for text in part]
            sink.add(([ids.get(text, text) for text in part], part, norms, [class_rows.get(text, 0) for text in part]))
    return len(texts)


def _read_list(source: Source, base: Path) -> QuestionList | None:
    if not source.questions_path:
        return None
    return read_question_list(find_question_list(source.questions_path, base), source)


def _rename_listed(ids: Mapping[str, str], overlay: Overlay) -> dict[str, str]:
    """Return the listed texts with their ids as the corrections call them; of two that become one, its own id stays."""
    renamed = {overlay.rename(text): identity for text, identity in ids.items()}
    return renamed | {text: identity for text, identity in ids.items() if text in renamed}


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
        if text.lower() in NULL_WORDS
    ]


def _describe_odd(class_rows: Mapping[str, int]) -> list[str]:
    """Return what is odd about the texts of standard questions, one sentence for each oddity."""
    joined = SIGN.join(class_rows)
    odd = {one.said: [text for text in class_rows if one.is_in(text)] for one in ODDITIES if one.is_in(joined)}
    return [
        f"{len(texts)} of {len(class_rows)} standard questions {said.format(_shown(texts))}"
        for said, texts in odd.items()
        if texts
    ]


def _describe_numbers(class_rows: Mapping[str, int]) -> list[str]:
    """Return a warning of standard questions that are numbers or codes: queries are compared with their texts."""
    seen = any(map(_CODE.fullmatch, itertools.islice(class_rows, _SAMPLED)))
    numbers = [text for text in class_rows if _CODE.fullmatch(text)] if seen else []
    if len(numbers) < max(_FEWEST_NUMBERS, len(class_rows) / 2):
        return []
    what = "numbers" if all(map(_NUMBER.fullmatch, numbers)) else "codes"
    return [
        f"{len(numbers)} of {len(class_rows)} standard questions are {what} ({_shown(numbers)}), which say nothing of "
        "what they mean. If they are ids, give the list of their texts with --questions; if another column holds their "
        "texts, name it with --question-column"
    ]


def _shown(texts: Sequence[str]) -> str:
    return ", ".join(repr(shorten(text)) for text in texts[:_EXAMPLES])


def _describe_without_query(waiting: Iterable[str]) -> list[str]:
    texts = list(waiting)
    if not texts:
        return []
    examples = ", ".join(repr(shorten(text)) for text in texts[:_EXAMPLES])
    return [
        f"{len(texts)} standard questions have no similar question ({examples}); they are retrievable by their text, "
        "and no query of theirs can be tested"
    ]
