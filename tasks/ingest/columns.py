"""Which column of a header is which: as the settings name it, else by the names people use. Pure."""

import difflib
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from schemas.errors import SourceError
from tasks.retrieval.normalise import normalise

_QUERY = (
    *("query", "user_query", "utterance", "text", "sentence", "queries", "similar_question", "similar_questions"),
    *("相似问", "相似问题", "相似问法", "相似问句", "相似说法", "扩展问", "扩展问题", "扩展问法", "问法", "用户问题"),
    *("用户问", "用户问句", "用户提问", "用户问法", "用户说法", "用户输入", "客户问题", "问句", "语料", "提问"),
)
_CLEARLY_STANDARD = (
    *("standard_question", "standardquestion", "std_question", "standard", "标准问", "标准问题", "标准问句"),
    *("标准问法", "标准提问"),
)
_STANDARD = (
    *(*_CLEARLY_STANDARD, "label_text", "intent", "label", "category", "class", "意图", "类别", "分类", "标签"),
)
_EITHER = ("question", "问题")  # the query beside a label, the standard question beside a query
_ID = (
    *("id", "question_id", "standard_question_id", "standard_id", "code", "key", "qid", "faq_id"),
    *("编号", "序号", "标准问id", "问题id", "标准问编号", "标准问题id", "知识id", "知识编号"),
)
REPLIES = ("answer", "answers", "response", "reply", "答案", "回答", "答复", "回复", "标准答案", "答案内容", "回复内容")
_CATEGORY = (
    *("category", "topic", "tag", "tags", "domain", "分类", "类别", "类目", "目录", "业务", "业务线", "主题"),
    *("一级分类", "二级分类", "三级分类", "标签", "知识分类", "问题分类"),
)
STATE = ("status", "state", "enabled", "active", "状态", "启用", "是否启用", "启用状态", "是否有效", "上线状态")
_CHANNEL = ("channel", "channels", "渠道", "适用渠道", "来源渠道", "发布渠道")
_VALID_FROM = (
    *("valid_from", "start_date", "effective_from", "effective_date", "生效时间", "生效日期", "开始时间", "开始日期"),
)
_VALID_UNTIL = (
    *("valid_to", "valid_until", "end_date", "expires", "expires_at", "expiry", "expiry_date", "有效期", "有效期至"),
    *("失效时间", "失效日期", "过期时间", "过期日期", "结束时间", "结束日期", "截止时间", "截止日期"),
)
_PAYLOAD = (*REPLIES, *_CATEGORY, *_CHANNEL, *STATE, *_VALID_FROM, *_VALID_UNTIL)

NAMED, BY_NAME, BY_NUMBER = "named in the settings", "found by its name", "by its number"
WITHOUT_HEADER = "by its values: the table has no header"
BY_ANSWER = "the first question of each answer"

_COMPARED = 500  # names of columns, in the search for the nearest
_NUMBER = re.compile(r"[_(（]?(?:\d+|[一二三四五六七八九十]+)[)）]?$")
_NOTE = re.compile(r"[(（\[【][^)）\]】]*[)）\]】]|[\r\n].*|[:：].*", re.S)  # an explanation within a header


@dataclass(frozen=True)
class Columns:
    """Positions of the columns to read."""

    queries: list[int]  # of a list of standard questions: its ids, or none
    question: int
    passed_over: list[int]  # columns that could have been meant as well
    why_query: str = NAMED
    why_question: str = NAMED
    open_ended: bool = False  # the queries may go on beyond the header

    @property
    def numbered(self) -> bool:
        """Whether a number told which columns are meant, so that the table may have no header."""
        return BY_NUMBER in (self.why_query, self.why_question)


def find_columns(
    header: Sequence[str], query_column: str | list[str] | None, question_column: str | None, name: str
) -> Columns:
    """Return the columns of queries and standard questions of the table `name`.

    Queries may stand in several columns: as many as are named, or match a pattern (`相似问*`), or are numbered or
    called alike. A number that is no name means the column at that place, from 1.

    Raises:
        SourceError: one of them is not there, or the standard question stands there twice.
    """
    keys = [key_of(column) for column in header]
    queries, why_query = _named_all(header, keys, query_column, name)
    question, why_question = _named(header, keys, question_column, "question", name)
    query = queries[0] if queries else None
    if (query is None) != (question is None) and len(header) == 2 and BY_NUMBER in (why_query, why_question):
        other = 1 - (question if query is None else query)  # type: ignore[operator]  # one of them is known
        queries, question = ([other], question) if query is None else (queries, other)
        query = queries[0]
        why_query = why_question = BY_NUMBER
    query_names: tuple[str, ...] = (*_QUERY, *_EITHER)
    question_names: tuple[str, ...] = _STANDARD
    if question is None and not _matches(keys, _STANDARD, query) and (query is not None or _matches(keys, _QUERY)):
        question_names = _EITHER
    if question is None:
        question = next(iter(_matches(keys, question_names, query)), None)
    if query is None:
        query = next(iter(_matches(keys, query_names, question)), None)
        queries = [] if query is None else _family(keys, query, question)
    if query is None or question is None:
        raise SourceError(_missing(header, query, question, name))
    if why_question != BY_NUMBER and header.count(header[question]) > 1:
        raise SourceError(_repeated(header[question], header.count(header[question]), name))
    if question in queries:
        raise SourceError(f"{name}: queries and standard questions cannot both be the column {header[question]!r}")
    rivals = [] if query_column else _matches(keys, query_names, query)
    if not question_column and keys[question] not in _CLEARLY_STANDARD:
        rivals += _matches(keys, question_names, question)
    passed_over = [rival for rival in dict.fromkeys(rivals) if rival not in (*queries, question)]
    return Columns(queries, question, passed_over, why_query, why_question)


def find_list_columns(header: Sequence[str], question_column: str | None, name: str) -> Columns:
    """Return the columns of ids (if any) and texts of a list of standard questions.

    Raises:
        SourceError: no column of texts.
    """
    keys = [key_of(column) for column in header]
    likely = (*(name for name in _STANDARD if name not in _CATEGORY), *_EITHER, "text", "title", "name")
    wanted = (*((key_of(question_column),) if question_column else ()), *likely, *_STANDARD)
    identity = next(iter(_matches(keys, _ID)), None)
    text = next(iter(_matches(keys, wanted, identity)), None)
    if text is None:
        raise SourceError(
            f"{name}: no column of standard questions. Columns found: {quoted(header)}. "
            "A list of standard questions has the columns id and text"
        )
    return Columns([] if identity is None else [identity], text, [], BY_NAME, BY_NAME)


def find_id_column(header: Sequence[str]) -> str | None:
    """Return the column of ids of standard questions, where a list says their texts; its name says more than `id`."""
    keys = [key_of(column) for column in header]
    named = [at for at in _matches(keys, _ID) if keys[at] not in ("id", "code", "key", "编号", "序号")]
    return next((header[at] for at in [*named, *_matches(keys, _ID)]), None)


def is_name(cell: str) -> bool:
    """Whether a cell is a name that a column of queries, standard questions or ids is known by."""
    return _base(key_of(cell)) in {*_QUERY, *_STANDARD, *_EITHER, *_ID}


def find_payload(header: Sequence[str], taken: Sequence[int], wanted: Sequence[str] = ()) -> list[int]:
    """Return the columns that go with a standard question: answer, category, channel, status, validity.

    Args:
        header: names of all columns.
        taken: columns that are something else.
        wanted: names and patterns of further ones.
    """
    return [
        at
        for at, column in enumerate(header)
        if at not in taken and (_base(key_of(column)) in _PAYLOAD or any(fnmatchcase(column, one) for one in wanted))
    ]


def find_all_payload(header: Sequence[str], taken: Sequence[int]) -> list[int]:
    """Return what a list of standard questions says of them: all columns that have a name, but similar questions."""
    return [
        at
        for at, column in enumerate(header)
        if at not in taken and column.strip() and _base(key_of(column)) not in _QUERY
    ]


def begins_validity(column: str) -> bool:
    """Whether a column says from when on its row is valid."""
    return key_of(column) in _VALID_FROM


def ends_validity(column: str) -> bool:
    """Whether a column says until when its row is valid."""
    return key_of(column) in _VALID_UNTIL


def is_state(column: str) -> bool:
    """Whether a column says if its row is in use."""
    return key_of(column) in STATE


def _named_all(
    header: Sequence[str], keys: list[str], given: str | list[str] | None, name: str
) -> tuple[list[int], str]:
    """Return the columns of queries that are named, in the order of the table; none if none is named."""
    found, why = list[int](), BY_NAME
    for one in [given] if isinstance(given, str) else given or []:
        exact = [at for at, column in enumerate(header) if column == one]
        alike = exact or [at for at, key in enumerate(keys) if key == key_of(one)]
        if not alike and any(mark in one for mark in "*?"):
            alike = [at for at, column in enumerate(header) if fnmatchcase(column, one)]
        if alike:
            found, why = [*found, *alike], NAMED
        else:
            position, why = _named(header, keys, one, "query", name)
            found += [] if position is None else [position]
    return sorted(set(found)), why


def _named(header: Sequence[str], keys: list[str], given: str | None, what: str, name: str) -> tuple[int | None, str]:
    if given is None:
        return None, BY_NAME
    exact = [position for position, column in enumerate(header) if column == given]
    found = exact or [position for position, key in enumerate(keys) if key == key_of(given)]
    if len(found) == 1:
        return found[0], NAMED
    if found:
        raise SourceError(_repeated(given, len(found), name))
    if given.isdecimal() and 1 <= int(given) <= len(header):
        return int(given) - 1, BY_NUMBER
    option = f"--{what}-column (source.{what}_column)"
    raise SourceError(
        f"{name}: there is no column {given!r}. Columns found: {quoted(header)}{_nearest([given], header)}. "
        f"Correct {option}"
    )


def _matches(keys: list[str], names: Sequence[str], taken: int | None = None) -> list[int]:
    """Return the columns called one of `names`, in the order of `names`; numbered ones come last."""
    plain = [at for name in names for at, key in enumerate(keys) if key == name and at != taken]
    bases = [_base(key) for key in keys]
    numbered = [at for name in names for at, base in enumerate(bases) if base == name != keys[at] and at != taken]
    return plain + [at for at in numbered if sum(base == bases[at] for base in bases) > 1]


def _family(keys: list[str], chosen: int, taken: int | None) -> list[int]:
    """Return the columns called like the chosen one, or numbered beside it, as 相似问1 and 相似问2 are."""
    base = _base(keys[chosen])
    numbered = [at for at, key in enumerate(keys) if key != base and _base(key) == base and at != taken]
    same = [at for at, key in enumerate(keys) if key == keys[chosen] and at != taken]
    found = sorted({*same, *(numbered if len(numbered) > 1 else [])})
    # One name over several columns: a merged header leaves the others blank.
    blank = itertools.takewhile(lambda at: not keys[at], range(found[-1] + 1, len(keys)))
    return [*found, *blank]


def _repeated(column: str, times: int, name: str) -> str:
    return f"{name}: the column {column!r} is there {times} times; rename all but one"


def _missing(header: Sequence[str], query: int | None, question: int | None, name: str) -> str:
    if query is None and question is None:
        return (
            f"{name}: no column of queries and none of standard questions. Columns found: {quoted(header)}"
            f"{_nearest((*_QUERY, *_EITHER, *_STANDARD), header)}. Name them with --query-column and --question-column "
            "(source.query_column, source.question_column)"
        )
    known, what, option = (
        ((*_QUERY, *_EITHER), "queries", "query") if query is None else (_STANDARD, "standard questions", "question")
    )
    rest = [column for at, column in enumerate(header) if at not in (query, question)]
    return (
        f"{name}: no column of {what}. Columns found: {quoted(header)}{_nearest(known, rest)}. "
        f"Name it with --{option}-column (source.{option}_column)"
    )


def _nearest(wanted: Sequence[str], header: Sequence[str]) -> str:
    keys = {key_of(column): column for column in header[:_COMPARED]}
    near = [close for name in wanted for close in difflib.get_close_matches(key_of(name), keys, n=1, cutoff=0.6)]
    return f"; the nearest is {keys[near[0]]!r}" if near else ""


def quoted(header: Sequence[str]) -> str:
    """Return the names of columns for a message, long ones and long lists cut."""
    shown = ", ".join(repr(column if len(column) <= 40 else column[:39] + "…") for column in header[:12])
    return shown + (f" and {len(header) - 12} more" if len(header) > 12 else "")


def key_of(column: str) -> str:
    """Return what a name of a column is compared by: marks of obligation and explanations in it are left out."""
    bare = _NOTE.sub("", column[:200]).strip(" \t*＊#\ufeff") or column[:200]
    return normalise(bare).replace(" ", "_").replace("-", "_")


def _base(key: str) -> str:
    return _NUMBER.sub("", key) or key
