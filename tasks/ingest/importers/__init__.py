"""Exports of other platforms that are no plain table. Each importer knows one of them by its bytes.

To add one: a module with a class that fulfils `Importer`, and its object in `IMPORTERS`. The first that
recognises a file reads it; what none recognises is read as a table.
"""

from collections.abc import Iterator
from typing import Protocol

from tasks.ingest.input_file import InputFile
from tasks.ingest.tables import BadRow

__all__ = ["IMPORTERS", "Imported", "Importer", "find_importer"]

# Line (or number of the item, from 1), query, standard question; a row that cannot be used, with its reason.
# An empty query stands for a standard question without any: it stays retrievable by its text.
Imported = tuple[int, str, str] | BadRow


class Importer(Protocol):
    """One kind of export."""

    name: str  # as people call it, e.g. "Rasa NLU (YAML)"

    def recognise(self, file: InputFile, head: bytes) -> bool:
        """Whether `file` is of this kind.

        Args:
            file: A file, or a folder whose `parts` are its files.
            head: First bytes of the file, 64 kB at most, decompressed; empty for a folder.
        """
        ...

    def rows(self, file: InputFile) -> Iterator[Imported]:
        """Yield the rows in the order of the file, in bounded memory where the format allows it.

        What a parser raises may rise: the caller turns it into one message.
        """
        ...


IMPORTERS: tuple[Importer, ...] = ()


def find_importer(file: InputFile, head: bytes) -> Importer | None:
    """Return the first importer that recognises the file; None: it is read as a table."""
    return next((importer for importer in IMPORTERS if importer.recognise(file, head)), None)
