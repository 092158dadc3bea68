"""A folder with one file per standard question, or one folder per standard question: a query a line.

Folders of parts and of categories may lie above them; a test part is set aside.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath

from schemas.errors import SourceError
from schemas.settings import Source
from tasks.ingest.archives import is_beside
from tasks.ingest.columns import find_columns
from tasks.ingest.decoding import find_encoding, open_text
from tasks.ingest.importers.look import Look
from tasks.ingest.input_file import InputFile, reading
from tasks.ingest.labels import HELD_OUT, Imported, Unasked
from tasks.ingest.parts import is_part, is_test
from tasks.ingest.tables import BadRow
from tasks.ingest.text_tables import DELIMITERS

_SUFFIXES = {".txt", ""}
_LOOKED_AT = 20  # files


class _QuestionFiles:
    name = "a file per standard question"

    def recognise(self, look: Look) -> bool:
        """Whether all its files are texts, and their lines look like no rows of a table."""
        parts = _texts(look.file)
        stems = [PurePosixPath(part.path).stem for part in parts]
        if len(parts) < 2 or any(part.suffix not in _SUFFIXES for part in parts) or all(map(is_part, stems)):
            return False
        step = max(1, len(parts) // _LOOKED_AT)
        return not any(_is_table(Look(part, look.source).lines) for part in parts[::step])

    def rows(self, file: InputFile, source: Source) -> Iterator[Imported | Unasked]:
        parts = _texts(file)
        places = {part: PurePosixPath(part.path).relative_to(file.path or ".") for part in parts}
        by_file = _are_named([place for place in places.values() if len(_below_parts(place)) > 1])
        for part, place in places.items():
            folders = _below_parts(place)
            held_out = folders != place.parts and is_test(place.parts[0])
            nested = len(folders) > 1 and not by_file
            question = folders[-2] if nested else place.stem if place.suffix == ".txt" else place.name
            if not held_out:
                yield Unasked(question)  # the file may be empty
            with reading(part), open_text(part, find_encoding(part, source.encoding)) as text:
                for number, line in enumerate(text, start=1):
                    if query := line.strip(" \t\r\n\ufeff"):
                        yield BadRow(number, HELD_OUT, query, question) if held_out else (number, query, question)


def _texts(folder: InputFile) -> list[InputFile]:
    return [part for part in folder.parts if not is_beside(part.path)]


def _below_parts(place: PurePosixPath) -> tuple[str, ...]:
    """Return the folders and the name of a file, without that of a part of the data set at their top."""
    return place.parts[1:] if len(place.parts) > 1 and is_part(place.parts[0]) else place.parts


def _are_named(places: list[PurePosixPath]) -> bool:
    """Whether files in folders are called by their standard questions, so that the folders are categories.

    The files of one standard question are counted or carry ids.
    """
    names = [place.stem for place in places]
    return len({*names}) == len(names) and not any(character.isdigit() for name in names for character in name)


def _is_table(lines: list[str]) -> bool:
    """Whether the first line is a header, or all lines have the same number of delimiters."""
    return any(_splits(lines, delimiter) for delimiter in (*DELIMITERS, "\x01"))


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
