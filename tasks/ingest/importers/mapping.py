"""A JSON or YAML object by key: of standard questions, each with its queries; or of queries, each with its class.

It may stand below another key, beside things like a version, and hold categories of standard questions.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from schemas.settings import Source
from tasks.ingest.column_names import QUERY, key_of
from tasks.ingest.document_tables import are_columns, find_keyed
from tasks.ingest.documents import read_document
from tasks.ingest.importers.look import DocumentImporter, Look
from tasks.ingest.input_file import InputFile
from tasks.ingest.labels import Imported, Unasked, plain_row
from tasks.ingest.tables import BadRow, as_text
from tasks.ingest.values import Item, Outline, Path, is_void

_FEWEST_TEXTS, _ALIKE = 10, 0.7  # and the share of different ones among them
_FEWEST, _FEWEST_BELOW = 2, 3  # standard questions of a whole document, and of an object that is not the whole
_OTHER = re.compile(
    r"entit(?:y|ies)|slots?|synonyms?|lookups?|regex(?:es)?|responses?|answers?|actions?|实体|词槽|同义词|答案|回复",
    re.I,
)


class _Mapping:
    def __init__(self, name: str, *, inside: bool) -> None:
        self.name, self._inside = name, inside

    def recognise(self, look: Look) -> bool:
        """Whether lists of texts stand side by side; `inside`: each in an object, under a key that means queries."""
        return look.outline is not None and bool(_find(look.outline, self._inside))

    def rows(self, file: InputFile, source: Source) -> Iterator[Imported | Unasked]:
        """Yield the texts of these lists, each with the key of its list or object; and keys beside them of nothing."""
        paths = _find(Outline(read_document(file, source)), self._inside)
        depth = 2 if self._inside else 1
        places, last = {path[:-depth] for path in paths}, {path[-1] for path in paths}
        for item in read_document(file, source, empty=True):
            if isinstance(item, BadRow):
                yield item
            elif item.listed and item.path in paths:
                yield plain_row(item.line, item.value, item.path[-depth])
            elif not item.listed and _is_blank(item.value):
                path = item.path[:-1] if self._inside and item.path[-1:] in {(key,) for key in last} else item.path
                if path and path[:-1] in places and not _OTHER.fullmatch(path[-1]):
                    yield Unasked(path[-1])


def _find(outline: Outline, inside: bool) -> set[Path]:
    """Return the paths of the lists of queries: all below one key, in objects by category or not."""
    lists = {path: texts for path, texts in outline.lists.items() if path and not any(map(_OTHER.fullmatch, path[:-1]))}
    if inside:
        lists = {
            path: texts for path, texts in lists.items() if len(path) > 1 and QUERY.rank(key_of(path[-1])) is not None
        }
        found = (
            _is_mapping([path[:-1] for path in lists], lists.values(), _FEWEST)
            and len({path[-1] for path in lists}) == 1
        )
        return {*lists} if found and not find_keyed(outline) else set()
    for root in sorted(dict.fromkeys(path[:at] for path in lists for at in range(len(path))), key=len):
        at = len(root)
        below = {path[at:]: texts for path, texts in lists.items() if path[:at] == root}
        if not any(
            path[:at] == root and not _is_blank(value) for path, value in outline.values.items()
        ) and _is_mapping(below, below.values(), _FEWEST_BELOW if root else _FEWEST):
            return {root + path for path in below}
    return set()


def _is_mapping(paths: Collection[Path], lists: Iterable[list[Any]], fewest: int) -> bool:
    """Whether lists of texts have keys that are standard questions, in one object or in several."""
    groups: dict[Path, list[str]] = {}
    for path in paths:
        groups.setdefault(path[:-1], []).append(path[-1])
    keys = [key for group in groups.values() for key in group]
    return (
        len({*keys}) == len(keys) >= fewest
        and all(len(group) > 1 for parent, group in groups.items() if parent)
        and not any(map(are_columns, groups.values()))
        and all(text is None or isinstance(text, str) for texts in lists for text in texts)
    )


def _is_blank(value: Any) -> bool:  # noqa: ANN401  # a document holds anything
    return is_void(value) or not as_text(value).strip()


def _fits_texts(outline: Outline) -> bool:
    """Whether each key is a query and its value a standard question: texts, of which several are alike."""
    values = [value for path, value in outline.values.items() if len(path) == 1 and isinstance(value, str)]
    flat = len(values) == len(outline.values) >= _FEWEST_TEXTS and not outline.lists
    return flat and len({*values}) <= _ALIKE * len(values) and not are_columns([path[0] for path in outline.values])


def _convert_texts(item: Item, _: Source) -> Iterator[Imported]:
    if not item.listed and len(item.path) == 1:
        yield plain_row(item.line, item.path[0], item.value)


MAPPED_OBJECTS = _Mapping("objects by standard question", inside=True)
MAPPED_TEXTS = DocumentImporter("standard questions by query", _fits_texts, _convert_texts)
MAPPING = _Mapping("queries by standard question", inside=False)
