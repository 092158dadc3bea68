"""Numbers and dates as a spreadsheet shows them, for the formats that codes, dates and shares have. Pure."""

import re
from datetime import date, datetime, time

from tasks.ingest.tables import as_text

_PLAIN = re.compile(r"(#,##)?(0+)(?:\.(0+))?(%)?")
_DATE_PARTS = re.compile(r"yyyy|yy|mmmm|mmm|mm|m|dd|d|hh|h|ss|s|am/pm|\[[^\]]*\]|\"[^\"]*\"|\\.|.", re.I | re.S)


def show_number(value: float, number_format: str) -> str:
    """Return a number as a cell of this format shows it: 007 for 7 as `000`, 50% for 0.5 as `0%`."""
    found = _PLAIN.fullmatch(number_format.split(";")[0].replace('"', "").replace("\\", ""))
    if not found or (found.group(0) == "0" and float(value).is_integer()):
        return as_text(value)
    grouped, whole, decimals, percent = found.groups()
    places = len(decimals or "")
    number = f"{abs(value) * (100 if percent else 1):{',' if grouped else ''}.{places}f}"
    width = len(whole) + (1 + places if places else 0)
    return ("-" if value < 0 else "") + number.zfill(width) + (percent or "")


def show_date(value: date | time, number_format: str) -> str:
    """Return a date or time as a cell of this format shows it; a format without one gives ISO 8601."""
    pattern = number_format.split(";")[0]
    if not re.search(r"[ymdhs]", re.sub(r"\[[^\]]*\]|\"[^\"]*\"|General", "", pattern), re.I):
        midnight = isinstance(value, datetime) and value.time() == time()
        return str(value.date() if isinstance(value, datetime) and midnight else value)
    parts = _DATE_PARTS.findall(pattern)
    names = [part.lower() for part in parts]
    twelve = "am/pm" in names
    return "".join(_date_part(value, names, at, part, twelve) for at, part in enumerate(parts))


def _date_part(value: date | time, names: list[str], at: int, part: str, twelve: bool) -> str:
    name = names[at]
    if name[0] == "m" and _is_minute(names, at):
        return f"{getattr(value, 'minute', 0):0{min(len(name), 2)}d}"
    hour = getattr(value, "hour", 0)
    amounts = {
        "y": getattr(value, "year", 0),
        "m": getattr(value, "month", 0),
        "d": getattr(value, "day", 0),
        "h": (hour % 12 or 12) if twelve else hour,
        "s": getattr(value, "second", 0),
    }
    if name == "am/pm":
        return "PM" if hour >= 12 else "AM"
    if name == "yy":
        return f"{amounts['y'] % 100:02d}"
    if name[0] in amounts and set(name) == {name[0]}:
        return f"{amounts[name[0]]:0{min(len(name), 4 if name[0] == 'y' else 2)}d}"
    return "" if part.startswith("[") else part.strip('"').removeprefix("\\")


def _is_minute(names: list[str], at: int) -> bool:
    """Whether an `m` is of minutes: after an hour or before a second."""
    parts = [name for name in names[:at] if name[0] in "ymdhs"]
    after = [name for name in names[at + 1 :] if name[0] in "ymdhs"]
    return bool(parts and parts[-1][0] == "h") or bool(after and after[0][0] == "s")
