"""What the log says that the corpus lacks: the queries which the live model did not answer, grouped."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from schemas.doctor import Action, DoctorState, Traffic
from schemas.language import read_words
from schemas.outputs import EvaluateOutput, PrepareOutput
from schemas.settings import CorpusSettings
from schemas.workspace import Workspace
from tasks.doctor.advice import assess
from tasks.doctor.case import Case
from tasks.doctor.curves import grow, usual_curve
from tasks.doctor.log import Asked
from tasks.doctor.mining import EXAMPLES, MOST, as_actions, find_common, group, place, without_common, word_bags
from tasks.doctor.traffic import describe_traffic
from tasks.retrieval.features import Tokeniser
from tasks.retrieval.normalise import normalise_all
from tasks.retrieval.retriever import Model

_BLOCK = 1024
_SURE = 0.95  # of the held-out rows that score at least so, so many are right: such a query is answered
_DOUBT = 0.3  # share of the rightly answered held-out rows that score lower than what is looked at
_HELPED = ("answer", "clarify")  # decisions that send no customer away
_ADDED = 5  # queries that a standard question gets
_CORPUS_ROWS = 20_000  # that a query is compared with
_SAMPLE = 1000  # queries, of the log and then of the corpus, that say how alike any two are
_Cosines = Callable[[slice, slice], NDArray[np.float32]]  # of some texts with others


def mine(
    corpus: CorpusSettings,
    workspace: Workspace,
    model: Model,
    log: Sequence[Asked],
    state: DoctorState,
    most_examples: int = EXAMPLES,
) -> list[Action]:
    """Return standard questions to add, and queries to add to existing ones, the most asked first.

    Args:
        corpus: its settings.
        workspace: of its newest run.
        model: the live one.
        log: what was asked.
        state: what is remembered of the corpus.
        most_examples: queries of each group.
    """
    case = Case.read(PrepareOutput.of(workspace), EvaluateOutput.of(workspace))
    words, tokeniser = read_words(corpus.language), Tokeniser(corpus.text)
    condition = assess(case, None)
    recall, curve = condition.recall[10], state.curve or usual_curve()
    won = state.trust * (grow(curve, 10, case.sizes, np.full(len(case.texts), _ADDED), recall) - recall)
    named = _answered_by_people(log, case, won, corpus)
    times = Counter(one.norm for one in log if one.right is None)
    known = set(case.queries) | set(normalise_all(case.texts))
    asked = {one.norm: one for one in log if one.right is None and one.norm not in known}
    open_ones = _unanswered(model, case, list(asked.values()))
    open_ones = sorted(open_ones, key=lambda one: -times[one.norm])[:MOST]
    if not open_ones:
        return named
    norms = [one.norm for one in open_ones]
    similarity, near, first = _compare(model, case, norms, tokeniser)
    counts = np.array([times[norm] for norm in norms])
    placed = place(group(similarity), similarity, near, first, counts)
    return named + as_actions(placed, [one.query for one in open_ones], case.texts, len(log), words, won, most_examples)


def watch(corpus: CorpusSettings, model: Model, case: Case, log: Sequence[Asked]) -> Traffic:
    """Return how a log differs from the corpus; what it does not say of its answers, the model says."""
    tokeniser, norms = Tokeniser(corpus.text), list({one.norm: one for one in log})
    ids = np.concatenate([_best(model, norms[start : start + _BLOCK])[0] for start in _starts(norms)])
    words, answered = set[str](), find_answered(model, case, norms, _HELPED)
    for text in [*case.queries, *normalise_all(case.texts)]:
        words.update(tokeniser.words(text))
    return describe_traffic(
        log,
        lambda one: not one.none_right and (one.decision in _HELPED if one.decision else one.norm in answered),
        {norm: case.texts[c] for norm, c in zip(norms, ids.tolist(), strict=True)},
        words,
        tokeniser.words,
        dict(zip(case.texts, case.sizes.tolist(), strict=True)),
    )


def find_answered(model: Model, case: Case, norms: Sequence[str], decisions: Sequence[str] = ("answer",)) -> set[str]:
    """Return the queries that the model answers.

    Args:
        model: decides, or, where it stores nothing to decide by, is judged by its scores.
        case: held-out rows, that say what a score is worth.
        norms: normalised queries.
        decisions: that count as an answer.
    """
    if model.decisions is not None:
        return {norm for norm, one in zip(norms, model.answer(norms, 1), strict=True) if one.decision in decisions}
    sure, found = sure_score(model, case), set[str]()
    for start in _starts(norms):
        block = norms[start : start + _BLOCK]
        found |= {norm for norm, score in zip(block, _best(model, block)[1].tolist(), strict=True) if score >= sure}
    return found


def sure_score(model: Model, case: Case) -> float:
    """Return the score from which on an answer counts as one: most held-out rows that score so are right."""
    if not len(case.ranks):
        return float("inf")
    best = np.concatenate([_best(model, case.asked[start : start + _BLOCK])[1] for start in _starts(case.asked)])
    order = np.argsort(-best, kind="stable")
    right = np.cumsum(case.ranks[order] == 0) / np.arange(1, len(order) + 1)
    sure = np.flatnonzero(right >= _SURE)
    return float(best[order[sure[-1]]]) if len(sure) else float("inf")


def _unanswered(model: Model, case: Case, asked: list[Asked]) -> list[Asked]:
    """Return the queries that were not answered, as the log says or else the model; and those it answered with doubt.

    A query of a matter that the corpus does not have may still be answered; its score is low, as that of few others.
    """
    answered = find_answered(model, case, [one.norm for one in asked])
    doubtful, low = set[str](), doubt_score(model, case)
    for start in _starts(asked):
        block = [one.norm for one in asked[start : start + _BLOCK]]
        doubtful |= {norm for norm, score in zip(block, _best(model, block)[1].tolist(), strict=True) if score < low}
    return [
        one
        for one in asked
        if one.none_right
        or one.norm in doubtful
        or (one.decision != "answer" if one.decision else one.norm not in answered)
    ]


def doubt_score(model: Model, case: Case) -> float:
    """Return the score below which a query is looked at all the same: few held-out rows that are right score so low."""
    right = [query for query, rank in zip(case.asked, case.ranks.tolist(), strict=True) if rank == 0]
    if not right:
        return float("inf")
    best = np.concatenate([_best(model, right[start : start + _BLOCK])[1] for start in _starts(right)])
    return float(np.quantile(best, _DOUBT))


def _answered_by_people(
    log: Sequence[Asked], case: Case, won: NDArray[np.float64], corpus: CorpusSettings
) -> list[Action]:
    """Return the queries that a person has named the standard question of, and that it does not have."""
    words, number = read_words(corpus.language), {text: c for c, text in enumerate(case.texts)}
    there = {(query, case.texts[label]) for query, label in zip(case.queries, case.labels.tolist(), strict=True)}
    named: dict[str, dict[str, str]] = {}
    for one in log:
        if one.right in number and (one.norm, one.right) not in there:
            named.setdefault(str(one.right), {})[one.norm] = one.query
    return [
        Action(
            kind="add",
            standard_question=text,
            why=words("doctor.told_why", queries=len(queries)),
            new_queries=list(queries.values()),
            effort=len(queries),
            gain=100 * len(queries) / len(log) * float(won[number[text]]),
        )
        for text, queries in named.items()
    ]


def _compare(
    model: Model, case: Case, norms: list[str], tokeniser: Tokeniser
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Return (n, n) how alike queries are, (n,) how alike each is to the nearest of the corpus, (n,) its answer.

    Half by their wording, half by the model's vectors; of both, 0 is what any two queries have in common.
    """
    corpus = [*normalise_all(case.texts), *case.queries[:_CORPUS_ROWS]]
    bags, vectors = word_bags([*norms, *corpus], tokeniser), _vectors(model, [*norms, *corpus])
    halves: list[_Cosines] = [lambda rows, others: (bags[rows] @ bags[others].T).toarray()]
    halves.append(lambda rows, others: vectors[rows] @ vectors[others].T)
    some = slice(0, _SAMPLE)
    usual = [find_common(half(some, some)) for half in halves]

    def compare(rows: slice, others: slice) -> NDArray[np.float32]:
        parts = [without_common(half(rows, others), one) for half, one in zip(halves, usual, strict=True)]
        alike: NDArray[np.float32] = (parts[0] + parts[1]) * np.float32(0.5)
        return alike

    own, theirs = slice(0, len(norms)), slice(len(norms), None)
    near, first = list[NDArray[np.float32]](), list[NDArray[np.int64]]()
    for start in _starts(norms):
        rows = slice(start, min(start + _BLOCK, len(norms)))
        near.append(compare(rows, theirs).max(axis=1))
        first.append(_best(model, norms[rows])[0])
    return compare(own, own), np.concatenate(near), np.concatenate(first)


def _vectors(model: Model, norms: Sequence[str]) -> NDArray[np.float32]:
    parts = [model.vectors_of(model.encoder.read(list(norms[start : start + _BLOCK]))) for start in _starts(norms)]
    vectors = np.concatenate(parts)
    unit: NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return unit


def _best(model: Model, queries: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    scores = model.scores(queries)
    return scores.argmax(axis=1).astype(np.int64), scores.max(axis=1)


def _starts(rows: Sequence[object]) -> range:
    return range(0, len(rows), _BLOCK)
