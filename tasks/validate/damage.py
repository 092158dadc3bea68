"""Text that was decoded with the wrong codepage, and what it said before. Pure.

Damage is recognised by undoing it: a string that, written in some codepage, reads as well-formed UTF-8 of
plausible letters was UTF-8 read in that codepage. Good text hardly ever does.
What is damaged in part, or more than once, is left to ftfy. GBK needs rules of its own, which ftfy does not
have, because two good Chinese characters can be valid UTF-8 by accident.
"""

import codecs
import re
from collections.abc import Iterable
from functools import lru_cache

import ftfy
import pyarrow as pa
import pyarrow.compute as pc
from ftfy.fixes import fix_c1_controls

LOST = "\N{REPLACEMENT CHARACTER}"
_CODEPAGES = (
    *("latin_1", "cp1252", "cp1251", "cp1250", "cp437", "cp850", "mac_roman"),
    *("koi8_r", "cp1253", "cp1254", "cp1257", "iso8859_2", "iso8859_15"),
)
_ROUNDS = 3  # text can be damaged more than once
_LEADS = range(0xC2, 0xF5)
_CONTINUATIONS = range(0x80, 0xC0)


def _table(codepage: str) -> str:
    """Return the 256 characters of a codepage; bytes it leaves undefined stand for themselves, as on Windows."""
    return "".join(bytes([i]).decode(codepage, "replace").replace(LOST, chr(i)) for i in range(256))


def _characters(table: str, values: Iterable[int]) -> str:
    return "".join(re.escape(table[i]) for i in values)


_TABLES = {codepage: _table(codepage) for codepage in _CODEPAGES}
_ENCODERS = {codepage: codecs.charmap_build(table) for codepage, table in _TABLES.items()}
_PAIRS = {
    codepage: f"[{_characters(table, _LEADS)}][{_characters(table, _CONTINUATIONS)}]"
    for codepage, table in _TABLES.items()
}
_WESTERN = _TABLES["cp1252"]
_WESTERN_RUN = re.compile(f"[{_characters(_WESTERN, _LEADS)}][{_characters(_WESTERN, range(0x80, 0x100))}]{{3,}}")
# A UTF-8 text read as GBK begins with a lead byte E3-EF and a continuation byte in one character.
_GBK_START = "".join(
    character
    for lead in range(0xE3, 0xF0)
    for trail in _CONTINUATIONS
    if len(character := bytes([lead, trail]).decode("gb18030", "ignore")) == 1 and character < "\ue000"
)
_GBK_RUN = re.compile(r"[^\x00-\x7f]{3,}")
_LATIN_GBK_RUN = re.compile("[\u00a1-\u00fe]{4,}")
_LOST = f"{LOST}|锟斤拷|^[?\\s]{{4,}}$"
SUSPECT = "|".join([_LOST, "[\x80-\x9f]", _LATIN_GBK_RUN.pattern, f"[{_GBK_START}]", *_PAIRS.values()])
# what mis-decoded text turns back into: letters, CJK, kana, hangul, punctuation, emoji; no rarities
_PLAUSIBLE = re.compile(
    "[\u0000-\u007f\u00a0-\u017f\u0386-\u03ce\u0401-\u045f\u0490\u0491\u05d0-\u05ea\u0621-\u064a\u0e01-\u0e4e"
    "\u1ea0-\u1ef9\u2010-\u203b\u20ac\u2103\u2116\u2122\u2190-\u2193\u2460-\u2473\u2500-\u2642\u3001-\u30ff"
    "\u4e00-\u9fff\uac00-\ud7a3\ufe0f\uff01-\uff5e\uffe5\U0001f300-\U0001faff]*"
)


def suspects(texts: pa.Array) -> pa.Array:
    """Return a mask (rows,) of the texts worth a round trip; every damaged one is among them."""
    return pc.match_substring_regex(texts, SUSPECT)


@lru_cache(maxsize=65_536)
def repair(text: str) -> str | None:
    """Return the repaired text, or None where `text` is not damaged.

    Lost characters (U+FFFD, or a text of question marks alone) stay as they are.
    """
    if text.isascii():
        return text if re.search(_LOST, text) else None
    repaired = text
    for _ in range(_ROUNDS):
        if (better := _repair_once(repaired)) is None:
            break
        repaired = better
    return repaired if repaired != text or re.search(_LOST, text) else None


def _repair_once(text: str) -> str | None:
    for codepage in _CODEPAGES:
        if re.search(_PAIRS[codepage], text) and (repaired := _round_trip(text, codepage)):
            return repaired
    if _LATIN_GBK_RUN.search(text) and (latin := _repair_latin_gbk(text)):
        return latin
    for repair_part in (ftfy.fix_encoding, _repair_western_runs, _repair_gbk_runs, fix_c1_controls):
        if (repaired := repair_part(text)) != text:
            return repaired
    return None


def _round_trip(text: str, codepage: str) -> str | None:
    try:
        encoded = codecs.charmap_encode(text, "strict", _ENCODERS[codepage])[0]
    except UnicodeEncodeError:
        return None
    repaired = _decode(encoded)
    # One odd pair of characters happens in good text (Cyrillic "Рё"); two in a row do not.
    return repaired if repaired and sum(not c.isascii() for c in repaired) >= 2 else None


def _decode(encoded: bytes) -> str | None:
    """Decode UTF-8. The last of several characters may have lost bytes to trimming."""
    try:
        decoded = encoded.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data" or encoded[: error.start].isascii():
            return None
        decoded = encoded[: error.start].decode("utf-8")
    return decoded if not decoded.isascii() and _PLAUSIBLE.fullmatch(decoded) else None


def _repair_western_runs(text: str) -> str:
    """Repair the damaged words of a text that has lost other bytes, as where U+00A0 became a space."""
    return _WESTERN_RUN.sub(lambda match: _round_trip(match[0], "cp1252") or match[0], text)


def _repair_gbk_runs(text: str) -> str:
    return _GBK_RUN.sub(_repair_gbk, text)


def _repair_gbk(match: re.Match[str]) -> str:
    run = match[0]
    repaired = _decode(run.rstrip(LOST).encode("gb18030"))
    if repaired is None or len(repaired) < 2:
        return run
    chinese = [c for c in repaired if not c.isascii()]
    good = all("\u3000" <= c <= "\u9fff" or "\uff00" <= c <= "\uffef" for c in chinese)
    # Two-thirds of a Chinese text are everyday characters; of one misread as GBK, few are.
    return repaired if good and _everyday(repaired) > _everyday(run) + 0.2 else run


def _repair_latin_gbk(text: str) -> str | None:
    try:
        repaired = text.encode("latin-1").decode("gb2312")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return None
    return repaired if _everyday("".join(c for c in repaired if not c.isascii())) == 1 else None


def _everyday(text: str) -> float:
    """Return the share of `text` in the first level of GB 2312 (3,755 common characters) or its punctuation."""
    leads = [code[0] for c in text if len(code := c.encode("gb2312", "replace")) == 2]
    return sum(0xB0 <= lead <= 0xD7 or lead in (0xA1, 0xA3) for lead in leads) / len(text)
