"""The owner's list of standard questions: stable ids, and standard questions without rows."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from schemas.errors import SourceError
from schemas.ingest import SourceFile
from schemas.settings import Source
from tasks.ingest.addresses import find_files
from tasks.ingest.columns import find_all_payload, find_list_columns
from tasks.ingest.input_file import InputFile
from tasks.ingest.payload import Cells, keep_payload
from tasks.ingest.quarantine import UNLISTED_ID, is_usable_class
from tasks.ingest.sources import describe_source, open_columns
from tasks.ingest.tables import BadRow, Pairs


@dataclass(frozen=True)
class QuestionList:
    """Ids by trimmed text, what else is said of them, and how the file was read."""

    ids: dict[str, str]
    payload: Cells
    file: SourceFile


def find_question_list(address: str, base: Path) -> InputFile:
    """Return the file of the list.

    Raises:
        SourceError: there is none, or more than one.
    """
    files = find_files(address, base, "source.questions_path")
    if len(files) > 1 or files[0].bundled:
        raise SourceError(f"source.questions_path is one file, but {address} means {len(files)} or a bundled corpus")
    return files[0]


def read_question_list(file: InputFile, source: Source) -> QuestionList:
    """Read the list. Without a column of ids, the text is its id.

    Raises:
        SourceError: no table, no column of texts, or an empty, torn or repeated entry. A list that is wrong
            about one standard question would give a class the id of another, so nothing is set aside here.
    """
    find = partial(find_list_columns, question_column=source.question_column, name=file.name)
    # The delimiter in the settings is that of the rows; the list may come from elsewhere.
    elsewhere = source.model_copy(update={"delimiter": None, "sheet": None})
    opened = open_columns(file, elsewhere, find, find_all_payload)[0]
    with_ids = opened.layout is not None and bool(opened.layout.columns.queries)
    lines_by_id, lines_by_text = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
    ids: dict[str, str] = {}
    unusable: list[int] = []
    payload: Cells = {}
    for pairs in opened.pairs:
        keep_payload(payload, pairs)
        unusable += [row.line for row in pairs.bad]
        for line, identity, text in zip(pairs.lines, pairs.queries, pairs.questions, strict=True):
            text = text.strip()
            identity = identity.strip() if with_ids else text
            if not (is_usable_class(identity) and is_usable_class(text)):
                unusable.append(line)
                continue
            lines_by_id[identity].append(line)
            lines_by_text[text].append(line)
            ids[text] = identity
    if not ids and not unusable:
        raise SourceError(f"{file.name} lists no standard question; fill it in or drop source.questions_path")
    if unusable:
        raise SourceError(
            f"{file.name}: {len(unusable)} standard questions have no id, no text, or a text that is torn "
            f"(lines {_first(sorted(unusable))}). Correct them"
        )
    _refuse_repeated(file.name, "text", lines_by_text)
    _refuse_repeated(file.name, "id", lines_by_id)
    described = describe_source(
        opened, "questions", len(ids), Counter(), [(id_, text) for text, id_ in [*ids.items()][:3]]
    )
    return QuestionList(ids, payload, described)


def join_ids(pairs: Iterator[Pairs], listed: QuestionList | None, notes: list[str]) -> Iterator[Pairs]:
    """Yield rows with the texts of their standard questions, where they name them by ids of the list.

    Ids are distinguished from texts by the first batch: at least half of its names are ids, and more than are texts.

    Args:
        pairs: rows of one table.
        listed: the owner's list, if there is one.
        notes: gets a sentence if the rows were joined.
    """
    texts = {identity: text for text, identity in listed.ids.items()} if listed else {}
    first = next(pairs, None)
    if first is None:
        return
    named = {*map(str.strip, first.questions)} - {""}
    ids = sum(one in texts for one in named)
    joins = 2 * ids >= len(named) > 0 and ids > sum(one in listed.ids for one in named) if listed else False
    if joins and listed:
        notes.append(f"the standard questions are ids of {listed.file.name}; their texts were taken from there")
    for batch in itertools.chain([first], pairs):
        yield _join(batch, texts, listed.ids) if joins and listed else batch


def _join(batch: Pairs, texts: Mapping[str, str], known: Mapping[str, str]) -> Pairs:
    named = [one.strip() for one in batch.questions]
    unlisted = [at for at, one in enumerate(named) if one and one not in texts and one not in known]
    questions = [texts.get(one, one) for one in named]
    if not unlisted:
        return replace(batch, questions=questions)
    bad = [BadRow(batch.lines[at], UNLISTED_ID, batch.queries[at], named[at]) for at in unlisted]
    skipped = {*unlisted}
    keep = [at for at in range(len(named)) if at not in skipped]
    return Pairs(
        [batch.lines[at] for at in keep],
        [batch.queries[at] for at in keep],
        [questions[at] for at in keep],
        [*batch.bad, *bad],
        {name: [cells[at] for at in keep] for name, cells in batch.payload.items()},
    )


def _refuse_repeated(name: str, what: str, lines: dict[str, list[int]]) -> None:
    repeated = {value: at for value, at in lines.items() if len(at) > 1}
    if repeated:
        examples = "; ".join(f"{value[:40]!r} in lines {_first(at)}" for value, at in list(repeated.items())[:3])
        raise SourceError(
            f"{name}: {len(repeated)} {what}s are listed more than once ({examples}). "
            f"Give every standard question one line and one {what} of its own"
        )


def _first(lines: list[int]) -> str:
    return ", ".join(map(str, lines[:5])) + (", …" if len(lines) > 5 else "")
