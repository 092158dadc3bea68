"""Which column of a table is which: as the settings name it, else by the names people use. Pure."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.errors import SourceError
from tasks.retrieval.normalise import normalise

_QUERY = (
    *("query", "user_query", "utterance", "text", "sentence", "queries", "similar_question"),
    *(
        "相似问",
        "相似问题",
        "相似问法",
        "用户问题",
        "用户问",
        "用户问句",
        "用户提问",
        "用户问法",
        "问句",
        "语料",
        "提问",
    ),
)
_STANDARD = (
    *("standard_question", "standardquestion", "std_question", "standard", "标准问", "标准问题", "标准问句"),
    *("标准问法", "标准提问", "label_text", "intent", "label", "category", "class", "意图", "类别", "分类", "标签"),
)
_EITHER = ("question", "问题")  # the query beside a label, the standard question beside a query
_ID = ("id", "question_id", "standard_question_id", "code", "key", "编号", "标准问id", "问题id", "标准问编号")


@dataclass(frozen=True)
class Columns:
    """Positions of the two columns to read. `first` is None for a list of standard questions without ids."""

    first: int | None
    second: int
    names: list[str]
    passed_over: list[str]  # columns that could have been meant as well


def find_columns(header: Sequence[str], query_column: str | None, question_column: str | None, name: str) -> Columns:
    """Return the columns of queries and standard questions of the table `name`.

    Raises:
        SourceError: one of them is not there, or stands there twice.
    """
    keys = [_key(column) for column in header]
    query_names: tuple[str, ...] = (*_QUERY, *_EITHER)
    question_names: tuple[str, ...] = _STANDARD
    query = _named(header, keys, query_column, "query", name)
    question = _named(header, keys, question_column, "question", name)
    if question is None and not _matches(keys, _STANDARD, query) and (query is not None or _matches(keys, _QUERY)):
        question_names = _EITHER
    if question is None:
        question = next(iter(_matches(keys, question_names, query)), None)
    if query is None:
        query = next(iter(_matches(keys, query_names, question)), None)
    if query is None or question is None:
        raise SourceError(_missing(header, query, question, name))
    for chosen in (query, question):
        if header.count(header[chosen]) > 1:
            raise SourceError(_repeated(header[chosen], header.count(header[chosen]), name))
    if query == question:
        raise SourceError(f"{name}: queries and standard questions cannot both be the column {header[query]!r}")
    rivals = [] if query_column else _matches(keys, query_names, query)
    rivals += [] if question_column else _matches(keys, question_names, question)
    passed_over = [header[rival] for rival in dict.fromkeys(rivals) if rival not in (query, question)]
    return Columns(query, question, [header[query], header[question]], passed_over)


def find_list_columns(header: Sequence[str], question_column: str | None, name: str) -> Columns:
    """Return the columns of ids (if any) and texts of a list of standard questions.

    Raises:
        SourceError: no column of texts.
    """
    keys = [_key(column) for column in header]
    wanted = (*((_key(question_column),) if question_column else ()), *_STANDARD, *_EITHER, "text", "title", "name")
    identity = next(iter(_matches(keys, _ID)), None)
    text = next(iter(_matches(keys, wanted, identity)), None)
    if text is None:
        raise SourceError(
            f"{name}: no column of standard questions. Columns found: {_quoted(header)}. "
            "A list of standard questions has the columns id and text"
        )
    names = [header[position] for position in (identity, text) if position is not None]
    return Columns(identity, text, names, [])


def _named(header: Sequence[str], keys: list[str], given: str | None, what: str, name: str) -> int | None:
    if given is None:
        return None
    exact = [position for position, column in enumerate(header) if column == given]
    found = exact or [position for position, key in enumerate(keys) if key == _key(given)]
    if len(found) == 1:
        return found[0]
    option = f"--{what}-column (source.{what}_column)"
    if found:
        raise SourceError(_repeated(given, len(found), name))
    raise SourceError(
        f"{name}: there is no column {given!r}. Columns found: {_quoted(header)}{_nearest([given], header)}. "
        f"Correct {option}"
    )


def _matches(keys: list[str], names: Sequence[str], taken: int | None = None) -> list[int]:
    """Return the columns called one of `names`, in the order of `names`."""
    return [at for name in names for at, key in enumerate(keys) if key == name and at != taken]


def _repeated(column: str, times: int, name: str) -> str:
    return f"{name}: the column {column!r} is there {times} times; rename all but one"


def _missing(header: Sequence[str], query: int | None, question: int | None, name: str) -> str:
    if query is None and question is None:
        return (
            f"{name}: no column of queries and none of standard questions. Columns found: {_quoted(header)}"
            f"{_nearest((*_QUERY, *_EITHER, *_STANDARD), header)}. Name them with --query-column and --question-column "
            "(source.query_column, source.question_column); if that is already a row of data, the file has no header: "
            "add the line query,standard_question above it"
        )
    known, what, option = (
        ((*_QUERY, *_EITHER), "queries", "query") if query is None else (_STANDARD, "standard questions", "question")
    )
    rest = [column for at, column in enumerate(header) if at not in (query, question)]
    return (
        f"{name}: no column of {what}. Columns found: {_quoted(header)}{_nearest(known, rest)}. "
        f"Name it with --{option}-column (source.{option}_column)"
    )


def _nearest(wanted: Sequence[str], header: Sequence[str]) -> str:
    keys = {_key(column): column for column in header}
    near = [close for name in wanted for close in difflib.get_close_matches(_key(name), keys, n=1, cutoff=0.6)]
    return f"; the nearest is {keys[near[0]]!r}" if near else ""


def _quoted(header: Sequence[str]) -> str:
    shown = ", ".join(repr(column if len(column) <= 40 else column[:39] + "…") for column in header[:12])
    return shown + (f" and {len(header) - 12} more" if len(header) > 12 else "")


def _key(column: str) -> str:
    return normalise(column).replace(" ", "_").replace("-", "_")
