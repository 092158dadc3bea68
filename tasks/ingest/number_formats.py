"""Numbers and dates as a spreadsheet shows them, for the formats that codes, dates and shares have. Pure."""

import math
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache, partial

from tasks.ingest.tables import as_text

_Show = Callable[[datetime, timedelta], str]  # of a moment, and the time since the beginning of the calendar

_TEXT = r'\[[^\]]*\]|"[^"]*"|\\.|_.|\*.'
_NUMBER_PARTS = re.compile(rf"{_TEXT}|.", re.S)
_NUMBER = re.compile(rf"(?:{_TEXT}|[-0#?.,%+$():!^&'~{{}}\s]|[^\x00-\x7f])+", re.S)
_CONDITION = re.compile(r"\[[<>=]")
_SLOTS = ("0", "#", "?")  # of a digit
_EMPTY = {"0": "0", "#": "", "?": " "}  # what a slot without a digit shows
_SCALE = re.compile(r"[0#?](,+)[^0#?]*$")
_EXACT = Context(prec=400, rounding=ROUND_HALF_UP)

_DATE_PARTS = re.compile(
    r"\[(?:h+|m+|s+)\]|" + _TEXT + r"|General|AM/PM|A/P|上午/下午|y+|e+(?![+-])|m+|d+|aaaa?|h+|s+|\.0+|.", re.I | re.S
)
_CHINESE = re.compile(r"\[\$[^\]-]*-(?:[\da-f]*(?:804|404|c04|1004|1404)|zh[^\]]*)\]", re.I)
_NUMERALS = "一 二 三 四 五 六 七 八 九 十 十一 十二".split()
_MONTHS = "January February March April May June July August September October November December".split()
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_CHINESE_DAYS = "一二三四五六日"
_HALVES: dict[str, _Show] = {
    "am/pm": lambda at, _: "PM" if at.hour >= 12 else "AM",
    "a/p": lambda at, _: "P" if at.hour >= 12 else "A",
    "上午/下午": lambda at, _: "下午" if at.hour >= 12 else "上午",
}
_PARTS: dict[str, _Show] = {
    **_HALVES,
    "yy": lambda at, _: f"{at.year % 100:02d}",
    "yyyy": lambda at, _: f"{at.year:04d}",
    "m": lambda at, _: f"{at.month}",
    "mm": lambda at, _: f"{at.month:02d}",
    "mmm": lambda at, _: _MONTHS[at.month - 1][:3],
    "mmmm": lambda at, _: _MONTHS[at.month - 1],
    "mmmmm": lambda at, _: _MONTHS[at.month - 1][0],
    "d": lambda at, _: f"{at.day}",
    "dd": lambda at, _: f"{at.day:02d}",
    "ddd": lambda at, _: _DAYS[at.weekday()][:3],
    "dddd": lambda at, _: _DAYS[at.weekday()],
    "aaa": lambda at, _: f"周{_CHINESE_DAYS[at.weekday()]}",
    "aaaa": lambda at, _: f"星期{_CHINESE_DAYS[at.weekday()]}",
    "h": lambda at, _: f"{at.hour}",
    "hh": lambda at, _: f"{at.hour:02d}",
    "h of 12": lambda at, _: f"{at.hour % 12 or 12}",
    "hh of 12": lambda at, _: f"{at.hour % 12 or 12:02d}",
    "minute": lambda at, _: f"{at.minute}",
    "minutes": lambda at, _: f"{at.minute:02d}",
    "s": lambda at, _: f"{at.second}",
    "ss": lambda at, _: f"{at.second:02d}",
    "[h]": lambda _, since: f"{since // timedelta(hours=1)}",
    "[hh]": lambda _, since: f"{since // timedelta(hours=1):02d}",
    "[m]": lambda _, since: f"{since // timedelta(minutes=1)}",
    "[mm]": lambda _, since: f"{since // timedelta(minutes=1):02d}",
    "[s]": lambda _, since: f"{since // timedelta(seconds=1)}",
    "[ss]": lambda _, since: f"{since // timedelta(seconds=1):02d}",
}
_CHINESE_PARTS: dict[str, _Show] = {
    "am/pm": _PARTS["上午/下午"],
    "ddd": _PARTS["aaa"],
    "dddd": _PARTS["aaaa"],
    "mmm": lambda at, _: f"{at.month}月",
    "mmmm": lambda at, _: f"{_NUMERALS[at.month - 1]}月",
    "mmmmm": lambda at, _: _NUMERALS[at.month - 1][0],
}
# By number, in a workbook of Chinese Excel, which leaves their text out.
_UNWRITTEN = {
    **dict.fromkeys((27, 36, 50, 52, 57), 'yyyy"年"m"月"'),
    **dict.fromkeys((28, 29, 51, 53, 54, 58), 'm"月"d"日"'),
    **{30: "m-d-yy", 31: 'yyyy"年"m"月"d"日"', 32: 'h"时"mm"分"', 33: 'h"时"mm"分"ss"秒"'},
    **dict.fromkeys((34, 55), '上午/下午h"时"mm"分"'),
    **dict.fromkeys((35, 56), '上午/下午h"时"mm"分"ss"秒"'),
}
_LONGEST = {"y": 4, "m": 5, "d": 4, "h": 2, "s": 2}
_SHORTER = {"y": "yy", "yyy": "yyyy"}


def show_number(value: float, number_format: str) -> str:
    """Return a number as a cell of this format shows it: 007 for 7 as `000`, 50% for 0.5 as `0%`, Q7 as `"Q"0`.

    Formats of fractions, of powers of ten and with conditions give the number as it is.
    """
    sections = number_format.split(";")
    at = 1 if value < 0 and len(sections) > 1 else 2 if value == 0 and len(sections) > 2 else 0
    if not math.isfinite(value) or _CONDITION.search(number_format) or not _NUMBER.fullmatch(sections[at]):
        return as_text(value)
    return _fill(value, sections[at], signed=at == 0) or as_text(value)


def _fill(value: float, section: str, *, signed: bool) -> str:
    """Return the text of a section with the digits of a number in its slots, the last one rounded half up."""
    parts: list[str] = _NUMBER_PARTS.findall(section)
    point = parts.index(".") if "." in parts else len(parts)
    slots = [at for at, part in enumerate(parts[:point]) if part in _SLOTS]
    places = [at for at, part in enumerate(parts) if at > point and part in _SLOTS]
    scale = _SCALE.search(section)
    power = 2 * parts.count("%") - 3 * (len(scale[1]) if scale else 0)
    number = abs(Decimal(repr(value))).scaleb(power, _EXACT).quantize(Decimal(1).scaleb(-len(places)), context=_EXACT)
    whole, _, decimals = f"{number:f}".partition(".")
    digits = [] if int(whole) == 0 else [*whole]
    shown = [_text(part) for part in parts]
    if slots and "," in parts[slots[0] : slots[-1]]:
        zeros = [at for at in slots if parts[at] == "0"]
        width = len([at for at in slots if at >= zeros[0]]) if zeros else 0
        grouped = re.sub(r"(?<=\d)(?=(?:\d{3})+$)", ",", "".join(digits).zfill(width))
        shown = [grouped if at == slots[0] else "" if at in slots else text for at, text in enumerate(shown)]
    else:
        for at in reversed(slots):
            shown[at] = digits.pop() if digits else _EMPTY[parts[at]]
        if slots:
            shown[slots[0]] = "".join(digits) + shown[slots[0]]
    for at, digit in zip(places, decimals, strict=True):
        shown[at] = digit
    for at in reversed(places):
        if parts[at] == "0" or shown[at] != "0":
            break
        shown[at] = _EMPTY[parts[at]]
    text = "".join(text for text, part in zip(shown, parts, strict=True) if part != ",").strip()
    return ("-" if signed and value < 0 and number else "") + text if slots or '"' in section else ""


def _text(part: str) -> str:
    """Return what a part of a format shows that holds neither digits nor a date."""
    if part[:2] == "[$":  # the sign of a currency
        return part[2:-1].split("-")[0]
    if len(part) > 1 and part[0] in '["\\_*':
        return {"[": "", '"': part[1:-1], "\\": part[1:], "_": " ", "*": ""}[part[0]]
    return part


def find_unwritten(number: int) -> str | None:
    """Return the format that a workbook of Chinese Excel names by its number alone."""
    return _UNWRITTEN.get(number)


def shows_date(number_format: str) -> bool:
    """Whether a cell of this format shows a date or a time."""
    return bool(_date_parts(number_format.split(";")[0]))


def show_date(value: date | time | timedelta, number_format: str) -> str:
    """Return a date or time as a cell of this format shows it; a format without one gives ISO 8601.

    Months and days have their English names, but where the format says that it is Chinese.
    """
    parts = _date_parts(number_format.split(";")[0])
    if not parts:
        midnight = isinstance(value, datetime) and value.time() == time()
        return str(value.date() if isinstance(value, datetime) and midnight else value)
    at, since = _moment(value)
    return "".join(part(at, since) for part in parts).strip()


def _moment(value: date | time | timedelta) -> tuple[datetime, timedelta]:
    """Return a value as a moment, and as the time since the beginning of the calendar, where a time begins."""
    begin = datetime(1899, 12, 31)
    if isinstance(value, timedelta):
        return begin + value % timedelta(days=1), value
    if isinstance(value, time):
        at = datetime.combine(begin, value)
        return at, at - begin
    at = value if isinstance(value, datetime) else datetime.combine(value, time())
    return at, at - begin + timedelta(days=at >= datetime(1900, 3, 1))  # Excel knows a 29 February 1900


@lru_cache
def _date_parts(pattern: str) -> list[_Show]:
    """Return what shows the parts of a date, one after the other; nothing for a format without a date."""
    parts: list[str] = _DATE_PARTS.findall(pattern)
    names = [_name(part.lower()) for part in parts]
    twelve = not _HALVES.keys().isdisjoint(names)
    for at, name in enumerate(names):
        if name in ("m", "mm") and _is_minute(names, at):
            names[at] = "minute" if name == "m" else "minutes"
        elif name in ("h", "hh") and twelve:
            names[at] = f"{name} of 12"
    known = _PARTS | _CHINESE_PARTS if _CHINESE.search(pattern) else _PARTS
    if not any(name in known for name in names):
        return []
    found = list[_Show]()
    for at, (name, part) in enumerate(zip(names, parts, strict=True)):
        if part[0] == "." and len(part) > 1 and names[at - 1].strip("[]")[0] == "s":
            found.append(partial(_fraction, len(part)))
        else:
            found.append(known.get(name) or partial(_constant, _text(part)))
    return found


def _fraction(width: int, at: datetime, _: timedelta) -> str:
    return f".{at.microsecond:06d}"[:width]


def _constant(text: str, *_: object) -> str:
    return text


def _name(part: str) -> str:
    """Return the part of a date by its usual name: yyyy for e, and for letters that are more than any format has."""
    if part.strip("e") == "":
        return "yyyy"
    letter = part.strip("[]")[:1]
    if letter in _LONGEST and not part.strip("[]").strip(letter):
        inner = part.strip("[]")[: 2 if part[0] == "[" else _LONGEST[letter]]
        return f"[{inner}]" if part[0] == "[" else _SHORTER.get(inner, inner)
    return part


def _is_minute(names: list[str], at: int) -> bool:
    """Whether an `m` is of minutes: after an hour or before a second."""
    before = [name.strip("[]")[0] for name in names[:at] if name in _PARTS]
    after = [name.strip("[]")[0] for name in names[at + 1 :] if name in _PARTS]
    return before[-1:] == ["h"] or after[:1] == ["s"]
