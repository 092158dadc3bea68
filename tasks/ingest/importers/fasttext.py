"""fastText: a line begins (or ends) with __label__ and the label, several times if it has several."""

from collections.abc import Iterator

from schemas.settings import Source
from tasks.ingest.importers.look import LineImporter
from tasks.ingest.labels import Imported, label_rows

_PREFIX = "__label__"


def _fits(lines: list[str]) -> bool:
    return 2 * sum(_PREFIX in line for line in lines) > len(lines) and any(
        part.startswith(_PREFIX) for part in (lines[0].lstrip(), lines[0].rsplit(maxsplit=1)[-1])
    )


def _convert(lines: Iterator[tuple[int, str]], source: Source) -> Iterator[Imported]:
    for number, line in lines:
        words = line.split()
        labels = [word.removeprefix(_PREFIX).rstrip(",") for word in words if word.startswith(_PREFIX)]
        text = " ".join(word for word in words if not word.startswith(_PREFIX)).removeprefix(",").strip()
        if words:
            yield from label_rows(number, text, labels, explode=source.multiple_labels == "explode")


FASTTEXT = LineImporter("fastText", _fits, _convert)
