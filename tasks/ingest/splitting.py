"""Several similar questions in one cell: whether a column holds such lists, by what they are separated, and the parts.

The column decides, never one cell, whether line breaks or semicolons separate queries: a FAQ sheet has a row per
standard question and lists in most rows; a log has many rows per standard question. Pure.
"""

import html
import itertools
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from schemas.errors import SourceError
from tasks.ingest.values import parse_texts

AUTO, NONE, LINES = "auto", "none", "lines"

_CIRCLED = "[①-⑳⑴-⒇⒈-⒛❶-❿➀-➉㈠-㈩Ⅰ-Ⅻ]"
_AFTER = r"(?:[)）】\]]|[.:：．](?!\d)|、(?!\d+[、.]))"  # an ordinal; no part of 5.5, 10:30 or 1、2、3
_NUMBERS = tuple(  # between the items of a list in one line, each kind alone: 1. 一、 A) ①
    re.compile(rf"(?<![\d.a-zA-Z])[(（【\[]?{ordinal}\s*")
    for ordinal in (
        rf"(\d{{1,2}}){_AFTER}",
        rf"({_CIRCLED})[.、)）】\]:：．]?",
        r"([一二三四五六七八九十]{1,2})[.、)）】\]:：．]",
        r"([a-jA-J])[.、)）】\]:：．]",
    )
)
_COUNTED = re.compile(r"\s*([^\W\d_]{1,4}?)1[.、)）】\]:：．]")  # 问1：
_ORDINAL = re.compile(  # before an item of a list: 1. 一、 (a) Q1： 问法1： 第1种：
    r"\s*(?P<before>[^\s\d]{0,4}?)(?:(?P<at>\d{1,2}|[一二三四五六七八九十]{1,2}|[a-jA-J])(?:种|条|个)?"
    rf"(?P<after>(?:{_AFTER}|[—-](?!\d))[.、)）】\]:：．—-]*|\s)|(?P<circled>{_CIRCLED})[.、)）】\]:：．]?)\s*"
)
_BULLET = re.compile(r"\s*[-–—•·●■◆▪○*+>√✓☑□※]+\s*")
_WORDS = re.compile(r"[\u3400-\u9fff]|[^\W\d_]{3,}")
_TAGS = re.compile(r"</?[a-zA-Z][^<>]*>")
_EDGES = " \t\r\n\v\xa0\u3000;；|｜"
_COMMAS = ",，、"  # at the end of a part of a list
_QUOTES = ("“”", "「」", "『』", '""', "''", "‘’")
_ITEMS = tuple(f"[{frame[0]}]([^{frame}]+)[{frame[1]}]" for frame in (*_QUOTES, "【】", "《》", "（）", "()", "{}"))
_FRAMES = tuple(  # around every item of a list: 【…】【…】, “…”，“…”
    (re.compile(rf"\s*{item}(?:[\s,，、;；|/]*{item})*[\s,，、;；.。]*"), re.compile(item)) for item in _ITEMS
)
_MARKS = re.compile(  # else a cell is no list
    r"[\r\n\v\f\x85\u2028\u2029;；|｜<\t\\/]|^\s*(?:[(（【\[{\d《“‘「『\"']"
    rf"|{_CIRCLED}|(?:[^\W\d_]{{0,4}}1|[一Aa])[.、)）】\]:：．])"
)
_SIGN = r"[^\w\s,，.。、?？!！:：;；'\"“”‘’()（）《》<>\[\]【】{}…-]+"
_SIGNS = re.compile(  # that stand in few sentences: also ^_^ [SEP] <sep> {}
    rf"{_SIGN}(?:_{_SIGN})*|[-=_~*+#/\\]{{2,}}|\[[^\[\]\n]{{0,8}}\]|<[^<>/\n]{{1,8}}>|\{{[^{{}}\n]{{0,8}}\}}"
)
_STRANGE = re.compile(r"'(?:[#|@$&%^;=/\\]{2,}|[\[<{].*[\]>}])'")  # signs that no sentence has
_NUMBERED, _JSON, _FRAMED = "numbers", "JSON lists", "brackets"

_ROWS_A_CLASS = 1.5  # at most, in a sheet with a row per standard question
_LONGEST = 80  # characters of the usual part: what is longer is no similar question
_FEWEST_CELLS = 2
_LOOKED_AT = 20_000  # cells
_WEAK_SHARE = 0.3  # of cells with three parts, from which a sign of sentences is reported
_ENUMERATED = frozenset("|｜/／#")


@dataclass(frozen=True)
class Separator:
    """What stands between the similar questions of a cell."""

    name: str  # for messages
    pattern: str = ""
    weak: bool = False  # it stands in plain sentences as well
    sure: bool = True  # whether the cells of a column can make it sure; else it is reported
    marks: tuple[str, ...] = ()  # one of these stands in every cell that holds it; reported where it is not sure

    @property
    def setting(self) -> str:
        """What source.split is set to for this separator alone."""
        if self.name == SEPARATORS[0].name:
            return LINES
        bare = self.name.strip("'")
        if len(bare) > 1 or bare.isspace():
            return json.dumps([bare], ensure_ascii=False)  # of a text, each character is a separator
        return bare + {";": "；", ",": "，", "?": "？。"}.get(bare, "")

    def separates(self, cell: str) -> bool:
        """Whether a cell has several parts."""
        return len(self.split(cell)) > 1

    def split(self, cell: str) -> list[str]:
        """Return the similar questions of a cell, at least one unless it is blank."""
        if self.name == _NUMBERED:
            found = _split_numbered(cell)
        elif self.name == _JSON:
            found = _split_json(cell)
        elif self.name == _FRAMED:
            found = _split_framed(cell)
        else:
            found = re.split(self.pattern, html.unescape(cell) if "&" in cell else cell)  # &nbsp; ends in no separator
        return _trim(found)


SEPARATORS: Final = (
    Separator(
        "line breaks", r"(?:_x000[dD]_|[\r\n\v\f\x85\u2028\u2029])+", marks=("\n", "\r", "\v", "\u2028", "_x000")
    ),
    Separator("';'", r"[;；]+", marks=(";", "；")),
    Separator("'|'", r"[|｜]+", marks=("|", "｜")),
    Separator("'<br>'", r"(?i:</?(?:br|p|div|li|ul|ol)\b[^<>]*>\s*)+", marks=("<br", "<BR", "<Br", "<p", "<li")),
    Separator("'\\n'", r"(?:[\\/]r)?[\\/]n", marks=("\\n",)),
    Separator("TAB", r"\t+"),
    Separator(_NUMBERED),
    Separator(_JSON),
    Separator(_FRAMED),
)
_WEAK: Final = (
    Separator("'/'", r"[/／]", weak=True, marks=("/", "／")),
    Separator("'#'", r"#", weak=True, marks=("#",)),
    Separator("'、'", r"、", weak=True, marks=("、",)),
    Separator("'  '", r" {2,}|\u3000+", weak=True),
    Separator("' OR '", r"\s+(?:OR|或者?)\s+", weak=True, marks=(" OR ", "或")),
    Separator("','", r"[,，]", weak=True, sure=False, marks=(",", "，")),
    Separator("'?'", r"[?？。]", weak=True, sure=False, marks=("?", "？", "。")),
    Separator("' '", r"(?<=[\u3400-\u9fff？！]) (?=[\u3400-\u9fff])", weak=True, sure=False, marks=(" ",)),
)


@dataclass(frozen=True)
class Splitter:
    """How cells of queries are split."""

    separators: tuple[Separator, ...]

    def split(self, cell: str) -> list[str]:
        """Return the similar questions of a cell; one of a cell that holds one."""
        parts = [cell]
        for separator in self.separators:
            if len(parts) < 2 or not separator.weak:  # a weak one is for cells that hold no other
                parts = [part for whole in parts for part in separator.split(whole)]
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
    rows_a_class = len(pairs) / max(1, len({label for _, label in pairs}))
    texts = [cell for cell, _ in pairs]
    one_row_a_class = rows_a_class <= _ROWS_A_CLASS
    weak = (*_find_signs(texts), *_WEAK) if one_row_a_class else ()  # a log needs no look at these
    sure, suspects = [], []
    marked = [cell for cell in texts if _MARKS.search(cell)]
    found = {one: _lists(one, texts if one.weak else marked) for one in (*SEPARATORS, *weak)}
    mixed = _find_mixed(found, marked, len(pairs), rows_a_class)
    for separator, lists in found.items():
        if separator in mixed or (separator.sure and _is_sure(lists, len(pairs), rows_a_class, separator)):
            sure.append(separator)
        elif separator.marks and _is_suspect(separator, lists, len(pairs)):
            suspects.append(separator)
    chosen = [_lengthen(separator, weak, texts) for separator in sure if not separator.weak]
    rest = [cell for cell in texts if not any(one.separates(cell) for one in chosen)] if chosen and weak else []
    further = [one for one in weak if one.sure and rest and _is_sure(_lists(one, rest), len(rest), 1, one)]
    chosen += further[:1] if chosen else sure[:1]
    reported = [one for one in suspects if not (chosen and one.weak)]
    return Lists(Splitter(tuple(chosen)) if chosen else None, tuple(reported))


def _lists(separator: "Separator | Splitter", cells: Sequence[str]) -> list[list[str]]:
    return [parts for parts in map(separator.split, cells) if len(parts) > 1]


def _find_mixed(
    found: Mapping[Separator, list[list[str]]], marked: Sequence[str], cells: int, rows_a_class: float
) -> list[Separator]:
    """Return the separators that make a column of lists together, though none does alone: each in a tenth of them."""
    often = [one for one, lists in found.items() if not one.weak and len(lists) >= _FEWEST_CELLS]
    lists = _lists(Splitter(tuple(often)), marked) if len(often) > 1 else []
    mixed = [one for one in often if 10 * len(found[one]) >= len(lists)]
    return mixed if lists and _is_sure(lists, cells, rows_a_class) else []


def _find_signs(cells: Sequence[str]) -> list[Separator]:
    """Return the runs of signs, strange to sentences, that stand in half of the cells: the longest first."""
    found = Counter(sign for cell in cells for sign in {*_SIGNS.findall(cell)})
    often = [sign for sign, times in found.items() if 2 * times >= len(cells) and sign not in _ENUMERATED]
    often = [sign for sign in often if sign[0] != "<" or not any(f"</{sign[1:]}" in cell for cell in cells)]
    return [Separator(f"'{sign}'", re.escape(sign), weak=True, marks=(sign,)) for sign in sorted(often, key=len)[::-1]]


def _lengthen(separator: Separator, signs: Sequence[Separator], cells: Sequence[str]) -> Separator:
    """Return the sign of several characters, such as ^|, of which a separator is always a part; else the separator."""
    longer = (
        one
        for one in signs
        if len("".join(one.marks[:1])) > 1 and any(mark in one.marks[0] for mark in separator.marks)
    )
    return next(
        (one for one in longer if not any(separator.separates(part) for cell in cells for part in one.split(cell))),
        separator,
    )


def _is_suspect(separator: Separator, lists: list[list[str]], cells: int) -> bool:
    """Whether cells with this separator are worth a word: what sentences hold as well, only where it is frequent."""
    if separator.weak:
        long_lists = [parts for parts in lists if len(parts) > 2]
        return len(long_lists) >= max(_FEWEST_CELLS, _WEAK_SHARE * cells)
    return bool(lists) or separator is SEPARATORS[0]


def _given(setting: str | Sequence[str]) -> Splitter | None:
    if setting == NONE:
        return None
    if setting == LINES:
        return Splitter((SEPARATORS[0],))
    if not setting or not all(setting):
        raise SourceError("source.split is empty; give 'auto', 'none', 'lines', or the separators, e.g. ';；'")
    pattern = "|".join(re.escape(one) for one in sorted(setting, key=len, reverse=True))
    return Splitter((Separator(" or ".join(map(repr, setting)), pattern),))


def _is_sure(lists: list[list[str]], cells: int, rows_a_class: float, separator: Separator | None = None) -> bool:
    weak = separator is not None and separator.weak
    strange = separator is not None and _STRANGE.fullmatch(separator.name) is not None
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
        plausible = one_row_a_class and share >= 0.5 and mean >= 2.5 and lengths[len(lengths) // 10] >= 3
        return plausible and (strange or 2 * sum(map(_are_alike, lists)) >= len(lists))
    many = share >= 0.5 or (share >= 0.2 and len(lists) >= 10)
    return (one_row_a_class and many) or (rows_a_class <= 5 and share >= 0.6 and mean >= 3)


def _are_alike(parts: list[str]) -> bool:
    """Whether each part shares a Chinese character or a word with the next, as similar questions do."""
    words = [{*_WORDS.findall(part.lower())} for part in parts]
    return all(one & other for one, other in itertools.pairwise(words))


def _split_numbered(cell: str) -> list[str]:
    """Split at 1., 2., 3., … if they begin with the cell and none is missing."""
    counted = _COUNTED.match(cell)
    named = [re.compile(rf"{re.escape(counted[1])}(\d{{1,2}})[.、)）】\]:：．]\s*")] if counted else []
    for number in (*named, *_NUMBERS):
        marks = list(number.finditer(cell))
        ordinals = [_value(mark[1]) for mark in marks]
        if len(marks) > 1 and ordinals == [*range(1, len(marks) + 1)] and not cell[: marks[0].start()].strip():
            ends = [*(mark.start() for mark in marks[1:]), len(cell)]
            return [cell[mark.end() : end] for mark, end in zip(marks, ends, strict=True)]
    return [cell]


def _value(ordinal: str) -> int:
    """Return the number that a text of one to two digits, a letter or 十二 stands for."""
    if ordinal.isdecimal():
        return int(ordinal)
    if ordinal.isascii():
        return ord(ordinal.lower()) - ord("a") + 1
    if unicodedata.numeric(ordinal[0], 0) and len(ordinal) == 1:
        return int(unicodedata.numeric(ordinal))
    tens, _, ones = ordinal.partition("十")
    return 10 * int(unicodedata.numeric(tens or "一")) + int(unicodedata.numeric(ones) if ones else 0)


def _split_json(cell: str) -> list[str]:
    """Return the texts of a list as programs write it; of objects, the first text of each."""
    return parse_texts(cell) or [cell]


def _split_framed(cell: str) -> list[str]:
    """Return what stands in brackets or quotation marks, if nothing but commas stands outside of them."""
    return next((item.findall(cell) for whole, item in _FRAMES if whole.fullmatch(cell)), [cell])


def _trim(parts: list[str]) -> list[str]:
    kept = [part for part in (part.strip(_EDGES) for part in parts) if _TAGS.sub("", part)]
    if len(kept) < 2:
        return kept
    kept = [part.strip(_COMMAS + " ") for part in kept]
    if all(map(_BULLET.match, kept)):
        kept = [_BULLET.sub("", part, count=1) for part in kept]
    kept = _without_ordinals(kept)
    for quotes in _QUOTES:
        if all(len(part) > 1 and part[0] + part[-1] == quotes for part in kept):
            kept = [part[1:-1].strip() for part in kept]
    return [part for part in kept if part]


def _without_ordinals(parts: list[str]) -> list[str]:
    """Return the parts without the numbers or letters before them, if these count from one."""
    marks = [_ORDINAL.match(part) for part in parts]
    found = [mark for mark in marks if mark]
    if len(found) < len(parts) or len({mark["before"] for mark in found}) > 1:
        return parts
    if [_value(mark["at"] or mark["circled"]) for mark in found] != [*range(1, len(parts) + 1)]:
        return parts
    return [part[mark.end() :] for part, mark in zip(parts, found, strict=True)]
