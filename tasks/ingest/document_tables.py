"""Tables in JSON and YAML documents: every list of objects is one, its keys the columns.

A key of an object inside an object is a column too (intent.name). A list of lists is a table whose header may be a
list called columns beside it; an object of lists, or of objects, is a table by column.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from schemas.errors import SourceError
from schemas.settings import Source
from tasks.ingest.column_names import is_subject, key_of
from tasks.ingest.columns import find_columns
from tasks.ingest.documents import DocumentFormat, read_document, read_json_lines
from tasks.ingest.input_file import InputFile
from tasks.ingest.parts import is_test, is_training
from tasks.ingest.tables import (
    BATCH_CHARACTERS,
    BATCH_ROWS,
    TORN,
    BadRow,
    Batch,
    HeadRow,
    Selection,
    Table,
    as_text,
    cut,
    in_batches,
    select,
)
from tasks.ingest.values import SAMPLES, Item, Outline, Path

_MOST_NAMES = 30  # of the columns of an object of objects
_MAX_DEPTH = 6  # objects within objects of which the keys are columns
_HEAD_ROWS = 50
_MAX_VALUES, _MAX_CHARACTERS = 5_000_000, 100_000_000  # of a table by column, which is held in memory


@dataclass(frozen=True)
class _Document:
    file: InputFile
    kind: DocumentFormat
    source: Source

    def items(self) -> Iterator[Item | BadRow]:
        return read_document(self.file, self.source)


def open_document_tables(file: InputFile, kind: DocumentFormat, source: Source, outline: Outline | None) -> list[Table]:
    """Return the tables of a document, one for each list that can be one; a test part beside a training part is none.

    Args:
        file: A JSON or YAML file.
        kind: As what it was recognised.
        source: The settings; `encoding` is that of the file.
        outline: Its outline, if it is known.

    Raises:
        SourceError: it is damaged, or holds no table.
    """
    document = _Document(file, kind, source)
    outline = outline or Outline(document.items())
    table = partial(Table, file.name, kind, encoding=source.encoding)
    if not outline.lists and not outline.values:
        return [table([], lambda _: iter(()))]
    found = dict[Path, Table]()
    for path in outline.lists:
        if path in outline.keys:
            names = _flatten(outline, path)
            head = _as_head(names, outline.lists[path][:_HEAD_ROWS])
            found[path] = table(head, partial(_read_objects, document, path, names), named=True)
        elif rows := _sample_rows(outline, path):
            head = _find_header(outline, len(rows[0])) or [
                HeadRow(at, at, list(map(as_text, row))) for at, row in enumerate(rows[:_HEAD_ROWS], start=1)
            ]
            found[path] = table(head, partial(_read_lists, document, path), named=head[0].line == 0)
    if keyed := find_keyed(outline):
        root, names = keyed
        return [table(_as_head([("key",), *names]), partial(_read_keyed, document, root, names), named=True)]
    if not found and (names := _column_names(outline)):
        return [table(_as_head(names), partial(_read_columns, document, names), named=True)]
    if not found:
        raise SourceError(_describe_none(file, outline))
    return _without_tests(found)


def _as_head(names: Sequence[Path], samples: Sequence[Any] = ()) -> list[HeadRow]:
    rows = [[as_text(_inside(one, name)) for name in names] for one in samples if isinstance(one, dict)]
    return [
        HeadRow(0, 0, [".".join(name) for name in names]),
        *(HeadRow(at, at, row) for at, row in enumerate(rows, 1)),
    ]


def _flatten(outline: Outline, path: Path) -> list[Path]:
    """Return the columns of a list of objects: their keys, and the keys of objects that stand nowhere but inside."""
    samples = [sample for sample in outline.lists[path] if isinstance(sample, dict)]
    return [name for key in outline.keys[path] for name in _flatten_key((key,), [one.get(key) for one in samples])]


def _flatten_key(name: Path, values: list[Any]) -> list[Path]:
    given = [value for value in values if value is not None]
    if not given or len(name) == _MAX_DEPTH or not all(isinstance(value, dict) for value in given):
        return [name]
    keys = dict.fromkeys(key for value in given for key in value)
    return [inner for key in keys for inner in _flatten_key((*name, key), [value.get(key) for value in given])]


def _sample_rows(outline: Outline, path: Path) -> list[list[Any]]:
    """Return the first rows of a list of lists of single values; none if it holds anything else."""
    samples = outline.lists[path]
    flat = all(isinstance(row, list) and not any(isinstance(one, (list, dict)) for one in row) for row in samples)
    return samples if flat and samples[0] else []


def _find_header(outline: Outline, width: int) -> list[HeadRow]:
    """Return the names that pandas writes beside the rows."""
    names = outline.lists.get(("columns",), [])
    return [HeadRow(0, 0, names)] if len(names) == width and all(isinstance(name, str) for name in names) else []


def _column_names(outline: Outline) -> list[Path]:
    """Return the keys of an object of lists, or of objects by row, all of one length."""
    sizes = dict[str, int]()
    for path in filter(None, outline.values):
        sizes[path[0]] = sizes.get(path[0], 0) + (1 if len(path) == 2 else 0)
    if outline.lists and not outline.values:
        sizes = {path[0]: len(samples) for path, samples in outline.lists.items() if len(path) == 1}
    return [(key,) for key in sizes] if len(sizes) > 1 and len({*sizes.values(), 0}) == 2 else []


def are_columns(keys: Sequence[str]) -> bool:
    """Whether keys name the columns of a table: then they are no standard questions."""
    try:
        columns = find_columns(keys, None, None, "")
    except SourceError:
        return False
    return not is_subject(key_of(keys[columns.question]))


def find_keyed(outline: Outline) -> tuple[Path, list[Path]] | None:
    """Return the path of an object of objects, each of which is a row, and the keys that are its columns."""
    paths = [*outline.values, *outline.lists]
    found: list[tuple[Path, list[Path]]] = []
    for root in sorted(dict.fromkeys(path[:-2] for path in paths if len(path) >= 2), key=len):
        below = [path[len(root) :] for path in paths if path[: len(root)] == root]
        names = list(dict.fromkeys(path[1:] for path in below))
        keys = list(dict.fromkeys(path[0] for path in below))
        if len(keys) > 1 and () not in names and len(names) <= _MOST_NAMES and not are_columns(keys):
            if are_columns([".".join(name) for name in names]):
                found.append((root, names))
    alone = len(found) == 1 or (len(found) > 1 and len(found[0][0]) < len(found[1][0]))  # else each is a category
    return found[0] if alone else None


def _read_keyed(document: _Document, root: Path, names: list[Path], wanted: Selection) -> Iterator[Batch]:
    """Yield the objects of an object, each as a row that begins with its key."""
    items = (one for one in document.items() if isinstance(one, Item) and one.path[: len(root)] == root)
    groups = itertools.groupby(items, key=lambda item: item.path[len(root) : len(root) + 1])
    rows = (_as_row(key[0], [*group], len(root) + 1, names) for key, group in groups if key)
    for batch in in_batches(rows, lambda row: sum(map(len, row[1]))):
        yield select([cells for _, cells in batch], [line for line, _ in batch], wanted)


def _as_row(key: str, items: list[Item], depth: int, names: list[Path]) -> tuple[int, list[str]]:
    cells: dict[Path, Any] = {}
    for item in items:
        if item.listed:
            cells.setdefault(item.path[depth:], []).append(item.value)
        else:
            cells[item.path[depth:]] = item.value
    return items[0].line, [key, *(cut(as_text(cells.get(name))) for name in names)]


def _read_objects(document: _Document, path: Path, names: list[Path], wanted: Selection) -> Iterator[Batch]:
    picked = [names[position] for position in wanted.positions]
    if document.kind != "jsonl":
        yield from _read_list(document, path, picked)
        return
    for lines, rows, bad in read_json_lines(document.file, document.source):
        yield Batch(lines, [_column(rows, name) for name in picked], bad)


def _read_list(document: _Document, path: Path, names: list[Path]) -> Iterator[Batch]:
    """Yield the objects of a list, and what else stands in it as torn."""
    lines, columns, bad, characters = list[int](), [list[str]() for _ in names], list[BadRow](), 0
    for item in document.items():
        if not isinstance(item, Item) or not item.listed or item.path != path:
            continue
        if not isinstance(item.value, dict):
            bad.append(BadRow(item.line, TORN, cut(as_text(item.value)), None))
            continue
        lines.append(item.line)
        for column, name in zip(columns, names, strict=True):
            value = item.value.get(name[0]) if len(name) == 1 else _inside(item.value, name)
            column.append(cut(value if isinstance(value, str) else as_text(value)))
            characters += len(column[-1])
        if len(lines) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
            yield Batch(lines, columns, bad)
            lines, columns, bad, characters = [], [[] for _ in names], [], 0
    yield Batch(lines, columns, bad)


def _column(rows: list[dict[str, Any]], name: Path) -> list[str]:
    if len(name) == 1:
        key = name[0]
        return [cut(as_text(row.get(key))) for row in rows]
    return [cut(as_text(_inside(row, name))) for row in rows]


def _inside(value: Any, name: Path) -> Any:  # noqa: ANN401  # a document holds anything
    for key in name:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _read_lists(document: _Document, path: Path, wanted: Selection) -> Iterator[Batch]:
    elements = (item for item in document.items() if isinstance(item, Item) and item.listed and item.path == path)
    rows = (
        (number, [cut(as_text(one)) for one in (item.value if isinstance(item.value, list) else [item.value])])
        for number, item in enumerate(elements, start=1)
    )
    for batch in in_batches(itertools.islice(rows, wanted.after, None), lambda row: sum(map(len, row[1]))):
        yield select([cells for _, cells in batch], [number for number, _ in batch], wanted)


def _read_columns(document: _Document, names: list[Path], wanted: Selection) -> Iterator[Batch]:
    picked = [names[position][0] for position in wanted.positions]
    columns: dict[str, list[str]] = {name: [] for name in picked}
    count = characters = 0
    for item in document.items():
        if isinstance(item, Item) and item.path and item.path[0] in columns:
            columns[item.path[0]].append(cut(as_text(item.value)))
            count, characters = count + 1, characters + len(columns[item.path[0]][-1])
        if count > _MAX_VALUES or characters > _MAX_CHARACTERS:
            raise SourceError(
                f"{document.file.name} is a table by column, and too long to be held in memory; write it by row, one "
                "JSON object a line: df.to_json(path, orient='records', lines=True, force_ascii=False)"
            )
    if len({*map(len, columns.values())}) != 1:
        sizes = ", ".join(f"{name!r} has {len(cells)}" for name, cells in columns.items())
        raise SourceError(f"{document.file.name} is a table by column, and its columns differ in length: {sizes}")
    rows = len(columns[picked[0]])
    for start in range(0, rows, BATCH_ROWS):
        stop = min(start + BATCH_ROWS, rows)
        yield Batch(range(start + 1, stop + 1), [columns[name][start:stop] for name in picked], [])


def _without_tests(found: dict[Path, Table]) -> list[Table]:
    """Return the tables to read, named by their list if there are several."""
    tests = [path for path in found if path and is_test(path[-1])]
    trains = [path for path in found if path and is_training(path[-1])]
    kept = {path: table for path, table in found.items() if not trains or path not in tests}
    note = (
        [f"the lists of tests ({', '.join('.'.join(path) for path in tests)}) were not read"]
        if trains and tests
        else []
    )
    return [
        replace(table, sheet=".".join(path) if len(kept) > 1 else None, notes=[*table.notes, *note])
        for path, table in kept.items()
    ]


def _size(samples: list[Any]) -> str:
    return f"{len(samples)}{' or more' if len(samples) >= SAMPLES else ''}"


def _describe_none(file: InputFile, outline: Outline) -> str:
    columns = {path[0]: samples for path, samples in outline.lists.items() if len(path) == 1}
    if len(columns) > 1 and are_columns([*columns]):
        sizes = ", ".join(f"{name!r} has {_size(samples)}" for name, samples in columns.items())
        return (
            f"{file.name} is a table by column, and its columns differ in length: {sizes}. Every row has a cell in "
            "each: export it again, or write it by row, one JSON object a line"
        )
    lists = [".".join(path) or "the whole" for path in outline.lists]
    inside = f"it holds the lists {', '.join(lists[:5])}, none of objects" if lists else "it holds no list"
    return (
        f"{file.name} holds no table: {inside}. A table is a list of objects whose keys are the columns, "
        'such as [{"query": "...", "standard_question": "..."}], or one such object a line'
    )
