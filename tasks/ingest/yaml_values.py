"""A YAML document as the same stream of values as JSON, every scalar as the text that stands there, null as none.

Built from the events of libyaml, not with a loader: `yes`, `007` and dates stay what was typed, nothing of a tag is
made, depth and size are bounded, and an alias, of which bombs are built, is refused.
"""

from collections.abc import Iterator
from typing import Any, TextIO

import yaml

from schemas.errors import SourceError
from tasks.ingest.values import Item, Path, is_void

MAX_CHARACTERS = 32_000_000
_MAX_NODES = 500_000
_MAX_DEPTH = 64
_NULL = ("~", "null", "Null", "NULL")


class _List(list[Any]):
    """A list that knows the line of each element."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[int] = []


class Block(str):
    """A text of several lines as they stand in the document, from `line` on."""

    __slots__ = ("line",)
    line: int


class _Builder:
    """Takes events, and has the values of the finished documents in `documents`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.documents = _List()
        self._open: list[_List | dict[str, Any]] = [self.documents]
        self._keys: list[str | None] = [None]  # of the open containers: the key whose value comes next
        self._nodes = 0

    def take(self, event: yaml.Event) -> None:
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.ScalarEvent):
            plain = event.implicit[0]  # in no quotation marks
            value = "" if plain and event.value in _NULL else event.value
            if event.style == "|":
                value = Block(value)
                value.line = line + 1
            self._add(value, line)
        elif isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            container = _List() if isinstance(event, yaml.SequenceStartEvent) else dict[str, Any]()
            self._add(container, line)
            self._open.append(container)
            self._keys.append(None)
            if len(self._open) > _MAX_DEPTH:
                raise SourceError(f"{self._name} line {line}: its lists and mappings are nested too deep")
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            self._open.pop()
            self._keys.pop()
        elif isinstance(event, yaml.AliasEvent):
            raise SourceError(f"{self._name} line {line} holds a YAML alias (*{event.anchor}); write out what it means")

    def _add(self, value: Any, line: int) -> None:  # noqa: ANN401  # a document holds anything
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise SourceError(f"{self._name} holds more than {_MAX_NODES:,} YAML values; split it into several files")
        container, key = self._open[-1], self._keys[-1]
        if isinstance(container, _List):
            container.append(value)
            container.lines.append(line)
        elif key is None:
            self._keys[-1] = value if isinstance(value, str) else repr(value)[:_MAX_DEPTH]
        else:
            container[key] = value
            self._keys[-1] = None


class _Bounded:
    """A text stream that ends in an error where it is too long."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream, self._name, self._left = stream, name, MAX_CHARACTERS

    def read(self, size: int = -1, /) -> str:
        chunk = self._stream.read(size)
        self._left -= len(chunk)
        if self._left < 0:
            raise SourceError(f"{self._name} has more than {MAX_CHARACTERS:,} characters of YAML; split it")
        return chunk


def stream_values(stream: TextIO, name: str) -> Iterator[Item]:
    """Yield the elements of every list, and the values outside of lists, in the order of the document.

    Several documents in one file count as elements of a list without a path.

    Raises:
        SourceError: it is no YAML, or holds an alias, or is too long or too deep; the message names the line.
    """
    builder = _Builder(name)
    try:
        for event in yaml.parse(_Bounded(stream, name), Loader=yaml.CSafeLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" line {mark.line + 1}" if mark else ""
        raise SourceError(f"{name}{where} is no YAML: {error.problem or error.context}. Correct that line") from error
    except yaml.YAMLError as error:
        raise SourceError(f"{name} is no YAML: {str(error).splitlines()[0]}. Export it again") from error
    documents = builder.documents
    if len(documents) == 1:
        yield from _walk(documents[0], (), documents.lines[0])
    else:
        yield from (Item(line, (), True, value) for line, value in zip(documents.lines, documents, strict=True))


def _walk(value: Any, path: Path, line: int) -> Iterator[Item]:  # noqa: ANN401  # a document holds anything
    if path and is_void(value):
        yield Item(line, path, False, value)
    elif isinstance(value, dict):
        for key, member in value.items():
            yield from _walk(member, (*path, key), line)
    elif isinstance(value, _List):
        yield from (Item(at, path, True, one) for at, one in zip(value.lines, value, strict=True))
    else:
        yield Item(line, path, False, value)
