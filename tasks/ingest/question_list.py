"""The owner's list of standard questions: stable ids, and standard questions without rows."""

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from schemas.errors import SourceError
from schemas.ingest import SourceFile
from schemas.settings import Source
from tasks.ingest.addresses import find_files
from tasks.ingest.column_names import CLEARLY_STANDARD, key_of
from tasks.ingest.columns import find_all_payload, find_list_columns, quoted
from tasks.ingest.decoding import find_encoding, open_text
from tasks.ingest.documents import find_document_format, read_document
from tasks.ingest.furniture import FURNITURE
from tasks.ingest.input_file import InputFile, reading
from tasks.ingest.melting import shorten
from tasks.ingest.payload import Cells, keep_payload
from tasks.ingest.quarantine import UNLISTED_ID, is_usable_class
from tasks.ingest.sources import OpenedSource, describe_source, open_columns
from tasks.ingest.tables import BadRow, Pairs, as_text
from tasks.ingest.values import Item

_EXAMPLES = 3

_Place = tuple[str, int]  # one of several tables, else nothing, and a line


@dataclass(frozen=True)
class QuestionList:
    """Ids by trimmed text, what else is said of them, and how the file was read."""

    name: str  # of the file
    ids: dict[str, str]
    payload: Cells
    files: list[SourceFile]  # one for each of its tables
    warnings: list[str]


@dataclass
class _Entries:
    """What the tables of a list say, together."""

    ids: dict[str, str] = field(default_factory=dict)
    payload: Cells = field(default_factory=dict)
    by_id: defaultdict[str, list[_Place]] = field(default_factory=lambda: defaultdict(list))
    by_text: defaultdict[str, list[_Place]] = field(default_factory=lambda: defaultdict(list))
    unusable: list[_Place] = field(default_factory=list)

    def read(self, opened: OpenedSource, table: str, *, with_ids: bool) -> tuple[SourceFile, list[BadRow]]:
        """Take the rows of one table in; return how it was read, and the rows that are no data."""
        samples: list[tuple[str, str]] = []
        aside: list[BadRow] = []
        unusable: list[int] = []
        rows = 0
        for pairs in opened.pairs:
            keep_payload(self.payload, pairs)
            aside += [row for row in pairs.bad if row.reason in FURNITURE]
            unusable += [row.line for row in pairs.bad if row.reason not in FURNITURE]
            for line, identity, text in zip(pairs.lines, pairs.queries, pairs.questions, strict=True):
                text = text.strip()
                identity = identity.strip() if with_ids else text
                if not (is_usable_class(identity) and is_usable_class(text)):
                    unusable.append(line)
                    continue
                self.by_id[identity].append((table, line))
                self.by_text[text].append((table, line))
                self.ids[text] = identity
                rows += 1
                samples += [(identity, text)] if len(samples) < _EXAMPLES else []
        self.unusable += [(table, line) for line in sorted(unusable)]
        reasons = Counter(row.reason for row in aside)
        return describe_source(opened, "questions", rows, reasons, samples), aside


def find_question_list(address: str, base: Path) -> InputFile:
    """Return the file of the list.

    Raises:
        SourceError: there is none, or more than one.
    """
    files = find_files(address, base, "source.questions_path")
    if len(files) > 1 or files[0].bundled:
        raise SourceError(f"source.questions_path is one file, but {address} means {len(files)} or a bundled corpus")
    return files[0]


def read_question_list(file: InputFile, source: Source) -> QuestionList:
    """Read the list. Without a column of ids, the text is its id.

    Raises:
        SourceError: no table, no column of texts, or an empty, torn or repeated entry. A list that is wrong
            about one standard question would give a class the id of another, so no entry is set aside here.
    """
    entries, warnings = _Entries(), list[str]()
    files = []
    tables = _open_tables(file, source, warnings)
    for opened, with_ids in tables:
        sheet = opened.table.sheet if opened.table and len(tables) > 1 else None
        described, aside = entries.read(opened, sheet or "", with_ids=with_ids)
        files.append(described)
        warnings += [*opened.warnings, *_describe_aside(opened.name, aside)]
    if not entries.ids and not entries.unusable:
        raise SourceError(f"{file.name} lists no standard question; fill it in or drop source.questions_path")
    if entries.unusable:
        raise SourceError(
            f"{file.name}: {len(entries.unusable)} standard questions have no id, no text, or a text that is torn "
            f"({_first(entries.unusable)}). Correct them"
        )
    _refuse_repeated(file.name, "text", entries.by_text)
    _refuse_repeated(file.name, "id", entries.by_id)
    return QuestionList(file.name, entries.ids, entries.payload, files, warnings)


def _open_tables(file: InputFile, source: Source, warnings: list[str]) -> list[tuple[OpenedSource, bool]]:
    """Return the tables of a list, and whether each has ids: all whose texts have one name, or a name that is sure.

    The name of a channel or of a product is called like a text as well, so that other tables are told, not read.
    """
    find = partial(find_list_columns, question_column=source.question_column, name=file.name)
    # The delimiter in the settings is that of the rows; the list may come from elsewhere.
    elsewhere = source.model_copy(update={"delimiter": None, "sheet": None})
    try:
        opened = open_columns(file, elsewhere, find, find_all_payload)
    except SourceError:
        if source.question_column or not (named := _read_names(file, source)):
            raise
        pairs = Pairs(range(1, len(named) + 1), [identity for identity, _ in named], [text for _, text in named], [])
        return [(OpenedSource(file.name, "imported", iter([pairs]), kind="names by number"), True)]
    names = [one.layout.name(one.layout.columns.question) if one.layout else "" for one in opened]
    read = [
        one
        for one, key in zip(opened, map(key_of, names), strict=True)
        if key == key_of(names[0]) or key in CLEARLY_STANDARD
    ]
    if left := [str(one.table.sheet) for one in opened if one not in read and one.table]:
        warnings.append(
            f"{file.name}: {quoted(left)} was not read: its texts have another name than in {opened[0].name}. If it "
            f"lists standard questions, call the column {names[0]!r} there as well"
        )
    return [(one, one.layout is not None and bool(one.layout.columns.queries)) for one in read]


def _describe_aside(name: str, aside: list[BadRow]) -> list[str]:
    """Return a warning of the rows that are no data."""
    if not aside:
        return []
    examples = "; ".join(
        f"line {row.line} {shorten(' | '.join(cell.strip() for cell in (row.query, row.question) if cell))!r}, "
        f"a {row.reason}"
        for row in sorted(aside, key=lambda row: row.line)[:_EXAMPLES]
    )
    return [f"{name}: {len(aside)} rows of the list are no standard questions and were set aside: {examples}"]


def _read_names(file: InputFile, source: Source) -> list[tuple[str, str]]:
    """Return the ids and texts of a list without a header, or of a document that has texts by number; else nothing.

    A line or an element that is one text has no id: the text stands for it.
    """
    encoding = find_encoding(file, source.encoding)
    if find_document_format(file, encoding):
        items = [item for item in read_document(file, source) if isinstance(item, Item)]
        flat = [item for item in items if item.path[:1] == ("id2label",)] or items
        if all(item.listed and isinstance(item.value, str) for item in flat):
            return [(item.value, item.value) for item in flat]
        if len(flat) == 1 and isinstance(flat[0].value, dict):  # in one line
            flat = [Item(flat[0].line, (key,), False, value) for key, value in flat[0].value.items()]
        rows = [[item.path[-1], as_text(item.value)] if item.path and not item.listed else [] for item in flat]
    else:
        with reading(file), open_text(file, encoding) as text:
            lines = [line.strip(" \ufeff\r\n") for line in text]
        rows = [re.split(r"[\t,]", line, maxsplit=1) for line in lines if line]
    widths = {len(row) for row in rows}
    for at in (0, 1):
        if widths == {2} and all(row[at].strip().isdecimal() for row in rows):
            return [(row[at].strip(), row[1 - at].strip()) for row in rows]
    return [(row[0], row[0]) for row in rows] if widths == {1} and len({row[0] for row in rows}) > 1 else []


def join_ids(pairs: Iterator[Pairs], listed: QuestionList | None, notes: list[str]) -> Iterator[Pairs]:
    """Yield rows with the texts of their standard questions, where they name them by ids of the list.

    Ids are distinguished from texts by the first batch: at least half of its names are ids, and more than are texts.

    Args:
        pairs: rows of one table.
        listed: the owner's list, if there is one.
        notes: gets a sentence if the rows were joined.
    """
    texts = {identity: text for text, identity in listed.ids.items()} if listed else {}
    first = next(pairs, None)
    if first is None:
        return
    named = {*map(_bare, first.questions)} - {""}
    if listed and all(text == identity for text, identity in listed.ids.items()) and (places := _places(named, listed)):
        texts = places
        notes.append(
            f"the standard questions are numbers, taken for places in {listed.name}, from {min(places, key=int)}"
        )
    ids = sum(one in texts for one in named)
    joins = 2 * ids >= len(named) > 0 and ids > sum(one in listed.ids for one in named) if listed else False
    if joins and listed:
        notes.append(f"the standard questions are ids of {listed.name}; their texts were taken from there")
    for batch in itertools.chain([first], pairs):
        yield _join(batch, texts, listed.ids) if joins and listed else batch


def _bare(label: str) -> str:
    """Return a label without blanks around it, and 3 for 3.0."""
    label = label.strip()
    return label[:-2] if label.endswith(".0") and label[:-2].isdecimal() else label


def _places(named: set[str], listed: QuestionList) -> dict[str, str]:
    """Return the texts of a list by their places, from 0 or 1, if all labels are such; else nothing."""
    if not all(one.isdecimal() and one not in listed.ids for one in named):
        return {}
    first = int("0" not in named and str(len(listed.ids)) in named)
    places = {str(at): text for at, text in enumerate(listed.ids, first)}
    return places if named <= places.keys() else {}


def _join(batch: Pairs, texts: Mapping[str, str], known: Mapping[str, str]) -> Pairs:
    named = [_bare(one) for one in batch.questions]
    unlisted = [at for at, one in enumerate(named) if one and one not in texts and one not in known]
    questions = [texts.get(one, one) for one in named]
    if not unlisted:
        return replace(batch, questions=questions)
    bad = [BadRow(batch.lines[at], UNLISTED_ID, batch.queries[at], named[at]) for at in unlisted]
    skipped = {*unlisted}
    keep = [at for at in range(len(named)) if at not in skipped]
    return Pairs(
        [batch.lines[at] for at in keep],
        [batch.queries[at] for at in keep],
        [questions[at] for at in keep],
        [*batch.bad, *bad],
        {name: [cells[at] for at in keep] for name, cells in batch.payload.items()},
    )


def _refuse_repeated(name: str, what: str, places: Mapping[str, list[_Place]]) -> None:
    repeated = {value: at for value, at in places.items() if len(at) > 1}
    if repeated:
        examples = "; ".join(f"{value[:40]!r} in {_first(at)}" for value, at in list(repeated.items())[:_EXAMPLES])
        raise SourceError(
            f"{name}: {len(repeated)} {what}s are listed more than once ({examples}). "
            f"Give every standard question one line and one {what} of its own"
        )


def _first(places: list[_Place]) -> str:
    """Return the first places for a message."""
    tables = itertools.groupby(places[:5], key=lambda place: place[0])
    shown = [
        f"lines {', '.join(str(line) for _, line in lines)}" + (f" of {table!r}" if table else "")
        for table, lines in tables
    ]
    return ", ".join(shown) + (", …" if len(places) > 5 else "")
