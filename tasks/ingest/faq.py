"""FAQ tables without a column of standard questions: these stand among the questions. Pure.

QnA Maker, FastGPT, Dify and MaxKB pair questions with answers, and the first question of an answer is its standard
question. Other tables say of each row whether it is a standard question or one like it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from schemas.errors import SourceError
from tasks.ingest.column_names import EITHER, QUERY, REPLIES, TITLES, Names, key_of
from tasks.ingest.columns import BY_ANSWER, BY_NAME, BY_ROLE, Columns
from tasks.ingest.tables import Pairs

_QUESTIONS = ("question", "questions", "q", "query", "问题", "提问", "問題", "问", "问题描述")
_OF_MAXKB = ("分段内容", "section_content", "paragraph_content")
_ANSWERS = (*REPLIES, "a", *_OF_MAXKB)
_GROUPS = ("qna_id", "qnaid")  # of an answer
_EDGES = re.compile(r"^(?:\\n|\s)+|(?:\\n|\s)+$")  # QnA Maker writes line ends as two characters
_STANDARD_ROLE = frozenset("标准问 标准问题 标准问法 主问题 主问 standard main primary".split())
_SIMILAR_ROLE = frozenset("相似问 相似问题 相似问法 扩展问 扩展问题 扩展问法 similar variant alternative".split())
_OTHER_ROLE = frozenset(("答案", "回答", "回复", "备注", "answer", "response"))  # of rows that are none of both
_FLAG = re.compile(r"(?:is_|是否为?)(?:std|standard|main|primary|标准|主)_?(?:question|问题?|问法)?")
_YES, _NO = frozenset("1 true yes y 是".split()), frozenset("0 false no n 否".split())
_ASKED = (EITHER, QUERY, TITLES, Names(QUERY.weak))
_INDEXES = ("indexes", "index")  # FastGPT's: other wordings, in this column and those after it


def find_faq_columns(header: Sequence[str]) -> Columns | None:
    """Return the columns of a table of questions and answers; None: it is none.

    Its standard question is the column by which questions belong together: an id of the answer, else the answer.
    """
    keys = [key_of(column).rstrip("）)") for column in header]  # MaxKB's template closes one bracket twice
    if keys[:2] == ["index", "content"]:  # FastGPT's first template
        return Columns([0], 1, [], BY_NAME, BY_ANSWER)
    question, answer = _first(keys, _QUESTIONS), _first(keys, _ANSWERS)
    if question is None or answer is None:
        return None
    indexes = _first(keys, _INDEXES)
    if keys[question] == "q" and indexes is not None:
        further = [at for at in range(indexes + 1, len(keys)) if keys[at] in ("", *_INDEXES)]
        return Columns([indexes, *further], question, [], BY_NAME, BY_NAME, open_ended=True, line_by_line=True)
    group = next((keys.index(name) for name in _GROUPS if name in keys), answer)
    return Columns([question], group, [], BY_NAME, BY_ANSWER, line_by_line=keys[answer] in _OF_MAXKB)


def _first(keys: list[str], names: Sequence[str]) -> int | None:
    return next((keys.index(name) for name in names if name in keys), None)


def find_role_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Columns | None:
    """Return the columns of a table that says of each row whether it is a standard question; None: it does not.

    Args:
        header: names of all columns.
        rows: the first below it, as wide as the header.
    """
    keys = [key_of(column) for column in header]
    texts = [at for at, key in enumerate(keys) if any(names.rank(key) is not None for names in _ASKED)]
    for at, key in enumerate(keys):
        values = {row[at].strip().lower() for row in rows} - {""}
        roles = _YES | _NO if _FLAG.fullmatch(key) else _STANDARD_ROLE | _SIMILAR_ROLE | _OTHER_ROLE
        if values <= roles and values & (_STANDARD_ROLE | _YES) and values & (_SIMILAR_ROLE | _NO):
            text = next((one for one in texts if one != at), None)
            return None if text is None else Columns([text], at, [], BY_NAME, BY_ROLE)
    return None


def name_by_role(batches: Iterable[Pairs], name: str) -> Iterator[Pairs]:
    """Yield each question with the standard question above it, which has a row of its own without a query.

    Raises:
        SourceError: the first row is no standard question.
    """
    above = ""
    for pairs in batches:
        kept, queries, named = list[int](), list[str](), list[str]()
        for at, (line, text, role) in enumerate(zip(pairs.lines, pairs.queries, pairs.questions, strict=True)):
            if role.strip().lower() in _OTHER_ROLE:
                continue
            kept.append(at)
            standard = role.strip().lower() in _STANDARD_ROLE | _YES
            above = text if standard else above
            if not above:
                raise SourceError(
                    f"{name} line {line}: {text!r} stands above the first standard question; sort the rows"
                )
            queries.append("" if standard else text)
            named.append(above)
        yield replace(_rename(pairs, kept, named), queries=queries)


def name_by_first_question(batches: Iterable[Pairs], name: str) -> Iterator[Pairs]:
    """Yield the questions of each answer but the first, which becomes their standard question.

    A cell of several questions is a group of its own, though another may have the same answer.

    An answer with a single question comes last, as a standard question without a query.

    Raises:
        SourceError: no answer has a second question.
    """
    first = dict[str, str]()  # question of each answer, or of each line with several
    alone = dict[str, tuple[int, dict[str, str]]]()  # answers with one question so far: its line, and its payload
    several = False
    for pairs in batches:
        kept, named = list[int](), list[str]()
        for at, (query, group) in enumerate(zip(pairs.queries, _groups(pairs), strict=True)):
            query = _EDGES.sub("", query)
            if query and group and group not in first:
                first[group] = query
                alone[group] = pairs.lines[at], {column: cells[at] for column, cells in pairs.payload.items()}
                continue
            kept.append(at)
            named.append(first.get(group, ""))
            several |= alone.pop(group, None) is not None
        yield _rename(pairs, kept, named)
    if alone and not several:
        raise SourceError(
            f"{name} pairs {len(alone)} questions with as many answers, and no answer has a second question: there is "
            "nothing to learn from. Add other wordings of a question, each in a row with the same answer"
        )
    payload: dict[str, list[str]] = {}
    for _, cells in alone.values():
        for column, cell in cells.items():
            payload.setdefault(column, []).append(cell)
    yield Pairs([line for line, _ in alone.values()], [""] * len(alone), [first[group] for group in alone], [], payload)


def _groups(pairs: Pairs) -> list[str]:
    """Return by what each question belongs to others: its answer, and its line if several stand in that."""
    rows = Counter(pairs.lines)
    return [
        f"{line} {answer.strip()}" if rows[line] > 1 and answer.strip() else answer.strip()
        for line, answer in zip(pairs.lines, pairs.questions, strict=True)
    ]


def _rename(pairs: Pairs, kept: list[int], questions: list[str]) -> Pairs:
    payload = {column: [cells[at] for at in kept] for column, cells in pairs.payload.items()}
    return Pairs([pairs.lines[at] for at in kept], [pairs.queries[at] for at in kept], questions, pairs.bad, payload)
