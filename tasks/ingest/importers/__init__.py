"""Exports of other platforms that are no plain table. Each importer knows one of them by what it is, not by its name.

To add one: a module whose importer fulfils `Importer`, and its object in `IMPORTERS`. The first that recognises a
file reads it; what none recognises is read as a table.
"""

from collections.abc import Iterator
from typing import Protocol

from schemas.settings import Source
from tasks.ingest.importers.look import Look
from tasks.ingest.input_file import InputFile
from tasks.ingest.labels import Imported

__all__ = ["IMPORTERS", "Imported", "Importer", "Look", "find_importer"]


class Importer(Protocol):
    """One kind of export."""

    @property
    def name(self) -> str:
        """What people call it, e.g. "Rasa NLU (YAML)"."""
        ...

    def recognise(self, look: Look) -> bool:
        """Whether the file (or a folder, whose `parts` are its files) is of this kind."""
        ...

    def rows(self, file: InputFile, source: Source) -> Iterator[Imported]:
        """Yield the rows in the order of the file.

        Raises:
            SourceError: it is damaged. What else a parser raises may rise: the caller turns it into one message.
        """
        ...


IMPORTERS: tuple[Importer, ...] = ()


def find_importer(look: Look) -> Importer | None:
    """Return the first importer that recognises a text or a folder; None: it is read as a table, as named columns say.

    Raises:
        SourceError: it is a damaged document, and none recognises what comes before the damage.
    """
    if look.source.query_column or look.source.question_column:
        return None
    found = next((importer for importer in IMPORTERS if importer.recognise(look)), None)
    if found is None and look.damage:
        raise look.damage
    return found
