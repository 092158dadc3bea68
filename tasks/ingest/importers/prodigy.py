"""What Explosion's tools write: the tasks of Prodigy, accepted, rejected or ignored; the categories of spaCy."""

from collections.abc import Iterator
from typing import Any

from schemas.settings import Source
from tasks.ingest.importers.look import DocumentImporter
from tasks.ingest.labels import REJECTED, Imported, label_rows
from tasks.ingest.tables import BadRow, as_text
from tasks.ingest.values import Item, Outline, objects, texts

_SURE = 0.5  # score of a category, from which on it is a label
_ANSWERS = {"accept", "reject", "ignore"}


def _fits(outline: Outline) -> bool:
    tasks = [one for one in outline.lists.get((), []) if isinstance(one, dict)]
    answers = {as_text(task.get("answer")) for task in tasks}
    chosen = any("label" in task or isinstance(task.get("accept"), list) for task in tasks)
    return outline.has_records(keys=["text", "answer"]) and chosen and answers <= _ANSWERS


def _convert(item: Item, source: Source) -> Iterator[Imported]:
    if not isinstance(item.value, dict):
        return
    query, labels = as_text(item.value.get("text")), _labels(item.value)
    if item.value.get("answer") != "accept":
        yield BadRow(item.line, REJECTED, query, ", ".join(labels))
    else:
        yield from label_rows(item.line, query, labels, explode=source.multiple_labels == "explode")


def _labels(task: dict[str, Any]) -> list[str]:
    """Return the texts of the options that were accepted, else the label of the task."""
    if not isinstance(task.get("accept"), list):
        return texts(task.get("label") or [])
    options = objects(task.get("options"))
    shown = {as_text(option.get("id")): as_text(option.get("text") or option.get("id")) for option in options}
    return [shown.get(accepted, accepted) for accepted in texts(task["accept"])]


def _categories(value: Any) -> tuple[str, dict[str, Any]] | None:  # noqa: ANN401  # a document holds anything
    """Return the text and the categories of an example, an object or a text beside one; None: it is none."""
    value = value[1] | {"text": value[0]} if _is_pair(value) else value
    text, found = (value.get("text"), value.get("cats")) if isinstance(value, dict) else (None, None)
    scores = isinstance(found, dict) and all(isinstance(one, (bool, int, float)) for one in found.values())
    return (text, found) if isinstance(text, str) and isinstance(found, dict) and scores else None


def _is_pair(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], dict)


def _fits_spacy(outline: Outline) -> bool:
    return any(2 * sum(map(bool, map(_categories, samples))) > len(samples) for samples in outline.lists.values())


def _convert_spacy(item: Item, source: Source) -> Iterator[Imported]:
    if item.listed and (example := _categories(item.value)):
        labels = [name for name, score in example[1].items() if score >= _SURE]
        yield from label_rows(item.line, example[0], labels, explode=source.multiple_labels == "explode")


SPACY = DocumentImporter("spaCy (cats)", _fits_spacy, _convert_spacy)
PRODIGY = DocumentImporter("Prodigy", _fits, _convert)
