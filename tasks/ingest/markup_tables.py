"""Tables in markup: web pages, which many systems save as .xls, and the XML workbooks of Excel 2003.

A page is read in blocks, and what it says of its cells is all that is kept: a merged cell has its value in every row.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from html.parser import HTMLParser

from schemas.errors import SourceError
from tasks.ingest.decoding import find_encoding, open_text
from tasks.ingest.input_file import InputFile, reading
from tasks.ingest.tables import Batch, HeadRow, Selection, Table, cut, in_batches, select

_BLOCK = 1 << 16
_HEAD_ROWS = 50  # among which the header is looked for
_MOST_TABLES = 200
_LONGEST_TAG = 1 << 22  # characters
_LONGEST_CELL = 1 << 20
_MOST_COLUMNS = 16_384
_BREAKS = frozenset(("br", "p", "div", "li"))
_SPACES = re.compile(r"[ \t\r\n\f]+")
_XML_SPACES = re.compile(r"[ \t\r]+")  # where a line end is one

Row = tuple[int, int, list[str]]  # number of its table, line, cells


def open_markup_tables(file: InputFile, given: str | None) -> list[Table]:
    """Return the tables of a web page or of an XML workbook that hold anything.

    Args:
        file: the page.
        given: its encoding, if the settings name one.

    Raises:
        SourceError: it holds no table.
    """
    encoding = find_encoding(file, given)
    heads: dict[int, list[HeadRow]] = {}
    for number, line, cells in _rows(file, encoding):
        head = heads.setdefault(number, [])
        if len(head) < _HEAD_ROWS and any(cells):
            head.append(HeadRow(line, line, cells))
    filled = {number: head for number, head in heads.items() if head}
    if not filled:
        raise SourceError(
            f"{file.name} looks like a web page or XML, and holds no table. "
            "A login or error page saved in place of the file looks like this"
        )
    several = len(filled) > 1
    return [
        Table(
            f"{file.name}[table {number}]" if several else file.name,
            "html",
            head,
            partial(_read, file, encoding, number),
            encoding=encoding,
            sheet=f"table {number}" if several else None,
        )
        for number, head in filled.items()
    ]


def _read(file: InputFile, encoding: str, number: int, wanted: Selection) -> Iterator[Batch]:
    rows = ((line, cells) for table, line, cells in _rows(file, encoding) if table == number)
    below = ((line, cells) for line, cells in rows if line > wanted.after and any(cells))
    for chunk in in_batches(below, lambda row: sum(map(len, row[1]))):
        cells = [row + [""] * (wanted.width - len(row)) for _, row in chunk]
        if not wanted.ragged:
            cells = [row[: wanted.width] for row in cells]
        yield select(cells, [line for line, _ in chunk], wanted)


def _rows(file: InputFile, encoding: str) -> Iterator[Row]:
    parser = _Parser(file.name)
    with reading(file), open_text(file, encoding, longest_line=None) as text:
        while block := text.read(_BLOCK):
            parser.feed(block)
            if len(parser.rawdata) > _LONGEST_TAG:
                raise SourceError(
                    f"{file.name} holds a tag of more than {_LONGEST_TAG:,} characters: no table of texts"
                )
            yield from parser.take()
        parser.close()
        yield from parser.take()


@dataclass
class _Open:
    """A table that has not ended."""

    number: int
    row: list[str] | None = None
    cell: list[str] | None = None
    characters: int = 0  # of the cell
    across: int = 1  # columns of the cell
    down: int = 1  # rows of the cell
    spans: dict[int, tuple[int, str]] = field(default_factory=dict)  # by column: rows below, value


class _Parser(HTMLParser):
    """Collects the rows of all tables. The number of a row in its table stands for its line."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name, self._open, self._tables = name, list[_Open](), 0
        self._done, self._lines = list[Row](), dict[int, int]()
        self._spaces = _SPACES

    def take(self) -> list[Row]:
        """Return the rows that have ended since the last call."""
        done, self._done = self._done, []
        return done

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        tag = tag.rpartition(":")[2]
        if tag == "workbook":
            self._spaces = _XML_SPACES
        elif tag == "table":
            self._tables += 1
            if self._tables > _MOST_TABLES:
                raise SourceError(f"{self._name} holds more than {_MOST_TABLES} tables; save the one to read by itself")
            self._open.append(_Open(self._tables))
        elif not self._open:
            return
        elif tag in ("tr", "row"):
            self._end_row()
            self._open[-1].row = []
        elif tag in ("td", "th", "cell"):
            self._start_cell({name.rpartition(":")[2]: value or "" for name, value in attrs})
        elif tag in _BREAKS and self._open[-1].cell:
            self._open[-1].cell.append("\x1f")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        tag = tag.rpartition(":")[2]
        if not self._open:
            return
        if tag in ("td", "th", "cell"):
            self._end_cell()
        elif tag in ("tr", "row"):
            self._end_row()
        elif tag == "table":
            self._end_row()
            self._open.pop()

    def handle_data(self, data: str) -> None:
        table = self._open[-1] if self._open else None
        if table and table.cell is not None and table.characters < _LONGEST_CELL:
            table.cell.append(data)
            table.characters += len(data)

    def close(self) -> None:
        super().close()
        while self._open:
            self._end_row()
            self._open.pop()

    def _start_cell(self, attributes: dict[str, str]) -> None:
        self._end_cell()
        table = self._open[-1]
        table.row = [] if table.row is None else table.row
        table.across = _number(attributes, "colspan", 1) + _number(attributes, "mergeacross", 0)
        table.down = _number(attributes, "rowspan", 1) + _number(attributes, "mergedown", 0)
        self._carry_down(table, _number(attributes, "index", 0) - 1)
        table.cell, table.characters = [], 0

    def _end_cell(self) -> None:
        table = self._open[-1]
        if table.cell is None or table.row is None:
            return
        text = self._spaces.sub(" ", "".join(table.cell)).replace("\xa0", " ")
        text = cut("\n".join(part.strip() for part in text.split("\x1f")).strip())
        if table.down > 1:
            table.spans[len(table.row)] = (table.down - 1, text)
        table.row += [text] + [""] * (table.across - 1)
        table.cell = None

    def _end_row(self) -> None:
        self._end_cell()
        table = self._open[-1]
        if table.row is None:
            return
        self._carry_down(table, max(table.spans, default=-1) + 1)
        line = self._lines[table.number] = self._lines.get(table.number, 0) + 1
        self._done.append((table.number, line, table.row))
        table.row = None

    @staticmethod
    def _carry_down(table: _Open, until: int) -> None:
        """Put the values of merged cells of rows above where they reach into this one, and blanks up to `until`."""
        row = table.row if table.row is not None else []
        while len(row) in table.spans or len(row) < min(until, _MOST_COLUMNS):
            column = len(row)
            left, value = table.spans.pop(column, (0, ""))
            row.append(value)
            if left > 1:
                table.spans[column] = (left - 1, value)


def _number(attributes: dict[str, str], name: str, default: int) -> int:
    value = attributes.get(name, "").strip()
    return min(int(value), _MOST_COLUMNS) if value.isascii() and value.isdecimal() else default
