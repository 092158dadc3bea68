"""Lists of questions by answer, the first of them the standard one: Custom Question Answering, QnA Maker, Botpress.

Microsoft's are JSON with `questions` beside `answer`; Botpress has both by language.
"""

from collections.abc import Iterator
from typing import Any

from schemas.settings import Source
from tasks.ingest.column_names import EITHER, STANDARD, TITLES, key_of
from tasks.ingest.importers.look import DocumentImporter
from tasks.ingest.labels import Imported
from tasks.ingest.values import Item, Outline, texts


def _questions(value: Any) -> list[str]:  # noqa: ANN401  # a document holds anything
    """Return the questions of a record, of Botpress those of every language; none if it is no such record."""
    record = {str(key).lower(): one for key, one in value.items()} if isinstance(value, dict) else {}
    if isinstance(record.get("data"), dict):
        return _questions(record["data"])
    answered = record.keys() & {"answer", "answers"} and not any(map(_names_question, record))
    found = record.get("questions") if answered else None
    lists = found.values() if isinstance(found, dict) else [found]
    return [text for one in lists if isinstance(one, list) for text in texts(one)]


def _names_question(key: str) -> bool:
    return key != "questions" and any(names.rank(key_of(key)) is not None for names in (STANDARD, EITHER, TITLES))


def _fits(outline: Outline) -> bool:
    lists = [samples for samples in outline.lists.values() if samples]
    return any(2 * sum(bool(_questions(sample)) for sample in samples) > len(samples) for samples in lists)


def _convert(item: Item, _: Source) -> Iterator[Imported]:
    questions = _questions(item.value) if item.listed else []
    for query in questions[1:] or [""] * len(questions):
        yield item.line, query, questions[0]


QNA_MAKER = DocumentImporter("questions by answer (QnA Maker, Botpress)", _fits, _convert)
