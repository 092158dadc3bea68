"""A JSON or YAML object by key: of standard questions, each with its queries; or of queries, each with its class.

It may stand below another key, beside things like a version.
"""

from collections.abc import Iterator

from schemas.settings import Source
from tasks.ingest.column_names import QUERY, key_of
from tasks.ingest.document_tables import are_columns, find_keyed
from tasks.ingest.documents import read_document
from tasks.ingest.importers.look import DocumentImporter, Look
from tasks.ingest.input_file import InputFile
from tasks.ingest.labels import Imported, plain_row
from tasks.ingest.tables import BadRow
from tasks.ingest.values import Item, Outline, Path

_FEWEST, _ALIKE = 10, 0.7  # texts, and the share of different ones among them
_FEWEST_BELOW = 3  # standard questions of an object that is not the whole document


class _Mapping:
    def __init__(self, name: str, *, inside: bool) -> None:
        self.name, self._inside = name, inside

    def recognise(self, look: Look) -> bool:
        """Whether lists of texts stand side by side; `inside`: each in an object, under a key that means queries."""
        return look.outline is not None and _find(look.outline, self._inside) is not None

    def rows(self, file: InputFile, source: Source) -> Iterator[Imported]:
        """Yield the texts of these lists, each with the key of its list or object."""
        root, key = _find(Outline(read_document(file, source)), self._inside) or ((), ())
        at = len(root)
        for item in read_document(file, source):
            if isinstance(item, BadRow):
                yield item
            elif item.listed and item.path[:at] == root and item.path[at + 1 :] == key and len(item.path) > at:
                yield plain_row(item.line, item.value, item.path[at])


def _find(outline: Outline, inside: bool) -> tuple[Path, Path] | None:
    """Return the path of the object by standard question, and the key of the queries inside of its objects."""
    depth = 2 if inside else 1
    for root in sorted({path[:-depth] for path in outline.lists if len(path) >= depth}, key=len):
        below = {path[len(root) :]: texts for path, texts in outline.lists.items() if path[: len(root)] == root}
        values = [path for path in outline.values if path[: len(root)] == root]
        names = {path[-1] for path in below if not inside or QUERY.rank(key_of(path[-1])) is not None}
        lists = [texts for path, texts in below.items() if path[-1] in names]
        fits = (
            len(lists) >= (_FEWEST_BELOW if root else 2)
            and all(len(path) == depth for path in below)
            and all(isinstance(text, str) for texts in lists for text in texts)
        )
        if fits and not inside and not values and not are_columns([path[0] for path in below]):
            return root, ()
        if fits and inside and len(names) == 1 and not find_keyed(outline):
            return root, (names.pop(),)
    return None


def _fits_texts(outline: Outline) -> bool:
    """Whether each key is a query and its value a standard question: texts, of which several are alike."""
    values = [value for path, value in outline.values.items() if len(path) == 1 and isinstance(value, str)]
    flat = len(values) == len(outline.values) >= _FEWEST and not outline.lists
    return flat and len({*values}) <= _ALIKE * len(values) and not are_columns([path[0] for path in outline.values])


def _convert_texts(item: Item, _: Source) -> Iterator[Imported]:
    if not item.listed and len(item.path) == 1:
        yield plain_row(item.line, item.path[0], item.value)


MAPPED_OBJECTS = _Mapping("objects by standard question", inside=True)
MAPPED_TEXTS = DocumentImporter("standard questions by query", _fits_texts, _convert_texts)
MAPPING = _Mapping("queries by standard question", inside=False)
