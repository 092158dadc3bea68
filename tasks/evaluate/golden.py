"""The golden queries asked of a candidate. Pure: the model answers as it will answer for `dssm query`."""

from typing import Literal, Protocol

import pyarrow as pa

from schemas.evaluation import Golden, GoldenMiss
from tasks.retrieval.retriever import Hit

LOOKED_AT = 10  # answers at least, to say where the right one went


class Searcher(Protocol):
    """A model in memory."""

    def search(self, queries: list[str], top: int, *, valid_at: Literal["any"]) -> list[list[Hit]]:
        """Return the `top` standard questions of each query, best first, whenever they are valid."""
        ...


def ask_golden(model: Searcher, golden: pa.Table, top: int) -> Golden:
    """Return which golden queries do not find their standard question among the first `top`.

    Args:
        model: the candidate.
        golden: GOLDEN.
        top: how many answers may come before it is a miss.
    """
    rows = golden.to_pylist()
    found = model.search([row["query"] for row in rows], max(top, LOOKED_AT), valid_at="any")
    misses = []
    for row, hits in zip(rows, found, strict=True):
        answers = [hit.standard_question for hit in hits]
        place = answers.index(row["standard_question"]) + 1 if row["standard_question"] in answers else None
        if place is None or place > top:
            misses.append(GoldenMiss(**row, instead=answers[0], place=place))
    return Golden(queries=len(rows), top=top, misses=misses)
