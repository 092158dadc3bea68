"""Read what customers asked: a file with a query a line, or the query log of the service with its feedback."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import SourceError
from tasks.retrieval.normalise import normalise

_LONGEST = 1 << 20  # characters of a line


@dataclass(frozen=True)
class Asked:
    """One query of the log."""

    query: str  # as asked
    norm: str  # normalised, never empty
    at: str = ""  # ISO 8601; empty: not known
    first: str | None = None  # standard question that was answered first; None: not known
    score: float | None = None
    decision: str | None = None  # answer, clarify or handover; None: not known
    right: str | None = None  # standard question that a person gave
    none_right: bool = False  # a person said that none is


def read_log(file: Path, corpus: str) -> list[Asked]:
    """Return the queries of a log, in their order; of the service's, those of one corpus, with their feedback.

    Raises:
        SourceError: it cannot be read, or holds no query.
    """
    asked, given = list[Asked](), dict[str, Any]()
    ids = list[str]()
    for number, line in _lines(file):
        row = _parse(line, file, number)
        if row.get("corpus", corpus) != corpus:
            continue
        if row.get("kind") == "feedback":
            given[str(row.get("query_id"))] = row.get("standard_question")
            continue
        query = row.get("query")
        if not isinstance(query, str) or not (norm := normalise(query)):
            continue
        best = (row.get("results") or [{}])[0]
        asked.append(
            Asked(
                query,
                norm,
                str(row.get("at", "")),
                best.get("standard_question"),
                best.get("score"),
                row.get("decision"),
            )
        )
        ids.append(str(row.get("query_id", "")))
    if not asked:
        raise SourceError(f"{file} holds no query of {corpus!r}; give a file with one query a line, or a query log")
    return [_with_feedback(one, given, query_id) for one, query_id in zip(asked, ids, strict=True)]


def _with_feedback(one: Asked, given: dict[str, Any], query_id: str) -> Asked:
    if query_id not in given:
        return one
    right = given[query_id]
    return Asked(one.query, one.norm, one.at, one.first, one.score, one.decision, right, right is None)


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    try:
        with file.open(encoding="utf-8-sig", newline=None) as stream:
            for number, line in enumerate(stream, 1):
                if len(line) > _LONGEST:
                    raise SourceError(f"{file}:{number} has over {_LONGEST:,} characters: no query")
                if line.strip():
                    yield number, line.strip()
    except OSError as error:
        raise SourceError(f"cannot read {file}: {error.strerror}; name the file of the queries") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{file} is not UTF-8 (byte {error.start}); save it as UTF-8") from error


def _parse(line: str, file: Path, number: int) -> dict[str, Any]:
    """Return a line of the service's log; a line that is no JSON object is a query."""
    if not line.startswith("{") or '"query' not in line:
        return {"query": line}
    try:
        row = json.loads(line)
    except ValueError as error:
        raise SourceError(f"{file}:{number} is a broken line of a query log ({error}); delete it") from error
    return row if isinstance(row, dict) else {"query": line}
