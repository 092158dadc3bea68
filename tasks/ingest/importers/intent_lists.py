"""Lists of intents, each with its examples: IBM Watson Assistant, Alexa, Lex, and the intents.json of tutorials."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from schemas.settings import Source
from tasks.ingest.importers.look import DocumentImporter
from tasks.ingest.importers.snips import has_chunks, join_chunks
from tasks.ingest.labels import Imported, plain_row
from tasks.ingest.values import Item, Outline, texts

_KINDS = (
    # name, key of the intent, key of its examples
    ("IBM Watson Assistant", "intent", "examples"),
    ("intents.json (tag, patterns)", "tag", "patterns"),
    ("intents.json (intent, patterns)", "intent", "patterns"),
    ("intents.json (intent, text)", "intent", "text"),
    ("intents.json (intent, utterances)", "intent", "utterances"),
    ("Amazon Alexa", "name", "samples"),
    ("Amazon Lex", "name", "sampleUtterances"),
    ("Dialogflow (API)", "displayName", "trainingPhrases"),
)


def _fits(intent: str, examples: str, outline: Outline) -> bool:
    return any(
        isinstance(sample, dict) and isinstance(sample.get(intent), str) and isinstance(sample.get(examples), list)
        for path in outline.keys
        if outline.has_records(*path, keys=[intent, examples])
        for sample in outline.lists[path]
    )


def _text_of(example: dict[str, Any]) -> object:
    """Return the text of an example; Dialogflow's is in parts."""
    parts = example.get("parts")
    if has_chunks({"data": parts}):
        return join_chunks({"data": parts})
    return example.get("text", example.get("utterance"))


def _convert(intent: str, examples: str, item: Item, _: Source) -> Iterator[Imported]:
    if not (item.listed and isinstance(item.value, dict) and isinstance(item.value.get(examples), list)):
        return
    given = [_text_of(one) if isinstance(one, dict) else one for one in item.value[examples]]
    for query in texts(given) or [""]:  # an intent without examples stays retrievable by its name
        yield plain_row(item.line, query, item.value.get(intent))


INTENT_LISTS = tuple(
    DocumentImporter(name, partial(_fits, intent, examples), partial(_convert, intent, examples))
    for name, intent, examples in _KINDS
)
