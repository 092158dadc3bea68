"""SNIPS and ATIS as slot-filling papers publish them: seq.in has the queries, the file label beside it their labels.

Folders called test are set aside.
"""

import itertools
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TextIO

from schemas.errors import SourceError
from schemas.settings import Source
from tasks.ingest.decoding import find_encoding, open_text
from tasks.ingest.importers.look import Look
from tasks.ingest.input_file import InputFile, reading
from tasks.ingest.labels import HELD_OUT, Imported, label_rows
from tasks.ingest.tables import BadRow

_QUERIES, _LABELS = "seq.in", "label"


class _SeqLabel:
    name = "seq.in and label"

    def recognise(self, look: Look) -> bool:
        return bool(_pairs(look.file))

    def rows(self, file: InputFile, source: Source) -> Iterator[Imported]:
        pairs = _pairs(file)
        for queries, labels in pairs:
            held_out = len(pairs) > 1 and PurePosixPath(queries.path).parent.name == "test"
            for number, query, label in _read_pair(queries, labels, source):
                if held_out:
                    yield BadRow(number, HELD_OUT, query, label)
                else:
                    # Several labels of ATIS are joined by a number sign.
                    yield from label_rows(number, query, label.split("#"), explode=source.multiple_labels == "explode")


def _pairs(file: InputFile) -> list[tuple[InputFile, InputFile]]:
    by_path = {PurePosixPath(part.path): part for part in file.parts}
    return [
        (part, by_path[path.with_name(_LABELS)])
        for path, part in by_path.items()
        if path.name == _QUERIES and path.with_name(_LABELS) in by_path
    ]


def _read_pair(queries: InputFile, labels: InputFile, source: Source) -> Iterator[tuple[int, str, str]]:
    with reading(queries), reading(labels), _open(queries, source) as left, _open(labels, source) as right:
        for number, (query, label) in enumerate(itertools.zip_longest(left, right), start=1):
            if query is None or label is None:
                shorter = queries if query is None else labels
                raise SourceError(
                    f"{shorter.name} ends at line {number - 1}, the file beside it does not: their lines no longer "
                    "belong together. Copy or export both again"
                )
            if query.strip() or label.strip():
                yield number, query.strip(), label.strip()


def _open(file: InputFile, source: Source) -> TextIO:
    return open_text(file, find_encoding(file, source.encoding))


SEQ_LABEL = _SeqLabel()
