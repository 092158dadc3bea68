"""From a case to a diagnosis: state, forecasts, things to do. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from schemas.doctor import Action, Curve, Diagnosis
from schemas.language import Words
from tasks.doctor.advice import (
    Condition,
    Cut,
    assess,
    describe_confusions,
    describe_sizes,
    find_confusions,
    find_lacking_words,
    list_feeding,
    list_fixes,
    list_groups,
    list_merges,
    list_plans,
    points_won,
    sort_actions,
)
from tasks.doctor.case import Case
from tasks.doctor.curves import TOPS, usual_curve
from tasks.doctor.held_out import HeldOut
from tasks.doctor.mislabelled import find_mislabelled
from tasks.doctor.wording import find_splits, find_unfound

CONFUSIONS = 60  # pairs that are kept
_REWRITES, _SPLITS = 20, 20


@dataclass(frozen=True)
class Evidence:
    """What is known beside the held-out rows."""

    found: HeldOut | None = None  # what models that had not seen the training rows make of them
    curve: Curve | None = None  # of the corpus; None: the usual one
    suspects: Sequence[tuple[str, str, str, float]] = ()  # query, label, suggested, chance: without `found`
    bags: tuple[sp.csr_array, sp.csr_array] | None = None  # unit tf-idf rows of the training rows, and of the texts
    cut: Cut = str.split  # words of a query
    trust: float = 1.0  # what came of earlier forecasts, for each point of them
    more: Sequence[Action] = ()  # from elsewhere: unanswered queries, drafts


def diagnose(corpus: str, run: str, case: Case, evidence: Evidence, words: Words) -> Diagnosis:
    """Return the state of a corpus, and what its owner can do about it.

    Args:
        corpus: its name.
        run: that was looked at.
        case: its rows and how they are answered.
        evidence: what else is known.
        words: of the language.
    """
    curve, found, trust = evidence.curve or usual_curve(), evidence.found, evidence.trust
    condition = assess(case, found)
    pairs = find_confusions(case, found)
    lacking = find_lacking_words(case, found, evidence.cut)
    doubted = _doubt(case, found) if found else list(evidence.suspects)
    merges = list_merges(case, pairs, found, words, trust)
    actions = [
        *list_fixes(case, curve, condition, doubted, words, trust),
        *list_feeding(case, curve, condition, lacking, words, trust),
        *merges,
        *list_groups(case, pairs, found, merges, words),
        *(_wording(case, evidence.bags, curve, condition, words, trust) if evidence.bags else []),
        *evidence.more,
    ]
    known = case.ranks[case.truth >= 0]
    recall = {k: float((known < k).mean()) if len(known) else 0.0 for k in TOPS}
    return Diagnosis(
        corpus=corpus,
        run=run,
        deep=found is not None,
        rows=int(case.sizes.sum()),
        classes=len(case.texts),
        tested=len(known),
        recall_at_1=recall[1],
        recall_at_10=recall[10],
        by_size=dict(describe_sizes(case, condition)),
        curve=curve,
        trust=trust,
        plans=list_plans(case, curve, condition, recall, trust),
        actions=sort_actions(actions),
        confusions=describe_confusions(case, pairs, CONFUSIONS),
    )


def _doubt(case: Case, found: HeldOut) -> list[tuple[str, str, str, float]]:
    doubted = find_mislabelled(found, len(case.texts))
    return [
        (case.queries[row], case.texts[case.labels[row]], case.texts[other], chance)
        for row, other, chance in zip(doubted.rows.tolist(), doubted.suggested.tolist(), doubted.chance, strict=True)
    ]


def _wording(
    case: Case,
    bags: tuple[sp.csr_array, sp.csr_array],
    curve: Curve,
    condition: Condition,
    words: Words,
    trust: float,
) -> list[Action]:
    """Return what to split and what to rewrite."""
    queries, texts = bags
    won = _won_by_one(case, curve, condition, trust)
    actions = []
    for part in find_splits(queries, case.labels)[:_SPLITS]:
        rows = [case.queries[row] for row in part.rows.tolist()]
        facts = {"rows": len(rows), "all": int(case.sizes[part.label]), "example": case.queries[part.middle]}
        actions.append(
            Action(
                kind="split",
                standard_question=case.texts[part.label],
                query="\n".join(rows),
                to=case.queries[part.middle],
                why=words("doctor.split_why", **facts),
                effort=len(rows),
                gain=float(won[10][part.label]),
                gain_at_1=float(won[1][part.label]),
            )
        )
    for one in find_unfound(queries, case.labels, texts)[:_REWRITES]:
        actions.append(
            Action(
                kind="rewrite",
                standard_question=case.texts[one.label],
                to=case.queries[one.middle],
                why=words("doctor.rewrite_why", found=f"{one.found:.0%}", rows=int(case.sizes[one.label])),
                gain=float(won[10][one.label]),
                gain_at_1=float(won[1][one.label]),
            )
        )
    return actions


def _won_by_one(case: Case, curve: Curve, condition: Condition, trust: float) -> dict[int, NDArray[np.float64]]:
    """Return, by k, (K,) points that one more text like its queries brings to each standard question."""
    return {k: trust * points_won(case, curve, condition, np.ones(len(case.texts), np.int64), k) for k in TOPS}
