"""How the test rows are decided: what is answered directly, and wrongly; how queries of others are recognised. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.decisions import DECISIONS, Decisions
from schemas.evaluation import ComparedDecisions, Decided, Foreign, Paired, RiskPoint, Zone
from tasks.evaluate.metrics import BUCKETS, gain_at_most, gain_with_interval, mean_with_interval
from tasks.retrieval.decisions import Numbers, Signals, decide, likeness
from tasks.retrieval.retriever import Model
from tasks.train.calibration import measure_auroc, probabilities

DECIDED_ROWS = 20_000  # test rows looked at; so many give a share of 5 % to 0.3 points
_POINTS = 40  # of the curve
_KEPT = 0.95  # share of own queries that are kept where foreign ones are to be recognised

Ids = npt.NDArray[np.integer]
Mask = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]
Chosen = npt.NDArray[np.str_]  # (n,) decisions


@dataclass(frozen=True)
class DecidedRows:
    """What a model makes of some queries."""

    signals: Signals
    first: Ids  # (n, F) standard questions
    scores: Scores  # (n, F)
    chosen: Chosen
    offered: Ids  # (n,) how many are to choose from


def decide_rows(model: Model, decisions: Decisions, queries: Sequence[str]) -> DecidedRows:
    """Return what is decided of queries."""
    signals, first, scores = model.signals(queries)
    decided = [decide(decisions, row, one) for row, one in zip(scores.tolist(), signals.known.tolist(), strict=True)]
    chosen, offered = [one[0] for one in decided], [one[2] for one in decided]
    return DecidedRows(signals, first, scores, np.array(chosen, dtype=str), np.array(offered, dtype=np.int64))


def measure_decisions(
    model: Model,
    queries: Sequence[str],
    truth: Ids,
    train_rows: Ids,
    groups: Ids,
    foreign: Sequence[str] | None,
    seed: int,
) -> tuple[Decided, Chosen] | None:
    """Return how the test rows are decided, and what each is; None: the model has nothing to decide by.

    Args:
        model: the candidate.
        queries: of the test rows.
        truth: (n,) class ids, -1: none of the corpus.
        train_rows: (K,) training rows of each class.
        groups: (K + 1,) of `group_of`: an answer of the same group is right.
        foreign: queries that are not of the corpus; None: there are none.
        seed: of the intervals.
    """
    if model.decisions is None or not len(queries):
        return None
    rows = decide_rows(model, model.decisions, queries)
    signals, chosen, scores = rows.signals, rows.chosen, rows.scores
    places = find_places(groups[rows.first], groups[truth])
    right = places == 0
    direct, handed = chosen == "answer", chosen == "handover"
    own = likeness(model.decisions.ours, signals)
    decided = Decided(
        **model.decisions.model_dump(include={"held_out", "max_wrong", "max_handed_over", "answer_from"}),
        rows=len(queries),
        zones={one: _zone(chosen == one, right, (places >= 0) & (places < rows.offered)) for one in DECISIONS},
        wrong=mean_with_interval(~right[direct], seed),
        handed_over=mean_with_interval(handed, seed),
        curve=draw_curve(probabilities(model.decisions.right, signals), right),
        by_class_size=_by_class_size(direct, right, truth, train_rows),
        left_out=_measure_left_out(model.decisions, scores, places, signals.known, own),
        foreign=_measure_foreign(model, model.decisions, foreign, own) if foreign else None,
    )
    return decided, chosen


def draw_curve(probability: Numbers, right: Mask) -> list[RiskPoint]:
    """Return what share of answers would be wrong if the surest were given, for some shares of all queries."""
    order = np.argsort(-probability, kind="stable")
    wrong = np.cumsum(~right[order])
    counts = np.unique(np.ceil(np.linspace(0, 1, _POINTS + 1)[1:] * len(order)).astype(np.int64))
    return [
        RiskPoint(
            answered=int(n) / len(order),
            wrong=float(wrong[n - 1] / n),
            probability=float(probability[order[n - 1]]),
        )
        for n in counts
    ]


def compare_decisions(candidate: tuple[Chosen, Mask], live: tuple[Chosen, Mask], level: float) -> ComparedDecisions:
    """Return how direct answers differ from those of the live version on the same rows.

    Args:
        candidate: (n,) decisions, and whether the first answer is right.
        live: likewise.
        level: of each one-sided bound.
    """
    (theirs, our_right), (lives, live_right) = candidate, live
    gains = {}
    for name, wanted in (("right", True), ("wrong", False)):
        ours = (theirs == "answer") & (our_right == wanted)
        of_live = (lives == "answer") & (live_right == wanted)
        gain = (ours.astype(np.float64) - of_live) * (1 if wanted else -1)
        gains[name] = Paired(gain=gain_with_interval(gain), at_most=gain_at_most(gain, level))
    answered = lives == "answer"
    return ComparedDecisions(
        rows=len(theirs),
        live_answered=float(answered.mean()) if len(answered) else 0.0,
        live_wrong=float((~live_right[answered]).mean()) if answered.any() else 0.0,
        more_right=gains["right"],
        fewer_wrong=gains["wrong"],
    )


def find_places(first: Ids, truth: Ids) -> npt.NDArray[np.int64]:
    """Return (n,) where the right one stands among the first; -1: not among them."""
    found = first == truth[:, None]
    return np.where(found.any(axis=1), found.argmax(axis=1), -1)


def _zone(rows: Mask, right: Mask, offered: Mask) -> Zone:
    return Zone(
        rows=int(np.count_nonzero(rows)),
        right=int(np.count_nonzero(rows & right)),
        offered_right=int(np.count_nonzero(rows & offered)),
    )


def _by_class_size(direct: Mask, right: Mask, truth: Ids, train_rows: Ids) -> dict[str, Zone]:
    """Return the direct answers by training rows of the class that was right."""
    sizes = np.where(truth < 0, -1, train_rows[truth]) if len(train_rows) else np.full(len(truth), -1)
    masks = {name: direct & (low <= sizes) & (sizes <= high) for name, (low, high) in BUCKETS.items()}
    return {name: _zone(mask, right, right) for name, mask in masks.items() if mask.any()}


def _measure_left_out(
    decisions: Decisions, scores: Scores, places: Ids, known: Numbers, own: Numbers
) -> Foreign | None:
    """Return how many test rows would look foreign without their own standard question: none is less foreign."""
    if scores.shape[1] < 3:
        return None
    gone = np.where(places < 0, scores.shape[1] - 1, places)  # the last, where the right one is not among the first
    rest = scores[np.arange(scores.shape[1]) != gone[:, None]].reshape(len(scores), -1)
    taken = Signals(rest[:, 0], rest[:, 0] - rest[:, 1], known)
    chosen = [decide(decisions, row, one)[0] for row, one in zip(rest.tolist(), known.tolist(), strict=True)]
    return _compare(own, likeness(decisions.ours, taken), chosen)


def _measure_foreign(model: Model, decisions: Decisions, foreign: Sequence[str], own: Numbers) -> Foreign:
    rows = decide_rows(model, decisions, foreign)
    return _compare(own, likeness(decisions.ours, rows.signals), rows.chosen.tolist())


def _compare(own: Numbers, others: Numbers, chosen: Sequence[str]) -> Foreign:
    return Foreign(
        rows=len(others),
        auroc=measure_auroc(own, others),
        rejected=float((others < np.quantile(own, 1 - _KEPT)).mean()),
        handed_over=list(chosen).count("handover") / len(chosen),
        answered=list(chosen).count("answer") / len(chosen),
    )
