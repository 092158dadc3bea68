"""Text that was decoded with the wrong codepage, and what it was meant to say. Pure.

Damage is recognised by undoing it: a string that, written in some codepage, reads as well-formed UTF-8 of
plausible letters was UTF-8 read in that codepage. Good text practically never survives that round trip.
GBK needs rules of its own, because two good Chinese characters can be valid UTF-8 by accident.
"""

import codecs
import re
from collections.abc import Iterable
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

LOST = "\N{REPLACEMENT CHARACTER}"
_CODEPAGES = ("cp1252", "cp1251", "cp1250", "cp437", "cp850", "mac_roman", "koi8_r", "cp1254", "iso8859_15")
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
# cp1252 is latin-1 but for 0x80-0x9F, and exporters mix the two: one run may hold either.
_WESTERN = {**{i: i for i in range(0x80, 0x100)}, **{ord(_TABLES["cp1252"][i]): i for i in range(0x80, 0x100)}}
_WESTERN_RUN = re.compile("[" + "".join(re.escape(chr(c)) for c in _WESTERN) + "]{2,}")
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
    """Return what a damaged `text` was meant to say, or None where it is not damaged.

    Characters that are gone for good (U+FFFD, or a text of question marks alone) stay as they are.
    """
    if text.isascii():
        return text if re.search(_LOST, text) else None
    repaired = text
    for _ in range(3):  # text can be damaged more than once
        better = _repair_once(repaired)
        if better is None or better == repaired:
            break
        repaired = better
    return repaired if repaired != text or re.search(_LOST, text) else None


def _repair_once(text: str) -> str | None:
    for codepage in _CODEPAGES:
        if re.search(_PAIRS[codepage], text) and (repaired := _round_trip(text, codepage)):
            return repaired
    western = _WESTERN_RUN.sub(_repair_western, text)  # damaged words in a good text
    if western != text:
        return western
    gbk = _GBK_RUN.sub(_repair_gbk, text)
    if gbk != text:
        return gbk
    if _LATIN_GBK_RUN.search(text) and (latin := _repair_latin_gbk(text)):
        return latin
    return re.sub("[\x80-\x9f]", lambda match: _TABLES["cp1252"][ord(match[0])], text)


def _round_trip(text: str, codepage: str) -> str | None:
    try:
        encoded = codecs.charmap_encode(text, "strict", _ENCODERS[codepage])[0]
    except UnicodeEncodeError:
        return None
    repaired = _decode(encoded)
    # One odd pair of characters happens in good text (Cyrillic "Рё"); two in a row do not.
    return repaired if repaired and sum(not c.isascii() for c in repaired) >= 2 else None


def _decode(encoded: bytes) -> str | None:
    """Decode UTF-8; a last character may have lost bytes to trimming, when another one stands before it."""
    try:
        decoded = encoded.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data" or encoded[: error.start].isascii():
            return None
        decoded = encoded[: error.start].decode("utf-8")
    return decoded if not decoded.isascii() and _PLAUSIBLE.fullmatch(decoded) else None


def _repair_western(match: re.Match[str]) -> str:
    run = match[0]
    repaired = _decode(bytes(_WESTERN[ord(character)] for character in run))
    if repaired is None or (len(repaired) == 1 and len(run) == 2 and run[1] in "“”‘’…–—™»›"):  # „Spaß“, KLÄ…
        return run
    return repaired


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
