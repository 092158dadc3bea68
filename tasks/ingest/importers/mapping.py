"""A JSON or YAML object by key: of standard questions, each with its queries; or of queries, each with its class."""

from collections.abc import Iterator

from schemas.errors import SourceError
from schemas.settings import Source
from tasks.ingest.column_names import QUERY, key_of
from tasks.ingest.columns import find_columns
from tasks.ingest.importers.look import DocumentImporter
from tasks.ingest.labels import Imported, plain_row
from tasks.ingest.values import Item, Outline

_INSIDE = 2  # keys that lead to a list inside an object
_FEWEST, _ALIKE = 10, 0.7  # texts, and the share of different ones among them


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


def _fits_objects(outline: Outline) -> bool:
    """Whether each key has an object with a list that is called like queries."""
    keys = {path[1] for path in outline.lists if len(path) == _INSIDE}
    alike = len(keys) == 1 and len(outline.lists) > 1 and all(len(path) == _INSIDE for path in outline.lists)
    return alike and all(QUERY.rank(key_of(key)) is not None for key in keys)


def _fits_texts(outline: Outline) -> bool:
    """Whether each key is a query and its value a standard question: texts, of which several are alike."""
    values = [value for path, value in outline.values.items() if len(path) == 1 and isinstance(value, str)]
    flat = len(values) == len(outline.values) >= _FEWEST and not outline.lists
    return flat and len({*values}) <= _ALIKE * len(values) and not _are_columns([path[0] for path in outline.values])


def _convert_texts(item: Item, _: Source) -> Iterator[Imported]:
    if not item.listed and len(item.path) == 1:
        yield plain_row(item.line, item.path[0], item.value)


MAPPED_OBJECTS = DocumentImporter("objects by standard question", _fits_objects, _convert)
MAPPED_TEXTS = DocumentImporter("standard questions by query", _fits_texts, _convert_texts)
MAPPING = DocumentImporter("queries by standard question", _fits, _convert)
