"""What a model keeps of its standard questions besides their texts: answers, categories, validity, anything.

payload.parquet has a row for each standard question, in the order of the vectors, and a column for each field, of its
own type. Two more columns hold when it is valid, in seconds since 1970; what they were read from is a field, too.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from schemas.edits import Value
from schemas.errors import EditError, FilterError
from schemas.filters import Condition, Filters, Range, Scalar, ValidAt
from schemas.suggestions import did_you_mean, nearest
from tasks.retrieval.cells import Kind, Span, names_hours, read_bound, read_column, read_moment
from tasks.retrieval.model_files import read_table
from tasks.retrieval.normalise import normalise

PAYLOAD_FILE = "payload.parquet"
SCHEMA = 1
_NOTES = b"dssm"
_VALUES = 10  # of a field, in a message
_BEGIN, _END = "\x00begin", "\x00end"  # no header holds a NUL
_TYPES: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "number": pa.float64(),
    "date": pa.date32(),
    "moment": pa.timestamp("s", tz="UTC"),
    "list": pa.list_(pa.string()),
}
_BOUNDS = {"valid_from": False, "valid_until": True}  # fields that an edit may add


class PayloadNotes(BaseModel):
    """What the columns of payload.parquet are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA
    timezone: str  # of dates, and of moments that named none
    kinds: dict[str, Kind]  # by field
    bounds: dict[str, bool] = {}  # fields of validity; true: one date there is the last one
    answers: list[str] = []  # fields that are texts, whatever they look like


class Payload:
    """The fields of a model's standard questions."""

    def __init__(self, table: pa.Table, notes: PayloadNotes) -> None:
        self.table, self.notes = table, notes
        self._zone = ZoneInfo(notes.timezone)
        begin, end = (table[name] for name in (_BEGIN, _END))
        self._begins = np.array([-math.inf if one is None else one for one in begin.to_pylist()], np.float64)
        self._ends = np.array([math.inf if one is None else one for one in end.to_pylist()], np.float64)
        self._always = begin.null_count == end.null_count == len(table)

    @classmethod
    def of(
        cls,
        rows: Sequence[Mapping[str, str]],
        timezone: str,
        bounds: Mapping[str, bool],
        answers: Sequence[str],
    ) -> Self:
        """Read the cells of standard questions.

        Args:
            rows: cells by field, of each standard question.
            timezone: of dates, and of moments that name none.
            bounds: fields of validity; true: one date there is the last one.
            answers: fields that are texts, whatever they look like.
        """
        zone, names = ZoneInfo(timezone), [*dict.fromkeys(name for row in rows for name in row)]
        columns = {name: read_column([row.get(name) for row in rows], zone, name in answers) for name in names}
        arrays = {name: pa.array(column.values, _TYPES[column.kind]) for name, column in columns.items()}
        spans, _ = read_spans(rows, bounds, timezone)
        arrays |= {_BEGIN: _seconds([one.begin for one in spans]), _END: _seconds([one.end for one in spans])}
        kinds = {name: column.kind for name, column in columns.items()}
        notes = PayloadNotes(timezone=timezone, kinds=kinds, bounds=dict(bounds), answers=sorted(answers))
        return cls(pa.table(arrays), notes)

    @classmethod
    def empty(cls, classes: int, timezone: str = "Asia/Shanghai") -> Self:
        """Return that of a model that keeps no fields."""
        return cls.of([{}] * classes, timezone, {}, [])

    def edited(self, origins: Sequence[int | None], changes: Sequence[Mapping[str, Value]]) -> Self:
        """Return the fields of other standard questions, made of these.

        Args:
            origins: number of each here; None: it is new.
            changes: what is different, by field; None: missing.

        Raises:
            EditError: a field cannot hold such a value.
        """
        given = {name: [one[name] for one in changes if name in one] for one in changes for name in one}
        kinds = self.notes.kinds | {name: self._kind_of(v) for name, v in given.items() if name not in self.fields}
        bounds = self.notes.bounds | {name: ends for name, ends in _BOUNDS.items() if name in given}
        arrays = {}
        for name in (*kinds, _BEGIN, _END):
            old = self.table[name].to_pylist() if name in self.table.column_names else [None] * len(self.table)
            values = [None if origin is None else old[origin] for origin in origins]
            for place, change in enumerate(changes):
                if name in change:
                    values[place] = self._parse(name, kinds[name], change[name])
            arrays[name] = pa.array(values, _TYPES[kinds[name]] if name in kinds else pa.int64())
        notes = self.notes.model_copy(update={"kinds": kinds, "bounds": bounds})
        made = type(self)(pa.table(arrays), notes)
        return made._with_spans([n for n, change in enumerate(changes) if change.keys() & bounds.keys()])

    def _with_spans(self, places: Sequence[int]) -> Self:
        """Return the same, with the validity of some standard questions read anew."""
        cells = [{name: _spell(self[n].get(name, "")) for name in self.notes.bounds} for n in places]
        spans, unread = read_spans(cells, self.notes.bounds, self.notes.timezone)
        if unread:
            name, found = next(iter(unread.items()))
            raise EditError(f"{name!r} says when a standard question is valid, and {found[0]!r} is no date")
        table = self.table
        for column, moments in ((_BEGIN, [s.begin for s in spans]), (_END, [s.end for s in spans])):
            seconds = table[column].to_pylist()
            for place, value in zip(places, _seconds(moments).to_pylist(), strict=True):
                seconds[place] = value
            table = table.set_column(table.column_names.index(column), column, pa.array(seconds, pa.int64()))
        return type(self)(table, self.notes)

    def _kind_of(self, values: Sequence[Value]) -> Kind:
        """Return what a new field holds."""
        known = [value for value in values if value is not None]
        if known and all(isinstance(value, list) for value in known):
            return "list"
        kind = read_column([_spell(value) for value in known if not isinstance(value, list)], self._zone).kind
        return "text" if kind == "list" else kind

    def _parse(self, name: str, kind: Kind, value: Value) -> Any:  # noqa: ANN401 - of the field's kind
        if value is None or value == "":
            return None
        if kind == "list":
            return value if isinstance(value, list) else [_spell(value)]
        if not isinstance(value, list):
            found = read_column([_spell(value)], self._zone, plain=kind == "text")
            if kind == "moment" and found.kind == "date":
                return read_moment(_spell(value), self._zone)
            if found.kind == kind:
                return found.values[0]
        raise EditError(f"{name!r} holds {kind}s, and {_spell(value)[:50]!r} is none")

    @classmethod
    def read(cls, folder: Path, classes: int) -> Self | None:
        """Read payload.parquet of a model; None: it has none.

        Raises:
            ValueError: it belongs to another one.
        """
        file = folder / PAYLOAD_FILE
        if not file.exists():
            return None
        table = read_table(file)
        notes = PayloadNotes.model_validate_json((table.schema.metadata or {}).get(_NOTES, b""))
        if notes.schema_version > SCHEMA:
            raise ValueError(f"it has schema {notes.schema_version}, this code knows {SCHEMA}")
        if len(table) != classes or {*table.column_names} != {*notes.kinds, _BEGIN, _END}:
            raise ValueError(
                f"{len(table)} rows with {len(table.column_names)} columns, of {classes} standard questions"
            )
        return cls(table, notes)

    def write(self, folder: Path) -> None:
        """Write payload.parquet."""
        table = self.table.replace_schema_metadata({_NOTES: self.notes.model_dump_json().encode()})
        pq.write_table(table, folder / PAYLOAD_FILE, compression="zstd")

    @property
    def fields(self) -> dict[str, Kind]:
        """Return what each field holds, by its name."""
        return self.notes.kinds

    def __getitem__(self, number: int) -> dict[str, Any]:
        """Return what is known of a standard question, as JSON has it; what is missing is left out."""
        return self._rows[number]

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        columns = {name: self._as_json(name) for name in self.fields}
        return [
            {name: values[n] for name, values in columns.items() if values[n] is not None}
            for n in range(len(self.table))
        ]

    def _as_json(self, name: str) -> list[Any]:
        values, kind = self.table[name].to_pylist(), self.fields[name]
        if kind == "number":
            return [int(one) if one is not None and one.is_integer() else one for one in values]
        if kind == "moment":
            return [one if one is None else one.astimezone(self._zone).isoformat() for one in values]
        return [one.isoformat() if isinstance(one, date) else one for one in values]

    # --- which are found

    def choose(self, filters: Filters | None, valid_at: ValidAt = "now") -> NDArray[np.int64] | None:
        """Return the numbers of the standard questions that may be found, increasing; None: all.

        Raises:
            FilterError: there is no such field, or it cannot hold such a value.
        """
        masks = [self._matching(name, condition) for name, condition in (filters or {}).items()]
        if valid_at != "any" and not self._always:
            masks.append(self._valid(datetime.now(UTC) if valid_at == "now" else valid_at))
        if not masks:
            return None
        return np.flatnonzero(np.logical_and.reduce(masks))

    def find_unmatched(self, filters: Filters | None) -> list[str]:
        """Return a sentence for each filter that holds of no standard question, with the values that there are.

        Raises:
            FilterError: there is no such field, or it cannot hold such a value.
        """
        said = []
        for given, condition in (filters or {}).items():
            if self._matching(given, condition).any():
                continue
            name = self._find(given)
            cells = (one if isinstance(one, list) else [one] for one in self._as_json(name) if one is not None)
            counts = Counter(chain.from_iterable(cells))
            values = [str(value) for value in sorted(counts, key=lambda value: (-counts[value], value))]
            more = f", … ({len(values):,} in all)" if len(values) > _VALUES else ""
            said.append(f"nothing has {_show(given, condition)}; values: {', '.join(values[:_VALUES]) or 'none'}{more}")
        return said

    def _valid(self, moment: datetime) -> NDArray[np.bool_]:
        at = (moment if moment.tzinfo else moment.replace(tzinfo=self._zone)).timestamp()
        return (self._begins <= at) & (at < self._ends)

    def _matching(self, given: str, condition: Condition) -> NDArray[np.bool_]:
        name = self._find(given)
        if isinstance(condition, Range):
            return self._in_range(name, condition)
        values = list(condition) if isinstance(condition, Sequence) and not isinstance(condition, str) else [condition]
        mask = np.zeros(len(self.table), bool)
        for value in values:
            mask |= self._equal(name, value)
        return mask

    def _find(self, given: str) -> str:
        if given in self.fields:
            return given
        alike = [name for name in self.fields if normalise(name) == normalise(given)]
        if len(alike) != 1:
            refuse_field(given, self.fields)
        return alike[0]

    def _equal(self, name: str, value: Scalar) -> NDArray[np.bool_]:
        key: str | float | None = None
        if value is not None and value != "":
            key = normalise(_spell(value)) if self.fields[name] in ("text", "list") else self._as_number(name, value)
        mask = np.zeros(len(self.table), bool)
        if (numbers := self._index[name].get(key)) is not None:
            mask[numbers] = True
        return mask

    def _in_range(self, name: str, wanted: Range) -> NDArray[np.bool_]:
        kind = self.fields[name]
        if kind in ("text", "list"):
            raise FilterError(f"{name!r} holds {kind}s, which have no order; give the values that are wanted")
        numbers = self._numbers[name]
        low, high = (None if one is None else self._as_number(name, one) for one in (wanted.min, wanted.max))
        mask = ~np.isnan(numbers)
        if low is not None:
            mask &= numbers >= low
        if high is not None:
            mask &= numbers <= high
        return mask

    def _as_number(self, name: str, value: Scalar) -> float:
        """Return a value as the field's numbers have it: days of a date, seconds of a moment."""
        kind = self.fields[name]
        text = _spell(value)
        column = read_column([text], self._zone)
        if kind == "number" and column.kind == "number":
            return float(column.values[0])
        if kind == "date" and column.kind == "date":
            return float(column.values[0].toordinal())
        if kind == "moment" and (moment := read_moment(text, self._zone)):
            return moment.timestamp()
        how = "a number" if kind == "number" else "a date such as 2026-01-31"
        raise FilterError(f"{name!r} holds {kind}s, and {text[:50]!r} is none; give {how}")

    @cached_property
    def _numbers(self) -> dict[str, NDArray[np.float64]]:
        """Return the values of each field that has an order; NaN: missing."""
        found = {}
        for name, kind in self.fields.items():
            if kind not in ("text", "list"):
                values = self.table[name].to_pylist()
                found[name] = np.array([float("nan") if one is None else _as_float(one) for one in values])
        return found

    @cached_property
    def _index(self) -> dict[str, dict[str | float | None, NDArray[np.int64]]]:
        """Return the standard questions by each value of each field; None: missing."""
        index: dict[str, dict[str | float | None, NDArray[np.int64]]] = {}
        for name, kind in self.fields.items():
            places: dict[str | float | None, list[int]] = {}
            for number, value in enumerate(self.table[name].to_pylist()):
                for key in _keys(value, kind):
                    places.setdefault(key, []).append(number)
            index[name] = {key: np.array(numbers, np.int64) for key, numbers in places.items()}
        return index


def _show(name: str, condition: Condition) -> str:
    """Return a filter as --filter takes it."""
    if isinstance(condition, Range):
        ends = ((">=", condition.min), ("<=", condition.max))
        return " and ".join(f"{name}{sign}{_spell(end)}" for sign, end in ends if end is not None)
    values = condition if isinstance(condition, Sequence) and not isinstance(condition, str) else [condition]
    return " or ".join(f"{name}={'' if value is None else _spell(value)}" for value in values)


def refuse_field(given: str, fields: Mapping[str, Kind]) -> None:
    """Refuse a filter by a field that there is not.

    Raises:
        FilterError: always.
    """
    if not fields:
        raise FilterError(
            f"cannot filter by {given[:50]!r}: this model keeps no fields of its standard questions. Add columns to "
            "the list of standard questions (source.questions_path), and run the corpus again"
        )
    known = ", ".join(f"{name} ({kind})" for name, kind in fields.items())
    raise FilterError(f"there is no field {given[:50]!r}{did_you_mean(given, nearest(given, fields))}; known: {known}")


def read_spans(
    rows: Sequence[Mapping[str, str]], bounds: Mapping[str, bool], timezone: str
) -> tuple[list[Span], dict[str, list[str]]]:
    """Return when each standard question is valid, and the cells that could not be read, by column.

    Args:
        rows: cells by column, of each standard question.
        bounds: columns of validity; true: one date there is the last one.
        timezone: of what names none.
    """
    zone, unread = ZoneInfo(timezone), dict[str, list[str]]()
    with_hours = {name for row in rows for name in bounds if names_hours(row.get(name, ""), zone)}
    spans = []
    for row in rows:
        span = Span()
        for name, ends in bounds.items():
            if not (cell := row.get(name, "").strip()):
                continue
            found = read_bound(cell, zone, ends, name not in with_hours)
            if found is None:
                unread.setdefault(name, []).append(cell)
            else:
                span = span.within(found)
        spans.append(span)
    return spans, unread


def _seconds(moments: Sequence[datetime | None]) -> pa.Array:
    return pa.array([None if one is None else int(one.timestamp()) for one in moments], pa.int64())


def _spell(value: Value) -> str:
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _as_float(value: float | date) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    return float(value.toordinal()) if isinstance(value, date) else value


def _keys(value: Any, kind: Kind) -> list[str | float | None]:  # noqa: ANN401 - of any kind
    if value is None or value == []:
        return [None]
    if kind == "list":
        return [*{normalise(one) for one in value}]
    return [normalise(value) if isinstance(value, str) else _as_float(value)]
