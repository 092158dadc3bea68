"""TREC question classification: COARSE:fine, a blank, and the question."""

import re
from collections.abc import Iterator

from schemas.settings import Source
from tasks.ingest.importers.look import LineImporter
from tasks.ingest.labels import Imported
from tasks.ingest.tables import TORN, BadRow

_LINE = re.compile(r"([A-Z]{2,10}:[A-Za-z]{1,20})[ \t]+(\S.*)")


def _fits(lines: list[str]) -> bool:
    return all(map(_LINE.fullmatch, lines))


def _convert(lines: Iterator[tuple[int, str]], _: Source) -> Iterator[Imported]:
    for number, line in lines:
        found = _LINE.fullmatch(line)
        if found:
            yield number, found[2], found[1]
        elif line.strip():
            yield BadRow(number, TORN, line.strip(), None)


TREC = LineImporter("TREC", _fits, _convert)
