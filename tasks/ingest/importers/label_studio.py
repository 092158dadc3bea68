"""Label Studio's JSON: tasks with their annotations, of which the choices are the labels."""

from collections.abc import Iterator
from typing import Any

from schemas.settings import Source
from tasks.ingest.importers.look import DocumentImporter
from tasks.ingest.labels import Imported, label_rows
from tasks.ingest.tables import as_text
from tasks.ingest.values import Item, Outline, objects, texts

_ANNOTATIONS = ("annotations", "completions")
_TEXT_KEYS = ("text", "query", "utterance", "sentence", "content", "question")


def _fits(outline: Outline) -> bool:
    if not any(outline.has_records(keys=["data", annotations]) for annotations in _ANNOTATIONS):
        return False
    tasks = [task for task in outline.lists[()] if isinstance(task, dict) and isinstance(task.get("data"), dict)]
    values = [value for task in tasks for annotation in _annotations(task) for value in _values(annotation)]
    # Regions of a picture or of a text are no labels of it; a project without annotations may still be one of texts.
    return bool(tasks) and (not values or any("choices" in value for value in values))


def _convert(item: Item, source: Source) -> Iterator[Imported]:
    if not isinstance(item.value, dict) or not isinstance(item.value.get("data"), dict):
        return
    labels = [
        label
        for annotation in _annotations(item.value)
        if not annotation.get("was_cancelled")
        for value in _values(annotation)
        for label in texts(value.get("choices") or [])
    ]
    yield from label_rows(item.line, _text(item.value["data"]), labels, explode=source.multiple_labels == "explode")


def _annotations(task: dict[str, Any]) -> list[dict[str, Any]]:
    return next((objects(task[key]) for key in _ANNOTATIONS if task.get(key)), [])


def _values(annotation: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what was annotated: choices, regions and the like."""
    return [result["value"] for result in objects(annotation.get("result")) if isinstance(result.get("value"), dict)]


def _text(data: dict[str, Any]) -> str:
    named = [data[key] for key in _TEXT_KEYS if isinstance(data.get(key), str)]
    others = [value for value in data.values() if isinstance(value, str)]
    return as_text(next(iter(named or others), ""))


LABEL_STUDIO = DocumentImporter("Label Studio", _fits, _convert)
