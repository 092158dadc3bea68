"""Label Studio's JSON: tasks with their annotations, of which the choices are the labels."""

from collections.abc import Iterator
from typing import Any

from schemas.settings import Source
from tasks.ingest.importers.look import DocumentImporter
from tasks.ingest.labels import Imported, label_rows
from tasks.ingest.tables import as_text
from tasks.ingest.values import Item, Outline, texts

_TEXT_KEYS = ("text", "query", "utterance", "sentence", "content", "question")


def _fits(outline: Outline) -> bool:
    return any(
        outline.has_records(keys=["data", annotations])
        and any(isinstance(one, dict) and isinstance(one.get("data"), dict) for one in outline.lists[()])
        for annotations in ("annotations", "completions")
    )


def _convert(item: Item, source: Source) -> Iterator[Imported]:
    if not isinstance(item.value, dict) or not isinstance(item.value.get("data"), dict):
        return
    labels = [
        label
        for annotation in item.value.get("annotations") or item.value.get("completions") or []
        if isinstance(annotation, dict) and not annotation.get("was_cancelled")
        for label in _choices(annotation)
    ]
    yield from label_rows(item.line, _text(item.value["data"]), labels, explode=source.multiple_labels == "explode")


def _choices(annotation: dict[str, Any]) -> list[str]:
    """Return the choices of an annotation; regions of a text and the like are no labels of it."""
    results = [result for result in annotation.get("result") or [] if isinstance(result, dict)]
    values = [result["value"] for result in results if isinstance(result.get("value"), dict)]
    return [choice for value in values for choice in texts(value.get("choices") or [])]


def _text(data: dict[str, Any]) -> str:
    named = [data[key] for key in _TEXT_KEYS if isinstance(data.get(key), str)]
    others = [value for value in data.values() if isinstance(value, str)]
    return as_text(next(iter(named or others), ""))


LABEL_STUDIO = DocumentImporter("Label Studio", _fits, _convert)
