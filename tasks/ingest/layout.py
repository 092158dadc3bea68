"""What of a table is read: where its header stands, which columns are what, and why. Pure."""

import itertools
import re
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from schemas.errors import SourceError
from tasks.ingest.column_names import REPLIES, key_of
from tasks.ingest.columns import (
    BY_ANSWER,
    BY_COLUMN,
    BY_FIRST,
    NAMED,
    WITHOUT_HEADER,
    Columns,
    find_payload,
    is_name,
    quoted,
    tells_part,
)
from tasks.ingest.grouped import find_groups, take_columns
from tasks.ingest.tables import HeadRow, Selection, Table

ColumnFinder = Callable[[Sequence[str]], Columns]
RowFinder = Callable[[Sequence[str], Sequence[Sequence[str]]], Columns | None]  # of a header, and the rows below it
PayloadFinder = Callable[[Sequence[str], Sequence[int]], list[int]]  # of a header, and the columns that are taken

_FEW_ROWS = 10  # say nothing of a column
_TEXT = 5  # characters of the usual text, which no number or code has
_SHORT = 0.2  # share of rows that end early, from which on it is no accident
_MOST_COLUMNS = 1 << 14  # as in a workbook
_FEW_CELLS = 2  # a header has at least as many, else a title would do
_MANY_ROWS = 10  # without a header, by which its absence is certain
_LABELS, _TEXTS = 0.7, 0.9  # at most, and at least, so many of the values in a column of labels, and of texts, differ
_HEADLESS = " (there is no header)"
_NOT_FOUND, _NONE_FOUND = "no column of ", "no column of queries and none of standard questions"


@dataclass(frozen=True)
class Layout:
    """How the rows of one table are read."""

    header: HeadRow | None  # None: it has none
    names: list[str]  # of all columns
    columns: Columns
    payload: list[int]
    selection: Selection

    @property
    def kept(self) -> list[str]:
        """Names of the columns that go with a standard question."""
        return [self.names[at] for at in self.payload if not tells_part(self.names[at])]

    @property
    def unused(self) -> list[str]:
        """Names of the columns of which nothing is kept."""
        used = {*self.selection.positions}
        return [
            name
            for at, name in enumerate(self.names)
            if name and (at not in used or (at in self.payload and tells_part(name)))
        ]

    def name(self, position: int) -> str:
        """Return what a column is called in messages."""
        return self.names[position]


def find_layout(
    readings: list[Table],
    find: ColumnFinder,
    keep: PayloadFinder = find_payload,
    find_by_rows: RowFinder | None = None,
) -> tuple[Table, Layout]:
    """Return the reading of a table in which the wanted columns are found, and its layout.

    The header is the first row that has the columns; of two readings of one row, the one with more cells counts.

    Raises:
        SourceError: no row has the columns; the message is of the first row, in its widest reading. Or it has more
            columns than any table of queries.
    """
    widest = max((len(table.head[0].cells) for table in readings if table.head), default=0)
    if widest > _MOST_COLUMNS:
        raise SourceError(
            f"{readings[0].name}: its first line has {widest:,} columns, where a table has at most {_MOST_COLUMNS:,}. "
            "Is it the right file, and does each row stand in a line of its own? Write a row for each query: "
            "query, standard_question"
        )
    candidates = [
        (depth, -len(row.cells), -_width_agreed(table, row), at)
        for at, table in enumerate(readings)
        for depth, row in enumerate(table.head[:1] if table.named else table.head)
    ]
    refused: list[tuple[SourceError, Table]] = []
    for depth, _, _, at in sorted(candidates):
        table, row = readings[at], _complete(readings[at].head, depth)
        try:
            columns = (find_by_rows and find_by_rows(row.cells, _below(table, row))) or find(row.cells)
        except SourceError as error:
            refused.append((error, table))
            continue
        if columns.numbered:
            return _find_numbered(readings, find, keep)
        if columns.why_question == BY_ANSWER:
            row, columns = _find_below(table, depth, find) or (row, columns)
        if depth == 0 or len(row.cells) >= _FEW_CELLS:
            _refuse_pairs(table, row, columns)
            _refuse_named_cells(table, row, columns)
            return table, _lay_out(table, row, columns, keep)
    if not refused:
        raise SourceError(f"{readings[0].name} is empty")
    if _NONE_FOUND in str(refused[0][0]) and (found := _find_without_header(readings)):
        table, columns = found
        _refuse_named_cells(table, table.head[0], columns)
        return table, _lay_out(table, table.head[0], columns, keep, headless=True)
    for table in readings if _NONE_FOUND in str(refused[0][0]) else ():
        if grouped := find_groups(table):
            first = table.head[0]
            if grouped.why_question == BY_FIRST:  # the others are the tail of a row
                return table, _lay_out(table, replace(first, cells=first.cells[:2]), grouped, keep, headless=True)
            return table, _lay_out(table, first, grouped, keep)
    raise SourceError(_explain(*refused[0], readings))


def _find_below(table: Table, depth: int, find: ColumnFinder) -> tuple[HeadRow, Columns] | None:
    """Return the row below and its columns, if these have names: that above held groups of them."""
    if table.named or depth + 1 >= len(table.head):
        return None
    row = _complete(table.head, depth + 1)
    try:
        columns = find(row.cells)
    except SourceError:
        return None
    return None if columns.why_question == BY_ANSWER else (row, columns)


def _below(table: Table, row: HeadRow) -> list[list[str]]:
    """Return the first rows below a header that are as wide; those of a sheet end with their last cell."""
    below = (one.cells for one in table.head if one.line > row.line)
    width = len(row.cells)
    wide = (cells + [""] * (width - len(cells)) if table.sheet else cells for cells in below)
    return [cells for cells in wide if len(cells) == width]


def _complete(head: list[HeadRow], depth: int) -> HeadRow:
    """Return a row with blank cells named by the row above it, as cells merged over two rows of a header leave them."""
    row = head[depth]
    above = head[depth - 1].cells if depth else []
    if not above or all(row.cells):
        return row
    named = [
        over if not cell and (is_name(over) or find_payload([over], [])) else cell
        for cell, over in itertools.zip_longest(row.cells, above[: len(row.cells)], fillvalue="")
    ]
    return replace(row, cells=named)


def _refuse_pairs(table: Table, row: HeadRow, columns: Columns) -> None:
    """Refuse pairs of sentences that mean the same or not: 0 and 1 are no standard questions.

    Raises:
        SourceError: two columns of queries, and nothing but 0 and 1 beside them.
    """
    labels = {cells[columns.question] for cells in _below(table, row)}
    if len(columns.queries) != _FEW_CELLS or columns.why_query == NAMED or not labels or not labels <= {"0", "1"}:
        return
    first, second = (row.cells[at] for at in columns.queries)
    raise SourceError(
        f"{table.name}: {first!r} and {second!r} are pairs of texts that mean the same (1) or do not (0); a standard "
        f"question is none of them. Keep the pairs that do, and name the columns: --query-column {first} "
        f"--question-column {second}"
    )


def _refuse_named_cells(table: Table, row: HeadRow, columns: Columns) -> None:
    """Refuse a table without a header in which each cell begins with its name, as in LTSV and TSKV.

    Raises:
        SourceError: `query:` or `query=` begins the cells of all rows.
    """
    named = re.match(r"[^:=]+[:=]", row.cells[columns.question])
    below = [cells[columns.question] for cells in _below(table, row)]
    if named and below and all(cell.startswith(named[0]) for cell in below):
        raise SourceError(
            f"{table.name}: each cell begins with its name ({named[0]}), so that no line is a header. Write the "
            "names once, in a first line, and the cells without them"
        )


def find_doubts(name: str, table: Table, layout: Layout) -> list[str]:
    """Return why a column may be the wrong one, as far as the first rows tell."""
    rows = [row.cells for row in table.head if len(row.cells) == len(layout.names)]
    rows = rows[1:] if layout.header else rows
    if (why := layout.columns.why_question) in (BY_COLUMN, BY_FIRST):
        return [f"{name}: read as standard questions: {why}. If that is wrong, give the table a header of names"]
    return [*_doubt_queries(name, rows, layout), *_doubt_questions(name, rows, layout)]


def _doubt_questions(name: str, rows: list[list[str]], layout: Layout) -> list[str]:
    """Return a doubt where rows of one standard question have different answers: it may be a category."""
    answers = [at for at in layout.payload if key_of(layout.names[at]) in REPLIES]
    if not answers or not layout.columns.queries or layout.columns.why_question in (NAMED, BY_ANSWER):
        return []
    question, answer, query = layout.columns.question, answers[0], layout.columns.queries[0]
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row[question], set()).add(row[answer])
    different = sum(map(len, found.values()))
    if len(rows) < _FEW_ROWS or different < _TEXTS * len(rows) or 2 * len(found) > len(rows):
        return []
    return [
        f"{name}: of the first {len(rows)} rows, those of one {layout.names[question]!r} have {different} different "
        f"texts in {layout.names[answer]!r}: it may be a category, and {layout.names[query]!r} the standard question. "
        "Then give this file with --questions, and the queries of its standard questions as the source"
    ]


def _doubt_queries(name: str, rows: list[list[str]], layout: Layout) -> list[str]:
    """Return a doubt where the queries repeat and another column of texts does not."""
    if len(rows) < _FEW_ROWS or layout.columns.why_query == NAMED or len(layout.columns.queries) != 1:
        return []
    distinct = [len({row[at] for row in rows}) for at in range(len(layout.names))]
    length = [sum(len(row[at]) for row in rows) / len(rows) for at in range(len(layout.names))]
    query = layout.columns.queries[0]
    better = [
        at
        for at in range(len(layout.names))
        if at not in (query, layout.columns.question) and distinct[at] >= 2 * distinct[query] and length[at] >= _TEXT
    ]
    if not better or 2 * distinct[query] > len(rows):
        return []
    return [
        f"{name}: the column {layout.names[query]!r} holds {distinct[query]} different texts in the first {len(rows)} "
        f"rows, {quoted([layout.names[at] for at in better])} more; if queries stand there, name it with --query-column"
    ]


def _find_numbered(readings: list[Table], find: ColumnFinder, keep: PayloadFinder) -> tuple[Table, Layout]:
    """Return the layout where a column is a number: the delimiter is the one that makes rows of one width."""
    best: tuple[float, int, Table, Columns] | None = None
    for table in readings:
        try:
            columns = find(table.head[0].cells)
        except SourceError:
            continue
        rank = (_width_agreed(table, table.head[0]), len(table.head[0].cells))
        if best is None or rank > best[:2]:
            best = (*rank, table, columns)
    assert best is not None
    _, _, table, columns = best
    cells = table.head[0].cells
    has_header = table.named or all(is_name(cells[at]) for at in (*columns.queries, columns.question))
    return table, _lay_out(table, table.head[0], columns, keep, headless=not has_header)


def _find_without_header(readings: list[Table]) -> tuple[Table, Columns] | None:
    """Return the columns of a table of two columns that has no header for certain.

    A name stands once in its column: where the label of the first row comes again below, that row is no header.
    """
    for table in readings:
        rows = [row.cells for row in table.head]
        if table.named or len(rows) < _MANY_ROWS or {*map(len, rows)} != {_FEW_CELLS}:
            continue
        distinct = [len({row[at] for row in rows}) / len(rows) for at in range(_FEW_CELLS)]
        question = min(range(_FEW_CELLS), key=distinct.__getitem__)
        labels = [row[question] for row in rows]
        if (
            distinct[question] <= _LABELS
            and distinct[1 - question] >= _TEXTS
            and labels.count(labels[0]) > 1
            and len({*labels}) > 1
            and not any("{" in row[0] or "}" in row[1] for row in rows)  # lines of a log that end in JSON
        ):
            return table, Columns([1 - question], question, [], WITHOUT_HEADER, WITHOUT_HEADER)
    return None


def _lay_out(table: Table, row: HeadRow, columns: Columns, keep: PayloadFinder, headless: bool = False) -> Layout:
    names = [f"column {at + 1}" for at in range(len(row.cells))] if headless else row.cells
    taken = [*columns.queries, *(columns.marks or [columns.question])]
    payload = [] if headless else keep(names, taken)
    width = len(row.cells)
    after = row.line - 1 if headless else row.end
    # Similar questions may go on beyond the header; in a text file, a comma in one of them looks the same.
    ragged = columns.queries[-1:] == [width - 1] and (
        table.sheet is not None or len(columns.queries) > 1 or columns.open_ended or _goes_on(table, row, columns)
    )
    shown = (columns.queries[0] if columns.queries else None, columns.question)
    fewest = 1 if columns.why_question == BY_COLUMN else _fewest_cells(table, row, taken)
    selection = Selection(after, width, [*taken, *payload], shown, ragged, fewest)
    return Layout(None if headless else row, list(names), columns, payload, selection)


def _goes_on(table: Table, row: HeadRow, columns: Columns) -> bool:
    """Whether most rows of a text file are wider than their header, and each has a standard question of its own.

    A comma in a sentence is followed by a blank, and a log repeats its labels.
    """
    rows = [one.cells for one in table.head if one.line > row.line]
    wider = [cells for cells in rows if len(cells) > len(row.cells)]
    labels = [cells[columns.question] for cells in rows if columns.question < len(cells)]
    lone = len(rows) >= _FEW_CELLS and len({*labels}) == len(rows)
    return lone and 2 * len(wider) > len(rows) and columns.question < columns.queries[0]


def _fewest_cells(table: Table, row: HeadRow, taken: list[int]) -> int | None:
    """Return how many cells a row has at least, if many lack the blank ones at their end, as Excel leaves them out.

    Where a line end in a cell tears rows, some have a single cell.
    """
    fewest = max(taken) + 1
    widths = [len(one.cells) for one in table.head if one.line > row.line]
    short = sum(fewest <= width < len(row.cells) for width in widths)
    return fewest if 1 not in widths and short >= max(_FEW_CELLS, _SHORT * len(widths)) else None


def _width_agreed(table: Table, row: HeadRow) -> float:
    """Return the share of the first rows that are as wide as `row`; a single cell is no agreement."""
    if len(row.cells) < _FEW_CELLS:
        return 0.0
    return sum(len(one.cells) == len(row.cells) for one in table.head) / len(table.head)


def _explain(error: SourceError, table: Table, readings: list[Table]) -> str:
    """Add to "no column found" what the rows say: which columns it may be, or that they have no header at all."""
    message = str(error)
    if _NOT_FOUND not in message:
        return message
    widest = max(readings, key=lambda one: _width_agreed(one, one.head[0]) if one.head else 0.0)
    if not table.named and all(len(one.head[0].cells) < _FEW_CELLS for one in readings):
        return message + (_explain_one_cell(readings) if _NONE_FOUND in message else "")
    if _NONE_FOUND in message and take_columns(table if table.named else widest):
        message += (
            ". If each column is a standard question with its queries below it, write a row for each query; pandas: "
            "df.melt(var_name='standard_question', value_name='query').dropna()"
        )
    guess = _guess(table if table.named else widest)
    message += guess and f"; as far as the rows tell: {guess}"
    if table.named or _NONE_FOUND not in message or guess.endswith(_HEADLESS):
        return message
    if _width_agreed(widest, widest.head[0]) < 1 or len(widest.head[0].cells) != _FEW_CELLS:
        line = (widest.delimiter or ",").join(("standard_question", "query"))
        return (
            f"{message}; if that is already a row of data, the file has no header: name them by number, from 1, or, if "
            f"a row is a standard question and all its queries, put a first line above: {line}"
        )
    values = [Counter(cell) for cell in zip(*(row.cells for row in widest.head), strict=True)]
    query, question = (1, 2) if len(values[0]) > len(values[1]) else (2, 1)
    split = {"\t": " (split at the TAB)", None: ""}.get(widest.delimiter, f" (split at {widest.delimiter!r})")
    return (
        f"{message}; if {quoted(widest.head[0].cells)} is already a row of data{split}, the file has no header: "
        f"--query-column {query} --question-column {question}"
    )


def _explain_one_cell(readings: list[Table]) -> str:
    """Return why the first row has a single cell, and what to do."""
    table, first = readings[0], readings[0].head[0]
    if table.delimiter is None:
        wide = next((row for row in table.head if sum(map(bool, row.cells)) >= _FEW_CELLS), None)
        if wide:
            return (
                f". That is its first row; if the columns are those of line {wide.line}, they are {quoted(wide.cells)}"
            )
        return ". Its rows have one cell each: write the standard question of each query beside it"
    if any(one.delimiter and one.delimiter in first.cells[0] for one in readings):
        if first.cells[0].count('"') % 2:
            return f". A quotation mark in line {first.line} is not closed: close it, or take it away"
        return f". Line {first.line} stands in quotation marks as a whole, and counts as one cell: take them away"
    if len(readings) == 1:
        return f". It holds no {table.delimiter!r}"
    return ". No comma, TAB, ';' or '|' splits it; name another delimiter in source.delimiter"


def _guess(table: Table) -> str:
    """Return options that name the likeliest columns: of texts that differ most, and of texts that come again."""
    names = table.head[0].cells
    rows = _below(table, table.head[0])
    if len(rows) < _MANY_ROWS:
        return ""
    values = {at: {row[at] for row in rows} for at, name in enumerate(names) if name and any(row[at] for row in rows)}
    texts = {at: found for at, found in values.items() if sum(map(str.isnumeric, found)) * 2 < len(found)}
    queries = [at for at, found in texts.items() if len(found) >= _TEXTS * len(rows)]
    labels = [at for at, found in texts.items() if 1 < len(found) <= _LABELS * len(rows)]
    if not queries or not labels:
        return ""
    query = max(queries, key=lambda at: sum(map(len, texts[at])))
    question = max(labels, key=lambda at: len(texts[at]))
    headless = names[question] in texts[question]  # a name comes once
    chosen = [str(at + 1) if headless else shlex.quote(names[at]) for at in (query, question)]
    return f"--query-column {chosen[0]} --question-column {chosen[1]}" + headless * _HEADLESS
