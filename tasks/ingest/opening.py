"""Any file as tables: what it is by its bytes decides who opens it."""

from schemas.settings import Source
from tasks.ingest.decoding import find_encoding, find_format
from tasks.ingest.input_file import InputFile, reading
from tasks.ingest.json_tables import open_json_table
from tasks.ingest.parquet_tables import open_parquet_table
from tasks.ingest.tables import Table
from tasks.ingest.text_tables import open_text_tables
from tasks.ingest.workbooks import open_workbook_tables


def open_tables(file: InputFile, source: Source) -> list[list[Table]]:
    """Return the tables of a file, each as its possible readings: a text once per delimiter, others once.

    Raises:
        SourceError: it is no table, it is torn, or no encoding fits.
    """
    with reading(file):
        kind = find_format(file)
        if kind == "parquet":
            return [[open_parquet_table(file)]]
        if kind == "excel":
            return [[table] for table in open_workbook_tables(file, old=False)]
        encoding = find_encoding(file, source.encoding)
        if kind == "jsonl":
            return [[open_json_table(file, encoding)]]
        return [open_text_tables(file, encoding, source.delimiter)]
