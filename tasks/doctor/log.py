"""Read what customers asked: a file with a query a line, or the query log of the service with its feedback."""

import json
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from schemas.errors import SourceError
from tasks.retrieval.lines import read_lines
from tasks.retrieval.normalise import normalise


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

    What another program wrote into a field of the service, and is none, counts as not known.

    Raises:
        SourceError: it cannot be read, or holds no query.
    """
    asked, given = list[Asked](), dict[str, str | None]()
    ids, number = list[str](), 0
    for lines in read_lines(file):
        for line in lines:
            number += 1
            row = _parse(line.strip(), file, number)
            if row.get("corpus", corpus) != corpus:
                continue
            if row.get("kind") == "feedback":
                if isinstance(right := row.get("standard_question"), str | None):
                    given[str(row.get("query_id"))] = right
            elif norm := normalise(query := _text(row.get("query")) or ""):
                asked.append(_as_asked(query, norm, row))
                ids.append(str(row.get("query_id", "")))
    if not asked:
        raise SourceError(f"{file} holds no query of {corpus!r}; give a file with one query a line, or a query log")
    return [_with_feedback(one, given, query_id) for one, query_id in zip(asked, ids, strict=True)]


def _with_feedback(one: Asked, given: dict[str, Any], query_id: str) -> Asked:
    if query_id not in given:
        return one
    right = given[query_id]
    return Asked(one.query, one.norm, one.at, one.first, one.score, one.decision, right, right is None)


def _as_asked(query: str, norm: str, row: dict[str, Any]) -> Asked:
    results = row.get("results")
    best = results[0] if isinstance(results, list) and results and isinstance(results[0], dict) else {}
    score = best.get("score")
    known = isinstance(score, int | float) and isfinite(score)
    first, decision = _text(best.get("standard_question")), _text(row.get("decision"))
    return Asked(query, norm, str(row.get("at", "")), first, score if known else None, decision)


def _text(value: object) -> str | None:
    """Return a text, half a character in it made a sign that files can hold; None: it is none."""
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(value, str) else None


def _parse(line: str, file: Path, number: int) -> dict[str, Any]:
    """Return a line of the service's log; a line that is no JSON object is a query."""
    if not line.startswith("{") or '"query' not in line:
        return {"query": line}
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{file}:{number} is a broken line of a query log ({error}); delete it") from error
    return row if isinstance(row, dict) else {"query": line}
