"""Texts of others, shown: nothing in them steers a terminal, or becomes a link or a picture in the UI."""

import codecs
import json
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

# C0 but tab and line feed, C1, what turns the direction of writing, invisible tags, halves of characters
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
# what Markdown, its tables and its bare links are made of; the rest stays, so that the raw text is read well
_MARKUP = re.compile(r"[\\`*_\[\]<>&!|#~]|^[-+=]|:(?=//)|(?<=www)\.|@(?=[\w-]+\.[a-z])", re.IGNORECASE)


def as_utf8(text: str) -> str:
    """Return a text with what UTF-8 cannot hold (half an emoji, bytes that are no text) written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


#: A text from outside that is only shown: whatever it holds, it can be written down.
Shown = Annotated[str, BeforeValidator(lambda text: as_utf8(text) if isinstance(text, str) else text)]


def printable(text: str) -> str:
    """Return a text whose steering characters are written as escapes of JSON, so that JSON stays the same JSON."""
    return _STEERING.sub(lambda found: _escape(found[0]), text)


def in_one_line(path: object) -> str:
    """Return a path for a message: as a literal where it holds line ends or other signs that are not seen."""
    return str(path) if str(path).isprintable() else repr(str(path))


def as_markdown(text: str) -> str:
    """Return a text that Markdown shows as it is, in one line: no link, picture, HTML or table of its own."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(printable(text).split()))


def as_markdown_table(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of a table artifact with their texts as Markdown, which the UI takes every cell for."""
    return [
        {name: as_markdown(value) if isinstance(value, str) else value for name, value in row.items()} for row in rows
    ]


def escape_unknown(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for characters that a terminal's encoding lacks; of `codecs`, under the name "escape"."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_escape, error.object[error.start : error.end])), error.end


def _escape(character: str) -> str:
    escaped: str = json.dumps(character)[1:-1]
    return escaped if escaped != character else f"\\u{ord(character):04x}"  # JSON leaves DEL as it is


codecs.register_error("escape", escape_unknown)
