"""Lists below headings: Bot Framework's .lu and .qna, and Markdown with a heading per standard question."""

import itertools
import re
from collections.abc import Iterator

from schemas.settings import Source
from tasks.ingest.importers.look import LineImporter
from tasks.ingest.importers.rasa import strip_entities
from tasks.ingest.labels import Imported

_HEADING = re.compile(r"\s*#+\s*(?:\?\s*)?(.+?)\s*#*\s*$")
_BULLET = re.compile(r"\s*[-*+]\s+(.+?)\s*$")
_OTHER = re.compile(r"\s*(?:>|@|\$|<!--|\||\*\*|```)|\s*$")  # comments, entities, options, answers
_ENTITY = re.compile(r"\{@?\w+(?:\.\w+)*\s*=\s*([^{}]*)\}")  # {city=Berlin}
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
        elif found := _HEADING.match(line):
            heading = found[1]  # one without items is a title
        elif heading and (bullet := _BULLET.match(line)):
            yield number, strip_entities(_ENTITY.sub(r"\1", bullet[1])), heading


HEADED_LISTS = LineImporter("lists below headings (.lu, .qna, Markdown)", _fits, _convert)
