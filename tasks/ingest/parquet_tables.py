"""Parquet as a table. A list of texts becomes the JSON of it, which is taken apart where labels are read."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import SourceError
from tasks.ingest.input_file import InputFile, reading
from tasks.ingest.tables import (
    BATCH_CHARACTERS,
    BATCH_ROWS,
    KEPT_CHARACTERS,
    MAX_CELL_CHARACTERS,
    Batch,
    HeadRow,
    Selection,
    Table,
    as_text,
    cut,
)

_KIND = "Parquet file"
_HEAD_ROWS = 50
_BYTES_A_CHARACTER = 4
_LARGE = 1 << 25  # bytes of a column of a row group, beyond which
_LONGEST = 1 << 12  # bytes of the mean cell are no texts, or
_VERY_LARGE, _TIGHTEST = 1 << 27, 500  # bytes to one packed


def open_parquet_table(file: InputFile) -> Table:
    """Open a Parquet file; its columns have names for certain."""
    with reading(file, _KIND), file.open() as stream:
        table = pq.ParquetFile(stream, pre_buffer=False)
        schema = _flat(table.schema_arrow.empty_table()).schema
        rows = _first_rows(table, schema)
    head = [HeadRow(0, 0, schema.names), *(HeadRow(at, at, cells) for at, cells in enumerate(rows, start=1))]
    return Table(file.name, "parquet", head, partial(_read, file, schema), named=True)


def _first_rows(table: pq.ParquetFile, schema: pa.Schema) -> list[list[str]]:
    """Return the first rows, blank where a column holds anything but short texts and whole numbers."""
    if not table.num_row_groups:
        return []
    group, plain = table.metadata.row_group(0), dict[int, list[str]]()
    small = {
        column.path_in_schema
        for column in map(group.column, range(group.num_columns))
        if column.total_uncompressed_size <= min(_VERY_LARGE, _LONGEST * column.num_values)
    }
    wanted = [
        at
        for at, one in enumerate(schema)
        if one.name in small and (_is_text(one.type) or pa.types.is_integer(one.type))
    ]
    names = list(dict.fromkeys(schema.names[at] for at in wanted))
    batch = next(table.iter_batches(_HEAD_ROWS, row_groups=[0], columns=names, use_threads=False), None)
    if batch is not None and wanted:
        labels = _find_class_labels(schema)
        flat = _flat(pa.Table.from_batches([batch]))
        plain = {at: _texts(_column(flat, schema, at).combine_chunks(), labels.get(schema.names[at])) for at in wanted}
    blank = [""] * (batch.num_rows if batch is not None else 0)
    return [list(row) for row in zip(*(plain.get(at, blank) for at in range(len(schema))), strict=True)]


def _column(found: Any, schema: pa.Schema, at: int) -> Any:  # noqa: ANN401 - of a batch or a table
    """Return the column at a place of the schema from what was read by names: several columns may be called alike."""
    name = schema.names[at]
    places = [place for place, one in enumerate(found.schema.names) if one == name]
    return found.column(places[schema.names[:at].count(name)])


def _read(file: InputFile, schema: pa.Schema, wanted: Selection) -> Iterator[Batch]:
    kinds = {schema.names[at]: schema.types[at] for at in wanted.positions}
    names = [*kinds]
    for name, kind in kinds.items():
        if pa.types.is_nested(kind) and not _is_list(kind):
            raise SourceError(f"{file.name}: the column {name!r} holds {kind}, not one text a row")
    texts = [name for name, kind in kinds.items() if _is_text(kind)]
    labels = _find_class_labels(schema)
    nested = any("." in name for name in names)
    line = 1
    with reading(file, _KIND), file.open() as stream:
        # A buffer ahead would keep all that was read; a dictionary kept as one holds a long cell once.
        table = pq.ParquetFile(stream, pre_buffer=False, read_dictionary=texts)
        _refuse_bombs(file.name, table.metadata, set(names))
        for batch in table.iter_batches(BATCH_ROWS, columns=names):
            for part in _slices(_flat(pa.Table.from_batches([batch])).to_batches()[0] if nested else batch):
                yield Batch(
                    range(line, line + part.num_rows),
                    [_texts(_column(part, schema, at), labels.get(schema.names[at])) for at in wanted.positions],
                    [],
                )
                line += part.num_rows


def _flat(table: pa.Table) -> pa.Table:
    """Return a table with a column for each field of an object, as a JSON document has them: intent.name."""
    while any(pa.types.is_struct(kind) for kind in table.schema.types):
        table = table.flatten()
    return table


def _refuse_bombs(name: str, metadata: pq.FileMetaData, wanted: set[str]) -> None:
    """Refuse a column that unpacks to what does not fit into memory."""
    for group in range(metadata.num_row_groups):
        for at in range(metadata.num_columns):
            column = metadata.row_group(group).column(at)
            size = column.total_uncompressed_size
            if column.path_in_schema.split(".")[0] in wanted and size > _LARGE:
                mean, tight = size / max(1, column.num_values), size / max(1, column.total_compressed_size)
                if mean > _LONGEST or (size > _VERY_LARGE and tight > _TIGHTEST):
                    raise SourceError(
                        f"{name}: the column {column.path_in_schema!r} unpacks from {column.total_compressed_size:,} "
                        f"to {size:,} bytes for {column.num_values:,} rows, which no texts do; export it again"
                    )


def _slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield the batch in parts whose texts fit into memory together."""
    sizes = sum(map(_sizes, batch.columns))
    rows = batch.num_rows
    if isinstance(sizes, np.ndarray) and sizes.sum() > _LARGE:
        rows = max(1, int(BATCH_CHARACTERS // sizes.max()))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _sizes(column: pa.Array) -> Any:  # noqa: ANN401 - an array, or 0 for numbers
    """Return the bytes of each text of a column, of one that is too long those that are kept."""
    if pa.types.is_dictionary(column.type):
        words = _sizes(column.dictionary)
        return words[column.indices.fill_null(0).to_numpy()] if isinstance(words, np.ndarray) and words.size else 0
    if not _is_text(column.type):
        return 0
    import pyarrow.compute as pc  # 0.04 s that only Parquet should cost

    sizes = pc.binary_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    return np.where(sizes > _BYTES_A_CHARACTER * MAX_CELL_CHARACTERS, KEPT_CHARACTERS, sizes)


def _is_text(kind: pa.DataType) -> bool:
    return any(check(kind) for check in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary))


def _is_list(kind: pa.DataType) -> bool:
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return lists and (pa.types.is_struct(kind.value_type) or not pa.types.is_nested(kind.value_type))


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
    if pa.types.is_dictionary(column.type):
        words = _texts(column.dictionary, labels)
        return ["" if at is None else words[at] for at in column.indices.to_pylist()]
    try:
        values = column.to_pylist()
    except UnicodeDecodeError:  # Parquet does not check what is written as text
        values = column.cast("binary").to_pylist()
    if labels:
        values = [_name(value, labels) for value in values]
    return [cut(value if isinstance(value, str) else as_text(value)) for value in values]


def _name(value: object, labels: list[str]) -> object:
    """Return the name of a number, or of each in a list; -1 stands for no label."""
    if isinstance(value, list):
        return [_name(one, labels) for one in value if one != -1]
    if isinstance(value, int):
        return labels[value] if 0 <= value < len(labels) else None if value == -1 else value
    return value
