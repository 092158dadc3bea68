"""Tables of every format, as batches of (line, first column, second column) in bounded memory.

A row that is no row (torn, not text) comes out beside the batch, with its line and what could be read.
"""

import csv
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import SourceError
from schemas.settings import Source
from tasks.ingest.addresses import InputFile, reading
from tasks.ingest.columns import Columns
from tasks.ingest.decoding import UNDECODABLE, Format, find_encoding, find_format, open_text

BATCH_ROWS = 1 << 16
MAX_CELL_CHARACTERS = 100_000

TORN = "torn row"
UNDECODABLE_BYTES = "undecodable bytes"
TOO_LONG = "cell too long"

_CHUNK_CHARACTERS = 2_000_000  # of lines parsed at a time: some 30,000 rows
_HEAD_LINES = 20  # among which the header is looked for
_HEAD_CHARACTERS = 1 << 20
_DELIMITERS = (",", "\t", ";", "|")

ColumnFinder = Callable[[Sequence[str]], Columns]


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used. The texts are as far as they could be read."""

    line: int
    reason: str
    first: str | None
    second: str | None


@dataclass(frozen=True)
class Batch:
    """Rows of a table, column by column."""

    lines: Sequence[int]
    first: list[str]
    second: list[str]
    bad: list[BadRow]


@dataclass(frozen=True)
class Table:
    """An opened table: how it is read, and its batches. `columns` is None in an empty file."""

    format: Format
    columns: Columns | None
    batches: Iterator[Batch]
    encoding: str | None = None
    delimiter: str | None = None


def open_table(file: InputFile, find: ColumnFinder, source: Source) -> Table:
    """Open one file as a table; `find` says which of its columns are wanted.

    Raises:
        SourceError: it is no table, no encoding fits, or a column is missing.
    """
    kind = find_format(file)
    if kind == "parquet":
        return _open_parquet(file, find)
    if kind == "excel":
        return _open_excel(file, find, source.sheet)
    encoding = find_encoding(file, source.encoding)
    if kind == "jsonl":
        return _open_jsonl(file, find, encoding)
    return _open_csv(file, find, encoding, source.delimiter)


def _open_csv(file: InputFile, find: ColumnFinder, encoding: str, given: str | None) -> Table:
    with reading(file), open_text(file, encoding) as text:
        lines = _head(text)
    if any(len(line) >= _HEAD_CHARACTERS for line in lines):
        raise SourceError(f"{file.name} has no line end in its first {_HEAD_CHARACTERS:,} characters: not a table")
    if not "".join(lines).strip():
        return Table("csv", None, iter(()), encoding)
    delimiter, header, columns, header_lines = _find_header(lines, find, given)
    batches = _read_csv(file, encoding, delimiter, header_lines, len(header), columns)
    return Table("csv", columns, batches, encoding, delimiter)


def _head(text: TextIO) -> list[str]:
    """Return the first lines, each cut at a length no line of a table has."""
    lines = (text.readline(_HEAD_CHARACTERS) for _ in range(_HEAD_LINES))
    return list(itertools.takewhile(bool, lines))


def _find_header(lines: list[str], find: ColumnFinder, given: str | None) -> tuple[str, list[str], Columns, int]:
    """Return delimiter, header, columns and the number of lines before the first row.

    The delimiter is the one that splits the header into columns that are wanted.
    """
    headers = {}
    for delimiter in [given] if given else _DELIMITERS:
        reader = csv.reader(lines, delimiter=delimiter)
        row = next((row for row in reader if "".join(row).strip()), [])
        headers[delimiter] = ([cell.lstrip("\ufeff").strip() for cell in row], reader.line_num)
    errors = []
    for delimiter in sorted(headers, key=lambda delimiter: -len(headers[delimiter][0])):
        header, consumed = headers[delimiter]
        try:
            return delimiter, header, find(header), consumed
        except SourceError as error:
            errors.append(error)
    if given:
        raise SourceError(f"{errors[0]}. The header was split at {given!r}, as source.delimiter says")
    raise errors[0]  # of the delimiter that makes most columns


def _read_csv(
    file: InputFile, encoding: str, delimiter: str, header_lines: int, width: int, columns: Columns
) -> Iterator[Batch]:
    with reading(file), open_text(file, encoding) as text:
        line = 1 + sum(1 for _ in itertools.islice(text, header_lines))
        rest: list[str] = []
        while (chunk := text.readlines(_CHUNK_CHARACTERS)) or rest:
            lines = rest + chunk
            rows, starts, rest = parse_lines(lines, delimiter, last=not chunk)
            yield _batch(rows, [line + start for start in starts], width, columns)
            line += len(lines) - len(rest)


def parse_lines(lines: list[str], delimiter: str, *, last: bool) -> tuple[list[list[str]], Sequence[int], list[str]]:
    """Split lines of CSV into rows.

    A quotation mark that is never closed would swallow the rows after it. A record of several lines
    therefore counts only if it is well formed; else its first line alone is torn, and reading goes on
    with the second.

    Returns:
        The rows (a torn line is a row of one cell), the index of the line each begins at, and the lines of
        a record that may go on in the next chunk (none if this is the `last`).
    """
    try:
        # The blank line at the end is a row of its own unless an open quotation mark swallows it.
        rows = list(csv.reader([*lines, "\n"], delimiter=delimiter))
        if len(rows) == len(lines) + 1:
            rows.pop()
            return rows, range(len(lines)), []
    except csv.Error:  # a cell beyond the csv module's limit
        pass
    rows, starts = list[list[str]](), list[int]()
    start = 0
    while start < len(lines):
        torn = False
        # From an index, not from a slice: after every torn line a slice would copy all lines that are left.
        reader = csv.reader(map(lines.__getitem__, range(start, len(lines))), delimiter=delimiter)
        base = start
        try:
            for row in reader:
                end = base + reader.line_num
                if (end > start + 1 or end == len(lines)) and not _is_whole(lines[start:end], delimiter):
                    if end == len(lines) and not last and _could_go_on(lines, start):
                        return rows, starts, lines[start:]
                    torn = True
                    break
                rows.append(row)
                starts.append(start)
                start = end
        except csv.Error:
            torn = True
        if torn:
            rows.append([lines[start]])
            starts.append(start)
            start += 1
    return rows, starts, []


def _is_whole(record: list[str], delimiter: str) -> bool:
    """Whether a record closes its quotation marks; if of several lines, also whether it is well formed."""
    try:
        closed = csv.reader([*record, "\n"], delimiter=delimiter, strict=len(record) > 1)
        return list(closed)[-1] == []
    except csv.Error:
        return False


def _could_go_on(lines: list[str], start: int) -> bool:
    return sum(map(len, lines[start:])) <= 4 * MAX_CELL_CHARACTERS


def _batch(rows: list[list[str]], lines: Sequence[int], width: int, columns: Columns) -> Batch:
    bad: list[BadRow] = []
    if set(map(len, rows)) != {width}:
        rows, lines, bad = _set_torn_aside(rows, lines, width, columns)
    second = list(map(itemgetter(columns.second), rows))
    first = [""] * len(rows) if columns.first is None else list(map(itemgetter(columns.first), rows))
    return Batch(lines, first, second, bad)


def _set_torn_aside(
    rows: list[list[str]], lines: Sequence[int], width: int, columns: Columns
) -> tuple[list[list[str]], Sequence[int], list[BadRow]]:
    good, good_lines, bad = [], [], []
    for row, line in zip(rows, lines, strict=True):
        if len(row) == width or (len(row) > width and not any(row[width:])):  # spreadsheets leave commas at the end
            good.append(row)
            good_lines.append(line)
        elif len(row) > 1 or "".join(row).strip():  # a blank line is no row
            bad.append(BadRow(line, torn_reason(row), _cell(row, columns.first), _cell(row, columns.second)))
    return good, good_lines, bad


def torn_reason(cells: Sequence[str]) -> str:
    """Return why a row of the wrong shape is unusable: a broken byte or an endless cell may have made it so."""
    if any(UNDECODABLE in cell for cell in cells):
        return UNDECODABLE_BYTES
    return TOO_LONG if any(len(cell) > MAX_CELL_CHARACTERS for cell in cells) else TORN


def _cell(row: list[str], column: int | None) -> str | None:
    return row[column] if column is not None and column < len(row) else None


def _open_jsonl(file: InputFile, find: ColumnFinder, encoding: str) -> Table:
    keys: dict[str, None] = {}
    with reading(file), open_text(file, encoding) as text:
        head = [line for line in _head(text) if line.strip()]
    for line in head:
        row = _parse_object(line)
        keys.update(dict.fromkeys(row or ()))
    if head and not keys:
        hint = "it is one JSON array" if head[0].lstrip("\ufeff \t").startswith("[") else f"line 1 is {head[0][:60]!r}"
        raise SourceError(f"{file.name} is not JSONL: {hint}. JSONL has one JSON object a line, its keys the columns")
    if not keys:
        return Table("jsonl", None, iter(()), encoding)
    columns = find(list(keys))
    return Table("jsonl", columns, _read_jsonl(file, encoding, list(keys), columns), encoding)


def _read_jsonl(file: InputFile, encoding: str, keys: list[str], columns: Columns) -> Iterator[Batch]:
    second_key = keys[columns.second]
    first_key = None if columns.first is None else keys[columns.first]
    line = 0
    with reading(file), open_text(file, encoding) as text:
        while chunk := text.readlines(_CHUNK_CHARACTERS):
            lines, first, second, bad = [], [], [], []
            for raw in chunk:
                line += 1
                row = _parse_object(raw)
                if row is None:
                    if raw.strip():
                        bad.append(BadRow(line, torn_reason([raw]), raw.strip(), None))
                    continue
                lines.append(line)
                first.append("" if first_key is None else _as_text(row.get(first_key)))
                second.append(_as_text(row.get(second_key)))
            yield Batch(lines, first, second, bad)


def _parse_object(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line.lstrip("\ufeff"))
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _open_parquet(file: InputFile, find: ColumnFinder) -> Table:
    try:
        with reading(file), file.open() as stream:
            schema = pq.ParquetFile(stream).schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise SourceError(
            f"{file.name} is a torn Parquet file ({_first_line(error)}); copy or export it again"
        ) from error
    columns = find(schema.names)
    for name in columns.names:
        kind = schema.field(name).type
        if pa.types.is_nested(kind):
            raise SourceError(f"{file.name}: the column {name!r} holds {kind}, not one text a row")
    return Table("parquet", columns, _read_parquet(file, schema.names, columns))


def _read_parquet(file: InputFile, names: list[str], columns: Columns) -> Iterator[Batch]:
    line = 1
    with reading(file), file.open() as stream:
        try:
            table = pq.ParquetFile(stream, pre_buffer=False)  # its buffer would keep all that was read
            for batch in table.iter_batches(BATCH_ROWS, columns=columns.names):
                second = _column_texts(batch.column(names[columns.second]))
                first = [""] * len(second)
                if columns.first is not None:
                    first = _column_texts(batch.column(names[columns.first]))
                yield Batch(range(line, line + len(second)), first, second, [])
                line += len(second)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(
                f"{file.name} is a torn Parquet file (after row {line - 1}: {_first_line(error)}); "
                "copy or export it again"
            ) from error


def _column_texts(column: pa.Array) -> list[str]:
    try:
        return [value if isinstance(value, str) else _as_text(value) for value in column.to_pylist()]
    except UnicodeDecodeError:  # Parquet does not check what is written as text
        return [_as_text(value) for value in column.cast("binary").to_pylist()]


def _open_excel(file: InputFile, find: ColumnFinder, sheet: str | None) -> Table:
    rows = _excel_rows(file, sheet)
    for line, row in rows:
        if any(row):
            return Table("excel", columns := find(row), _read_excel(rows, len(row), columns, line))
    return Table("excel", None, iter(()))


def _read_excel(rows: Iterator[tuple[int, list[str]]], width: int, columns: Columns, line: int) -> Iterator[Batch]:
    while chunk := list(itertools.islice(rows, BATCH_ROWS)):
        numbered = [(line, row) for line, row in chunk if any(row)]
        padded = [row[:width] + [""] * (width - len(row)) for _, row in numbered]
        yield _batch(padded, [line for line, _ in numbered], width, columns)


def _excel_rows(file: InputFile, sheet: str | None) -> Iterator[tuple[int, list[str]]]:
    import openpyxl  # 0.2 s that only workbooks should cost

    with reading(file), file.open() as stream:
        try:
            workbook = openpyxl.load_workbook(stream, read_only=True, data_only=True)
            names = [worksheet.title for worksheet in workbook.worksheets]
            if sheet is not None and sheet not in names:
                raise SourceError(
                    f"{file.name} has no sheet {sheet!r} (source.sheet); its sheets are {', '.join(map(repr, names))}"
                )
            if not names:
                raise SourceError(f"{file.name} is a workbook without sheets of cells")
            worksheet = workbook.worksheets[names.index(sheet) if sheet else 0]
            worksheet.reset_dimensions()  # exporters often write a wrong size, which would cut the sheet off
            for line, row in enumerate(worksheet.iter_rows(values_only=True), start=1):
                yield line, [_as_text(value) for value in row]
        except SourceError:
            raise
        except Exception as error:  # a broken workbook makes openpyxl raise almost anything
            raise SourceError(
                f"{file.name} is a torn Excel workbook ({_first_line(error)}); save it again as .xlsx"
            ) from error


def _as_text(value: object) -> str:
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
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
