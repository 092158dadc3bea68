"""Any file as tables: what it is by its bytes decides who opens it."""

from schemas.settings import Source
from tasks.ingest.archives import unpack
from tasks.ingest.decoding import find_encoding, find_kind
from tasks.ingest.document_tables import open_document_tables
from tasks.ingest.documents import find_document_format, refuse_false_name
from tasks.ingest.input_file import InputFile, reading
from tasks.ingest.markup_tables import open_markup_tables
from tasks.ingest.parquet_tables import open_parquet_table
from tasks.ingest.tables import Table
from tasks.ingest.text_tables import open_text_tables
from tasks.ingest.values import Outline
from tasks.ingest.workbooks import open_workbook_tables


def open_tables(file: InputFile, source: Source, outline: Outline | None = None) -> list[list[Table]]:
    """Return the tables of a file, each as its possible readings: a text once per delimiter, others once.

    Args:
        file: Any file.
        source: The settings.
        outline: Of a document, if it is known.

    Raises:
        SourceError: it is no table, it is torn, or no encoding fits.
    """
    with reading(file):
        kind = find_kind(file)
        if kind == "zip":
            return open_tables(unpack(file), source, outline)
        if kind == "markup":
            return [[table] for table in open_markup_tables(file, source.encoding)]
        if kind == "parquet":
            return [[open_parquet_table(file)]]
        if kind in ("xlsx", "xls", "xlsb", "ods"):
            return [[table] for table in open_workbook_tables(file, kind)]
        encoding = find_encoding(file, source.encoding)
        if document := find_document_format(file, encoding):
            known = source.model_copy(update={"encoding": encoding})
            return [[table] for table in open_document_tables(file, document, known, outline)]
        refuse_false_name(file, encoding)
        return [open_text_tables(file, encoding, source.delimiter)]
