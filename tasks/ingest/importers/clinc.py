"""CLINC150 (data_full.json) and its kin: parts of a data set, each a list of pairs [text, label].

The training and validation parts are trained on; the test part is set aside, and so is what is out of scope.
"""

from collections.abc import Iterator

from schemas.settings import Source
from tasks.ingest.importers.look import DocumentImporter
from tasks.ingest.labels import HELD_OUT, OUT_OF_SCOPE, Imported, plain_row
from tasks.ingest.parts import is_test
from tasks.ingest.tables import BadRow
from tasks.ingest.values import Item, Outline

_OUT_OF_SCOPE = ("oos", "ood", "out_of_scope", "out-of-scope", "out of scope", "oos_id")
_PARTS = ("train", "val", "valid", "validation", "dev", "test")


def _part(item_path: tuple[str, ...]) -> tuple[str, bool]:
    """Return the part a list belongs to, and whether it is its out-of-scope half."""
    part = item_path[0] if len(item_path) == 1 else ""
    return part.removeprefix("oos_"), part.startswith("oos_")


def _fits(outline: Outline) -> bool:
    samples = [
        sample for path, listed in outline.lists.items() if _part(path)[0] in _PARTS and path for sample in listed
    ]
    return ("train",) in outline.lists and all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair) for pair in samples
    )


def _convert(item: Item, _: Source) -> Iterator[Imported]:
    part, out_of_scope = _part(item.path)
    if part not in _PARTS or not isinstance(item.value, list) or len(item.value) != 2:
        return
    row = plain_row(item.line, *item.value)
    if isinstance(row, BadRow):
        yield row
    elif is_test(part):
        yield BadRow(row[0], HELD_OUT, *row[1:])
    elif out_of_scope or row[2].lower() in _OUT_OF_SCOPE:
        yield BadRow(row[0], OUT_OF_SCOPE, *row[1:])
    else:
        yield row


CLINC = DocumentImporter("CLINC150", _fits, _convert)
