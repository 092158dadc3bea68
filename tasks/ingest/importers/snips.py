"""Snips NLU: dataset.json, the YAML it is made from, and the published benchmark (one list per intent)."""

import re
from collections.abc import Iterator
from typing import Any

from schemas.settings import Source
from tasks.ingest.documents import read_document
from tasks.ingest.importers.look import Look
from tasks.ingest.input_file import InputFile
from tasks.ingest.labels import Imported, plain_row
from tasks.ingest.tables import BadRow, as_text
from tasks.ingest.values import Item, Outline, Path, texts

_SLOT = re.compile(r"\[[^\[\]]+\]\(([^()]*)\)")  # [slot:entity](text)


class _Snips:
    name = "Snips NLU"

    def recognise(self, look: Look) -> bool:
        outline = look.outline
        return outline is not None and (_has_utterances(outline) or _has_yaml_intents(outline))

    def rows(self, file: InputFile, source: Source) -> Iterator[Imported]:
        intent = ""  # of a YAML file with one intent: its name stands above its utterances
        for item in read_document(file, source):
            if isinstance(item, BadRow):
                yield item
            elif item.path == ("name",) and not item.listed:
                intent = as_text(item.value)
            elif item.path == ("utterances",) and item.listed:
                yield plain_row(item.line, _plain(item.value), intent)
            elif not item.path and _is_intent(item.value):
                for text in texts(item.value["utterances"]):
                    yield plain_row(item.line, _plain(text), item.value["name"])
            elif item.listed and _is_utterance(item):
                yield item.line, join_chunks(item.value), item.path[_at(item.path)]


def _plain(utterance: object) -> object:
    """Return an utterance of YAML without the marks of its slots."""
    return _SLOT.sub(r"\1", utterance) if isinstance(utterance, str) else utterance


def join_chunks(utterance: dict[str, Any]) -> str:
    """Return the text of an utterance that is cut where its slots begin and end."""
    return "".join(as_text(chunk.get("text")) for chunk in utterance["data"] if isinstance(chunk, dict))


def has_chunks(value: object) -> bool:
    """Whether a value is an utterance in chunks of text."""
    chunks = value.get("data") if isinstance(value, dict) else None
    return isinstance(chunks, list) and all(isinstance(chunk, dict) and "text" in chunk for chunk in chunks)


def _is_utterance(item: Item) -> bool:
    return _is_utterance_list(item.path) and has_chunks(item.value)


def _is_utterance_list(path: Path) -> bool:
    return len(path) == 1 or (len(path) == 3 and path[0] == "intents" and path[2] == "utterances")


def _at(path: Path) -> int:
    """Return where the name of the intent stands in the path of its utterances."""
    return 0 if len(path) == 1 else 1


def _has_utterances(outline: Outline) -> bool:
    lists = [samples for path, samples in outline.lists.items() if _is_utterance_list(path) and samples]
    return any(all(map(has_chunks, samples)) for samples in lists)


def _has_yaml_intents(outline: Outline) -> bool:
    if outline.values.get(("type",)) == "intent":
        return ("name",) in outline.values and ("utterances",) in outline.lists
    return any(map(_is_intent, outline.lists.get((), [])))


def _is_intent(value: Any) -> bool:  # noqa: ANN401  # a document holds anything
    return isinstance(value, dict) and value.get("type") == "intent" and {"name", "utterances"} <= value.keys()


SNIPS = _Snips()
