"""Fit what a model decides by, on queries of the corpus that it had not seen. Pure.

Two promises are kept with the finite-sample bound of conformal risk control (Angelopoulos et al. 2022, "Conformal Risk
Control", theorem 1): of n held-out queries, a bound on the mean of a loss of at most B must hold with one more query
added that loses B.

- At most `max_wrong` of direct answers are wrong: the loss of a query is 1 - max_wrong if it is answered wrongly,
  -max_wrong if rightly, 0 if it is not answered, and its mean must not be positive. So the bound is
  (wrong + 1) / (answered + 1) <= max_wrong. That loss does not fall with the threshold everywhere, as the theorem wants
  it; it nearly does, as the probability sorts right from wrong. docs/decisions.md measures what comes of it.
- At most `max_handed_over` of the corpus's queries are handed over: (handed over + 1) / (n + 1) <= max_handed_over.

The probability is a logistic regression with Platt's targets (Platt 1999, section 2.2). So that no query judges what
was fitted on it, the threshold is chosen by probabilities that were fitted on the other folds.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import rankdata

from schemas.decisions import Decisions, Ours, Right
from schemas.settings import DecisionBounds
from tasks.retrieval.decisions import Numbers, Signals

_FEWEST = 10  # held-out queries; of fewer nothing is said
_FOLDS = 10
_RIDGE = 1.0  # of the logistic regression, over standardised signals
_OFFERED = 0.9  # share of choices that hold the right one, of those that could
_SHARES = (0.0, 0.25, 0.75)  # of what is known in how foreign a query looks, where foreign ones are there to tell
_EQUAL = 0.5  # the same where none are


def calibrate(
    signals: Signals, places: NDArray[np.int64], gaps: Numbers, bounds: DecisionBounds, foreign: Signals | None = None
) -> Decisions | None:
    """Return what to decide by; None: too few queries were held out.

    Args:
        signals: of the held-out queries.
        places: (n,) where the right standard question stands among the first, from 0; -1: it is not among them.
        gaps: (n,) how far its score lies behind the first's; of -1 not looked at.
        bounds: the promises.
        foreign: signals of queries that are not of the corpus.
    """
    if len(signals) < _FEWEST:
        return None
    right = places == 0
    ours = fit_ours(signals, foreign)
    likeness = ours.bias + ours.score * signals.score + ours.known * signals.known
    return Decisions(
        held_out=len(signals),
        right=fit_right(signals, right),
        ours=ours,
        answer_from=choose_answer_from(_fit_others(signals, right), right, bounds.max_wrong),
        handover_below=choose_handover_below(likeness, bounds.max_handed_over),
        offer_within=float(np.quantile(gaps[places > 0], _OFFERED)) if (places > 0).any() else 0.0,
        max_wrong=bounds.max_wrong,
        max_handed_over=bounds.max_handed_over,
    )


def fit_right(signals: Signals, right: NDArray[np.bool_]) -> Right:
    """Return the logistic regression of whether the first answer is right, on score and margin."""
    table = np.column_stack([signals.score, signals.margin])
    mean, spread = table.mean(axis=0), _spread(table)
    hits, misses = np.count_nonzero(right), np.count_nonzero(~right)
    targets = np.where(right, (hits + 1) / (hits + 2), 1 / (misses + 2))
    inputs = np.column_stack([(table - mean) / spread, np.ones(len(table))])

    def loss(weights: Numbers) -> tuple[float, Numbers]:
        z = inputs @ weights
        held = np.append(weights[:-1], 0)
        value = np.logaddexp(0, z).sum() - targets @ z + _RIDGE / 2 * held @ held
        return float(value), inputs.T @ (expit(z) - targets) + _RIDGE * held

    *slopes, level = minimize(loss, np.zeros(3), jac=True, method="L-BFGS-B").x
    score, margin = np.array(slopes) / spread
    return Right(bias=float(level - np.array([score, margin]) @ mean), score=float(score), margin=float(margin))


def probabilities(right: Right, signals: Signals) -> Numbers:
    """Return (n,) probabilities that the first answer is right."""
    found: Numbers = expit(right.bias + right.score * signals.score + right.margin * signals.margin)
    return found


def _fit_others(signals: Signals, right: NDArray[np.bool_]) -> Numbers:
    """Return (n,) probabilities, each by what was fitted on the other folds."""
    fold = np.arange(len(signals)) % _FOLDS  # the rows are shuffled
    found = np.empty(len(signals))
    for number in range(_FOLDS):
        found[fold == number] = probabilities(
            fit_right(signals.take(fold != number), right[fold != number]), signals.take(fold == number)
        )
    return found


def fit_ours(signals: Signals, foreign: Signals | None) -> Ours:
    """Return how to tell the corpus's queries from others: score and share of known n-grams, standardised and added.

    They count alike, which generalised best over corpora; where foreign queries are given, as these are told best.
    """
    table = np.column_stack([signals.score, signals.known])
    mean, spread = table.mean(axis=0), _spread(table)
    share = _EQUAL
    if foreign is not None and len(foreign):
        others = (np.column_stack([foreign.score, foreign.known]) - mean) / spread
        own = (table - mean) / spread
        tried = (_EQUAL, *_SHARES)
        found = [measure_auroc(own @ [1 - one, one], others @ [1 - one, one]) for one in tried]
        share = tried[int(np.argmax(found))]
    score, known = np.array([1 - share, share]) / spread
    return Ours(bias=float(-np.array([score, known]) @ mean), score=float(score), known=float(known))


def choose_answer_from(probability: Numbers, right: NDArray[np.bool_], max_wrong: float) -> float | None:
    """Return the lowest probability from which direct answers keep the promise; None: there is none."""
    order = np.argsort(-probability, kind="stable")
    wrong, answered = np.cumsum(~right[order]), np.arange(1, len(order) + 1)
    level = np.append(np.diff(probability[order]) < 0, True)  # the last of equals: all of them are answered, or none
    kept = np.flatnonzero(level & (wrong + 1 <= max_wrong * (answered + 1)))
    return float(probability[order[kept[-1]]]) if len(kept) else None


def choose_handover_below(likeness: Numbers, max_handed_over: float) -> float | None:
    """Return the likeness below which queries are handed over, by the promise; None: too few queries to hand any."""
    most = int(max_handed_over * (len(likeness) + 1)) - 1  # that may be handed over of those held out
    return float(np.sort(likeness)[most]) if most >= 0 else None


def measure_auroc(own: Numbers, others: Numbers) -> float:
    """Return the probability that one of `own` is above one of `others`, ties counting half."""
    ranks = rankdata(np.concatenate([own, others]))[: len(own)]
    return float((ranks.sum() - len(own) * (len(own) + 1) / 2) / (len(own) * len(others)))


def _spread(table: Numbers) -> Numbers:
    """Return the standard deviation of each column; of one that hardly varies, so much that it does not count."""
    spread: Numbers = table.std(axis=0)
    return np.where(spread < 1e-6, 1e6, spread)
