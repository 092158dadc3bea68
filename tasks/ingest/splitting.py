"""Several similar questions in one cell: whether a column holds such lists, by what they are separated, and the parts.

Whether line breaks or semicolons make a list is decided by the column, never by one cell: a FAQ sheet has a row per
standard question and lists in most rows; a log has many rows per standard question. Pure.
"""

import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from schemas.errors import SourceError

AUTO, NONE, LINES = "auto", "none", "lines"

_NUMBER = re.compile(r"(?:^|(?<=[\s;；,，。？?！!]))[(（]?(\d{1,2})[.、)）:：．](?!\d)\s*")
_BULLET = re.compile(r"\s*(?:[(（]?\d{1,2}[.、)）:：．](?!\d)|[①-⑳]|[-–•·●*]\s)\s*")
_TAGS = re.compile(r"</?[a-zA-Z][^<>]*>")
_EDGES = " \t\r\n;；|｜"
_NUMBERED, _JSON = "numbers", "JSON lists"

_ROWS_A_CLASS = 1.5  # at most, in a sheet with a row per standard question
_LONGEST = 80  # characters of the usual part: what is longer is no similar question
_FEWEST_CELLS = 2
_LOOKED_AT = 20_000  # cells


@dataclass(frozen=True)
class Separator:
    """What stands between the similar questions of a cell."""

    name: str  # for messages
    pattern: str = ""
    weak: bool = False  # it stands in plain sentences as well
    signs: tuple[str, ...] = ()  # of it: a cell that holds one is reported where it is not split

    @property
    def setting(self) -> str:
        """What source.split is set to for this separator alone."""
        return LINES if self.name == SEPARATORS[0].name else self.name.strip("'") + ("；" if ";" in self.name else "")

    def separates(self, cell: str) -> bool:
        """Whether a cell has several parts."""
        return len(self.parts(cell)) > 1

    def parts(self, cell: str) -> list[str]:
        """Return the similar questions of a cell, at least one unless it is blank."""
        if self.name == _NUMBERED:
            found = _split_numbered(cell)
        elif self.name == _JSON:
            found = _split_json(cell)
        else:
            found = re.split(self.pattern, html.unescape(cell) if "&" in cell else cell)  # &nbsp; ends in no separator
        return _trim(found)


SEPARATORS: Final = (
    Separator("line breaks", r"[\r\n\u2028]+", signs=("\n", "\r", "\u2028")),
    Separator("';'", r"[;；]+", signs=(";", "；")),
    Separator("'|'", r"[|｜]+", signs=("|", "｜")),
    Separator("'<br>'", r"(?i:<br\s*/?>)+", signs=("<br", "<BR", "<Br")),
    Separator("'\\n'", r"(?:\\r)?\\n", signs=("\\n",)),
    Separator("'##'", r"##+"),
    Separator("'$$'", r"\$\$+"),
    Separator("'&&'", r"&&+"),
    Separator("'@@'", r"@@+"),
    Separator("TAB", r"\t+"),
    Separator(_NUMBERED),
    Separator(_JSON),
    Separator("'/'", r"[/／]", weak=True),
    Separator("'#'", r"#", weak=True),
    Separator("'、'", r"、", weak=True),
)
_MARKS = re.compile(r"[\r\n\u2028;；|｜#$&@\t/／、\\<]|^\s*[(（\[]?[\d\"]")  # a cell without any of these is no list


@dataclass(frozen=True)
class Splitter:
    """How cells of queries are split."""

    separators: tuple[Separator, ...]

    def split(self, cell: str) -> list[str]:
        """Return the similar questions of a cell; one of a cell that holds one."""
        parts = [cell]
        for separator in self.separators:
            parts = [part for whole in parts for part in separator.parts(whole)]
        return parts

    def describe(self) -> str:
        """Return the separators for a message."""
        return " and ".join(separator.name for separator in self.separators)


@dataclass(frozen=True)
class Lists:
    """What a column says of its cells."""

    splitter: Splitter | None  # sure enough to be used
    suspects: tuple[Separator, ...]  # cells that hold these are counted and reported


def find_lists(cells: Sequence[str], questions: Sequence[str], setting: str | Sequence[str]) -> Lists:
    """Return how the cells of a column of queries are to be split.

    Args:
        cells: of the column, the first some thousand.
        questions: the standard question of each.
        setting: `auto`, `none`, `lines`, or separators: the characters of a text, or the texts of a list.
    """
    if setting != AUTO:
        return Lists(_given(setting), ())
    pairs = [(cell, label) for cell, label in zip(cells, questions, strict=True) if cell.strip()][:_LOOKED_AT]
    marked = [cell for cell, _ in pairs if _MARKS.search(cell)]
    if not marked:
        return Lists(None, SEPARATORS[:1])
    rows_a_class = len(pairs) / max(1, len({label for _, label in pairs}))
    sure, suspects = [], []
    for separator in SEPARATORS:
        lists = [parts for parts in map(separator.parts, marked) if len(parts) > 1]
        if _is_sure(lists, len(pairs), rows_a_class, separator.weak):
            sure.append(separator)
        elif separator.signs and (lists or separator is SEPARATORS[0]):
            suspects.append(separator)
    strong = [separator for separator in sure if not separator.weak]
    chosen = strong or sure[:1]
    return Lists(Splitter(tuple(chosen)) if chosen else None, tuple(suspects))


def _given(setting: str | Sequence[str]) -> Splitter | None:
    if setting == NONE:
        return None
    if setting == LINES:
        return Splitter((SEPARATORS[0],))
    if not setting or not all(setting):
        raise SourceError("source.split is empty; give 'auto', 'none', 'lines', or the separators, e.g. ';；'")
    pattern = "|".join(re.escape(one) for one in sorted(setting, key=len, reverse=True))
    return Splitter((Separator(" or ".join(map(repr, setting)), pattern),))


def _is_sure(lists: list[list[str]], cells: int, rows_a_class: float, weak: bool) -> bool:
    if len(lists) < _FEWEST_CELLS:
        return False
    share = len(lists) / cells
    parts = [part for one in lists for part in one]
    mean = len(parts) / len(lists)
    lengths = sorted(map(len, parts))
    if lengths[len(lengths) // 2] > _LONGEST or lengths[len(lengths) // 10] < 2:
        return False
    one_row_a_class = rows_a_class <= _ROWS_A_CLASS
    if weak:
        return one_row_a_class and share >= 0.5 and mean >= 2.5 and lengths[len(lengths) // 10] >= 3
    many = share >= 0.5 or (share >= 0.2 and len(lists) >= 10)
    return (one_row_a_class and many) or (rows_a_class <= 5 and share >= 0.6 and mean >= 3)


def _split_numbered(cell: str) -> list[str]:
    """Split at 1., 2., 3., … if they begin with the cell and none is missing."""
    marks = list(_NUMBER.finditer(cell))
    if not marks or [int(mark.group(1)) for mark in marks] != [*range(1, len(marks) + 1)]:
        return [cell]
    if cell[: marks[0].start()].strip():
        return [cell]
    ends = [*(mark.start() for mark in marks[1:]), len(cell)]
    return [cell[mark.end() : end] for mark, end in zip(marks, ends, strict=True)]


def _split_json(cell: str) -> list[str]:
    if not cell.lstrip().startswith("["):
        return [cell]
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        return [cell]
    return found if found and all(isinstance(one, str) for one in found) else [cell]


def _trim(parts: list[str]) -> list[str]:
    kept = [part for part in (part.strip(_EDGES) for part in parts) if _TAGS.sub("", part)]
    if len(kept) > 1 and all(map(_BULLET.match, kept)):
        kept = [bare for bare in (_BULLET.sub("", part, count=1) for part in kept) if bare]
    return kept
