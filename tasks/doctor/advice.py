"""What the owner should do, each with what it will bring, most recall won per query first. Pure."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc

from schemas.doctor import Action, Confusion, Curve, Gain, Plan
from schemas.language import Words
from tasks.doctor.case import Case
from tasks.doctor.curves import TOPS, Floats, Ints, forecast, grow
from tasks.doctor.held_out import HeldOut
from tasks.evaluate.metrics import BUCKETS
from tasks.prepare.groups import group_of

Cut = Callable[[str], list[str]]

PLANS = ((10, 3), (20, 5), (50, 5), (100, 10))  # so many of the neediest, so many queries for each
_PRIOR = 4.0  # rows of its size that a standard question's own recall is drawn towards
_FEWEST, _MOST = 3, 10  # queries to ask for, for one standard question
_FED = 60  # standard questions of the list
_SHARED = 3  # rows that a pair must share to be reported
_GROUPS = 20  # pairs of the list
_BOTH_WAYS = 0.25  # of the rows of the two, to be worth a merge
_CHANCE = 0.05  # pairs that share as many rows by chance, of all pairs together, at most
_EXAMPLES = 5
_WORDS = 6
_FEW_CLASSES, _SPREAD = 2, 0.05  # a word under more standard questions than both, as a share of all, has no content


@dataclass(frozen=True)
class Condition:
    """Where each standard question stands."""

    weights: Floats  # (K,) share of the queries
    recall: dict[int, Floats]  # by k, (K,)
    asked: Ints  # (K,) rows that a model was asked which had not seen them
    found: Ints  # (K,) those of them whose standard question is among the first ten


def assess(case: Case, found: HeldOut | None) -> Condition:
    """Return share of the queries, and recall, of each standard question.

    Recall is that of its own rows, drawn towards that of all of its size: most have too few rows for a figure of
    their own. Held-out rows give the level; where training rows were asked of models that had not seen them, these
    say which standard questions of one size are worse off.

    Args:
        case: the corpus.
        found: what models that had not seen the training rows make of them; None: they were not asked.
    """
    classes, known = len(case.texts), case.truth >= 0
    truth, ranks = case.truth[known], case.ranks[known]
    counts = case.sizes + np.bincount(truth, minlength=classes)
    weights = (counts + 0.5) / (counts + 0.5).sum()
    recall = {}
    for k in TOPS:
        level = _by_size(case.sizes, truth, (ranks < k).astype(float))
        rows = np.bincount(truth, minlength=classes)
        hits: Floats = np.bincount(truth[ranks < k], minlength=classes).astype(float)
        if found:
            usual = _by_size(case.sizes, case.labels, (found.ranks < k).astype(float))
            rows = rows + np.bincount(case.labels, minlength=classes)
            surplus = np.bincount(case.labels, (found.ranks < k) - usual[case.labels], minlength=classes)
            hits = hits + surplus + level * np.bincount(case.labels, minlength=classes)
        recall[k] = np.clip((hits + _PRIOR * level) / (rows + _PRIOR), 0.0, 1.0)
    labels, places = truth, ranks
    if found:
        labels, places = np.concatenate([truth, case.labels]), np.concatenate([ranks, found.ranks])
    asked, among = (np.bincount(rows, minlength=classes) for rows in (labels, labels[places < 10]))
    return Condition(weights, recall, asked, among)


def list_plans(case: Case, curve: Curve, condition: Condition, measured: dict[int, float], trust: float) -> list[Plan]:
    """Return what some rounds of feeding the neediest standard questions bring.

    Args:
        case: the corpus.
        curve: its learning curves.
        condition: where each standard question stands.
        measured: recall by k, that the forecast starts from.
        trust: what forecasts are multiplied by.
    """
    need = np.argsort(-points_won(case, curve, condition, np.full(len(case.texts), 5)), kind="stable")
    plans = []
    for most, queries in PLANS:
        more = np.zeros(len(case.texts), np.int64)
        more[need[:most]] = queries
        gain = _trusted(forecast(curve, case.sizes, more, condition.weights, condition.recall), trust, measured)
        plans.append(Plan(classes=min(most, len(case.texts)), queries=queries, gain=gain))
    return plans


def list_feeding(
    case: Case, curve: Curve, condition: Condition, missed: dict[int, list[str]], words: Words, trust: float
) -> list[Action]:
    """Return the standard questions that want more queries, and of what kind.

    Args:
        case: the corpus.
        curve: its learning curves.
        condition: where each standard question stands.
        missed: by class, words of its missed queries that its rows lack.
        words: of the language.
        trust: what forecasts are multiplied by.
    """
    more = np.clip(case.sizes, _FEWEST, _MOST)
    won = {k: trust * points_won(case, curve, condition, more, k) for k in TOPS}
    best = np.argsort(-won[10] / more, kind="stable")[:_FED]
    actions = []
    for c in best[won[10][best] > 0].tolist():
        lacking = ", ".join(missed.get(c, [])[:_WORDS])
        facts = {"rows": int(case.sizes[c]), "recall": f"{condition.recall[10][c]:.0%}", "more": int(more[c])}
        facts |= {"asked": int(condition.asked[c]), "found": int(condition.found[c])}
        why = words("doctor.feed_why" if condition.asked[c] else "doctor.feed_guess", **facts) + (
            words("doctor.feed_words", words=lacking) if lacking else ""
        )
        actions.append(
            Action(
                kind="feed",
                standard_question=case.texts[c],
                why=why,
                effort=int(more[c]),
                gain=float(won[10][c]),
                gain_at_1=float(won[1][c]),
            )
        )
    return actions


def list_fixes(
    case: Case,
    curve: Curve,
    condition: Condition,
    doubted: Sequence[tuple[str, str, str, float]],
    words: Words,
    trust: float,
) -> list[Action]:
    """Return the rows that probably stand under the wrong standard question.

    A row that is put right is one more for the right standard question, and one error less for the wrong one.

    Args:
        case: the corpus.
        curve: its learning curves.
        condition: where each standard question stands.
        doubted: query, standard question, suggested one, and probability that the label is wrong.
        words: of the language.
        trust: what forecasts are multiplied by.
    """
    number = {text: c for c, text in enumerate(case.texts)}
    one = {k: points_won(case, curve, condition, np.ones(len(case.texts), np.int64), k) for k in TOPS}
    actions = []
    for query, label, suggested, chance in doubted:
        sides = [number[label], number[suggested]]
        actions.append(
            Action(
                kind="fix",
                standard_question=label,
                query=query,
                to=suggested,
                why=words("doctor.fix_why", chance=f"{chance:.0%}"),
                gain=float(trust * chance * one[10][sides].sum()),
                gain_at_1=float(trust * chance * one[1][sides].sum()),
            )
        )
    return actions


def find_confusions(case: Case, found: HeldOut | None) -> list[tuple[int, int, list[str], int]]:
    """Return pairs of classes that answer for each other: the two, queries that show it, and how many did.

    Most rows first; only wrong first answers count. Of pairs that have the same answer the owner has said so.
    """
    groups = group_of(case.groups, len(case.texts))
    pairs: dict[tuple[int, int], list[str]] = {}
    wrong = np.flatnonzero(case.ranks > 0)
    for row in wrong.tolist():
        pair = sorted((int(case.truth[row]), int(case.top[row, 0])))
        pairs.setdefault((pair[0], pair[1]), []).append(case.asked[row])
    if found:
        for row in np.flatnonzero(found.ranks > 0).tolist():
            pair = sorted((int(case.labels[row]), int(found.best[row])))
            pairs.setdefault((pair[0], pair[1]), []).append(case.queries[row])
    order = sorted(pairs, key=lambda pair: (-len(pairs[pair]), pair))
    shown = [pair for pair in order if len(pairs[pair]) >= _SHARED or _alike(case, pair)]
    shown = [(one, other) for one, other in shown if groups[one] != groups[other]]
    return [(one, other, pairs[one, other], len(pairs[one, other])) for one, other in shown]


def describe_confusions(case: Case, pairs: Sequence[tuple[int, int, list[str], int]], most: int) -> list[Confusion]:
    """Return the first of some pairs, with examples."""
    return [
        Confusion(
            one=case.texts[one],
            other=case.texts[other],
            rows=rows,
            examples=list(dict.fromkeys(queries))[:_EXAMPLES],
            alike=_alike(case, (one, other)),
        )
        for one, other, queries, rows in pairs[:most]
    ]


def list_merges(
    case: Case, pairs: Sequence[tuple[int, int, list[str], int]], found: HeldOut | None, words: Words, trust: float
) -> list[Action]:
    """Return pairs that are probably one standard question: alike in wording, or in the queries they attract.

    Where a model errs often, some pairs share rows by chance: not these. Only those without which a held-out query
    would have missed the first ten: others win nothing by a merge.

    Args:
        case: the corpus.
        pairs: of `find_confusions`.
        found: what models that had not seen the training rows make of them; None: they were not asked.
        words: of the language.
        trust: what forecasts are multiplied by.
    """
    actions, known = [], case.truth >= 0
    tests = np.bincount(case.truth[known], minlength=len(case.texts))
    asked_rows = int(known.sum()) + (len(case.labels) if found else 0)
    missed = _count_missed(case, found)
    for one, other, queries, rows in pairs:
        alike = _alike(case, (one, other))
        all_rows = case.sizes[[one, other]].sum() + tests[[one, other]].sum()
        if not alike and (rows < _BOTH_WAYS * all_rows or _chance(rows, one, other, missed) > _CHANCE):
            continue
        if not (at_10 := _missed_but_for(case, one, other)):
            continue
        keep, gone = (one, other) if case.sizes[one] >= case.sizes[other] else (other, one)
        key = "doctor.merge_alike" if alike else "doctor.merge_why"
        actions.append(
            Action(
                kind="merge",
                standard_question=case.texts[gone],
                to=case.texts[keep],
                why=words(key, rows=rows, example=queries[0]),
                gain=100 * trust * at_10 / max(1, len(case.truth)),
                gain_at_1=100 * trust * rows / max(1, asked_rows),
            )
        )
    return actions


def _count_missed(case: Case, found: HeldOut | None) -> Ints:
    """Return (K,) of how many rows that a model had not seen the first answer is wrong."""
    missed: Ints = np.bincount(case.truth[(case.truth >= 0) & (case.ranks > 0)], minlength=len(case.texts))
    return missed + np.bincount(case.labels[found.ranks > 0], minlength=len(case.texts)) if found else missed


def _chance(rows: int, one: int, other: int, missed: Ints) -> float:
    """Return how many pairs share so many rows by chance: where wrong answers fall on any other standard question.

    Args:
        rows: of the two, answered with the other.
        one: the first of the two.
        other: the second.
        missed: (K,) of `_count_missed`.
    """
    classes = len(missed)
    pairs = classes * (classes - 1) / 2
    return float(pairs * bdtrc(rows - 1, missed[one] + missed[other], 1 / max(1, classes - 1)))


def list_groups(
    case: Case,
    pairs: Sequence[tuple[int, int, list[str], int]],
    found: HeldOut | None,
    merges: Sequence[Action],
    words: Words,
) -> list[Action]:
    """Return pairs of which only the owner knows whether they have the same answer; that wins no recall.

    Args:
        case: the corpus.
        pairs: of `find_confusions`.
        found: what models that had not seen the training rows make of them; None: they were not asked.
        merges: those of the pairs that are rather one standard question.
        words: of the language.
    """
    merged, missed = {frozenset((one.standard_question, one.to)) for one in merges}, _count_missed(case, found)
    named = (
        (case.texts[one], case.texts[other], queries, rows)
        for one, other, queries, rows in pairs
        if _alike(case, (one, other)) or _chance(rows, one, other, missed) <= _CHANCE
    )
    asked = [pair for pair in named if frozenset(pair[:2]) not in merged][:_GROUPS]
    return [
        Action(
            kind="group",
            standard_question=one,
            to=other,
            why=words("doctor.group_why", rows=rows, example=queries[0]),
        )
        for one, other, queries, rows in asked
    ]


def find_lacking_words(case: Case, found: HeldOut | None, cut: Cut = str.split) -> dict[int, list[str]]:
    """Return, by class, words of its missed queries that no other of its training queries has, most frequent first.

    Left out are numbers, which are a customer's, and words that stand under many standard questions: they tell none
    from another.

    Args:
        case: the corpus.
        found: what models that had not seen the training rows make of them.
        cut: the words of a query.
    """
    missed = [(case.asked[row], int(case.truth[row]), 0) for row in np.flatnonzero(case.ranks > 0).tolist()]
    if found:  # the row itself has its words
        missed += [(case.queries[row], int(case.labels[row]), 1) for row in np.flatnonzero(found.ranks > 0).tolist()]
    own: dict[str, Counter[int]] = {}  # by word: rows of each class that have it
    for query, label in zip(case.queries, case.labels.tolist(), strict=True):
        for word in set(cut(query)):
            own.setdefault(word, Counter())[label] += 1
    most, none = max(_FEW_CLASSES, _SPREAD * len(case.texts)), Counter[int]()
    lacking: dict[int, Counter[str]] = {}
    for query, label, itself in missed:
        lacking.setdefault(label, Counter()).update(
            word
            for word in sorted(set(cut(query)))
            if (rows := own.get(word, none))[label] <= itself
            and len(rows) <= most
            and len(word) > 1
            and not any(letter.isdigit() for letter in word)
        )
    return {label: [word for word, _ in counts.most_common()] for label, counts in lacking.items()}


def sort_actions(actions: Sequence[Action]) -> list[Action]:
    """Return actions, most won per query first."""
    return sorted(actions, key=lambda one: (-one.per_query, -one.gain_at_1, one.standard_question, one.query))


def _alike(case: Case, pair: tuple[int, int]) -> bool:
    return pair[1] in case.near_duplicates[pair[0]] or pair[0] in case.near_duplicates[pair[1]]


def _missed_but_for(case: Case, one: int, other: int) -> int:
    """Return how many held-out rows of two classes miss the first ten, where the other of the two is among them."""
    count = 0
    for own, twin in ((one, other), (other, one)):
        rows = (case.truth == own) & (case.ranks >= 10)
        count += int((case.top[rows] == twin).any(axis=1).sum())
    return count


def points_won(case: Case, curve: Curve, condition: Condition, more: Ints, k: int = 10) -> Floats:
    """Return (K,) points of recall@k over all queries that `more` rows bring to each class."""
    grown = grow(curve, k, case.sizes, more, condition.recall[k])
    won: Floats = 100 * condition.weights * (grown - condition.recall[k])
    return won


def _trusted(gain: Gain, trust: float, measured: dict[int, float]) -> Gain:
    """Return a forecast that begins at what was measured, and is drawn to what came of earlier ones."""
    won = {1: gain.recall_at_1_after - gain.recall_at_1, 10: gain.recall_at_10_after - gain.recall_at_10}
    after = {k: min(1.0, measured[k] + trust * won[k]) for k in won}
    return Gain(
        recall_at_1=measured[1], recall_at_10=measured[10], recall_at_1_after=after[1], recall_at_10_after=after[10]
    )


def _by_size(sizes: Ints, labels: NDArray[np.int64], hits: Floats) -> Floats:
    """Return (K,) the mean of the rows of all classes of the same size; of all rows where there are none."""
    level = np.full(len(sizes), hits.mean() if len(hits) else 0.0)
    for low, high in BUCKETS.values():
        classes = (low <= sizes) & (sizes <= high)
        rows = classes[labels]
        if rows.sum() >= 5:
            level[classes] = hits[rows].mean()
    return level


def describe_sizes(case: Case, condition: Condition) -> Iterator[tuple[str, tuple[int, float, float]]]:
    """Yield each class size with how many standard questions it has, and their recall@1 and @10 by share of queries."""
    for name, (low, high) in BUCKETS.items():
        classes = (low <= case.sizes) & (case.sizes <= high)
        if classes.any():
            weights = condition.weights[classes] / condition.weights[classes].sum()
            at = [float(weights @ condition.recall[k][classes]) for k in TOPS]
            yield name, (int(classes.sum()), at[0], at[1])
