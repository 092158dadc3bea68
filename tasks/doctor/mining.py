"""Unanswered queries: what to add, and where. Pure.

Queries that the model did not answer are grouped (complete linkage, so that all of a group are alike) by their wording
and by what the model makes of them, half each; 0 is what any two queries have in common, for a model draws queries of
matters that it does not know together. A group that lies nearer to one standard question's own queries than its members
to each other belongs there; another is a candidate for a new standard question.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from schemas.doctor import Action
from schemas.language import Words
from tasks.retrieval.features import Tokeniser

APART = 0.7  # distance of the least alike members of a group
FEWEST = 3  # queries of a group
MOST = 4000  # different queries that are grouped: 16 million pairs
EXAMPLES = 10  # queries of a group that are shown
_MOST_COMMON = 0.9  # cosine that any two texts have, should all be alike
_AGREED = 0.6  # of a group's queries, to be of one standard question
_NEW_RECALL = 0.7  # recall@10 that a new standard question of a few queries has (docs/doctor.md)


@dataclass(frozen=True)
class Group:
    """Queries that ask the same."""

    rows: NDArray[np.int64]  # numbers, the middle one first
    label: int  # standard question that they belong to; -1: to none
    asked: int  # times in the log


def find_common(cosines: NDArray[np.floating]) -> float:
    """Return how alike any two of some texts are: the median over the pairs of an (n, n) array."""
    pairs = cosines[np.triu_indices(len(cosines), 1)]
    return min(_MOST_COMMON, float(np.median(pairs))) if len(pairs) else 0.0


def without_common(cosines: NDArray[np.float32], common: float) -> NDArray[np.float32]:
    """Return cosines so that 0 is what any two texts have in common, and 1 is still the most."""
    return (cosines - np.float32(common)) / np.float32(1 - common)


def group(similarity: NDArray[np.floating]) -> list[NDArray[np.int64]]:
    """Return groups of queries that are all alike, the largest first, the middle one of each first.

    Args:
        similarity: (n, n) of each pair, at most 1; of any two that have nothing to do with each other 0.
    """
    n = len(similarity)
    if n < FEWEST:
        return []
    distance = np.maximum(1 - similarity[np.triu_indices(n, 1)], 0)
    numbers = fcluster(linkage(distance, "complete"), APART, "distance")
    groups = [np.flatnonzero(numbers == one) for one in np.flatnonzero(np.bincount(numbers) >= FEWEST)]
    centred = [rows[np.argsort(-similarity[np.ix_(rows, rows)].sum(axis=1), kind="stable")] for rows in groups]
    return sorted(centred, key=lambda rows: (-len(rows), int(rows[0])))


def place(
    groups: Sequence[NDArray[np.int64]],
    similarity: NDArray[np.floating],
    near: NDArray[np.floating],
    first: NDArray[np.int64],
    times: NDArray[np.int64],
) -> list[Group]:
    """Return each group with where it belongs, the most asked first.

    Args:
        groups: of `group`.
        similarity: (n, n) of each pair of queries.
        near: (n,) how alike each is to the nearest query of the corpus.
        first: (n,) class that each is answered with.
        times: (n,) how often each was asked.
    """
    placed = []
    for rows in groups:
        inside = similarity[np.ix_(rows, rows)].copy()
        np.fill_diagonal(inside, 0)
        label, votes = Counter(first[rows].tolist()).most_common(1)[0]
        belongs = votes >= _AGREED * len(rows) and float(near[rows].mean()) > float(inside.max(axis=1).mean())
        placed.append(Group(rows, label if belongs else -1, int(times[rows].sum())))
    return sorted(placed, key=lambda one: (-one.asked, int(one.rows[0])))


def word_bags(texts: Sequence[str], tokeniser: Tokeniser) -> sp.csr_array:
    """Return (n, V) unit tf-idf rows of normalised texts, weighed among themselves."""
    numbers: dict[str, int] = {}
    rows, columns = list[int](), list[int]()
    for row, text in enumerate(texts):
        for feature in sorted(set(tokeniser.features(text))):
            rows.append(row)
            columns.append(numbers.setdefault(feature, len(numbers)))
    seen = np.bincount(columns, minlength=max(1, len(numbers)))
    weights = np.where(seen > 1, np.log((1 + len(texts)) / (1 + seen)) + 1, 0)[columns]
    norms = np.sqrt(np.bincount(rows, weights**2, minlength=len(texts)))
    values = (weights / np.maximum(norms, 1e-9)[rows]).astype(np.float32)
    return sp.csr_array((values, (rows, columns)), shape=(len(texts), max(1, len(numbers))))


def as_actions(
    groups: Sequence[Group],
    queries: Sequence[str],
    texts: Sequence[str],
    total: int,
    words: Words,
    won: NDArray[np.float64],
    most: int = EXAMPLES,
) -> list[Action]:
    """Return what to do about each group.

    Args:
        groups: of `place`.
        queries: as asked.
        texts: (K,) standard questions.
        total: queries of the log, repeats counted.
        words: of the language.
        won: (K,) recall@10 that a few more queries bring to the queries of each standard question.
        most: queries of each group.
    """
    actions = []
    for one in groups:
        examples = [queries[row] for row in one.rows[:most].tolist()]
        facts = {"asked": one.asked, "share": f"{one.asked / max(1, total):.1%}", "queries": len(one.rows)}
        share = 100 * one.asked / max(1, total)
        if one.label < 0:
            action = Action(
                kind="new",
                standard_question=examples[0],
                why=words("doctor.new_why", **facts),
                new_queries=examples,
                effort=len(examples),
                gain=_NEW_RECALL * share,
                gain_at_1=0.5 * share,
            )
        else:
            action = Action(
                kind="add",
                standard_question=texts[one.label],
                why=words("doctor.add_why", **facts),
                new_queries=examples,
                effort=len(examples),
                gain=share * float(won[one.label]),
            )
        actions.append(action)
    return actions
