"""Lists below headings: Bot Framework's .lu and .qna, and Markdown with a heading per standard question.

And lines below a heading in brackets: Rhasspy's sentences.ini, Chatito and Chatette.
"""

import itertools
import re
from collections.abc import Iterator

from schemas.settings import Source
from tasks.ingest.importers.look import LineImporter
from tasks.ingest.importers.rasa import strip_entities
from tasks.ingest.labels import TEMPLATE, Imported
from tasks.ingest.tables import BadRow

_HEADING = re.compile(r"\s*#+\s*(?:\?\s*)?(.+?)\s*#*\s*$")
_BULLET = re.compile(r"\s*(?:[-*+]|\d{1,3}[.)、])\s+(.+?)\s*$")
_OTHER = re.compile(r"\s*(?:>|@|\$|<!--|\||\*\*|```)|\s*$")  # comments, entities, options, answers
_ENTITY_LIST = re.compile(r"\s*(?:@\s*\w|\$\w+\s*:)")  # what is listed below it is no query
_ENTITY = re.compile(r"\{@?\w+(?:\.\w+)*\s*=\s*([^{}]*)\}")  # {city=Berlin}
_SECTION = re.compile(r"\s*(?P<kind>[%~@]?)\[(?P<name>[^\[\]]+)\](?:\s*\(.*\))?\s*$")
_REMARK = re.compile(r"\s*(?:[;#]|//|$)")
_ASSIGNED = re.compile(r"\s*[\w.-]+\s*=")
_TEMPLATE = re.compile(
    r"[@~%]\[|<[\w.]+>|\([^()]*\|[^()]*\)|\[[^\[\]]+\]|\{[^{}]*\}|^\s*\w+\s*="
)  # of several sentences
_FEWEST = 2  # headings with a list
_SHARE = 0.8  # of the lines, at least, that are headings or items


def _fits(lines: list[str]) -> bool:
    text = [line for line in _without_answers(lines) if not _OTHER.match(line)]
    kinds = ["h" if _HEADING.match(line) else "-" if _BULLET.match(line) else "." for line in text]
    listed = sum(pair == ("h", "-") for pair in itertools.pairwise(kinds))
    return listed >= _FEWEST and kinds.count(".") <= (1 - _SHARE) * len(kinds)


def _without_answers(lines: list[str]) -> Iterator[str]:
    """Yield the lines that stand outside of ``` blocks, in which .qna has its answers."""
    inside = False
    for line in lines:
        if line.lstrip().startswith("```"):
            inside = not inside
        elif not inside:
            yield line


def _convert(lines: Iterator[tuple[int, str]], _: Source) -> Iterator[Imported]:
    heading, inside = "", False
    for number, line in lines:
        if line.lstrip().startswith("```"):
            inside = not inside
        elif inside:
            continue
        elif _ENTITY_LIST.match(line):
            heading = ""
        elif found := _HEADING.match(line):
            heading = found[1]  # one without items is a title
        elif heading and (bullet := _BULLET.match(line)):
            yield number, strip_entities(_ENTITY.sub(r"\1", bullet[1])), heading


def _fits_sections(lines: list[str]) -> bool:
    text = [line for line in lines if not _REMARK.match(line)]
    headings = [bool(_SECTION.match(line)) for line in text]
    listed = sum(pair == (True, False) for pair in itertools.pairwise(headings))
    assigned = sum(bool(_ASSIGNED.match(line)) for line in text)  # settings are no sentences
    return bool(text) and headings[0] and listed >= _FEWEST and 2 * assigned < len(text)


def _convert_sections(lines: Iterator[tuple[int, str]], _: Source) -> Iterator[Imported]:
    heading: str | None = None
    for number, line in lines:
        if _REMARK.match(line):
            continue
        if found := _SECTION.match(line):
            heading = found["name"] if found["kind"] in ("", "%") else None  # slots and aliases are no intents
        elif heading and _TEMPLATE.search(line):
            yield BadRow(number, TEMPLATE, line.strip(), heading)
        elif heading:
            yield number, line.strip(), heading


HEADED_LISTS = LineImporter("lists below headings (.lu, .qna, Markdown)", _fits, _convert)
SECTIONS = LineImporter("lines below [headings] (Rhasspy, Chatito)", _fits_sections, _convert_sections)
