"""What the cells of a column mean: numbers, dates, moments, lists or texts. Pure."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Literal
from zoneinfo import ZoneInfo

from tasks.retrieval.normalise import normalise

Kind = Literal["text", "number", "date", "moment", "list"]

_NUMBER = re.compile(r"[+-]?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?")  # 007 and longer ones are codes
_MOMENT = re.compile(
    r"(?P<y>\d{4})(?P<mark>[-/.年])(?P<m>\d{1,2})[-/.月](?P<d>\d{1,2})日?"
    r"(?:[Tt\s]\s*(?P<h>\d{1,2})[:时](?P<min>\d{1,2})(?:分?$|[:分](?P<s>\d{1,2})(?:\.\d+)?秒?)?"
    r"\s*(?P<zone>[Zz]|[+-]\d{2}:?\d{2})?)?"
)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})")
_SPAN = re.compile(r"\s*(?:至|到|~|～|—+|–|－| - | to |/(?=\d{4}))\s*")
_ENDLESS = frozenset(
    "永久 长期 长期有效 永久有效 永久生效 无 无限期 不限 至今 立即 - -- / none null n/a na never forever permanent "
    "unlimited always open".split()
)
_SEPARATORS = (";", "；", "|", "、", ",", "，", "\n")
_LONGEST_PART = 30  # characters of an element of a list
_NEVER = re.compile(r"(?:9999|0001)(?:\d{4})?(?!\d)")  # how programs write it: 9999-12-31, 00010101
_DAY, _UTC, _LAST_YEAR = timedelta(days=1), ZoneInfo("UTC"), 9999


@dataclass(frozen=True)
class Column:
    """The values of a column, all of one kind."""

    kind: Kind
    values: list[Any]  # None: missing


@dataclass(frozen=True)
class Span:
    """When something is valid; None: without a bound."""

    begin: datetime | None = None
    end: datetime | None = None  # the first moment at which it is not

    @property
    def is_empty(self) -> bool:
        """Whether it ends before it begins."""
        return self.begin is not None and self.end is not None and self.begin >= self.end

    def within(self, other: "Span") -> "Span":
        """Return when both are valid."""
        begins, ends = ([one for one in pair if one] for pair in ((self.begin, other.begin), (self.end, other.end)))
        return Span(max(begins, default=None), min(ends, default=None))


def read_column(cells: Sequence[str | None], zone: ZoneInfo, plain: bool = False) -> Column:
    """Return a column of the one kind that all its cells have; a text otherwise.

    Args:
        cells: None or blank: missing.
        zone: of moments that name none.
        plain: they are texts, whatever they look like: answers.
    """
    given = [cell for cell in cells if cell and cell.strip()]
    readers: list[tuple[Kind, Callable[[str], Any]]] = [("number", _read_number), ("date", _read_date)]
    readers += [("moment", lambda cell: read_moment(cell, zone)), ("list", _read_json_list)]
    if separator := _find_separator([cell for cell in given if _read_json_list(cell.strip()) is None]):
        readers.append(("list", lambda cell: _read_json_list(cell) or _split(cell, separator)))
    for kind, read in [] if plain else readers:
        values = [read(cell.strip()) if cell and cell.strip() else None for cell in cells]
        if given and sum(value is not None for value in values) == len(given):
            return Column(kind, values)
    return Column("text", [cell.strip() if cell and cell.strip() else None for cell in cells])


def read_moment(text: str, zone: ZoneInfo) -> datetime | None:
    """Return a date, at its midnight, or a moment; None: it is neither, or in a year that not every zone can tell."""
    moment = _parse(text, zone)
    return moment if moment and 1 < moment.year < _LAST_YEAR else None


def _parse(text: str, zone: ZoneInfo) -> datetime | None:
    found = _MOMENT.fullmatch(text.strip())
    if not found:
        return None
    parts = [int(found[name] or 0) for name in ("y", "m", "d", "h", "min", "s")]
    try:
        moment = datetime(*parts)  # type: ignore[arg-type]  # six numbers
        return moment.replace(tzinfo=_read_zone(found["zone"]) if found["zone"] else zone)
    except ValueError:
        return None


def read_bound(text: str, zone: ZoneInfo, ends: bool, midnight_is_day: bool = True) -> Span | None:
    """Return the span that a cell of a column of validity means; None: it cannot be read.

    A day counts whole: what is valid until it is valid on it.

    Args:
        text: a date, a moment, two of them, or a word such as 长期.
        zone: of what names none.
        ends: one date is the last one, not the first.
        midnight_is_day: 2026-01-31 00:00:00 is how a program wrote the day.
    """
    text = text.strip()
    if normalise(text) in _ENDLESS or _NEVER.match(text):
        return Span()
    if one := _read_day(text, zone, midnight_is_day):
        begin, end = one
        return Span(end=end) if ends else Span(begin)
    parts = _SPAN.split(text)
    if len(parts) != 2:
        return None
    first, last = (
        read_bound(part, zone, is_last, midnight_is_day) if part else Span()
        for part, is_last in zip(parts, (False, True), strict=True)
    )
    return first.within(last) if first and last else None


def names_hours(text: str, zone: ZoneInfo) -> bool:
    """Whether a text names moments that are no midnight."""
    found = [read_moment(part, zone) for part in [text, *_SPAN.split(text)]]
    return any(one is not None and _is_midnight(one, zone) is False for one in found)


def _is_midnight(moment: datetime, zone: ZoneInfo) -> bool:
    return (moment.hour, moment.minute, moment.second) == (0, 0, 0) and moment.tzinfo is zone


def _read_day(text: str, zone: ZoneInfo, midnight_is_day: bool) -> tuple[datetime, datetime] | None:
    """Return when a day, or a moment, begins, and when it is over."""
    compact = _COMPACT.fullmatch(text)
    moment = read_moment("-".join(compact.groups()) if compact else text, zone)
    if moment is None:
        return None
    is_day = _is_midnight(moment, zone) and (midnight_is_day or ":" not in text)
    return moment, moment + _DAY if is_day else moment  # a day by the calendar, whatever clocks are changed in it


def _read_zone(text: str) -> timezone:
    if text in "Zz":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def _read_number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _read_date(text: str) -> date | None:
    moment = _parse(text, _UTC)
    return moment.date() if moment and _is_midnight(moment, _UTC) else None


def _read_json_list(text: str) -> list[str] | None:
    try:
        value = json.loads(text) if text.startswith("[") else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, list) or any(isinstance(one, dict | list) for one in value):
        return None
    return [one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in value]


def _find_separator(cells: Sequence[str]) -> str | None:
    """Return what separates the elements of cells that are lists: short ones that come again in other cells."""
    for separator in _SEPARATORS:
        if not any(separator in cell for cell in cells):
            continue
        parts = [part for cell in cells for part in _split(cell, separator)]
        if max(map(len, parts), default=0) <= _LONGEST_PART and 2 * len({*parts}) <= len(parts):
            return separator
    return None


def _split(cell: str, separator: str) -> list[str]:
    return [part for one in cell.split(separator) if (part := one.strip())]
