"""What a file gives: its tables, the columns that are read of each, and their rows."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial

import pyarrow as pa

from schemas.errors import SourceError
from schemas.ingest import Role, SourceFile
from schemas.settings import Source
from tasks.ingest.addresses import BUNDLED
from tasks.ingest.archives import unpack
from tasks.ingest.columns import (
    BY_ANSWER,
    BY_COLUMN,
    BY_ROLE,
    Columns,
    find_columns,
    find_id_column,
    find_marked_columns,
    find_payload,
    find_queries_alone,
    quoted,
)
from tasks.ingest.decoding import find_encoding, find_kind
from tasks.ingest.faq import find_faq_columns, find_role_columns, name_by_first_question, name_by_role
from tasks.ingest.importers import Imported, Importer, Look, find_importer
from tasks.ingest.input_file import InputFile, reading
from tasks.ingest.labels import Unasked, take_joined_apart, take_lists_apart, take_query_lists_apart
from tasks.ingest.layout import ColumnFinder, Layout, PayloadFinder, RowFinder, find_doubts, find_layout
from tasks.ingest.melting import Melting
from tasks.ingest.opening import open_tables
from tasks.ingest.tables import BATCH_ROWS, BadRow, Format, Pairs, Table, in_batches
from tasks.ingest.values import Outline


@dataclass(frozen=True)
class OpenedSource:
    """One table of a file, ready to be read. `layout` is None where there are no columns to choose from."""

    name: str
    format: Format
    pairs: Iterator[Pairs]
    table: Table | None = None
    layout: Layout | None = None
    kind: str | None = None  # of an export of another platform
    notes: list[str] = field(default_factory=list)  # these two are complete once all rows have been read
    warnings: list[str] = field(default_factory=list)
    unasked: list[str] = field(
        default_factory=list
    )  # standard questions that it names, perhaps without a row; likewise


def open_sources(file: InputFile, source: Source, seed: int, *, queries_alone: bool = False) -> list[OpenedSource]:
    """Return the tables of a file that hold queries and standard questions.

    Args:
        file: of one or several tables.
        source: says which columns and sheets, and how they are read.
        seed: of a bundled corpus.
        queries_alone: a table may do without standard questions; its queries are then read as a list of texts.

    Raises:
        SourceError: it is no table, or no table of it has the columns.
    """
    if file.bundled:
        return [_open_bundled(file, seed)]
    with reading(file):
        kind = "" if file.parts else find_kind(file)
        if kind == "zip":
            file = unpack(file)
            kind = find_kind(file)
        is_text = kind == "text"
        if is_text:
            source = source.model_copy(update={"encoding": find_encoding(file, source.encoding)})
        look = Look(file, source)
        importer = find_importer(look) if is_text or file.parts else None
    if importer:
        unasked = list[str]()
        pairs = take_lists_apart(_import(importer, file, source, unasked), explode=source.multiple_labels == "explode")
        return [OpenedSource(file.name, "imported", pairs, kind=importer.name, unasked=unasked)]
    find = partial(_find_columns, source, file.name, queries_alone)
    keep = partial(
        find_payload,
        wanted=[source.payload_columns] if isinstance(source.payload_columns, str) else source.payload_columns,
    )
    by_rows = None if source.query_column or source.question_column else _find_by_rows
    opened = open_columns(file, source, find, keep, by_rows, outline=look.known_outline)
    return [_refine(one, source) for one in opened]


def open_columns(
    file: InputFile,
    source: Source,
    find: ColumnFinder,
    keep: PayloadFinder = find_payload,
    by_rows: RowFinder | None = None,
    outline: Outline | None = None,
) -> list[OpenedSource]:
    """Return the tables of a file in which `find` finds its columns.

    Of a workbook all visible sheets that have them are read, or those that `source.sheet` names.

    Raises:
        SourceError: none has them.
    """
    groups = open_tables(file, source, outline)
    if len(groups) == 1 and groups[0][0].sheet is None:
        if not groups[0][0].head:
            return [OpenedSource(file.name, groups[0][0].format, iter(()), groups[0][0])]
        try:
            table, layout = find_layout(groups[0], find, keep, by_rows)
        except SourceError as error:
            if not source.delimiter or groups[0][0].format != "csv":
                raise
            raise SourceError(
                f"{error}. The header was split at {source.delimiter!r}, as source.delimiter says"
            ) from None
        return [_melt(file.name, table, layout, source)]
    return _open_sheets(file, [group[0] for group in groups], source, find, keep, by_rows)


def _melt(name: str, table: Table, layout: Layout, source: Source) -> OpenedSource:
    melting = Melting(name, table, layout, source, table.notes, find_doubts(name, table, layout))
    return OpenedSource(
        name, table.format, melting.pairs(), table, layout, None, melting.notes, melting.warnings, melting.unasked
    )


def describe_source(
    opened: OpenedSource, role: Role, rows: int, reasons: Counter[str], samples: list[tuple[str, str]]
) -> SourceFile:
    """Return what ingest says of a table that was read."""
    table, layout = opened.table, opened.layout
    read = [layout.names[at] for at in (*layout.columns.queries, layout.columns.question)] if layout else []
    if layout and (marks := layout.columns.marks):
        read[-1] = f"{layout.names[marks[0]]} … {layout.names[marks[-1]]}"
        read = read[-1:] if layout.columns.why_question == BY_COLUMN else read
    columns = layout.columns if layout else None
    return SourceFile(
        name=opened.name,
        role=role,
        format=opened.format,
        kind=opened.kind,
        encoding=table.encoding if table else None,
        delimiter=table.delimiter if table and layout else None,
        sheet=table.sheet if table else None,
        header_line=layout.header.line if layout and layout.header else None,
        columns=read,
        why_query=columns.why_query if columns else None,
        why_question=columns.why_question if columns else None,
        payload_columns=layout.kept if layout else [],
        unused_columns=layout.unused if layout else [],
        rows=rows,
        quarantined=reasons.total(),
        reasons=dict(reasons.most_common()),
        samples=samples,
        notes=opened.notes,
    )


def _find_by_rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Columns | None:
    """Return the columns of a table whose rows say what they are, or mark their standard questions; None: neither."""
    return find_role_columns(header, rows) or find_marked_columns(header, rows)


def _find_columns(source: Source, name: str, queries_alone: bool, header: Sequence[str]) -> Columns:
    """Return the columns of queries and standard questions, or of questions and answers where nothing is named."""
    try:
        return find_columns(header, source.query_column, source.question_column, name)
    except SourceError:
        if source.questions_path and not source.question_column and (identity := find_id_column(header)):
            return find_columns(header, source.query_column, identity, name)
        faq = None if source.query_column or source.question_column else find_faq_columns(header)
        if faq is None and queries_alone:
            return find_queries_alone(header, name)
        if faq is None:
            raise
        return faq


def _refine(opened: OpenedSource, source: Source) -> OpenedSource:
    """Take lists and several labels apart, and name the answers of a FAQ table by their first questions."""
    if opened.layout and opened.layout.columns.why_question == BY_ANSWER:
        return replace(opened, pairs=name_by_first_question(take_query_lists_apart(opened.pairs), opened.name))
    if opened.layout and opened.layout.columns.why_question == BY_ROLE:
        return replace(opened, pairs=name_by_role(opened.pairs, opened.name))
    explode = source.multiple_labels == "explode"
    pairs = take_lists_apart(opened.pairs, explode=explode)
    return replace(
        opened, pairs=pairs if source.multiple_labels == "keep" else take_joined_apart(pairs, explode=explode)
    )


def _open_sheets(
    file: InputFile,
    sheets: list[Table],
    source: Source,
    find: ColumnFinder,
    keep: PayloadFinder,
    by_rows: RowFinder | None,
) -> list[OpenedSource]:
    wanted = source.sheet
    chosen = _choose_sheets(file, sheets, wanted)
    filled = [sheet for sheet in chosen if sheet.head]
    if not filled:
        return [OpenedSource(file.name, chosen[0].format, iter(()), chosen[0])]
    word = {"excel": "sheet", "html": "table"}.get(chosen[0].format, "list")
    found, errors = list[tuple[Table, Layout]](), list[tuple[Table, SourceError]]()
    for sheet in filled:
        try:
            found.append(find_layout([sheet], find, keep, by_rows))
        except SourceError as error:
            errors.append((sheet, error))
    visible = [one for one in found if not one[0].hidden]
    read = found if wanted else visible or found
    if not read or (wanted not in (None, "*") and errors):
        raise _refusal(errors, len(filled), word)
    several = len(read) > 1
    opened = [_melt(table.name if several else file.name, table, layout, source) for table, layout in read]
    opened[0].warnings.extend(_describe_sheets(file.name, found, read, errors, word))
    return opened


def _describe_sheets(
    name: str,
    found: list[tuple[Table, Layout]],
    read: list[tuple[Table, Layout]],
    errors: list[tuple[Table, SourceError]],
    word: str,
) -> list[str]:
    notes = [f"{name}: the sheet {table.sheet!r} that was read is hidden" for table, _ in read if table.hidden]
    if left := [str(one[0].sheet) for one in found if one not in read]:
        notes.append(
            f"{name}: hidden sheets with the same columns were not read: {quoted(left)}; unhide those that count"
        )
    if errors:
        names = quoted([str(sheet.sheet) for sheet, _ in errors])
        notes.append(f"{name}: {word}s without these columns were not read: {names}")
    return notes


def _choose_sheets(file: InputFile, sheets: list[Table], wanted: str | list[str] | None) -> list[Table]:
    if wanted is None:
        return sheets
    chosen = []
    for name in [wanted] if isinstance(wanted, str) else wanted:
        exact = [sheet for sheet in sheets if sheet.sheet == name]
        alike = exact or [sheet for sheet in sheets if fnmatchcase(str(sheet.sheet), name)]
        if not alike:
            raise SourceError(
                f"{file.name} has no sheet {name!r} (source.sheet); "
                f"its sheets are {', '.join(repr(sheet.sheet) for sheet in sheets)}"
            )
        chosen += [sheet for sheet in alike if sheet not in chosen]
    return chosen


def _refusal(errors: list[tuple[Table, SourceError]], sheets: int, word: str) -> SourceError:
    sheet, error = errors[0]
    return error if sheets == 1 else SourceError(f"{error}. That is the {word} {sheet.sheet!r}, of {sheets}")


def _import(importer: Importer, file: InputFile, source: Source, unasked: list[str]) -> Iterator[Pairs]:
    with reading(file, importer.name):
        for rows in in_batches(importer.rows(file, source), _measure):
            unasked += [row.question for row in rows if isinstance(row, Unasked)]
            yield _as_pairs([row for row in rows if not isinstance(row, Unasked)])


def _measure(row: Imported | Unasked) -> int:
    return 0 if isinstance(row, (BadRow, Unasked)) else len(row[1]) + len(row[2])


def _as_pairs(rows: list[Imported]) -> Pairs:
    good = [row for row in rows if not isinstance(row, BadRow)]
    bad = [row for row in rows if isinstance(row, BadRow)]
    return Pairs([row[0] for row in good], [row[1] for row in good], [row[2] for row in good], bad)


def _open_bundled(file: InputFile, seed: int) -> OpenedSource:
    from tasks.ingest.bundled import generate

    return OpenedSource(file.name, "bundled", _read_bundled(generate(file.path.removeprefix(BUNDLED), seed)))


def _read_bundled(table: pa.Table) -> Iterator[Pairs]:
    line = 1
    for batch in table.select(["query", "standard_question"]).to_batches(BATCH_ROWS):
        queries, questions = (column.to_pylist() for column in batch.columns)
        yield Pairs(range(line, line + batch.num_rows), queries, questions, [])
        line += batch.num_rows
