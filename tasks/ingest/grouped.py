"""Tables without names of columns: a column for each standard question, its queries below it, or a row for each. Pure.

That is believed where the texts differ from each other, and are nearer to their own standard question than to others.
"""

import itertools
import re
from collections.abc import Sequence
from statistics import mean

from tasks.ingest.columns import BY_COLUMN, BY_FIRST, Columns, find_payload, is_name
from tasks.ingest.tables import Table

_FEWEST = 3  # standard questions
_DIFFERENT, _NEARER = 0.9, 0.6  # share of the texts
_LONGEST = 200  # characters of nearly all queries; an article has more
_LOOKED_AT = 500  # texts
_WORD = re.compile(r"[a-z0-9]+|[^\W\da-z_]")

Groups = dict[str, list[str]]  # texts of each standard question


def find_groups(table: Table) -> Columns | None:
    """Return how the rows are to be read, if the first ones are such a table; None: they are none."""
    columns, rows = take_columns(table), _take_rows(table)
    by_column, by_row = bool(columns and _belong(columns)), bool(rows and _belong(rows))
    if by_column == by_row:  # a full table of alike texts may be either
        return None
    if columns and by_column:
        return Columns([0], 1, [], BY_COLUMN, BY_COLUMN, marks=tuple(range(len(table.head[0].cells))))
    return Columns([1], 0, [], BY_FIRST, BY_FIRST, open_ended=True)


def _take_rows(table: Table) -> Groups | None:
    """Return the texts behind the first cell of each row, if most rows have several, and the first is no header."""
    rows = [] if table.named else [[cell.strip() for cell in row.cells] for row in table.head]
    filled = [(row[0], texts) for row in rows if (texts := _filled(row[1:]))]
    groups = dict(filled)
    several = sum(len(texts) > 1 for texts in groups.values())
    whole = _FEWEST <= len(groups) == len(rows) <= 2 * several
    return groups if whole and _nearer(filled[:1], list(groups)) else None


def take_columns(table: Table) -> Groups | None:
    """Return the different texts below most names of the first row; None: one is known, or blanks lie between."""
    names, *below = [[cell.strip() for cell in row.cells] for row in table.head]
    if (
        len({*names}) < max(_FEWEST, len(names))
        or not all(names)
        or any(map(is_name, names))
        or find_payload(names, [])
    ):
        return None
    if max(map(len, below), default=0) > len(names):
        return None
    columns = [[row[at] if at < len(row) else "" for row in below] for at in range(len(names))]
    groups = {name: _filled(cells) for name, cells in zip(names, columns, strict=True) if any(cells)}
    most = len(groups) >= _FEWEST and 2 * len(groups) > len(names)
    return groups if most and all(groups.values()) and _differ(groups) else None


def _filled(cells: Sequence[str]) -> list[str]:
    """Return the texts of cells; none if a blank one lies between them."""
    texts = list(itertools.takewhile(bool, cells))
    return [] if any(cells[len(texts) :]) else texts


def _differ(groups: Groups) -> bool:
    texts = [text for group in groups.values() for text in group]
    written = sum(re.search(r"[^\W\d_]{2}", text) is not None for text in texts)
    return len({*texts}) >= _DIFFERENT * len(texts) and written >= _DIFFERENT * len(texts)


def _belong(groups: Groups) -> bool:
    pairs = [(label, [text]) for label, group in groups.items() for text in group][:_LOOKED_AT]
    return (
        _differ(groups)
        and sum(len(text) <= _LONGEST for _, (text,) in pairs) >= _DIFFERENT * len(pairs)
        and _nearer(pairs, list(groups))
    )


def _nearer(groups: Sequence[tuple[str, list[str]]], labels: list[str]) -> bool:
    """Whether most texts have more words, or characters of Chinese, of their own label than of the usual other one."""
    words = {label: {*_WORD.findall(label.lower())} for label in labels}
    near = []
    for label, texts in groups:
        for text in texts:
            shared = {one: len(words[one] & {*_WORD.findall(text.lower())}) for one in labels}
            near.append(shared.pop(label) > mean(shared.values()))
    return sum(near) >= _NEARER * len(near)
