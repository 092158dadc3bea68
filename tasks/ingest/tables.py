"""What every format opens as: a table of text cells, its first rows known, the others in bounded memory. Pure."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import compress
from operator import itemgetter
from typing import Literal, TypeVar

Format = Literal["csv", "jsonl", "json", "yaml", "parquet", "excel", "html", "bundled", "imported"]

BATCH_ROWS = 1 << 16
BATCH_CHARACTERS = 1 << 23
MAX_CELL_CHARACTERS = 100_000
KEPT_CHARACTERS = 1_000  # of an unusable cell: enough to recognise it

_Row = TypeVar("_Row")

SIGN = "\x1e"  # between cells that are searched at once

# Stand in a cell for what has no text. No codec yields these lone surrogates, so they cannot be text.
UNDECODABLE = "\udc80"  # bytes that decode to nothing
ERROR_CELL = "\udc81"  # before the error that a spreadsheet shows, such as #N/A
NO_VALUE = "\udc82"  # a formula that nobody has computed
ENDLESS = "\udc83"  # before the beginning of a text that is too long

TORN = "torn row"
UNDECODABLE_BYTES = "undecodable bytes"
TOO_LONG = "cell too long"


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used. The texts are as far as they could be read."""

    line: int
    reason: str
    query: str | None
    question: str | None


@dataclass(frozen=True)
class HeadRow:
    """One of the first rows of a table: the header, or something above or below it."""

    line: int  # it begins at, from 1; 0: names that stand in no line (Parquet, JSON)
    end: int  # its last line
    cells: list[str]


@dataclass(frozen=True)
class Selection:
    """Which cells of a table are wanted."""

    after: int  # last line above the rows
    width: int  # cells of a whole row
    positions: list[int]  # of the wanted columns
    shown: tuple[int | None, int | None] = (None, None)  # columns of query and standard question, for torn rows
    ragged: bool = False  # a row may have cells beyond the header
    fewest: int | None = None  # cells of a row that lacks blank ones at its end; None: all have to be there


@dataclass(frozen=True)
class Batch:
    """Rows of a table, column by column."""

    lines: Sequence[int]
    columns: list[list[str]]  # one per wanted position
    bad: list[BadRow]
    tails: list[list[str]] | None = None  # of a ragged table: the cells beyond the header, row by row


@dataclass(frozen=True)
class Pairs:
    """Rows as queries and standard questions (of a list of standard questions: ids and texts)."""

    lines: Sequence[int]
    queries: list[str]
    questions: list[str]
    bad: list[BadRow]
    payload: dict[str, list[str]] = field(default_factory=dict)  # cells of the columns that are kept, by name

    @cached_property
    def all_queries(self) -> str:
        """All queries, with a sign between them that no text has: what none has is found in one search."""
        return SIGN.join(self.queries)

    @cached_property
    def all_questions(self) -> str:
        """All standard questions, likewise."""
        return SIGN.join(self.questions)


@dataclass(frozen=True)
class Table:
    """One table of a file, opened."""

    name: str  # of the file; of a workbook with several tables also the sheet
    format: Format
    head: list[HeadRow]  # the first rows that are not blank; empty: nothing is in it
    read: Callable[[Selection], Iterator[Batch]]
    named: bool = False  # the first row of `head` holds the names of the columns, for certain
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    hidden: bool = False  # a sheet that people do not see
    notes: list[str] = field(default_factory=list)  # what a person should know; complete once all was read


def cut(text: str) -> str:
    """Return the text; of one that is too long for a cell only its beginning, marked."""
    return text if len(text) <= MAX_CELL_CHARACTERS else ENDLESS + text[:KEPT_CHARACTERS]


def unquote_formula(cell: str) -> str:
    """Return what Excel shows of ="007", which is how a CSV keeps it from making a number of it."""
    return cell[2:-1].replace('""', '"') if cell[:2] == '="' and cell[-1] == '"' and len(cell) > 2 else cell


def in_batches(rows: Iterable[_Row], measure: Callable[[_Row], int]) -> Iterator[list[_Row]]:
    """Yield rows in lists of a bounded number of rows and characters, as `measure` counts them."""
    batch, characters = list[_Row](), 0
    for row in rows:
        batch.append(row)
        characters += measure(row)
        if len(batch) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def torn_reason(cells: Sequence[str]) -> str:
    """Return why a row of the wrong shape is unusable: a broken byte or an endless cell may have made it so."""
    if any(UNDECODABLE in cell for cell in cells):
        return UNDECODABLE_BYTES
    return TOO_LONG if any(len(cell) > MAX_CELL_CHARACTERS for cell in cells) else TORN


def select(rows: list[list[str]], lines: Sequence[int], wanted: Selection) -> Batch:
    """Return the wanted cells of rows; those of the wrong width are set aside as torn, and those without text left out.

    Spreadsheets write a line of delimiters for an empty row that has a format.
    """
    bad: list[BadRow] = []
    tails = None
    filled = [any(map(str.strip, row)) for row in rows]
    if not all(filled):
        rows, lines = list(compress(rows, filled)), list(compress(lines, filled))
    if set(map(len, rows)) != {wanted.width}:
        rows, lines, bad = _set_torn_aside(rows, lines, wanted)
        tails = [row[wanted.width :] for row in rows] if wanted.ragged else None
    return Batch(lines, [list(map(itemgetter(position), rows)) for position in wanted.positions], bad, tails)


def _set_torn_aside(
    rows: list[list[str]], lines: Sequence[int], wanted: Selection
) -> tuple[list[list[str]], Sequence[int], list[BadRow]]:
    good, good_lines, bad = [], [], []
    width = wanted.width
    for row, line in zip(rows, lines, strict=True):
        # Spreadsheets leave commas at the end.
        if len(row) == width or (len(row) > width and (wanted.ragged or not any(row[width:]))):
            good.append(row)
            good_lines.append(line)
        elif 1 < len(row) < width and (
            len(row) >= wanted.fewest
            if wanted.fewest
            else wanted.ragged and len(row) > max(wanted.positions, default=0)
        ):
            good.append(row + [""] * (width - len(row)))
            good_lines.append(line)
        else:
            query, question = (_cell(row, position) for position in wanted.shown)
            bad.append(BadRow(line, torn_reason(row), query, question))
    return good, good_lines, bad


def _cell(row: list[str], position: int | None) -> str | None:
    return row[position] if position is not None and position < len(row) else None


def as_text(value: object) -> str:
    """Return what a person sees in a cell: 7 for 7.0, nothing for an empty one or NaN."""
    if value is None or value != value:  # NaN is how pandas writes an empty cell
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.decode("utf-8", "replace") + UNDECODABLE
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (dict, list)) else str(value)
