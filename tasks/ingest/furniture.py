"""Rows that are no data: a header repeated inside, notes below it, totals and signatures at the end. Pure."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from tasks.ingest.columns import find_payload, is_name
from tasks.ingest.tables import BadRow

REPEATED_HEADER = "repeated header"
NOTE = "note below the header"
FOOTER = "total or signature"
OTHER_TABLE = "row of another table below"
FURNITURE = frozenset((REPEATED_HEADER, NOTE, FOOTER, OTHER_TABLE))

_LONGEST_NAME = 30
_FIRST_ROWS = 2  # below the header, where notes stand
_NOTES = re.compile(
    r"\s*[（(\[【*]?\s*(?:必填|选填|非必填|可选|可不填|示例|例如|例[:：]|请填写|请输入|填写说明|说明[:：]|注[:：]|格式[:：]|不超过\d+)"
)
_WORDS = re.compile(r"\W*(?:required|optional|mandatory)\W*$", re.I)  # a note that is nothing but this
_TYPES = re.compile(r"\s*(?:string|str|text|n?(?:var)?char|object|utf8|longtext)(?:\s*\(\d+\))?\s*$", re.I)
_RULE = re.compile(r"\s*[:+|]*[-=_+]{2,}[-=_+:|\s]*$")  # below the header of a table that is drawn with signs
_COUNT = re.compile(r"\s*\d[\d,]*\s*$")
_SUMS = re.compile(
    r"\s*(?:(?:合计|总计|小计|共计|总数|汇总)(?:条数|行数|数量|数)?|(?:grand |sub-?)?total(?: (?:rows|count|queries))?)"
    r"\s*[:：]?\s*[\d,]*\s*(?:条|行)?(?:记录|数据)?\s*$|\s*共\s*\d+\s*[条行个](?:记录|数据)?\s*$",
    re.I,
)
_DIGIT = re.compile(r"\d")
_SIGN = (  # by whom, or when
    r"\s*(?:数据来源|来源系统|(?:导出|制表|填表|填报|编制|制单|审核|审批|复核|校对|统计|打印|生成|更新|经办|联系|负责)"
    r"(?:人员?|时间|日期|部门|单位)|(?:exported|generated|prepared|printed|reviewed|approved) (?:by|at|on))\s*"
)
_SIGNED = re.compile(rf"{_SIGN}[:：]\s*", re.I)
_UNSIGNED = re.compile(rf"{_SIGN}$", re.I)
_SIGNATURES = re.compile(rf"{_SIGNED.pattern}|\s*第\s*\d+\s*页|\s*page\s+\d+\b", re.I)
_ANY_END = re.compile(  # by its beginning first, which nearly every text has not
    rf"(?=[\s合总小共汇数来导制填编审复校统打生更经联负第]|to|grand|sub|exp|gen|pre|pri|rev|app|page)"
    rf"(?:{_SUMS.pattern}|{_SIGN}(?:[:：]|$)|{_SIGNATURES.pattern})",
    re.I,
)
_PAGES = re.compile(r"\s*(?:共\s*\d+\s*页|of\s+\d+)\s*$", re.I)
_DATE = re.compile(
    r"\s*\d{4}\s*[-/.年]\s*\d{1,2}\s*[-/.月]\s*\d{1,2}\s*日?(?:[T\s]*\d{1,2}[:：时点][\d:：分秒.]*)?\s*$"
)
_FIGURE = re.compile(rf"\s*[-+¥￥$]?\s*\d[\d,.]*\s*(?:[%％元个条次人天]|万元)?\s*$|{_DATE.pattern}")
_FEWEST_FIGURES = 2  # below a header, that it is one
_MOST_GAPS = 100  # the last of them, above which no other table is looked for
_FEWEST_ROWS, _LABELS = 10, 0.7  # above, and at most so many of their standard questions differ
_COLUMN = re.compile(  # names of columns in tables of other things
    r"\s*(?:名称|说明|备注|数量|数目|个数|次数|人数|条数|占比|比例|金额|含义|字段名?|列名|字段说明|日期|时间|版本|负责人|部门"
    r"|name|count|number|amount|share|percent(?:age)?|description|remarks?|notes?|meaning|field|date|version|owner)\s*$",
    re.I,
)
_LONGEST_COLUMN = 12  # characters of such a name
_LONGEST_SIGNATURE = 10  # characters
_BLANKS = "\ufeff \t\xa0"  # files that were joined have marks of their encoding inside
_BEGINNINGS = frozenset(
    " \t合总小共汇数来导制填编审复校统打生更经联负第gGsStTeEpPrRaA"
)  # of these two; nearly every text begins otherwise


def find_furniture(
    lines: Sequence[int],
    queries: list[str],
    questions: list[str],
    header: tuple[str, str] | None,
    *,
    named: bool,
    first: bool,
    listed: bool = False,
) -> dict[int, BadRow]:
    """Return the rows that are no data, by their place in the batch.

    Args:
        lines: of the rows.
        queries: cells of the first column of queries; of a list, its ids, or what else stands beside the texts.
        questions: cells of the column of standard questions.
        header: names of the two columns; None: the table has none.
        named: a name of the header stands among the standard questions.
        first: these rows follow the header.
        listed: these are a list of texts, of which each counts: a blank, a number or a note in one cell says nothing.
    """
    found: dict[int, str] = {}
    if header and named:
        rows = enumerate(zip(queries, questions, strict=True))
        names = tuple(map(str.lower, header))
        found |= {
            at: REPEATED_HEADER for at, pair in rows if tuple(cell.strip(_BLANKS).lower() for cell in pair) == names
        }
        below = [at + 1 for at in found if at + 1 < len(questions)]
        found |= {at: NOTE for at in below if _RULE.match(queries[at]) and _RULE.match(questions[at])}
    if header and first:
        noted = enumerate(zip(queries[:_FIRST_ROWS], questions[:_FIRST_ROWS], strict=True))
        found |= {at: reason for at, pair in noted if (reason := _explains(pair, header, listed=listed))}
    found |= dict.fromkeys(_find_footers(queries, questions, listed=listed), FOOTER)
    return {at: BadRow(lines[at], reason, queries[at], questions[at]) for at, reason in found.items()}


def _find_footers(queries: list[str], questions: list[str], *, listed: bool) -> set[int]:
    """Return the rows of totals and signatures: the words in one of the two cells, their value or nothing in the other.

    Where the words are the query, the other cell is no standard question: those of the other rows are no such values.
    """
    odd = {text for text in {*questions} if text[:1] in _BEGINNINGS and _ends(text)}
    labelled = {at for at, text in enumerate(questions) if text in odd} if odd else set()
    found = {
        at for at in labelled if _ends(queries[at]) or (_is_value(queries[at]) if queries[at].strip() else not listed)
    }
    if listed and found and any(_is_value(text) for at, text in enumerate(queries) if at not in labelled):
        found = {at for at in found if _ends(queries[at])}  # ids and counts of the other rows are numbers as well
    asked = [
        at for at, text in enumerate(queries) if text[:1] in _BEGINNINGS and _ANY_END.match(text) and at not in found
    ]
    others = Counter(questions) if asked else Counter()
    others.subtract(questions[at] for at in asked)
    numbered = any(count and _is_value(text) for text, count in others.items())
    for at in asked:
        text = questions[at]
        if not text.strip():  # the last of its group, if the cells of this column are merged
            is_last = at + 1 == len(questions) or questions[at + 1].strip()
            found |= {at} if is_last and _ends(queries[at]) else set()
        elif _is_value(text) and not numbered:
            found.add(at)
    last = len(questions) - 1
    while last >= 0 and (last in found or _is_signed(queries[last], questions[last], others)):
        found.add(last)
        last -= 1
    return found


def _is_signed(query: str, question: str, others: Mapping[str, int]) -> bool:
    """Whether a row below all others is a total with its number, or names a person or a time beside what it is."""
    if not query.strip():
        return bool((_SUMS.match(question) and _DIGIT.search(question)) or _SIGNED.match(question))
    if _SIGNED.fullmatch(question) or (_UNSIGNED.match(question) and _DATE.match(query)):
        return len(query) <= _LONGEST_SIGNATURE or _DATE.match(query) is not None
    return bool(_SIGNED.fullmatch(query)) and len(question) <= _LONGEST_SIGNATURE and not others.get(question)


def _ends(cell: str) -> bool:
    """Whether a cell holds the words of a total or of a signature."""
    return bool(_SUMS.match(cell) or _SIGNATURES.match(cell))


def _is_value(cell: str) -> bool:
    """Whether a cell holds what stands beside such words: a number, a date or the number of pages."""
    return any(one.match(cell) for one in (_FIGURE, _PAGES))


def find_other_table(
    lines: Sequence[int], queries: list[str], questions: list[str], header: tuple[str, str]
) -> int | None:
    """Return the place where another table begins: at a second header that only begins or ends like the first.

    It stands below a blank line or below a title, which belongs to it; or it holds both names in the other order.
    """
    if header[0] in questions and header[1] in queries:
        pairs = zip(queries, questions, strict=True)
        return next((at for at, pair in enumerate(pairs) if pair == header[::-1]), None)
    at = questions.index(header[1]) if questions.count(header[1]) == 1 else 0  # more are rows of a class of that name
    if (
        not at
        or queries[at].strip().lower() in ("", header[0].lower())
        or len(queries[at]) > _LONGEST_NAME
        or "\n" in queries[at]
    ):
        return None
    begin = at if queries[at - 1].strip() else at - 1
    return begin if begin and lines[begin] - lines[begin - 1] > 1 else None


def find_table_of_another_kind(
    lines: Sequence[int], queries: list[str], questions: list[str], *, listed: bool
) -> int | None:
    """Return the place where a table with a header of its own begins, which has nothing in common with the first.

    It stands below a blank line, and what follows to the end is of another kind: a header of two names of columns and
    no standard question from above, or a header and numbers, of which there are none above.

    Args:
        lines: of the rows.
        queries: cells of the first column of queries.
        questions: cells of the column of standard questions.
        listed: these are a list of texts, and the queries its ids: those may change from texts to numbers.
    """
    gaps = _find_gaps(lines)
    if not gaps:
        return None
    counts, starts = Counter(questions), {*gaps}

    def begins(at: int) -> int | None:
        """Return where the table with its header at a place begins, with its title; None: that is no header."""
        pair = (queries[at].strip(), questions[at].strip())
        if (
            not all(pair)
            or counts[questions[at]] > 1
            or any(len(cell) > _LONGEST_NAME or _FIGURE.match(cell) for cell in pair)
        ):
            return None
        titled = not (queries[at - 1].strip() and questions[at - 1].strip())
        first = at if at in starts else at - 1
        follows = first in starts and (first == at or titled)
        return first if follows and {*questions[:first]}.isdisjoint(questions[at + 1 :]) else None

    for cells in (questions,) if listed else (questions, queries):
        start = len(cells)
        while start and (not cells[start - 1].strip() or _FIGURE.match(cells[start - 1])):
            start -= 1
        figures = sum(map(bool, map(str.strip, cells[start:])))
        if 0 < start - 1 and figures >= _FEWEST_FIGURES and not any(map(_FIGURE.match, cells[:start])):
            if (first := begins(start - 1)) is not None:
                return first
    for at in gaps[-_MOST_GAPS:]:
        for header in (at, at + 1):
            below = header + 1 < len(lines)
            if below and _names_column(queries[header]) and _names_column(questions[header]) and begins(header) == at:
                return at
    return None


def find_doubtful_rows(lines: Sequence[int], questions: list[str]) -> int | None:
    """Return the place of the only blank line, if each row below it has a standard question that no other has.

    So a table looks that has nothing in common with the first, but standard questions that were added below, too.
    """
    gaps = _find_gaps(lines)
    if len(gaps) != 1:
        return None
    above, below = {*questions[: gaps[0]]}, {*questions[gaps[0] :]}
    rows = len(questions) - gaps[0]
    repeat = gaps[0] >= _FEWEST_ROWS and len(above) <= _LABELS * gaps[0]
    return gaps[0] if repeat and len(below) == rows > _FEWEST_FIGURES and above.isdisjoint(below) else None


def _find_gaps(lines: Sequence[int]) -> list[int]:
    """Return the places of rows that do not stand in the line below the row before: after blank lines, for the most."""
    if not lines or lines[-1] - lines[0] == len(lines) - 1:
        return []
    return [at for at in range(1, len(lines)) if lines[at] - lines[at - 1] > 1]


def has_names(questions: list[str], header: tuple[str, str]) -> bool:
    """Whether a name of the header stands among standard questions, in any case; of most batches none does."""
    forms = {form(name) for name in header for form in (str, str.lower, str.upper, str.title, "\ufeff{}".format)}
    return not forms.isdisjoint(questions)


def _names_column(cell: str) -> bool:
    return len(cell) <= _LONGEST_COLUMN and any((_COLUMN.match(cell), is_name(cell), find_payload([cell], [])))


def _explains(pair: tuple[str, str], header: tuple[str, str], *, listed: bool) -> str | None:
    """Return why a row below the header is no data: it explains the columns, or is a second header."""
    if (all if listed else any)(map(_NOTES.match, pair)) or any(
        all(map(one.match, pair)) for one in (_WORDS, _TYPES, _RULE)
    ):
        return NOTE
    numbers_columns = not listed and pair[1].strip() in ("", header[1]) and _COUNT.match(pair[0])
    return REPEATED_HEADER if numbers_columns or all(map(_is_header, pair)) else None


def _is_header(cell: str) -> bool:
    return len(cell) <= _LONGEST_NAME and "\n" not in cell and is_name(cell)
