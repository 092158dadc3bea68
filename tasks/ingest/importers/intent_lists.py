"""Intents, each with its examples: IBM Watson Assistant, Alexa, Lex, Voiceflow, Cognigy, Dialogflow, tutorials.

They stand in a list, or each is a document of its own in the folder or ZIP of a project (Lex, Botpress).
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from schemas.settings import Source
from tasks.ingest.documents import read_document
from tasks.ingest.importers.look import DocumentImporter, Look
from tasks.ingest.importers.snips import has_chunks, join_chunks
from tasks.ingest.input_file import InputFile
from tasks.ingest.labels import Imported, Unasked, plain_row
from tasks.ingest.tables import BadRow
from tasks.ingest.values import Item, Outline, Path, texts

_KINDS = (
    # name, key of the intent, key of its examples
    ("IBM Watson Assistant", "intent", "examples"),
    ("intents.json (tag, patterns)", "tag", "patterns"),
    ("intents.json (intent, patterns)", "intent", "patterns"),
    ("intents.json (intent, text)", "intent", "text"),
    ("intents.json (intent, utterances)", "intent", "utterances"),
    ("Amazon Alexa", "name", "samples"),
    ("Amazon Lex", "name", "sampleUtterances"),
    ("Amazon Lex", "intentName", "sampleUtterances"),
    ("Dialogflow (API)", "displayName", "trainingPhrases"),
    ("Dialogflow", "name", "userSays"),
    ("Voiceflow", "name", "inputs"),
    ("Cognigy", "name", "sentences"),
    ("Botium", "name", "utterances"),
)
_NAMES = tuple(dict.fromkeys(intent for _, intent, _ in _KINDS))
_UTTERANCES = ("utterances", "sampleUtterances", "trainingPhrases", "userSays")  # that are called so of one intent
_TABLES = (".csv", ".tsv", ".tab", ".txt", ".jsonl", ".ndjson", ".parquet", ".xlsx")
_LOOKED_AT = 200  # documents of a folder


def _inside(value: Any) -> Any:  # noqa: ANN401  # a document holds anything
    """Return an intent; Dialogflow CX wraps it into an object."""
    return value["intent"] if isinstance(value, dict) and isinstance(value.get("intent"), dict) else value


def _has(value: Any, intent: str, examples: str) -> bool:  # noqa: ANN401
    value = _inside(value)
    return isinstance(value, dict) and isinstance(value.get(intent), str) and isinstance(value.get(examples), list)


def _fits(intent: str, examples: str, outline: Outline) -> bool:
    lists = [[_inside(one) for one in outline.lists[path]] for path in outline.keys]
    keyed = [[isinstance(one, dict) and {intent, examples} <= one.keys() for one in samples] for samples in lists]
    return any(
        2 * sum(having) > len(samples) and any(_has(one, intent, examples) for one in samples)
        for samples, having in zip(lists, keyed, strict=True)
    )


def _text_of(example: dict[str, Any]) -> object:
    """Return the text of an example; that of Dialogflow and Genesys is in parts."""
    parts = example.get("parts", example.get("segments", example.get("data")))
    if has_chunks({"data": parts}):
        return join_chunks({"data": parts})
    return example.get("text", example.get("utterance"))


def _rows(line: int, examples: list[Any], intent: object) -> Iterator[Imported]:
    given = [_text_of(one) if isinstance(one, dict) else one for one in examples]
    for query in texts(given) or [""]:  # an intent without examples stays retrievable by its name
        yield plain_row(line, query, intent)


def _convert(intent: str, examples: str, item: Item, _: Source) -> Iterator[Imported]:
    value = _inside(item.value)
    if item.listed and isinstance(value, dict) and isinstance(value.get(examples), list):
        yield from _rows(item.line, value[examples], value.get(intent))


class _OneIntent:
    """A document that is one intent; its utterances may be lists by language."""

    name = "an intent (Lex, Botpress)"

    def recognise(self, look: Look) -> bool:
        return look.outline is not None and bool(_name_of(look.outline) and _examples_of(look.outline))

    def rows(self, file: InputFile, source: Source) -> Iterator[Imported]:
        outline = Outline(read_document(file, source))
        intent, paths = _name_of(outline), _examples_of(outline)
        for item in read_document(file, source):
            if isinstance(item, BadRow):
                yield item
            elif item.listed and item.path in paths:
                yield from _rows(item.line, [item.value], intent)


def _name_of(outline: Outline) -> object:
    """Return the name of the one intent that a document is."""
    return next((outline.values[key,] for key in _NAMES if (key,) in outline.values), None)


def _examples_of(outline: Outline) -> list[Path]:
    """Return the paths of its lists of utterances."""
    return [path for path in outline.lists if path[0:1] and path[0] in _UTTERANCES and len(path) <= 2]


class _IntentProject:
    """A folder with a document per intent, among settings and answers; one that has tables at its top is none."""

    name = "a project of intents (Lex, Botpress, Wit.ai)"

    def recognise(self, look: Look) -> bool:
        top = PurePosixPath(look.file.path)
        tables = any(part.suffix in _TABLES and PurePosixPath(part.path).parent == top for part in look.file.parts)
        return not tables and any(True for _ in _intents_of(look.file.parts[:_LOOKED_AT]))

    def rows(self, file: InputFile, source: Source) -> Iterator[Imported | Unasked]:
        for part, importer in _intents_of(file.parts):
            yield from importer.rows(part, source)


def _intents_of(parts: Sequence[InputFile]) -> Iterator[tuple[InputFile, "_OneIntent | DocumentImporter"]]:
    for part in parts:
        looks = [Look(part)] if part.suffix == ".json" else []
        found = next((one for look in looks for one in _OF_PROJECTS if one.recognise(look)), None)
        if found:
            yield part, found


def _fits_wit(outline: Outline) -> bool:
    return outline.has_records("utterances", keys=["text", "intent"])


def _convert_wit(item: Item, _: Source) -> Iterator[Imported]:
    if item.path == ("utterances",) and isinstance(item.value, dict):
        yield plain_row(item.line, item.value.get("text"), item.value.get("intent"))


INTENT_LISTS = tuple(
    DocumentImporter(name, partial(_fits, intent, examples), partial(_convert, intent, examples))
    for name, intent, examples in _KINDS
)
ONE_INTENT = _OneIntent()
INTENT_PROJECT = _IntentProject()
_OF_PROJECTS: tuple["_OneIntent | DocumentImporter", ...] = (
    ONE_INTENT,
    *INTENT_LISTS,
    DocumentImporter("Wit.ai", _fits_wit, _convert_wit),
)
