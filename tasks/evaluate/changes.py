"""Which queries another version answers otherwise: the same queries, asked of both. Pure."""

from collections import Counter, defaultdict
from collections.abc import Mapping

from schemas.changes import AnswerGroup, Changes, Outcome
from tasks.retrieval.retriever import Answer, Model

_EXAMPLES = 3


def compare_answers(before: Model, after: Model, asked: Mapping[str, int]) -> Changes:
    """Return what changes for customers, grouped by what was answered and what is now, most frequent first.

    Where both hand over, nothing changes, whatever lay nearest. Where one of the two versions stores nothing to decide
    by, first answers are compared alone.

    Args:
        before: the version that answers now.
        after: the other.
        asked: queries, with how often each was asked.
    """
    queries = list(asked)
    both = before.decisions is not None and after.decisions is not None
    old, new = ([_outcome(one, both) for one in model.answer(queries, top=1)] for model in (before, after))
    groups = defaultdict[tuple[Outcome, Outcome], Counter[str]](Counter)
    for query, was, now in zip(queries, old, new, strict=True):
        if was != now:
            groups[was, now][query] += asked[query]
    ordered = sorted(groups.items(), key=lambda item: (-item[1].total(), str(item[0])))
    return Changes(
        before=before.version,
        after=after.version,
        asked=sum(asked.values()),
        queries=len(queries),
        changed=sum(queries.total() for queries in groups.values()),
        groups=[
            AnswerGroup(
                before=was,
                after=now,
                asked=counts.total(),
                queries=len(counts),
                examples=_most_frequent(counts),
            )
            for (was, now), counts in ordered
        ],
    )


def _most_frequent(counts: Counter[str]) -> list[str]:
    return sorted(counts, key=lambda query: (-counts[query], query))[:_EXAMPLES]


def _outcome(answer: Answer, decided: bool) -> Outcome:
    first = answer.hits[0].standard_question if answer.hits else None
    if not decided:
        return Outcome(decision=None, standard_question=first)
    return Outcome(decision=answer.decision, standard_question=None if answer.decision == "handover" else first)
