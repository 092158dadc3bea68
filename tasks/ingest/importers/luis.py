"""Microsoft LUIS, and its successor Conversational Language Understanding (CLU)."""

from collections.abc import Iterator

from schemas.settings import Source
from tasks.ingest.importers.look import DocumentImporter
from tasks.ingest.labels import HELD_OUT, Imported, plain_row
from tasks.ingest.parts import is_test
from tasks.ingest.tables import BadRow
from tasks.ingest.values import Item, Outline

_LUIS, _CLU = ("utterances",), ("assets", "utterances")


def _fits_luis(outline: Outline) -> bool:
    named = ("luis_schema_version",) in outline.values or outline.has_records("intents", keys=["name"])
    return named and outline.has_records(*_LUIS, keys=["text", "intent"])


def _fits_clu(outline: Outline) -> bool:
    return outline.has_records(*_CLU, keys=["text", "intent"])


def _convert(item: Item, _: Source) -> Iterator[Imported]:
    if item.path not in (_LUIS, _CLU) or not isinstance(item.value, dict):
        return
    row = plain_row(item.line, item.value.get("text"), item.value.get("intent"))
    held_out = is_test(str(item.value.get("dataset")))
    yield row if isinstance(row, BadRow) or not held_out else BadRow(row[0], HELD_OUT, *row[1:])


LUIS = DocumentImporter("Microsoft LUIS", _fits_luis, _convert)
CLU = DocumentImporter("Microsoft CLU", _fits_clu, _convert)
