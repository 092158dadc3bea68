"""A JSON or YAML object whose keys are standard questions, each with the list of its queries."""

from collections.abc import Iterator

from schemas.errors import SourceError
from schemas.settings import Source
from tasks.ingest.columns import find_columns
from tasks.ingest.importers.look import DocumentImporter
from tasks.ingest.labels import Imported, plain_row
from tasks.ingest.values import Item, Outline


def _fits(outline: Outline) -> bool:
    keys = [path[0] for path in outline.lists if len(path) == 1]
    flat = len(keys) > 1 and len(keys) == len(outline.lists) and not outline.values
    are_texts = all(isinstance(text, str) for samples in outline.lists.values() for text in samples)
    return flat and are_texts and not _are_columns(keys)


def _are_columns(keys: list[str]) -> bool:
    """Whether the keys name columns: then the lists are those, and say nothing of each other by their keys."""
    try:
        find_columns(keys, None, None, "")
    except SourceError:
        return False
    return True


def _convert(item: Item, _: Source) -> Iterator[Imported]:
    if item.listed and item.path:
        yield plain_row(item.line, item.value, item.path[0])


MAPPING = DocumentImporter("queries by standard question", _fits, _convert)
