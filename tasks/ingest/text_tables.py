"""CSV and its kin as tables: once per way in which the lines could be split into cells."""

import csv
import gc
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, TextIO

from schemas.errors import SourceError
from tasks.ingest.decoding import open_text
from tasks.ingest.input_file import InputFile, reading
from tasks.ingest.tables import MAX_CELL_CHARACTERS, Batch, HeadRow, Selection, Table, select, unquote_formula

DELIMITERS = (",", "\t", ";", "|")
_OTHERS = re.compile(r"[-=]+>|[^\w\s\"'“”‘’()（）【】《》<>*？?！!.。-]+|[\x01-\x08\x1c-\x1f]|_{2,}|--+")  # in a header
_OF_SENTENCES = frozenset("，、；：:~/&+%")  # delimiters only where every line has as many
_AGREED = 0.9  # share of lines with as many of another delimiter
_QUOTED_WORDS = re.compile(r'"[^"\n]*"(?: "[^"\n]*")+\s*')  # as R writes a table
_STANDING_IN = "\x1f"  # for a delimiter of several characters, which the csv module does not know
_PAIRS = ("“”", "””", "‘’", "„“", "„”", "«»", "「」", "＂＂")  # of quotation, as word processors make them of "
_WALLS = str.maketrans("│┃║", "|||")
_FRAME = str.maketrans("┌┬┐┏┳┓╔╦╗├┼┤┡╇┩╠╬╣└┴┘┗┻┛╚╩╝─━═", "|" * 9 + "+" * 18 + "---")
_WIKI = re.compile(r"\s*(\|\||\^).*\1\s*$")  # a header of Jira, Confluence and DokuWiki
_RULE = re.compile(r"(?=.*(?:--|==))[-=:|+\s]+$")  # of `mysql -t`, psql, Markdown
_DRAWN = re.compile(r"\s*[│┃║┌┏╔├┡╠└┗╚╭╰].*[│┃║┐┓╗┤┩╣┘┛╝╮╯]\s*$")

_CHUNK_CHARACTERS = 2_000_000  # of lines parsed at a time: some 30,000 rows
_FEWEST_NUMBERED = 4  # rows, that numbers in front of them are no accident
_HEAD_LINES = 50  # among which the header is looked for
_HEAD_CHARACTERS = 1 << 20
_SAMPLE_LINES = 2_000  # by which blanks after delimiters and backslashes are found


@dataclass(frozen=True)
class Dialect:
    """How a line is split into cells."""

    delimiter: str
    skip_blanks: bool = False  # after the delimiter
    backslash: bool = False  # before a quotation mark or a delimiter inside a cell
    quotes: bool = True  # around cells; else a quotation mark is a character like any other
    mark: str = '"'  # of quotation
    wrapped: bool = False  # whole lines stand in quotation marks: rows that were exported as one cell
    pair: str = ""  # of other marks around cells: the opening and the closing one
    drawn: bool = False  # with the lines of boxes, or with the header of a wiki

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of the csv module."""
        return {
            "delimiter": self.delimiter if len(self.delimiter) == 1 else _STANDING_IN,
            "quotechar": self.mark,
            "skipinitialspace": self.skip_blanks,
            "escapechar": "\\" if self.backslash else None,
            "quoting": csv.QUOTE_MINIMAL if self.quotes else csv.QUOTE_NONE,
        }

    def prepare(self, lines: list[str]) -> list[str]:
        """Return the lines as the csv module can split them."""
        lines = list(map(_unwrap, lines)) if self.wrapped else lines
        lines = list(map(_undraw, lines)) if self.drawn else lines
        if self.pair:
            # One of several lines is found where all of it is in one chunk.
            straight = _paired(self.pair, self.delimiter).sub(_straighten, "".join(lines))
            return io.StringIO(straight, newline="").readlines()
        return lines if len(self.delimiter) == 1 else [line.replace(self.delimiter, _STANDING_IN) for line in lines]


def open_text_tables(file: InputFile, encoding: str, given: str | None) -> list[Table]:
    """Return the readings of a text file, one per delimiter (only `given`, if there is one).

    Raises:
        SourceError: it has no line ends.
    """
    with reading(file), open_text(file, encoding) as text:
        lines = _head(text)
    if any(len(line) >= _HEAD_CHARACTERS for line in lines):
        raise SourceError(f"{file.name} has no line end in its first {_HEAD_CHARACTERS:,} characters: not a table")
    if not "".join(lines).strip():
        return [Table(file.name, "csv", [], lambda _: iter(()), encoding=encoding)]
    only = given or _declared(lines)
    delimiters = [only] if only else [*DELIMITERS, *_find_others(lines)]
    dialects = [_refine(Dialect(delimiter), lines) for delimiter in delimiters]
    heads = [_name_row_numbers(_parse_head(lines[:_HEAD_LINES], dialect)) for dialect in dialects]
    tables = [_as_table(file, encoding, head, dialect) for head, dialect in zip(heads, dialects, strict=True)]
    return tables + [_as_table(file, encoding, *mixed) for mixed in _find_mixed(heads, dialects)]


def _as_table(file: InputFile, encoding: str, head: list[HeadRow], dialect: Dialect) -> Table:
    read = partial(_read, file, encoding, dialect)
    return Table(file.name, "csv", head, read, encoding=encoding, delimiter=dialect.delimiter)


def _find_mixed(heads: list[list[HeadRow]], dialects: list[Dialect]) -> list[tuple[list[HeadRow], Dialect]]:
    """Return readings in which the rows are split at another delimiter than the header, as after it was typed in."""
    found = []
    for head in heads:
        width = len(head[0].cells)
        if width > 1 and len(head) > 1 and 2 * sum(len(row.cells) == width for row in head[1:]) <= len(head) - 1:
            found += [
                ([head[0], *other[1:]], dialect)
                for other, dialect in zip(heads, dialects, strict=True)
                if other is not head and all(len(row.cells) == width for row in other[1:])
            ]
    return found


def _head(text: TextIO) -> list[str]:
    """Return the first lines, each cut at a length no line of a table has."""
    lines, characters = list[str](), 0
    while (
        len(lines) < _SAMPLE_LINES and characters < 2 * _HEAD_CHARACTERS and (line := text.readline(_HEAD_CHARACTERS))
    ):
        lines.append(line if lines else line.lstrip("\ufeff"))
        characters += len(line)
    return lines


def _find_others(lines: list[str]) -> list[str]:
    """Return signs that split the first line, which no usual delimiter does, and split the others alike."""
    whole = [line for line in lines if line.strip()]
    if _QUOTED_WORDS.fullmatch(whole[0]):
        return [" "]
    if any(delimiter in whole[0] for delimiter in DELIMITERS):
        return []
    found = []
    for sign in dict.fromkeys(_OTHERS.findall(whole[0])):
        alike = sum(line.count(sign) == whole[0].count(sign) for line in whole)
        if alike >= (1 if sign in _OF_SENTENCES else _AGREED) * len(whole):
            found.append(sign)
    return found


def _declared(lines: list[str]) -> str | None:
    """Return the delimiter that a first line `sep=;` names, as Excel reads it."""
    first = lines[0].rstrip("\r\n").strip('"')
    return first[4] if len(first) == 5 and first.lower().startswith("sep=") else None


def _name_row_numbers(head: list[HeadRow]) -> list[HeadRow]:
    """Return the rows with a blank name before those of the header, if only the other rows begin with their number.

    So R writes a table with the names of its rows.
    """
    if len(head) < _FEWEST_NUMBERED or {len(row.cells) for row in head[1:]} != {1 + len(head[0].cells)}:
        return head
    numbers = [row.cells[0] for row in head[1:]]
    first = int(numbers[0]) if numbers[0] in ("0", "1") else None
    if first is None or numbers != [str(first + at) for at in range(len(numbers))]:
        return head
    return [replace(head[0], cells=["", *head[0].cells]), *head[1:]]


def _unwrap(line: str) -> str:
    bare = line.rstrip("\r\n")
    if len(bare) < 2 or bare[0] + bare[-1] != '""':
        return line
    return bare[1:-1].replace('""', '"') + line[len(bare) :]


@lru_cache
def _paired(pair: str, delimiter: str) -> re.Pattern[str]:
    """Return the pattern of a cell in a pair of marks; what it quotes itself may stand in them, too."""
    begin, end, sign = *map(re.escape, pair), re.escape(delimiter)
    inner = rf"[^{pair}]*(?:{begin}[^{pair}]*{end}[^{pair}]*)*" if begin != end else rf"[^{begin}]*"
    return re.compile(rf"(^|{sign})[ \t]*{begin}({inner}){end}(?={sign}|\s*?$)", re.M)


def _straighten(cell: re.Match[str]) -> str:
    return f'{cell[1]}"{cell[2].replace(chr(34), 2 * chr(34))}"'


def _undraw(line: str) -> str:
    """Return a line of a drawn table with the signs of `mysql -t`; ClickHouse has the names in the upper rule."""
    if wiki := _WIKI.match(line):
        return line.replace(wiki[1], "|")
    if _DRAWN.match(line):
        is_row = line.lstrip()[0] in "│┃║"
        line = line.translate(_WALLS if is_row else _FRAME)
        line = line if is_row or not re.search(r"\w", line) else line.replace("-", " ")
    return "\n" if _RULE.match(line) else line


def _is_drawn(lines: list[str]) -> bool:
    marked = [line for line in lines if _WIKI.match(line)]
    return bool(marked and 2 * len(marked) < len(lines)) or any(
        _DRAWN.match(line) or _RULE.match(line) for line in lines
    )


def _is_wrapped(lines: list[str], delimiter: str) -> bool:
    """Whether nearly all lines are one cell in quotation marks, in which other cells are delimited."""
    whole = [line.strip() for line in lines[:_HEAD_LINES] if line.strip()]
    inside = [_unwrap(line) for line in whole]
    counts = [
        line != bare and delimiter in bare and len(next(csv.reader([line], delimiter=delimiter))) == 1
        for line, bare in zip(whole, inside, strict=True)
    ]
    return counts[0] and sum(counts) >= _AGREED * len(counts)


def _parse_head(lines: list[str], dialect: Dialect) -> list[HeadRow]:
    rows, starts, _ = parse_lines(dialect.prepare(lines), dialect, last=True)
    ends = [*starts[1:], len(lines)]
    cells = [[unquote_formula(cell.strip()) for cell in row] for row in rows]
    return [HeadRow(start + 1, end, row) for row, start, end in zip(cells, starts, ends, strict=True) if "".join(row)]


def _refine(dialect: Dialect, lines: list[str]) -> Dialect:
    """Return the dialect that splits most of the sample into well-formed rows of one width; plain where they tie."""
    dialect = replace(dialect, drawn=dialect.delimiter == "|" and _is_drawn(lines[:_HEAD_LINES]))
    choices = [dialect]
    sample = "".join(lines)
    if sample.startswith('"') and len(dialect.delimiter) == 1 and _is_wrapped(lines, dialect.delimiter):
        return replace(dialect, wrapped=True)
    if f'{dialect.delimiter} "' in sample:
        choices.append(replace(dialect, skip_blanks=True))
    if '\\"' in sample or f"\\{dialect.delimiter}" in sample:
        choices += [replace(choice, backslash=True) for choice in choices]
    if '"' in sample and dialect.delimiter == "\t":
        choices.append(replace(dialect, quotes=False))
    if f"'{dialect.delimiter}'" in sample and '"' not in sample:
        choices.append(replace(dialect, mark="'"))
    for pair in _PAIRS if len(dialect.delimiter) == 1 else ():
        found = len(_paired(pair, dialect.delimiter).findall(sample)) if pair[0] in sample else 0
        if found:
            paired = replace(dialect, pair=pair)
            rows = parse_lines(paired.prepare(lines), paired, last=True)[0]
            if found >= _AGREED * sum(map(len, rows)):
                return paired
            # Where every row has them they are no part of the texts; else they count if they make rows of one width.
            choices.insert(0 if found >= _AGREED * (len(rows) - 1) else len(choices), paired)
    if len(choices) == 1 or len(dialect.delimiter) > 1:
        return dialect
    return max(choices, key=lambda choice: _well_formed(lines, choice))


def _well_formed(lines: list[str], dialect: Dialect) -> int:
    lines = dialect.prepare(lines)
    rows, starts, _ = parse_lines(lines, dialect, last=True)
    ends = [*starts[1:], len(lines)]
    width = max(map(len, rows[:1]), default=0)
    return sum(
        len(row) == width
        and _is_whole(lines[start:end], dialect, strict=True)
        and not (dialect.delimiter != " " and any(cell.startswith((' "', "'")) for cell in row))
        for row, start, end in zip(rows, starts, ends, strict=True)
    )


def _read(file: InputFile, encoding: str, dialect: Dialect, wanted: Selection) -> Iterator[Batch]:
    with reading(file), open_text(file, encoding) as text:
        line = 1 + sum(1 for _ in itertools.islice(text, wanted.after))
        rest: list[str] = []
        while (chunk := text.readlines(_CHUNK_CHARACTERS)) or rest:
            lines = rest + dialect.prepare(chunk)
            with _uncollected():
                rows, starts, rest = parse_lines(lines, dialect, last=not chunk)
                batch = select(rows, [line + start for start in starts], wanted)
                del rows
            yield batch
            line += len(lines) - len(rest)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the collector from looking through every row that is made here: none can be part of a cycle."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def parse_lines(lines: list[str], dialect: Dialect, *, last: bool) -> tuple[list[list[str]], Sequence[int], list[str]]:
    """Split lines of CSV into rows.

    A quotation mark that is never closed would swallow the rows after it. A record of several lines
    therefore counts only if it is well formed; else its first line alone is torn, and reading goes on
    with the second.

    Returns:
        The rows (a torn line is a row of one cell), the index of the line each begins at, and the lines of
        a record that may go on in the next chunk (none if this is the `last`).
    """
    options = dialect.options
    try:
        # The blank line at the end is a row of its own unless an open quotation mark swallows it.
        rows = list(csv.reader([*lines, "\n"], **options))
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
        reader = csv.reader(map(lines.__getitem__, range(start, len(lines))), **options)
        base = start
        try:
            for row in reader:
                end = base + reader.line_num
                if (end > start + 1 or end == len(lines)) and not _is_whole(lines[start:end], dialect):
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


def _is_whole(record: list[str], dialect: Dialect, *, strict: bool = False) -> bool:
    """Whether a record closes its quotation marks; of several lines (or if `strict`), whether it is well formed."""
    try:
        closed = csv.reader([*record, "\n"], strict=strict or len(record) > 1, **dialect.options)
        return list(closed)[-1] == []
    except csv.Error:
        return False


def _could_go_on(lines: list[str], start: int) -> bool:
    return sum(map(len, lines[start:])) <= 4 * MAX_CELL_CHARACTERS
