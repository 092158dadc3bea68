"""Exports of other platforms that are no plain table. Each importer knows one of them by what it is, not by its name.

To add one: a module whose importer fulfils `Importer`, and its object in `IMPORTERS`. The first that recognises a
file reads it; what none recognises is read as a table.
"""

from collections.abc import Iterator
from typing import Protocol

from schemas.settings import Source
from tasks.ingest.importers.chats import CHATS
from tasks.ingest.importers.chatterbot import CHATTERBOT
from tasks.ingest.importers.clinc import CLINC
from tasks.ingest.importers.dialogflow import DIALOGFLOW
from tasks.ingest.importers.fasttext import FASTTEXT
from tasks.ingest.importers.headed_lists import HEADED_LISTS, SECTIONS
from tasks.ingest.importers.hwu64 import HWU64
from tasks.ingest.importers.intent_lists import INTENT_LISTS, INTENT_PROJECT, ONE_INTENT
from tasks.ingest.importers.label_studio import LABEL_STUDIO
from tasks.ingest.importers.look import Look
from tasks.ingest.importers.luis import CLU, LUIS
from tasks.ingest.importers.mapping import MAPPED_OBJECTS, MAPPED_TEXTS, MAPPING
from tasks.ingest.importers.prodigy import PRODIGY, SPACY
from tasks.ingest.importers.qna_maker import QNA_MAKER
from tasks.ingest.importers.question_files import QUESTION_FILES
from tasks.ingest.importers.rasa import RASA_JSON, RASA_MARKDOWN, RASA_PROJECT, RASA_YAML
from tasks.ingest.importers.seq_label import SEQ_LABEL
from tasks.ingest.importers.snips import SNIPS
from tasks.ingest.importers.trec import TREC
from tasks.ingest.input_file import InputFile
from tasks.ingest.labels import Imported, Unasked

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

    def rows(self, file: InputFile, source: Source) -> Iterator[Imported | Unasked]:
        """Yield the rows in the order of the file.

        Raises:
            SourceError: it is damaged. What else a parser raises may rise: the caller turns it into one message.
        """
        ...


IMPORTERS: tuple[Importer, ...] = (
    RASA_YAML,
    RASA_JSON,
    RASA_MARKDOWN,
    RASA_PROJECT,
    LUIS,
    CLU,
    QNA_MAKER,
    SNIPS,
    CLINC,
    CHATTERBOT,
    LABEL_STUDIO,
    PRODIGY,
    SPACY,
    CHATS,
    DIALOGFLOW,
    *INTENT_LISTS,
    ONE_INTENT,
    INTENT_PROJECT,
    SEQ_LABEL,
    HEADED_LISTS,
    SECTIONS,
    FASTTEXT,
    TREC,
    HWU64,
    QUESTION_FILES,
    MAPPED_OBJECTS,
    MAPPED_TEXTS,
    MAPPING,  # last: the least there is to recognise
)


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
