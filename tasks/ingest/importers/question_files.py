"""A folder with one file per standard question, or one folder per standard question: a query a line."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from schemas.errors import SourceError
from schemas.settings import Source
from tasks.ingest.columns import find_columns
from tasks.ingest.decoding import find_encoding, open_text
from tasks.ingest.importers.look import Look
from tasks.ingest.input_file import InputFile, reading
from tasks.ingest.labels import Imported
from tasks.ingest.text_tables import DELIMITERS

_SUFFIXES = {".txt", ""}
_LOOKED_AT = 20  # files


class _QuestionFiles:
    name = "a file per standard question"

    def recognise(self, look: Look) -> bool:
        """Whether all its files are texts, and their lines look like no rows of a table."""
        parts = look.file.parts
        if len(parts) < 2 or any(part.suffix not in _SUFFIXES for part in parts):
            return False
        step = max(1, len(parts) // _LOOKED_AT)
        return not any(_is_table(Look(part, look.source).lines) for part in parts[::step])

    def rows(self, file: InputFile, source: Source) -> Iterator[Imported]:
        for part in file.parts:
            question = _standard_question(part, file)
            with reading(part), open_text(part, find_encoding(part, source.encoding)) as text:
                for number, line in enumerate(text, start=1):
                    if line.strip(" \t\r\n\ufeff"):
                        yield number, line.strip(), question


def _standard_question(part: InputFile, folder: InputFile) -> str:
    path = PurePosixPath(part.path)
    nested = path.parent != PurePosixPath(folder.path)
    return path.parent.name if nested else path.stem if path.suffix == ".txt" else path.name


def _is_table(lines: list[str]) -> bool:
    """Whether the first line is a header, or all lines have the same number of delimiters."""
    return any(_splits(lines, delimiter) for delimiter in DELIMITERS)


def _splits(lines: list[str], delimiter: str) -> bool:
    counts = {line.count(delimiter) for line in lines}
    if counts <= {0}:
        return False
    try:
        find_columns([cell.strip() for cell in lines[0].split(delimiter)], None, None, "")
    except SourceError:
        return len(lines) > 1 and len(counts) == 1
    return True


QUESTION_FILES = _QuestionFiles()
