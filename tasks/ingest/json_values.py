"""A JSON document of any shape as a stream of its list elements and single values, in bounded memory.

A list is streamed wherever only objects lead to it; what lies inside an element is decoded at once. This is the
standard decoder, used incrementally. ijson takes a third of the time, but knows no lines, refuses the NaN that Python
writes, turns half a surrogate pair into "?", and 100,000 nested brackets cost it 20 GB.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, TextIO

from schemas.errors import SourceError
from tasks.ingest.tables import BadRow, torn_reason
from tasks.ingest.values import Item, Path

MAX_VALUE_CHARACTERS = 4_000_000  # of one element: decoded at once, hence bounded
_MOST_KEYS = 30  # of a row; an object of more is a mapping
_HEAD_LINES = 20  # by which JSON Lines are told from a document
_HEAD_CHARACTERS = 1 << 20
_LINES_CHARACTERS = 2_000_000  # of lines decoded at a time
_MAX_DEPTH = 16  # objects around a list; what lies deeper is decoded as one value
_CHUNK_CHARACTERS = 1 << 16
_MARGIN = 8  # a number at the end of a chunk may go on in the next

_BLANK = re.compile(r"[ \t\r\n\ufeff\x1e]*")  # RFC 7464 begins each text with \x1e
_BLANKS = " \t\r\n\ufeff\x1e"
_COMMA = re.compile(r"[ \t\r\n]*,[ \t\r\n]*")
_LISTS = re.compile(r"(\[[^\n]*\]),?[ \t]*\r?\n[ \t]*\[")
_DECODER = json.JSONDecoder(strict=False)  # exporters leave line ends and tabs inside of texts


def stream_values(stream: TextIO, name: str) -> Iterator[Item]:
    """Yield the elements of every list, and the values outside of lists, in the order of the document.

    What is empty is a value, be it a list. Several objects one after the other count as elements of a list without a
    path.

    Raises:
        SourceError: it is no JSON, or torn; the message names the line.
    """
    text = _Text(stream, name)
    alone, listed = True, False
    while start := text.peek():
        listed = listed or (alone and start == "[" and text.is_line_of_several())
        if start == "[" and not listed:
            yield from _stream_list(text, ())
        elif start == "{" and alone and text.is_last_value():
            yield from _stream_object(text, ())
        else:
            yield Item(text.line, (), True, text.take_value())
        alone = False
        text.skip_comma()


def stream_lines(stream: TextIO) -> Iterator[Item | BadRow]:
    """Yield the objects of JSON Lines, as elements of a list without a path; a line that holds none is set aside."""
    for lines, rows, bad in read_lines(stream):
        yield from (Item(line, (), True, row) for line, row in zip(lines, rows, strict=True))
        yield from bad


def read_lines(stream: TextIO) -> Iterator[tuple[list[int], list[dict[str, Any]], list[BadRow]]]:
    """Yield JSON Lines in chunks: the lines that hold an object, these objects, and the other lines."""
    line = 0
    while chunk := stream.readlines(_LINES_CHARACTERS):
        lines, rows, bad = list[int](), list[dict[str, Any]](), list[BadRow]()
        for raw in chunk:
            line += 1
            row = parse_object(raw)
            if row is not None:
                lines.append(line)
                rows.append(row)
            elif raw.strip():
                bad.append(BadRow(line, torn_reason([raw]), raw.strip(), None))
        yield lines, rows, bad


def are_lines(stream: TextIO) -> bool:
    """Whether a text is JSON Lines: the first line is an object, or two of the first twenty are.

    A single object that holds lists or objects is a document, though it may stand in one line.
    """
    head = (stream.readline(_HEAD_CHARACTERS) for _ in range(_HEAD_LINES))
    parsed = [parse_object(line) for line in head if line.strip(_BLANKS)]
    rows = [row for row in parsed if row is not None]
    if len(parsed) == 1 and rows:
        return len(rows[0]) <= _MOST_KEYS and not any(isinstance(value, (dict, list)) for value in rows[0].values())
    return len(rows) > 1 or bool(parsed and parsed[0])


def parse_object(line: str) -> dict[str, Any] | None:
    """Return the object that a line of JSON Lines holds; None if it is none."""
    try:
        row = json.loads(line.lstrip("\ufeff\x1e"))
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _stream_object(text: "_Text", path: Path) -> Iterator[Item]:
    text.take("{")
    if path and text.peek() == "}":
        yield Item(text.line, path, False, {})
    while text.peek() != "}":
        key = text.take_value() if text.peek() == '"' else text.refuse("a key in double quotes")
        text.take(":")
        yield from _stream_member(text, (*path, key))
        if text.peek() != "}":
            text.take(",")
    text.take("}")


def _stream_member(text: "_Text", path: Path) -> Iterator[Item]:
    start = text.peek()
    if start == "[":
        yield from _stream_list(text, path)
    elif start == "{" and len(path) < _MAX_DEPTH:
        yield from _stream_object(text, path)
    else:
        yield Item(text.line, path, False, text.take_value())


def _stream_list(text: "_Text", path: Path) -> Iterator[Item]:
    text.take("[")
    if path and text.peek() == "]":
        yield Item(text.line, path, False, [])
    while text.peek() != "]":
        for line, value in text.take_elements():
            yield Item(line, path, True, value)
        if text.peek() != "]":
            text.take(",")
    text.take("]")


class _Text:
    """A text that is read in chunks; what was taken is forgotten."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream, self._name = stream, name
        self._buffer, self._at = "", 0
        self._line, self._counted = 1, 0

    @property
    def line(self) -> int:
        """Line of the next character."""
        self._line += self._buffer.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def peek(self) -> str:
        """Return the next character that is not blank; nothing at the end."""
        while True:
            self._at = _BLANK.match(self._buffer, self._at).end()  # type: ignore[union-attr]  # it matches nothing too
            if self._at < len(self._buffer) or not self._fill():
                return self._buffer[self._at : self._at + 1]

    def take(self, character: str) -> None:
        if self.peek() != character:
            self.refuse(f"{character!r}")
        self._at += 1

    def skip_comma(self) -> None:
        if self.peek() == ",":
            self._at += 1

    def take_value(self) -> Any:  # noqa: ANN401  # JSON is anything
        self.peek()
        found = self._decode()
        if found is None:
            return self._refuse_value()
        value, self._at = found
        return value

    def take_elements(self) -> Iterator[tuple[int, Any]]:
        """Yield at least one element, and those after it as long as the buffer surely holds them and their comma."""
        line = self.line
        yield line, self.take_value()
        buffer = self._buffer  # never refilled below: what the caller does with a value leaves the text alone
        while (comma := _COMMA.match(buffer, self._at)) and comma.end() < len(buffer):
            try:
                value, end = _DECODER.raw_decode(buffer, comma.end())
            except (ValueError, RecursionError):
                break
            if end + _MARGIN > len(buffer):
                break
            self._at = comma.end()
            line = self.line
            self._at = end
            yield line, value

    def is_line_of_several(self) -> bool:
        """Whether lists of single values stand one a line: then each is a row."""
        first = _LISTS.match(self._buffer, self._at)
        try:
            return first is not None and not any(isinstance(one, (list, dict)) for one in json.loads(first[1]))
        except (ValueError, RecursionError):
            return False

    def is_last_value(self) -> bool:
        """Whether nothing follows the next value, as far as can be seen within the bound of one value."""
        found = self._decode()
        if found is None:  # too long, or torn: taken apart, it tells where
            return True
        end = found[1]
        length = end - self._at
        while not self._buffer[self._at + length :].strip() and self._fill():
            pass
        return not self._buffer[self._at + length :].lstrip().startswith(("{", ","))

    def refuse(self, wanted: str) -> Any:  # noqa: ANN401  # never returns
        """Raise a SourceError: `wanted` is not what comes next."""
        if not self.peek():
            raise SourceError(
                f"{self._name} is torn: it ends at line {self.line} in the middle of its JSON; copy or export it again"
            )
        rest = self._buffer[self._at : self._at + 40]
        raise SourceError(
            f"{self._name} is no JSON: line {self.line} has {rest!r} where {wanted} should stand. Export it again, "
            "or write one JSON object a line"
        )

    def _decode(self) -> tuple[Any, int] | None:
        """Return the next value and where it ends; None if it is none, or too long."""
        while True:
            found = None
            try:
                found = _DECODER.raw_decode(self._buffer, self._at)
            except RecursionError:
                return None
            except ValueError:  # so it ends in the next chunk, or is broken
                pass
            if found and found[1] + _MARGIN <= len(self._buffer):
                return found
            if len(self._buffer) - self._at > MAX_VALUE_CHARACTERS:
                return None
            if not self._fill():
                return found

    def _refuse_value(self) -> Any:  # noqa: ANN401  # never returns
        """Raise a SourceError that says why the next value cannot be decoded."""
        problem = ""
        try:
            _DECODER.raw_decode(self._buffer, self._at)
        except RecursionError:
            problem = "its lists and objects are nested too deep"
        except json.JSONDecodeError as error:
            if len(self._buffer) - self._at <= MAX_VALUE_CHARACTERS:
                torn = error.pos >= len(self._buffer.rstrip()) or error.msg.startswith("Unterminated")
                self._at = len(self._buffer) if torn else error.pos
                self.refuse("a value, a comma or a bracket")
        except ValueError:
            problem = "a number has too many digits"
        problem = problem or (
            f"one value has more than {MAX_VALUE_CHARACTERS:,} characters. It is no table, or a quotation mark or "
            "bracket is never closed"
        )
        raise SourceError(f"{self._name} line {self.line}: {problem}")

    def _fill(self) -> bool:
        """Read on, as much again as there is; return whether there was more."""
        chunk = self._stream.read(max(_CHUNK_CHARACTERS, len(self._buffer) - self._at))
        if chunk:
            self.line  # noqa: B018  # counts what is dropped
            self._buffer = self._buffer[self._at :] + chunk
            self._at = self._counted = 0
        return bool(chunk)
