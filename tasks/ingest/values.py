"""What JSON and YAML documents are to ingest: values with their places, and the outline of a document. Pure."""

import ast
import csv
import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from tasks.ingest.tables import BadRow, as_text

Path = tuple[str, ...]  # the keys that lead to a value; of an element, those of its list

SAMPLES = 100  # elements of a list that are kept in an outline
_ELEMENTS = 1_000  # of a document that is one list: so many show its keys
_PATHS = 20_000
_NODES = 200_000  # values kept in an outline, all together
_CHARACTERS = 200  # of a text
_TEXT_KEYS = (
    "text",
    "plain_text",
    "query",
    "question",
    "utterance",
    "phrase",
    "sentence",
    "q",
    "value",
    "content",
    "name",
    "问题",
    "相似问",
    "内容",
)
_RUNS = ("text", "mention", "url", "link", "equation")  # types of the runs of rich text
_LONGEST = 100_000  # characters of a list in a cell
_NUMPY = re.compile(r"(?<=['\"])\s+(?=['\"])")  # between the texts of an array


class Item(NamedTuple):
    """A value of a document, and where it stands."""

    line: int
    path: Path
    listed: bool  # an element of a list
    value: Any


class Outline:
    """The shape of a document: its lists with their first elements, and its other values, by path."""

    def __init__(self, items: Iterable[Item | BadRow]) -> None:
        """Read `items` as far as the shape needs: of a single list the first elements, else all."""
        self.lists: dict[Path, list[Any]] = {}  # long texts and lists in an element are cut
        self.keys: dict[Path, dict[str, None]] = {}  # of the objects in a list, in the order they appear
        self.values: dict[Path, Any] = {}
        self._nodes = _NODES
        elements = 0
        for item in items:
            if isinstance(item, BadRow):
                continue
            if item.listed:
                self._add_element(item)
                elements += not item.path
            elif not is_void(item.value):
                self.values[item.path] = self._cut(item.value)
            if elements >= _ELEMENTS or len(self.lists) + len(self.values) > _PATHS:
                break

    def has_records(self, *path: str, keys: Iterable[str]) -> bool:
        """Whether a list of objects is there, and most of them have all `keys`."""
        samples, wanted = self.lists.get(path, []), set(keys)
        having = sum(isinstance(sample, dict) and wanted <= sample.keys() for sample in samples)
        return 2 * having > len(samples)

    def _add_element(self, item: Item) -> None:
        samples = self.lists.setdefault(item.path, [])
        if len(samples) < SAMPLES and self._nodes > 0:
            samples.append(self._cut(item.value))
        if isinstance(item.value, dict):
            self.keys.setdefault(item.path, {}).update(dict.fromkeys(item.value))

    def _cut(self, value: Any) -> Any:  # noqa: ANN401  # a document holds anything
        self._nodes -= 1
        if isinstance(value, str):
            return value[:_CHARACTERS]
        if isinstance(value, list):
            return [self._cut(one) for one in value[:SAMPLES] if self._nodes > 0]
        if isinstance(value, dict):
            return {key: self._cut(one) for key, one in value.items() if self._nodes > 0}
        return value


def is_void(value: object) -> bool:
    """Whether a value is a list or an object that holds nothing."""
    return isinstance(value, (list, dict)) and not value


def objects(value: object) -> list[dict[str, Any]]:
    """Return the objects of a list; none if the value is no list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def texts(value: object) -> list[str]:
    """Return the texts of a list, or of a single value; what is no text is left out."""
    values = value if isinstance(value, list) else [value]
    return [text for one in values if not isinstance(one, (dict, list)) and (text := as_text(one)).strip()]


def parse_value(text: str) -> Any:  # noqa: ANN401  # a cell holds anything
    """Return the list or object that a cell holds as JSON, Python, NumPy or PostgreSQL write it; None: neither."""
    text = text.strip()
    if text[:1] not in ("[", "{", "(") or len(text) > _LONGEST:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = _parse_literal(text)
    if isinstance(value, (tuple, set)):
        return [*value] if isinstance(value, tuple) else sorted(value, key=str)
    return value if isinstance(value, (list, dict)) else None


def _parse_literal(text: str) -> Any:  # noqa: ANN401
    array = text.startswith("{") and text.endswith("}") and not re.search(r"[{}:\n]", text[1:-1])
    if array and "'" not in text:
        return next(csv.reader([text[1:-1]]), [])
    try:
        return ast.literal_eval(_NUMPY.sub(", ", text))
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None


def parse_texts(text: str) -> list[str] | None:
    """Return the texts of a list that a cell holds, of objects their own texts; None: it holds no such list.

    Rich text is one text: Feishu, Notion and editors cut it into a run for every link, mention and change of style.
    """
    values = parse_value(text)
    if isinstance(values, list) and values and all(map(_is_run, values)):
        whole = "".join(str(_text_of(run)) for run in values)
        return [whole] if whole.strip() else []
    found = [_text_of(one) for one in values] if isinstance(values, list) else [None]
    return None if None in found else [one for one in found if one]


def _is_run(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, dict) and value.get("type") in _RUNS and _text_of(value) is not None


def _text_of(value: Any) -> str | None:  # noqa: ANN401
    if isinstance(value, dict):
        named = [value[key] for key in _TEXT_KEYS if isinstance(value.get(key), str)]
        return next(iter(named), None)
    return value if isinstance(value, str) else None
