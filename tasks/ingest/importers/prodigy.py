"""Prodigy's JSON Lines: tasks that were accepted, rejected or ignored, with a label or the options chosen."""

from collections.abc import Iterator
from typing import Any

from schemas.settings import Source
from tasks.ingest.importers.look import DocumentImporter
from tasks.ingest.labels import REJECTED, Imported, label_rows
from tasks.ingest.tables import BadRow, as_text
from tasks.ingest.values import Item, Outline, objects, texts

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


PRODIGY = DocumentImporter("Prodigy", _fits, _convert)
