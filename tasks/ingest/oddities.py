"""What texts show of the way they were exported: markup, escapes, lost characters, words for nothing. Pure."""

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass

from tasks.ingest.tables import SIGN

_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_BREAKS = re.compile(r"<(?:br|/p|/div|/li)\b[^<>]*>", re.I)
_RUNS = re.compile(r"[^\x00-\x7f]{4,}")  # letters of Western texts stand alone
_FEWEST_HANZI, _SHOWN = 3, 1_000  # characters
_CONFUSED = (  # what a text was read as, what it was, the least share of hanzi that this gives
    ("latin-1", "utf-8", 0.25),
    ("cp1252", "utf-8", 0.25),
    ("gbk", "utf-8", 0.3),
    ("latin-1", "gb2312", 0.4),
    ("cp1252", "gb2312", 0.4),
)
_HANZI = re.compile("[\u4e00-\u9fff]")

NULL_WORDS = frozenset(
    "nan null none n/a na #n/a <na> nat undefined nil tbd todo - -- — —— / 无 暂无 空 略 待定 待补充 未知 未填写 "
    "同标准问".split()
)
DITTO = frozenset(("同上", "同前", "〃", "″", '"', "''", '"“', "↑", "ditto", "same as above", "as above"))


@dataclass(frozen=True)
class Oddity:
    """Something that texts should not hold."""

    marks: tuple[str, ...]  # one of these stands in every text that has it
    pattern: re.Pattern[str]
    said: str  # of texts that hold it; `{}` are examples

    def is_in(self, text: str) -> bool:
        """Whether a text, or one of several with `SIGN` between them, has it."""
        text = f"{SIGN}{text}{SIGN}"
        return any(mark in text for mark in self.marks) and self.pattern.search(text) is not None


HTML = Oddity(
    ("<", "&"),
    re.compile(r"</?[a-zA-Z][^<>]*>|&(?:[a-zA-Z]{2,8}|#\d{1,6}|#x[0-9a-fA-F]{1,6});"),
    "hold HTML ({}); it was kept. To read the text alone: --set source.markup=strip",
)
ODDITIES = (
    HTML,
    Oddity(
        ("\\u", "%"),
        re.compile(r"\\u[0-9a-fA-F]{4}|(?:%[0-9a-fA-F]{2}){3}"),
        "hold characters written as \\u… or %… ({}), and are read as they stand; export them as plain text",
    ),
    Oddity(
        ("\ufffd", "锟斤拷", f"{SIGN}??"),
        re.compile(rf"\ufffd|锟斤拷|{SIGN}\?+(?={SIGN})"),
        "hold characters that a program lost as it wrote them ({}), and are read as they stand; export them again in "
        "UTF-8, from where they are still whole",
    ),
)


def strip_markup(text: str) -> str:
    """Return what a browser shows of a text with HTML tags and entities, also where the tags are escaped themselves."""
    for _ in range(2):
        text = html.unescape(_TAG.sub("", _BREAKS.sub("\n", text)))
    return text.replace("\xa0", " ").strip()


def describe_garbled(texts: Iterable[str]) -> str:
    """Return what texts meant before they were read in a wrong encoding and saved again; nothing if they are sound."""
    odd = "".join(_RUNS.findall(" ".join(text[:_SHOWN] for text in texts)))[:_SHOWN]
    for wrong, right, least in _CONFUSED:
        meant = odd.encode(wrong, "ignore").decode(right, "ignore")
        hanzi = len(_HANZI.findall(meant))
        if hanzi >= max(_FEWEST_HANZI, least * len(odd), 0.5 * len(meant)):
            what = f"before {right.upper()} was taken for {wrong.upper()}; export it again, all in UTF-8"
            return f"{odd[:20]!r} read {meant[:20]!r} {what}"
    return ""
