"""What importers see of a file, each thing read once, when it is asked for."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from schemas.errors import SourceError
from schemas.settings import Source
from tasks.ingest.decoding import find_encoding, open_text
from tasks.ingest.documents import find_document_format, read_document
from tasks.ingest.input_file import InputFile, reading
from tasks.ingest.labels import Imported, Unasked
from tasks.ingest.tables import BadRow
from tasks.ingest.values import Item, Outline

_LINES = 200
_LINE_CHARACTERS = 100_000


class Look:
    """A file of text, or a folder with its `parts`, as importers see it."""

    def __init__(self, file: InputFile, source: Source | None = None) -> None:
        self.file = file
        self.source = source or Source(path=file.name)  # the settings, where they are known
        self.damage: SourceError | None = None  # of a document, once its outline is known

    @cached_property
    def encoding(self) -> str:
        """The encoding of a text file."""
        return find_encoding(self.file, self.source.encoding)

    @cached_property
    def lines(self) -> list[str]:
        """The first lines that are not blank, without their ends."""
        with reading(self.file), open_text(self.file, self.encoding) as text:
            lines = [text.readline(_LINE_CHARACTERS) for _ in range(_LINES)]
        return [line.lstrip("\ufeff").rstrip("\r\n") for line in lines if line.strip("\ufeff \t\r\n")]

    @cached_property
    def is_document(self) -> bool:
        """Whether it is JSON or YAML."""
        return not self.file.parts and find_document_format(self.file, self.encoding) is not None

    @cached_property
    def outline(self) -> Outline | None:
        """The shape of a document up to its `damage`, which is mostly enough to know it; None: it is none."""
        return Outline(self._until_damaged()) if self.is_document else None

    @property
    def known_outline(self) -> Outline | None:
        """The outline if somebody asked for it and it is whole."""
        return self.__dict__.get("outline") if self.damage is None else None

    def _until_damaged(self) -> Iterator[Item | BadRow]:
        try:
            yield from read_document(self.file, self.source, empty=True)
        except SourceError as error:
            self.damage = error


@dataclass(frozen=True)
class DocumentImporter:
    """An importer of JSON or YAML that looks at one value at a time."""

    name: str
    fits: Callable[[Outline], bool]
    convert: Callable[[Item, Source], Iterable[Imported | Unasked]]

    def recognise(self, look: Look) -> bool:
        """Whether the outline of the document fits."""
        return look.outline is not None and self.fits(look.outline)

    def rows(self, file: InputFile, source: Source) -> Iterator[Imported | Unasked]:
        """Yield the rows of every value."""
        for item in read_document(file, source):
            if isinstance(item, BadRow):
                yield item
            else:
                yield from self.convert(item, source)


@dataclass(frozen=True)
class LineImporter:
    """An importer of text files that looks at one line at a time."""

    name: str
    fits: Callable[[list[str]], bool]  # the first lines, blank ones left out
    convert: Callable[[Iterator[tuple[int, str]], Source], Iterable[Imported | Unasked]]  # lines with their numbers

    def recognise(self, look: Look) -> bool:
        """Whether the first lines fit."""
        return not look.file.parts and not look.is_document and bool(look.lines) and self.fits(look.lines)

    def rows(self, file: InputFile, source: Source) -> Iterator[Imported | Unasked]:
        """Yield the rows of every line."""
        with reading(file), open_text(file, find_encoding(file, source.encoding)) as text:
            numbered = ((number, line.strip("\ufeff\r\n")) for number, line in enumerate(text, start=1))
            yield from self.convert(numbered, source)
