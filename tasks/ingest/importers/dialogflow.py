"""Dialogflow, the folder (or ZIP) of an exported agent: ES has a file of phrases per intent and language, CX a folder.

A single file of phrases is read too; the name of its intent is then that of the file.
"""

import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from schemas.settings import Source
from tasks.ingest.documents import read_document
from tasks.ingest.importers.look import Look
from tasks.ingest.importers.snips import has_chunks, join_chunks
from tasks.ingest.input_file import InputFile, reading
from tasks.ingest.labels import Imported
from tasks.ingest.tables import BadRow, as_text
from tasks.ingest.values import Item

_ES = re.compile(r"(.+)_usersays_[A-Za-z-]+\.json")
_CX = re.compile(r"intents/([^/]+)/trainingPhrases/[A-Za-z-]+\.json$")


class _Dialogflow:
    name = "Dialogflow agent"

    def recognise(self, look: Look) -> bool:
        if look.file.parts:
            return any(map(_is_phrases, look.file.parts))
        samples = look.outline.lists.get((), []) if look.outline and _is_phrases(look.file) else []
        return bool(samples) and all(map(has_chunks, samples))

    def rows(self, file: InputFile, source: Source) -> Iterator[Imported]:
        for part in file.parts or [file]:
            if _is_phrases(part):
                yield from _read_phrases(part, _find_intent(part, file.parts), source)


def _is_phrases(file: InputFile) -> bool:
    return bool(_ES.fullmatch(PurePosixPath(file.path).name) or _CX.search(file.path))


def _find_intent(file: InputFile, parts: tuple[InputFile, ...]) -> str:
    """Return the name of the intent as its own file gives it, else as the file of phrases is called."""
    path = PurePosixPath(file.path)
    found = _CX.search(file.path)
    if found:
        stem, own = found[1], path.parent.parent / f"{found[1]}.json"
    else:
        stem = _ES.fullmatch(path.name)[1]  # type: ignore[index]  # a file of phrases is called so
        own = path.parent / f"{stem}.json"
    described = next((part for part in parts if PurePosixPath(part.path) == own), None)
    if described is None:
        return stem
    with reading(described), described.open() as stream:
        intent = json.load(stream)
    return as_text(intent.get("displayName") or intent.get("name") or stem) if isinstance(intent, dict) else stem


def _read_phrases(file: InputFile, intent: str, source: Source) -> Iterator[Imported]:
    for item in read_document(file, source):
        if isinstance(item, BadRow):
            yield item
        elif phrase := _phrase(item):
            yield item.line, join_chunks(phrase), intent


def _phrase(item: Item) -> dict[str, Any] | None:
    """Return a phrase in chunks of text: ES calls them data, CX parts."""
    if not item.listed or not isinstance(item.value, dict):
        return None
    phrase = {"data": item.value.get("data", item.value.get("parts"))}
    return phrase if has_chunks(phrase) else None


DIALOGFLOW = _Dialogflow()
