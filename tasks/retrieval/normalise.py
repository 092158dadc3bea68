"""The one normal form of a text, for training rows, test rows and live queries alike. Pure.

Python's own Unicode tables do the work in both places where a text is normalised (a corpus here, a
query when it is answered), so that a model never sees a form at serving that it was not trained on.
"""

import re
import unicodedata
from collections.abc import Iterable

# Recorded in every model. Any change below is a new name: an old model keeps its meaning.
NORMALISER = "nfkc-lower-1"

# Format characters (Cf) that are seen, not only obeyed: signs that stand before Arabic numbers.
_VISIBLE = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
_PRESENTATION = frozenset("\ufe0e\ufe0f")  # text or emoji style of the character before
# Joiners spell words in Persian and the scripts of India; anywhere else they were pasted with a web page.
_JOINED = "[\u0600-\u08ff\u0900-\u0dff]"
_STRAY_JOINERS = re.compile(f"(?<!{_JOINED})[\u200c\u200d]|[\u200c\u200d](?!{_JOINED})")

_HAN = "[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
_BLANK = re.compile(f"(?<={_HAN}) (?={_HAN})")


def normalise(text: str) -> str:
    """Return the text in NFKC and lower case, invisible characters dropped, white space collapsed and trimmed.

    `lower` rather than `casefold`: the two agree on Chinese and English, and casefold respells words
    ("ß" becomes "ss", a final sigma a medial one), which the n-grams of a text should not be.
    The function is idempotent.
    """
    if text.isascii():
        if not text.isprintable():
            text = _drop_invisible(text)
        return " ".join(text.lower().split())
    if not text.isprintable() or "\ufe0f" in text or "\ufe0e" in text:
        text = _drop_invisible(text)  # before NFKC: "e", zero-width space, accent must still compose
    text = unicodedata.normalize("NFKC", text)
    lower = text.lower()
    if lower != text:
        lower = unicodedata.normalize("NFKC", lower)  # lower case can undo a composition
    return " ".join(lower.split()) if " " in lower else lower  # by now a blank is the only white space there is


def normalise_all(texts: Iterable[str]) -> list[str]:
    """Return the normal form of each text."""
    return [normalise(text) for text in texts]


def twin_key(norm: str) -> str:
    """Return what twins share: a normal form without blanks between Chinese characters, as a broken line leaves one."""
    return _BLANK.sub("", norm) if " " in norm else norm


def _drop_invisible(text: str) -> str:
    kept = []
    for character in _STRAY_JOINERS.sub("", text):
        category = unicodedata.category(character)
        if character.isspace():
            kept.append(" ")
        elif category == "Cc" or character in _PRESENTATION:
            continue
        elif category != "Cf" or character in _VISIBLE or character in "\u200c\u200d":
            kept.append(character)
    return "".join(kept)
