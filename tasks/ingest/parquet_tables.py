"""Parquet as a table."""

from collections.abc import Iterator
from functools import partial

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
        if pa.types.is_nested(kind):
            raise SourceError(f"{file.name}: the column {name!r} holds {kind}, not one text a row")
    line = 1
    with reading(file, _KIND), file.open() as stream:
        table = pq.ParquetFile(stream, pre_buffer=False)  # its buffer would keep all that was read
        for batch in table.iter_batches(BATCH_ROWS, columns=names):
            rows = batch.num_rows
            yield Batch(range(line, line + rows), [_texts(batch.column(name)) for name in names], [])
            line += rows


def _texts(column: pa.Array) -> list[str]:
    try:
        return [value if isinstance(value, str) else as_text(value) for value in column.to_pylist()]
    except UnicodeDecodeError:  # Parquet does not check what is written as text
        return [as_text(value) for value in column.cast("binary").to_pylist()]
