"""What customers asked, with how often: a text with a query a line, or the query log of the service."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from schemas.errors import SourceError
from tasks.retrieval.lines import read_lines
from tasks.retrieval.normalise import normalise

MOST_ASKED = 50_000  # different queries looked at, the most frequent ones


def read_asked(file: Path) -> Counter[str]:
    """Return the different queries of a log, normalised, with how often each was asked.

    Lines are queries, or JSON objects as `DSSM_QUERY_LOG` has them, of which those of kind "query" count. Of a log of
    the service that was turned over, FILE.1 and so on are read, too.

    Raises:
        SourceError: a file cannot be read, is not UTF-8, or holds no query.
    """
    files = [file, *sorted(file.parent.glob(f"{file.name}.[0-9]*"))]
    asked = Counter[str]()
    for one in files:
        asked.update(_queries(one))
    if not asked:
        raise SourceError(f"{file} holds no query; give a text file with one a line, or the service's query log")
    return Counter(dict(sorted(asked.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_ASKED]))


def _queries(file: Path) -> Iterator[str]:
    for lines in read_lines(file):
        yield from filter(None, (normalise(_query_of(line.strip())) for line in lines))


def _query_of(text: str) -> str:
    """Return the query of a line; of a line of the service's log that is none, nothing."""
    if not text.startswith("{"):
        return text
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):  # a customer may type a brace, and a log may end in the middle of a line
        return "" if '"kind"' in text else text
    if not isinstance(line, dict) or "query" not in line:
        return "" if isinstance(line, dict) and "kind" in line else text
    return line["query"] if line.get("kind", "query") == "query" and isinstance(line["query"], str) else ""
