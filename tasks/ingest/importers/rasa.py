"""Rasa: nlu.yml of versions 2 and 3, nlu.md of version 1, and the older JSON."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from schemas.settings import Source
from tasks.ingest.importers.look import DocumentImporter, LineImporter, Look
from tasks.ingest.input_file import InputFile
from tasks.ingest.labels import NO_DASH, Imported, Unasked, plain_row
from tasks.ingest.tables import BadRow, as_text
from tasks.ingest.values import Item, Outline, texts
from tasks.ingest.yaml_values import Block

# [text](entity:value), [text]{"entity": ...} or [text][{...}, {...}]
_ENTITY = re.compile(r"\[([^\[\]]+)\](?:\([^()]*\)|\{[^{}]*\}|\[\{[^\[\]]*\}\])")
_SECTION = re.compile(r"#+\s*(intent|synonym|regex|lookup)\s*:\s*(.*?)\s*$")
_TABLES = (".csv", ".tsv", ".tab", ".jsonl", ".parquet", ".xlsx")
_MARKS = ("#", "-", "*", "+", "<!--")
_BULLET = re.compile(r"\s*[-*+]\s+(.*)")
_COMMENT = re.compile(r"<!--.*?-->")


def strip_entities(text: str) -> str:
    """Return an example without the marks of its entities: what a customer would type."""
    return _ENTITY.sub(r"\1", text).strip()


def _fits_yaml(outline: Outline) -> bool:
    if outline.lists.get(("nlu",)):
        return any(isinstance(one, dict) and one.keys() & _NLU_KEYS for one in outline.lists["nlu",])
    # A file of a Rasa project that has stories or rules and no examples: read, and found to hold no row.
    return ("version",) in outline.values and bool(outline.lists.keys() & {("stories",), ("rules",)})


_NLU_KEYS = {"intent", "lookup", "synonym", "regex"}


def _convert_yaml(item: Item, _: Source) -> Iterator[Imported | Unasked]:
    if item.path != ("nlu",) or not isinstance(item.value, dict) or "intent" not in item.value:
        return  # synonyms, lookup tables, regular expressions; stories and rules
    yield Unasked(as_text(item.value["intent"]))  # it may have no examples
    for line, example in _examples(item.value.get("examples"), item.line):
        found = re.fullmatch(r"\s*-\s+(.*)", example)
        if found:
            yield plain_row(item.line, strip_entities(found[1]), item.value["intent"])
        else:
            yield BadRow(line, NO_DASH, example.strip(), as_text(item.value["intent"]))


def _examples(examples: Any, line: int) -> list[tuple[int, str]]:  # noqa: ANN401  # a document holds anything
    """Return the lines of a block of examples, and the texts of a list of them as such lines, each with its number.

    Args:
        examples: the block, or the list.
        line: number for all of them, where their own are not known.
    """
    if isinstance(examples, list):
        given = texts([one.get("text") if isinstance(one, dict) else one for one in examples])
        examples = "\n".join(text if text.lstrip().startswith("- ") else f"- {text}" for text in given)
    lines = str(examples or "").splitlines()
    numbers = range(examples.line, examples.line + len(lines)) if isinstance(examples, Block) else [line] * len(lines)
    return [(number, text) for number, text in zip(numbers, lines, strict=True) if text.strip(" -\t")]


def _fits_json(outline: Outline) -> bool:
    return outline.has_records("rasa_nlu_data", "common_examples", keys=["text"])


def _convert_json(item: Item, _: Source) -> Iterator[Imported]:
    if item.path == ("rasa_nlu_data", "common_examples") and isinstance(item.value, dict):
        yield plain_row(item.line, item.value.get("text"), item.value.get("intent"))


def _fits_markdown(lines: list[str]) -> bool:
    sections = any((found := _SECTION.match(line)) and found[1] == "intent" for line in lines)
    return sections and sum(line.lstrip().startswith(_MARKS) for line in lines) >= 0.9 * len(lines)


def _convert_markdown(lines: Iterator[tuple[int, str]], _: Source) -> Iterator[Imported | Unasked]:
    intent = None
    for number, line in lines:
        line = _COMMENT.sub("", line)
        if line.lstrip().startswith("#"):
            found = _SECTION.match(line)
            intent = found[2] if found and found[1] == "intent" else None
            if intent:
                yield Unasked(intent)
        elif intent and (bullet := _BULLET.fullmatch(line)):
            yield number, strip_entities(bullet[1]), intent


class _RasaProject:
    """A folder with examples in YAML or Markdown, among stories, rules and settings; a folder with tables is none."""

    name = "Rasa project"

    def recognise(self, look: Look) -> bool:
        folder = PurePosixPath(look.file.path)
        inside = [part for part in look.file.parts if PurePosixPath(part.path).parent == folder]
        return not any(part.suffix in _TABLES for part in inside) and any(_examples_of(look.file))

    def rows(self, file: InputFile, source: Source) -> Iterator[Imported | Unasked]:
        for part, importer in _examples_of(file):
            yield from importer.rows(part, source)


def _examples_of(folder: InputFile) -> Iterator[tuple[InputFile, DocumentImporter | LineImporter]]:
    """Yield the files of a project that hold examples, each with what reads it."""
    for part in folder.parts:
        importer = RASA_YAML if part.suffix in (".yml", ".yaml") else RASA_MARKDOWN if part.suffix == ".md" else None
        if importer and importer.recognise(Look(part)):
            yield part, importer


RASA_YAML = DocumentImporter("Rasa NLU (YAML)", _fits_yaml, _convert_yaml)
RASA_JSON = DocumentImporter("Rasa NLU (JSON)", _fits_json, _convert_json)
RASA_MARKDOWN = LineImporter("Rasa NLU (Markdown)", _fits_markdown, _convert_markdown)
RASA_PROJECT = _RasaProject()
