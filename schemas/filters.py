"""What a search may be narrowed by: fields of the standard questions, and the moment at which they are valid."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from schemas.errors import FilterError

Scalar = str | int | float | bool | None
ValidAt = datetime | Literal["now", "any"]  # "any": whether valid or not

_MOST_FIELDS, _MOST_VALUES = 20, 100
_PAIR = re.compile(r"(?P<name>.+?)\s*(?P<sign>>=|<=|=)\s*(?P<value>.*)", re.S)


@dataclass(frozen=True)
class Range:
    """From `min` to `max`, both included; None: open."""

    min: Scalar = None
    max: Scalar = None


Condition = Scalar | Sequence[Scalar] | Range  # one value, any of several, or a range; None: the field is empty
Filters = Mapping[str, Condition]  # all of them hold


def parse_filters(pairs: Sequence[str]) -> Filters:
    """Return the filters that words such as `category=loans`, `price>=10` and `price<=20` mean; `category=`: empty.

    Raises:
        FilterError: one is no filter.
    """
    values, ranges = dict[str, list[Scalar]](), dict[str, Range]()
    for pair in pairs:
        found = _PAIR.fullmatch(pair.strip())
        if not found:
            raise FilterError(f"{pair!r} is no filter; write FIELD=VALUE, FIELD>=VALUE or FIELD<=VALUE")
        name, value = found["name"].strip(), found["value"].strip()
        if found["sign"] == "=":
            values.setdefault(name, []).append(value or None)
        else:
            known = ranges.get(name, Range())
            ranges[name] = Range(value, known.max) if found["sign"] == ">=" else Range(known.min, value)
    if both := values.keys() & ranges.keys():
        raise FilterError(f"{min(both)!r} is filtered by values and by a range; give one of them")
    return values | ranges


def check_filters(given: Any) -> Filters:  # noqa: ANN401 - any JSON
    """Return filters as JSON has them: by field a value, a list of values, or {"min": …, "max": …}; null: empty.

    Raises:
        ValueError: they are none.
    """
    if not isinstance(given, dict):
        raise ValueError('give an object, such as {"category": "loans"}')
    if len(given) > _MOST_FIELDS:
        raise ValueError(f"{len(given)} fields, at most {_MOST_FIELDS} go in one request")
    return {name: _check_condition(name[:50], value) for name, value in given.items()}


def parse_valid_at(text: str) -> ValidAt:
    """Return the moment at which standard questions have to be valid: ISO 8601, or now, or any.

    Raises:
        ValueError: it is none.
    """
    if text == "now":
        return "now"
    if text == "any":
        return "any"
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text[:50]!r} is no moment; give one as 2026-01-31 or 2026-01-31T18:00+08:00, or now, or any"
        ) from None


def _check_condition(name: str, value: Any) -> Condition:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        if not value or value.keys() - {"min", "max"} or not all(_is_scalar(one) for one in value.values()):
            raise ValueError(f'{name}: an object is a range; give {{"min": 1, "max": 2}}, or one of them')
        return Range(value.get("min"), value.get("max"))
    if isinstance(value, list):
        if len(value) > _MOST_VALUES:
            raise ValueError(f"{name}: {len(value)} values, at most {_MOST_VALUES} are looked for")
        if not all(_is_scalar(one) for one in value):
            raise ValueError(f"{name}: a list holds texts, numbers or null")
        return value
    return value  # type: ignore[no-any-return]  # JSON has nothing else


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)
