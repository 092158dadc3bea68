"""JSON and YAML files as streams of values, whatever their encoding."""

import re
from collections.abc import Iterator
from typing import Any, Literal

from schemas.errors import SourceError
from schemas.settings import Source
from tasks.ingest import json_values, yaml_values
from tasks.ingest.decoding import LONGEST_LINE, find_encoding, open_text
from tasks.ingest.input_file import InputFile, reading
from tasks.ingest.tables import BadRow
from tasks.ingest.values import Item, is_void

DocumentFormat = Literal["jsonl", "json", "yaml"]

_YAML_SUFFIXES = (".yml", ".yaml")
_JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
_HEAD_CHARACTERS = 1_000
_OBJECT = re.compile(r"[\s\ufeff\x1e]*(\{|\[\s*[\[{])")  # a row of CSV may begin with a bracket, never with two
_YAML = re.compile(r"\ufeff?(?:\s*#.*\n|\s*\n|---\s*\n)*(?:version: *[\"']?\d|(?:nlu|conversations|categories): *\n)")
_ANYTHING = re.compile(r"[\s\ufeff\x1e]*[\[{]")


def find_document_format(file: InputFile, encoding: str) -> DocumentFormat | None:
    """Return what kind of document a text file is: by its first characters and, if need be, its name; None: none."""
    if file.suffix in _YAML_SUFFIXES:
        return "yaml"
    with reading(file), open_text(file, encoding, longest_line=None) as text:
        head = text.read(_HEAD_CHARACTERS)
    if not (_ANYTHING if file.suffix in _JSON_SUFFIXES else _OBJECT).match(head):
        return "yaml" if _YAML.match(head) and file.suffix not in _JSON_SUFFIXES else None
    with reading(file), open_text(file, encoding, longest_line=None) as text:
        return "jsonl" if json_values.are_lines(text) else "json"


def refuse_false_name(file: InputFile, encoding: str) -> None:
    """Refuse a text that is named like JSON and is none; an empty one has its message elsewhere.

    Raises:
        SourceError: it is named so.
    """
    if file.suffix not in _JSON_SUFFIXES:
        return
    with reading(file), open_text(file, encoding) as text:
        begins = text.read(_HEAD_CHARACTERS).lstrip("\ufeff \t\r\n")
    if begins:
        line = begins.splitlines()[0][:60]
        raise SourceError(
            f"{file.name} is not JSONL: line 1 is {line!r}. JSONL has one JSON object a line, its keys the columns"
        )


def read_json_lines(file: InputFile, source: Source) -> Iterator[tuple[list[int], list[dict[str, Any]], list[BadRow]]]:
    """Yield JSON Lines in chunks: the lines that hold an object, these objects, and the other lines."""
    with reading(file), open_text(file, find_encoding(file, source.encoding)) as text:
        yield from json_values.read_lines(text)


def read_document(file: InputFile, source: Source, *, empty: bool = False) -> Iterator[Item | BadRow]:
    """Yield the values of a JSON or YAML file; a damaged line of JSON Lines is set aside.

    Args:
        file: the document.
        source: names the encoding, where the settings name it.
        empty: yield empty lists and objects, too, as values outside of lists.

    Raises:
        SourceError: the document is damaged, or too deep, or a value of it is too long.
    """
    encoding = find_encoding(file, source.encoding)
    kind = find_document_format(file, encoding)
    longest_line = LONGEST_LINE if kind == "jsonl" else None  # a document may be one line
    with reading(file), open_text(file, encoding, longest_line) as text:
        if kind == "jsonl":
            yield from json_values.stream_lines(text)
            return
        stream_values = yaml_values.stream_values if kind == "yaml" else json_values.stream_values
        for item in stream_values(text, file.name):
            if empty or item.listed or not is_void(item.value):
                yield item
