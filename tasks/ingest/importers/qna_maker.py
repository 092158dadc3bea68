"""Microsoft QnA Maker and Custom Question Answering, as JSON: the first question of an answer is the standard one."""

from collections.abc import Iterator
from functools import partial

from schemas.settings import Source
from tasks.ingest.importers.look import DocumentImporter
from tasks.ingest.labels import Imported
from tasks.ingest.values import Item, Outline, Path, texts

_QNA_MAKER = (("qnaDocuments",), "questions")
_CUSTOM = (("Assets", "Qnas"), "Questions")


def _fits(path: Path, key: str, outline: Outline) -> bool:
    return outline.has_records(*path, keys=[key])


def _convert(path: Path, key: str, item: Item, _: Source) -> Iterator[Imported]:
    questions = texts(item.value.get(key) or []) if item.path == path and isinstance(item.value, dict) else []
    if questions:
        for query in questions[1:] or [""]:
            yield item.line, query, questions[0]


QNA_MAKER = DocumentImporter("QnA Maker", partial(_fits, *_QNA_MAKER), partial(_convert, *_QNA_MAKER))
CUSTOM_QUESTION_ANSWERING = DocumentImporter(
    "Custom Question Answering", partial(_fits, *_CUSTOM), partial(_convert, *_CUSTOM)
)
