"""JSON Lines as a table: the keys of its objects are the columns."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from schemas.errors import SourceError
from tasks.ingest.decoding import open_text
from tasks.ingest.input_file import InputFile, reading
from tasks.ingest.tables import BadRow, Batch, HeadRow, Selection, Table, as_text, torn_reason

_HEAD_LINES = 20  # of which the keys are the columns
_HEAD_CHARACTERS = 1 << 20
_CHUNK_CHARACTERS = 2_000_000


def open_json_table(file: InputFile, encoding: str) -> Table:
    """Open JSON Lines.

    Raises:
        SourceError: it is something else.
    """
    keys: dict[str, None] = {}
    with reading(file), open_text(file, encoding) as text:
        lines = (text.readline(_HEAD_CHARACTERS) for _ in range(_HEAD_LINES))
        head = [line for line in lines if line.strip()]
    for line in head:
        keys.update(dict.fromkeys(_parse_object(line) or ()))
    if head and not keys:
        hint = "it is one JSON array" if head[0].lstrip("\ufeff \t").startswith("[") else f"line 1 is {head[0][:60]!r}"
        raise SourceError(f"{file.name} is not JSONL: {hint}. JSONL has one JSON object a line, its keys the columns")
    names = [HeadRow(0, 0, list(keys))] if keys else []
    return Table(file.name, "jsonl", names, partial(_read, file, encoding, list(keys)), named=True, encoding=encoding)


def _read(file: InputFile, encoding: str, keys: list[str], wanted: Selection) -> Iterator[Batch]:
    names = [keys[position] for position in wanted.positions]
    line = 0
    with reading(file), open_text(file, encoding) as text:
        while chunk := text.readlines(_CHUNK_CHARACTERS):
            lines, rows, bad = list[int](), list[dict[str, Any]](), list[BadRow]()
            for raw in chunk:
                line += 1
                row = _parse_object(raw)
                if row is not None:
                    lines.append(line)
                    rows.append(row)
                elif raw.strip():
                    bad.append(BadRow(line, torn_reason([raw]), raw.strip(), None))
            yield Batch(lines, [[as_text(row.get(name)) for row in rows] for name in names], bad)


def _parse_object(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line.lstrip("\ufeff"))
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None
