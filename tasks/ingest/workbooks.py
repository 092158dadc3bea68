"""Workbooks as tables, one a sheet: what a cell shows, not what it stores.

openpyxl reads .xlsx in bounded memory and knows number formats. python-calamine reads what it cannot: .xls, .xlsb,
.ods and Strict Open XML; it holds a sheet in memory and gives stored values only.
"""

import itertools
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any

from schemas.errors import SourceError
from tasks.ingest.archives import refuse_bombs
from tasks.ingest.input_file import InputFile, reading
from tasks.ingest.number_formats import find_unwritten, show_date, show_number, shows_date
from tasks.ingest.tables import ERROR_CELL, NO_VALUE, Batch, HeadRow, Selection, Table, as_text, cut, in_batches, select

_KIND = "Excel workbook"
_NAMES = {
    "xlsx": _KIND,
    "xls": "old Excel file (.xls), or one with a password",
    "xlsb": "binary Excel workbook (.xlsb)",
    "ods": "OpenDocument sheet (.ods)",
}
_HEAD_ROWS = 50  # among which the header is looked for
_BLOCK = 1 << 20  # bytes of a sheet surveyed at a time
_LONGEST_ROW = 1 << 25  # bytes
_LONGEST_TEXT = 1 << 19  # bytes between two tags of a sheet; Excel itself stops at 32,767 characters
_MERGED = re.compile(rb'<mergeCell ref="([A-Z]+)(\d+):([A-Z]+)(\d+)"')
_ROW = re.compile(rb'<row [^>]*?hidden="(?:1|true)"')
_UNCOMPUTED = re.compile(rb'<c r="[A-Z]+(\d+)"[^>]*><f[^>]*(?:/>|>[^<]*</f>)(?:<v\s*/>|<v></v>)?</c>')
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
_STRICT = b"purl.oclc.org/ooxml"

Rows = Iterator[tuple[int, list[str]]]


@dataclass
class _Survey:
    """What the XML of a sheet says beside its values."""

    merged: list[tuple[int, int, int]] = field(default_factory=list)  # column from 0, first row, last row
    uncomputed: set[int] = field(default_factory=set)  # rows with a formula that nobody computed
    hidden_rows: int = 0


def open_workbook_tables(file: InputFile, kind: str) -> list[Table]:
    """Return the sheets of a workbook that hold anything, in its order.

    Args:
        file: the workbook.
        kind: xlsx, xls, xlsb or ods.

    Raises:
        SourceError: it is torn, unpacks to more than it should, or has no sheet of cells.
    """
    with reading(file, _NAMES[kind]):
        sheets = _open_xlsx(file) if kind == "xlsx" and not _is_strict(file) else _open_calamine(file)
        if not sheets:
            raise SourceError(f"{file.name} is a workbook without sheets of cells")
        return [_as_table(file, *sheet) for sheet in sheets]


def _as_table(file: InputFile, title: str, hidden: bool, rows: Callable[[list[str]], Rows]) -> Table:
    first = itertools.islice(((line, row) for line, row in rows([]) if any(row)), _HEAD_ROWS)
    head = [HeadRow(line, line, [cell.strip() for cell in row]) for line, row in first]
    notes: list[str] = []
    return Table(
        f"{file.name}[{title}]",
        "excel",
        head,
        partial(_read, file, rows, notes),
        sheet=title,
        hidden=hidden,
        notes=notes,
    )


def _read(file: InputFile, rows: Callable[[list[str]], Rows], notes: list[str], wanted: Selection) -> Iterator[Batch]:
    with reading(file, _KIND):
        below = ((line, row) for line, row in rows(notes) if line > wanted.after)
        for chunk in in_batches(below, lambda row: sum(map(len, row[1]))):
            numbered = [(line, row) for line, row in chunk if any(row)]
            cells = [row + [""] * (wanted.width - len(row)) for _, row in numbered]
            if not wanted.ragged:
                cells = [row[: wanted.width] for row in cells]
            yield select(cells, [line for line, _ in numbered], wanted)


def _open_xlsx(file: InputFile) -> list[tuple[str, bool, Callable[[list[str]], Rows]]]:
    """Open with openpyxl; what it cannot read, as some sheets of charts, with calamine."""
    try:
        return _open_openpyxl(file)
    except (AttributeError, KeyError, TypeError, ValueError):
        return _open_calamine(file)


def _open_openpyxl(file: InputFile) -> list[tuple[str, bool, Callable[[list[str]], Rows]]]:
    import openpyxl  # 0.2 s that only workbooks should cost

    stream = file.open()
    refuse_bombs(file.name, stream, but="xl/worksheets/")  # these are surveyed before they are read
    workbook = openpyxl.load_workbook(stream, read_only=True, data_only=True)
    return [
        (sheet.title, sheet.sheet_state != "visible", partial(_openpyxl_rows, file, sheet))
        for sheet in workbook.worksheets
    ]


def _openpyxl_rows(file: InputFile, sheet: Any, notes: list[str]) -> Rows:  # noqa: ANN401 - openpyxl's read-only sheet
    survey = _survey(file, sheet._worksheet_path)
    sheet.reset_dimensions()  # exporters often write a wrong size, which would cut the sheet off
    rows = enumerate(sheet.iter_rows(), start=1)
    shown = ((line, [_show(cell) for cell in row]) for line, row in rows)
    yield from _carry_down(_mark(shown, survey.uncomputed), survey.merged, notes)
    if survey.hidden_rows:
        notes.append(f"{survey.hidden_rows} rows are hidden or filtered out in the sheet; they were read")


def _mark(rows: Rows, uncomputed: set[int]) -> Rows:
    """Mark the empty cells of rows in which a formula was never computed."""
    for line, row in rows:
        yield line, [cell or NO_VALUE for cell in row] if line in uncomputed else row


def _carry_down(rows: Rows, merged: list[tuple[int, int, int]], notes: list[str]) -> Rows:
    """Give the empty cells of a merged range the value of its first row; a row without a cell of its own is none."""
    waiting = sorted(merged, key=lambda one: -one[1])
    active: dict[int, tuple[int, str]] = {}  # by column: last row and value
    carried = 0
    for line, row in rows:
        own = any(row)
        for column, (last, value) in active.items():
            if line <= last and own and not (column < len(row) and row[column]):
                row += [""] * (column + 1 - len(row))
                row[column] = value
                carried += 1
        while waiting and waiting[-1][1] <= line:
            column, _, last = waiting.pop()
            active[column] = (last, row[column] if column < len(row) else "")
        yield line, row
    if carried:
        notes.append(f"{carried} cells of merged ranges took the value of their range")


def _show(cell: Any) -> str:  # noqa: ANN401 - openpyxl's cells
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, str):
        return ERROR_CELL + value if cell.data_type == "e" else cut(_unescape(value))
    if isinstance(value, bool):
        return as_text(value)
    if isinstance(value, (date, time, timedelta)):
        return show_date(value, cell.number_format)
    if not isinstance(value, (int, float)):
        return as_text(value)
    shown = cell.number_format
    if shown == "General":
        shown = find_unwritten(cell.style_array.numFmtId) or shown
    return _show_serial(value, shown, cell.parent.parent.epoch) if shows_date(shown) else show_number(value, shown)


def _show_serial(value: float, number_format: str, epoch: datetime) -> str:
    """Return the date of a cell that openpyxl takes for a number: of a weekday alone, or in a format without text."""
    from openpyxl.utils.datetime import from_excel

    try:
        return show_date(from_excel(value, epoch), number_format)
    except (OverflowError, ValueError):  # no date of the calendar
        return as_text(value)


def _unescape(text: str) -> str:
    """Return a text with the characters that Excel writes as _xHHHH_ in its files; calamine does so itself."""
    if "_x" not in text:
        return text
    units = _ESCAPED.sub(lambda one: chr(int(one[1], 16)), text).encode("utf-16-le", "surrogatepass")
    return units.decode("utf-16-le", "replace").replace("\r\n", "\n")


def _survey(file: InputFile, path: str) -> _Survey:
    """Read the XML of a sheet once for what openpyxl does not say while it streams; refuse endless cells and rows."""
    found, rest, text, row = _Survey(), b"", 0, 0
    with file.open() as stream, zipfile.ZipFile(stream) as archive, archive.open(path) as sheet:
        while block := sheet.read(_BLOCK):
            text = _since(block, b"<", text)
            row = _since(block, b"</row>", row)
            if text > _LONGEST_TEXT or row > _LONGEST_ROW:
                what, most = ("cell", _LONGEST_TEXT) if text > _LONGEST_TEXT else ("row", _LONGEST_ROW)
                raise SourceError(f"{file.name} holds a {what} of more than {most:,} bytes: not a table of texts")
            block = rest + block
            end = block.rfind(b">") + 1 or len(block)  # a tag is looked at as a whole
            last = block.rfind(b"<c ", 0, end)  # and a cell, too
            end = last if last > 0 else end
            _look(block[:end], found)
            rest = block[end:][-_LONGEST_TEXT:]
    _look(rest, found)
    return found


def _since(block: bytes, mark: bytes, before: int) -> int:
    """Return the bytes since the last mark, of which there were `before` in front of the block."""
    at = block.rfind(mark)
    return before + len(block) if at < 0 else len(block) - at


def _look(text: bytes, found: _Survey) -> None:
    found.hidden_rows += len(_ROW.findall(text)) if b"hidden=" in text else 0
    if b"<f" in text:
        found.uncomputed.update(map(int, _UNCOMPUTED.findall(text)))
    for first, top, _, bottom in _MERGED.findall(text):
        found.merged.append((_column(first), int(top), int(bottom)))


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + letter - 64
    return number - 1


def _is_strict(file: InputFile) -> bool:
    with file.open() as stream, zipfile.ZipFile(stream) as archive:
        return _STRICT in archive.open("xl/workbook.xml").read(_BLOCK)


def _open_calamine(file: InputFile) -> list[tuple[str, bool, Callable[[list[str]], Rows]]]:
    import python_calamine

    stream = file.open()
    if stream.read(2) == b"PK":
        stream.seek(0)
        refuse_bombs(file.name, stream)
    stream.seek(0)
    workbook = python_calamine.CalamineWorkbook.from_filelike(stream)
    cells = [one for one in workbook.sheets_metadata if one.typ == python_calamine.SheetTypeEnum.WorkSheet]
    visible = python_calamine.SheetVisibleEnum.Visible
    return [(one.name, one.visible != visible, partial(_calamine_rows, workbook, one.name)) for one in cells]


def _calamine_rows(workbook: Any, title: str, notes: list[str]) -> Rows:  # noqa: ANN401 - a workbook of calamine
    sheet = workbook.get_sheet_by_name(title)
    first_line, first_column = (1 + sheet.start[0], sheet.start[1]) if sheet.start else (1, 0)
    ranges = sheet.merged_cell_ranges or []
    merged = [(left, top + 1, bottom + 1) for (top, left), (bottom, _) in ranges]
    before = [""] * first_column
    rows = ((line, before + [_stored(cell) for cell in row]) for line, row in enumerate(sheet.iter_rows(), first_line))
    yield from _carry_down(rows, merged, notes)


def _stored(value: object) -> str:
    if isinstance(value, (date, time, timedelta)):
        return show_date(value, "[h]:mm:ss" if isinstance(value, timedelta) else "General")
    return cut(as_text(value).replace("\r\n", "\n"))
