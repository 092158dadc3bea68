"""ChatterBot's training corpora: conversations, of which the first line is the query and the second the reply."""

from collections.abc import Iterator

from schemas.settings import Source
from tasks.ingest.importers.look import DocumentImporter
from tasks.ingest.labels import Imported
from tasks.ingest.values import Item, Outline, texts


def _fits(outline: Outline) -> bool:
    conversations = outline.lists.get(("conversations",), [])
    return bool(conversations) and all(isinstance(one, list) for one in conversations)


def _convert(item: Item, _: Source) -> Iterator[Imported]:
    if item.path != ("conversations",):
        return
    said = texts(item.value)
    query, reply = [*said, "", ""][:2]
    yield item.line, query, reply


CHATTERBOT = DocumentImporter("ChatterBot corpus", _fits, _convert)
