"""Which column of a header is which: as the settings name it, else by the names people use. Pure."""

import difflib
import itertools
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from schemas.errors import SourceError
from tasks.ingest.column_names import (
    ARTICLE_TAGS,
    ARTICLE_TEXTS,
    CLEARLY_STANDARD,
    EITHER,
    ID,
    PARTS,
    PAYLOAD,
    PLAIN_TEXTS,
    QUERY,
    REPLIES,
    STANDARD,
    STATE,
    TITLES,
    TYPED,
    VALID_FROM,
    VALID_UNTIL,
    Names,
    are_wordings,
    base_of,
    is_subject,
    key_of,
    keys_of,
)
from tasks.ingest.oddities import describe_garbled

NAMED, BY_NAME, BY_NUMBER = "named in the settings", "found by its name", "by its number"
WITHOUT_HEADER = "by its values: the table has no header"
BY_ANSWER = "the first question of each answer"
BY_ROLE = "the standard question above each row"
BY_MARK = "the column that is marked in a row"
BY_COLUMN, BY_FIRST = (
    "the name of each column, above its queries",
    "the first cell of each row: the table has no header",
)
MARKED = frozenset("1 1.0 true yes y 是 x ✓ ✔ √ ● v".split())
_UNMARKED = frozenset(("", *"0 0.0 false no n 否 - ✗ ×".split()))

_NAMELESS = ("", "unnamed")  # as pandas calls what has no name
_NUMBERING = re.compile(
    r"(?:label|class|intent|category|标签|类别|意图|分类|标准问)_?(?:id|code|no|number|index|编号|编码|代码|序号)"
)
_YES_NO = re.compile(r"^(?:is_|是否)|enable|active|valid|publish|online|启用|有效|上线|生效|上架|发布|可用|开启")
_OUT_OF_USE = re.compile(r"(?:^|_)del|disable|inactive|archive|retired|停用|删除|禁用|下线|下架|无效|失效|关闭|invalid")
_FEWEST_MARKED = 3  # columns
_COMPARED = 500  # names of columns, in the search for the nearest


@dataclass(frozen=True)
class Columns:
    """Positions of the columns to read."""

    queries: list[int]  # of a list of standard questions: its ids, or none
    question: int
    passed_over: list[int]  # columns that would have done as well
    why_query: str = NAMED
    why_question: str = NAMED
    open_ended: bool = False  # the queries may go on beyond the header
    line_by_line: bool = False  # a cell holds a query a line, as its format says
    listed: bool = False  # the table is a list of texts, with their ids or without
    marks: tuple[int, ...] = ()  # columns that are standard questions each, and mark the queries that belong to it

    @property
    def numbered(self) -> bool:
        """Whether a column was given by its number, so that the table may have no header."""
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
    keys = keys_of(header)
    queries, why_query = _named_all(header, keys, query_column, name)
    question, why_question = _named(header, keys, question_column, "question", name)
    query = queries[0] if queries else None
    if (query is None) != (question is None) and len(header) == 2 and BY_NUMBER in (why_query, why_question):
        other = 1 - (question if query is None else query)  # type: ignore[operator]  # one of them is known
        queries, question = ([other], question) if query is None else (queries, other)
        query = queries[0]
        why_query = why_question = BY_NUMBER
    if question is None:
        question = _find_question(keys, query)
    if query is None:
        query = _find_query(keys, question)
        if question is None and query is not None:
            question = _find_weak_question(keys, query)
        queries = [] if query is None else _family(keys, query, question)
    if query is None or question is None:
        raise SourceError(_missing(header, query, question, name))
    if why_question != BY_NUMBER and header.count(header[question]) > 1:
        raise SourceError(_repeated(header, question, queries, name))
    if question in queries:
        raise SourceError(f"{name}: queries and standard questions cannot both be the column {header[question]!r}")
    if (why_query, why_question) == (BY_NAME, BY_NAME):
        _refuse_article(header, keys, query, question, name)
    rivals = [] if query_column else _matches(keys, (QUERY, EITHER), query)
    if not question_column and keys[question] not in CLEARLY_STANDARD:
        titled = _rank(TITLES, keys[question]) is not None
        rivals += _matches(keys, (EITHER if titled or keys[question] in EITHER.exact else STANDARD,), question)
    passed_over = [rival for rival in dict.fromkeys(rivals) if rival not in (*queries, question)]
    return Columns(queries, question, passed_over, why_query, why_question)


def _refuse_article(header: Sequence[str], keys: list[str], query: int, question: int, name: str) -> None:
    """Refuse the tags of articles as standard questions: the titles are nearer to them.

    Raises:
        SourceError: a title, its text and its tags stand side by side.
    """
    title = next((at for at in _matches(keys, (TITLES,)) if at != question), None)
    if title is None or keys[question] not in ARTICLE_TAGS or keys[query] not in (*ARTICLE_TEXTS, keys[title]):
        return
    raise SourceError(
        f"{name}: {header[title]!r}, {header[query]!r} and {header[question]!r} look like articles with tags. If their "
        f"titles are the standard questions, give this file with --questions, and their queries as the source; if the "
        f"tags are, name the columns: --query-column {shlex.quote(header[query])} "
        f"--question-column {shlex.quote(header[question])}"
    )


def _find_question(keys: list[str], query: int | None) -> int | None:
    """Return the column of standard questions: a question is one beside queries, and a query beside labels."""
    found = sorted(_matches(keys, (STANDARD,), query), key=lambda at: is_subject(keys[at]))
    asked = _matches(keys, (QUERY,)) if query is None else [query]
    if found and is_subject(keys[found[0]]) and asked and are_wordings(base_of(keys[asked[0]])):
        found = _matches(keys, (EITHER, TITLES), query) or found
    numbered = [key for key in keys if key not in EITHER.exact and base_of(key) in EITHER.exact]
    if not found and (query is not None or _matches(keys, (QUERY,)) or len(numbered) > 1):
        found = _matches(keys, (EITHER,), query)
    return next(iter(found), None)


def _find_query(keys: list[str], question: int | None) -> int | None:
    found = _matches(keys, (QUERY, EITHER), question)
    if not found and question is not None:
        found = _matches(keys, (Names(QUERY.weak),), question)
    return next(iter(found), None)


def _find_weak_question(keys: list[str], query: int) -> int | None:
    """Return the column whose name says less, beside one that holds queries for certain."""
    if keys[query] in EITHER.exact:
        return None
    titles = () if keys[query] in PLAIN_TEXTS else (TITLES,)
    return next(iter(_matches(keys, (*titles, Names(STANDARD.weak, TYPED)), query)), None)


def find_marked_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Columns | None:
    """Return the columns of a table with a column for each standard question, in which its queries are marked.

    Args:
        header: names of all columns.
        rows: the first below it, as wide as the header.
    """
    keys = keys_of(header)
    query = next(iter(_matches(keys, (QUERY, EITHER))), None)
    if query is None or not rows or _find_question(keys, query) is not None or any(key in REPLIES for key in keys):
        return None
    values = {at: {row[at].strip().lower() for row in rows} for at, name in enumerate(header) if name and at != query}
    marks = tuple(at for at, found in values.items() if found <= MARKED | _UNMARKED and not is_state(header[at]))
    told = [at for at in marks if values[at] & MARKED and values[at] & _UNMARKED]  # of the others no row is seen
    marked = sum(any(row[at].strip().lower() in MARKED for at in told) for row in rows)
    if len(told) < _FEWEST_MARKED or 2 * marked < len(rows) or any(values[at] <= MARKED for at in marks):
        return None
    return Columns([query], marks[0], [], BY_NAME, BY_MARK, marks=marks)


def find_queries_alone(header: Sequence[str], name: str) -> Columns:
    """Return the column of queries of a table that need not have standard questions, as a list of texts.

    Raises:
        SourceError: no column is called like queries.
    """
    found = _matches(keys_of(header), (QUERY, EITHER))
    if not found:
        raise SourceError(
            f"{name}: none of its columns is called like queries: {quoted(header)}. Call that of the queries 'query', "
            "or give a .txt with a query a line"
        )
    return Columns([], found[0], found[1:], BY_NAME, BY_NAME, listed=True)


def find_list_columns(header: Sequence[str], question_column: str | None, name: str) -> Columns:
    """Return the columns of ids (if any) and texts of a list of standard questions.

    Raises:
        SourceError: no column of texts.
    """
    keys = [key_of(column) for column in header]
    named = Names((key_of(question_column),) if question_column else ())
    tagged = any(key in ARTICLE_TEXTS for key in keys)
    likely = Names(tuple(name for name in STANDARD.exact if PAYLOAD.rank(name) is None), STANDARD.made)
    identity = next(iter(_matches(keys, (ID,))), None)
    wanted = (named, *((TITLES,) if tagged else ()), likely, EITHER, Names(("text",)), TITLES, STANDARD)
    text = next(iter(_matches(keys, wanted, identity)), None)
    if text is not None and identity is None:
        likely_ids = [at for at, key in enumerate(keys) if at != text and _NUMBERING.fullmatch(key)]
        alone = [1 - text] if len(keys) == 2 and keys[1 - text] in ("", "label", "class", "target", "index") else []
        identity = next(iter((*likely_ids, *alone)), None)
    if text is None:
        raise SourceError(
            f"{name}: no column of standard questions. Columns found: {quoted(header)}. "
            "A list of standard questions has the columns id and text"
        )
    return Columns([] if identity is None else [identity], text, [], BY_NAME, BY_NAME, listed=True)


def find_id_column(header: Sequence[str]) -> str | None:
    """Return the column of ids of standard questions, where a list says their texts; its name says more than `id`."""
    keys = [key_of(column) for column in header]
    found = _matches(keys, (ID,))
    named = [at for at in found if keys[at] not in ("id", "code", "key", "编号", "序号")]
    return next((header[at] for at in [*named, *found]), None)


def is_name(cell: str) -> bool:
    """Whether a cell is a name that a column of queries, standard questions or ids is known by."""
    return any(_rank(names, key_of(cell)) is not None for names in (QUERY, STANDARD, EITHER, ID))


def find_payload(header: Sequence[str], taken: Sequence[int], wanted: Sequence[str] = ()) -> list[int]:
    """Return the columns that go with a standard question (answer, category, state, validity), or that tell a part.

    Args:
        header: names of all columns.
        taken: columns that are something else.
        wanted: names and patterns of further ones.
    """
    return [
        at
        for at, column in enumerate(header)
        if at not in taken
        and (
            any(_rank(names, key_of(column)) is not None for names in (PAYLOAD, PARTS))
            or any(fnmatchcase(column, one) for one in wanted)
        )
    ]


def find_all_payload(header: Sequence[str], taken: Sequence[int]) -> list[int]:
    """Return what a list of standard questions says of them: all columns that have a name, but similar questions."""
    return [
        at
        for at, column in enumerate(header)
        if at not in taken and column.strip() and _rank(QUERY, key_of(column)) is None
    ]


def begins_validity(column: str) -> bool:
    """Whether a column says from when on its row is valid."""
    return key_of(column) in VALID_FROM


def ends_validity(column: str) -> bool:
    """Whether a column says until when its row is valid."""
    return key_of(column) in VALID_UNTIL


def is_state(column: str) -> bool:
    """Whether a column says if its row is in use."""
    return STATE.rank(key_of(column)) is not None


def tells_part(column: str) -> bool:
    """Whether a column says to which part of the data set its row belongs."""
    return PARTS.rank(key_of(column)) is not None


def says_yes(column: str) -> bool:
    """Whether a yes in a column of states means that the row is in use."""
    return not says_no(column) and _YES_NO.search(key_of(column)) is not None


def says_no(column: str) -> bool:
    """Whether a yes in a column of states means that the row is out of use."""
    return _OUT_OF_USE.search(key_of(column)) is not None


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
        raise SourceError(_repeated(header, found[0], [], name))
    if given.isdecimal() and 1 <= int(given) <= len(header):
        return int(given) - 1, BY_NUMBER
    option = f"--{what}-column (source.{what}_column)"
    raise SourceError(
        f"{name}: there is no column {given!r}. Columns found: {quoted(header)}{_nearest([given], header)}. "
        f"Correct {option}"
    )


def _matches(keys: list[str], kinds: Sequence[Names], taken: int | None = None) -> list[int]:
    """Return the columns whose names are of one of the `kinds`, what says most first; numbered ones come last."""
    ranked = [
        (at_kind if plain else len(kinds) + at_kind, rank, at)
        for at, key in enumerate(keys)
        for at_kind, names in enumerate(kinds)
        for plain in (True, False)
        if at != taken and (rank := names.rank(key if plain else base_of(key))) is not None
    ]
    return list(dict.fromkeys(at for _, _, at in sorted(ranked)))


def _rank(names: Names, key: str) -> int | None:
    rank = names.rank(key)
    return names.rank(base_of(key)) if rank is None else rank


def _family(keys: list[str], chosen: int, taken: int | None) -> list[int]:
    """Return the columns called like the chosen one, or numbered beside it, as 相似问1 and 相似问2 are."""
    base = base_of(keys[chosen])
    found = [at for at, key in enumerate(keys) if at != taken and (key == keys[chosen] or base_of(key) == base)]
    # One name over several columns: a merged header leaves the others blank.
    blank = itertools.takewhile(lambda at: keys[at] in _NAMELESS, range(found[-1] + 1, len(keys)))
    return [*found, *blank]


def _repeated(header: Sequence[str], question: int, queries: list[int], name: str) -> str:
    times = header.count(header[question])
    if len(queries) == times and len({header[at] for at in queries}) == 1:
        return (
            f"{name}: the columns {header[queries[0]]!r} and {header[question]!r} are there {times} times, tables side "
            "by side; put them below each other"
        )
    return f"{name}: the column {header[question]!r} is there {times} times; rename all but one"


def _missing(header: Sequence[str], query: int | None, question: int | None, name: str) -> str:
    if query is None and question is None:
        garbled = describe_garbled(header)
        return (
            f"{name}: no column of queries and none of standard questions. Columns found: {quoted(header)}"
            f"{f' ({garbled})' if garbled else ''}{_nearest((*QUERY.exact, *EITHER.exact, *STANDARD.exact), header)}. "
            "Name them with --query-column and --question-column (source.query_column, source.question_column)"
        )
    known, what, option = (
        ((*QUERY.exact, *EITHER.exact), "queries", "query")
        if query is None
        else (STANDARD.exact, "standard questions", "question")
    )
    rest = [column for at, column in enumerate(header) if at not in (query, question)]
    only = "; a list of standard questions alone is given beside the rows, with --questions" if query is None else ""
    return (
        f"{name}: no column of {what}. Columns found: {quoted(header)}{_nearest(known, rest)}. "
        f"Name it with --{option}-column (source.{option}_column){only}"
    )


def _nearest(wanted: Sequence[str], header: Sequence[str]) -> str:
    keys = {key_of(column): column for column in header[:_COMPARED]}
    near = [close for name in wanted for close in difflib.get_close_matches(key_of(name), keys, n=1, cutoff=0.6)]
    return f"; the nearest is {keys[near[0]]!r}" if near else ""


def quoted(header: Sequence[str]) -> str:
    """Return the names of columns for a message, long ones and long lists cut."""
    shown = ", ".join(repr(column if len(column) <= 40 else column[:39] + "…") for column in header[:12])
    return shown + (f" and {len(header) - 12} more" if len(header) > 12 else "")
