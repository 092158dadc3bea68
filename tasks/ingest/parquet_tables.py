"""Parquet as a table. A list of texts becomes the JSON of it, which is taken apart where labels are read."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import SourceError
from tasks.ingest.input_file import InputFile, reading
from tasks.ingest.tables import BATCH_ROWS, Batch, HeadRow, Selection, Table, as_text

_KIND = "Parquet file"


def open_parquet_table(file: InputFile) -> Table:
    """Open a Parquet file; its columns have names for certain."""
    with reading(file, _KIND), file.open() as stream:
        schema = pq.ParquetFile(stream).schema_arrow
    return Table(file.name, "parquet", [HeadRow(0, 0, schema.names)], partial(_read, file, schema), named=True)


def _read(file: InputFile, schema: pa.Schema, wanted: Selection) -> Iterator[Batch]:
    names = [schema.names[position] for position in wanted.positions]
    for name in names:
        kind = schema.field(name).type
        if pa.types.is_nested(kind) and not _is_list(kind):
            raise SourceError(f"{file.name}: the column {name!r} holds {kind}, not one text a row")
    labels = _find_class_labels(schema)
    line = 1
    with reading(file, _KIND), file.open() as stream:
        table = pq.ParquetFile(stream, pre_buffer=False)  # its buffer would keep all that was read
        for batch in table.iter_batches(BATCH_ROWS, columns=names):
            rows = batch.num_rows
            yield Batch(range(line, line + rows), [_texts(batch.column(name), labels.get(name)) for name in names], [])
            line += rows


def _is_list(kind: pa.DataType) -> bool:
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return lists and not pa.types.is_nested(kind.value_type)


def _find_class_labels(schema: pa.Schema) -> dict[str, list[str]]:
    """Return the names that Hugging Face's datasets library gives to the numbers of a column, by column."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: names for name, feature in features.items() if (names := _names(feature))}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):  # not there, or of another shape
        return {}


def _names(feature: Any) -> list[str]:  # noqa: ANN401  # metadata may be anything
    if isinstance(feature, list):  # a sequence, as earlier versions write it
        feature = {"feature": feature[0]} if feature else {}
    inner = feature.get("feature", feature)
    names = inner.get("names") if isinstance(inner, dict) and inner.get("_type") == "ClassLabel" else None
    return list(map(as_text, names)) if isinstance(names, list) else []


def _texts(column: pa.Array, labels: list[str] | None) -> list[str]:
    try:
        values = column.to_pylist()
    except UnicodeDecodeError:  # Parquet does not check what is written as text
        values = column.cast("binary").to_pylist()
    if labels:
        values = [_name(value, labels) for value in values]
    return [value if isinstance(value, str) else as_text(value) for value in values]


def _name(value: object, labels: list[str]) -> object:
    """Return the name of a number, or of each in a list; -1 stands for no label."""
    if isinstance(value, list):
        return [_name(one, labels) for one in value if one != -1]
    if isinstance(value, int):
        return labels[value] if 0 <= value < len(labels) else None if value == -1 else value
    return value
