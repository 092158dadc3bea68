"""HWU64's NLU-Data CSV: the utterance is the answer to a prompt, and a scenario with an intent its class."""

import csv
from collections.abc import Iterator

from schemas.settings import Source
from tasks.ingest.importers.look import LineImporter
from tasks.ingest.labels import REJECTED, Imported
from tasks.ingest.tables import TORN, BadRow

_COLUMNS = {"answerid", "scenario", "intent", "answer", "answer_annotation"}


def _delimiter(header: str) -> str | None:
    return next((one for one in ";,\t" if {*next(csv.reader([header], delimiter=one))} >= _COLUMNS), None)


def _fits(lines: list[str]) -> bool:
    return _delimiter(lines[0]) is not None


def _convert(lines: Iterator[tuple[int, str]], _: Source) -> Iterator[Imported]:
    header = next(lines)[1]
    delimiter = _delimiter(header) or ";"
    names = next(csv.reader([header], delimiter=delimiter))
    for number, line in lines:
        cells = next(csv.reader([line], delimiter=delimiter), [])
        if len(cells) != len(names):
            if cells:
                yield BadRow(number, TORN, line, None)
            continue
        row = dict(zip(names, cells, strict=True))
        label = f"{row['scenario']}_{row['intent']}"
        if row.get("status", "").startswith("IRR"):  # irrelevant to the prompt
            yield BadRow(number, REJECTED, row["answer"], label)
        else:
            yield number, row["answer"], label


HWU64 = LineImporter("HWU64", _fits, _convert)
