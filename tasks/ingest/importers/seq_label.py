"""Two files side by side, of queries and of their labels line by line: seq.in and label of SNIPS, text.txt, labels.txt.

Folders and files of a test part are set aside.
"""

import itertools
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TextIO

from schemas.errors import SourceError
from schemas.settings import Source
from tasks.ingest.decoding import find_encoding, open_text
from tasks.ingest.importers.look import Look
from tasks.ingest.input_file import InputFile, reading
from tasks.ingest.labels import HELD_OUT, Imported, label_rows
from tasks.ingest.parts import is_test
from tasks.ingest.tables import BadRow

# What is left of a name without these words is the same of both files: train_text.txt, train_labels.txt.
_QUERIES = r"(?:seq\.in|texts?|data|quer(?:y|ies)|sentences?|inputs?|questions?|utterances?|titles?)"
_LABELS = r"(?:labels?|intents?|targets?)"


class _SeqLabel:
    name = "a file of queries beside one of labels (seq.in, label)"

    def recognise(self, look: Look) -> bool:
        return bool(_pairs(look.file))

    def rows(self, file: InputFile, source: Source) -> Iterator[Imported]:
        pairs = _pairs(file)
        for queries, labels in pairs:
            path = PurePosixPath(queries.path)
            held_out = len(pairs) > 1 and (is_test(path.parent.name) or is_test(str(_part(path, _QUERIES))))
            for number, query, label in _read_pair(queries, labels, source):
                if held_out:
                    yield BadRow(number, HELD_OUT, query, label)
                else:
                    # Several labels of ATIS are joined by a number sign.
                    yield from label_rows(number, query, label.split("#"), explode=source.multiple_labels == "explode")


def _pairs(file: InputFile) -> list[tuple[InputFile, InputFile]]:
    paths = {part: PurePosixPath(part.path) for part in file.parts}
    labels = {(path.parent, name): part for part, path in paths.items() if (name := _part(path, _LABELS)) is not None}
    return [
        (part, labels[path.parent, name])
        for part, path in paths.items()
        if (name := _part(path, _QUERIES)) is not None and (path.parent, name) in labels
    ]


def _part(path: PurePosixPath, word: str) -> str | None:
    """Return what a name without its ending says beside `word`: often the part of the data set; None: it lacks it."""
    stem = path.stem if path.suffix == ".txt" else path.name
    found = re.fullmatch(rf"(.+)[._-]{word}|{word}[._-](.+)|{word}", stem, re.I)
    return (found[1] or found[2] or "") if found else None


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
