"""Fit what a model decides by, on queries of the corpus that it had not seen. Pure.

Two promises are kept by thresholds: of direct answers at most `max_wrong` are wrong, of the corpus's own queries at
most `max_handed_over` are handed over. A threshold may be as low as an upper bound of the share allows, which is
computed of the held-out queries that it lets through:

- With `confidence`, the exact binomial bound (Clopper and Pearson 1934): in so many of all calibrations the promise
  holds (Angelopoulos et al. 2021, "Learn then Test", section 2). One threshold is tried after the other; they are so
  alike that this costs hardly any of the confidence, as a test measures.
- Without, that of conformal risk control (Angelopoulos et al. 2022, theorem 1), one more loss in one more query: the
  promise holds on average over calibrations. Where few queries are held out it often breaks in a single one.

The probability is a logistic regression with Platt's targets (Platt 1999, section 2.2). So that no query judges what
was fitted on it, the threshold is chosen by probabilities that were fitted on the other folds.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import beta, rankdata

from schemas.decisions import Decisions, Ours, Right
from schemas.settings import DecisionBounds
from tasks.retrieval.decisions import Numbers, Signals, likeness

_FEWEST = 5  # held-out queries; of fewer nothing is said
_FOLDS = 5
_RIDGE = 1.0  # of the logistic regression, over standardised signals
_OFFERED = 0.9  # share of choices that hold the right one, of those that could
_SHARES = (0.0, 0.2, 0.6, 0.8)  # of what is known in how foreign a query looks, where there are foreign ones
_USUAL = 0.4  # the same where none are: what recognised them best over corpora, docs/decisions.md


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
    return Decisions(
        held_out=len(signals),
        right=fit_right(signals, right),
        ours=ours,
        answer_from=choose_answer_from(_fit_others(signals, right), right, bounds),
        handover_below=choose_handover_below(signals, ours, bounds),
        offer_within=float(np.quantile(gaps[places > 0], _OFFERED)) if (places > 0).any() else 0.0,
        max_wrong=bounds.max_wrong,
        max_handed_over=bounds.max_handed_over,
        confidence=bounds.confidence,
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
    """Return how the corpus's queries differ from others: score and share of known n-grams, standardised and added.

    In shares that recognised foreign queries best over corpora; where some are given, as these are recognised best.
    """
    table = np.column_stack([signals.score, signals.known])
    mean, spread = table.mean(axis=0), _spread(table)
    share = _USUAL
    if foreign is not None and len(foreign):
        others = (np.column_stack([foreign.score, foreign.known]) - mean) / spread
        own = (table - mean) / spread
        tried = (_USUAL, *_SHARES)
        found = [measure_auroc(own @ [1 - one, one], others @ [1 - one, one]) for one in tried]
        share = tried[int(np.argmax(found))]
    score, known = np.array([1 - share, share]) / spread
    return Ours(bias=float(-np.array([score, known]) @ mean), score=float(score), known=float(known))


def choose_answer_from(probability: Numbers, right: NDArray[np.bool_], bounds: DecisionBounds) -> float | None:
    """Return the lowest probability from which direct answers keep the promise; None: there is none."""
    order = np.argsort(-probability, kind="stable")
    wrong, answered = np.cumsum(~right[order], dtype=np.int64), np.arange(1, len(order) + 1)
    level = np.append(np.diff(probability[order]) < 0, True)  # the last of equals: all of them are answered, or none
    kept = np.flatnonzero(level & (bound_share(wrong, answered, bounds.confidence) <= bounds.max_wrong))
    return float(probability[order[kept[-1]]]) if len(kept) else None


def choose_handover_below(signals: Signals, ours: Ours, bounds: DecisionBounds) -> float | None:
    """Return the likeness below which queries are handed over, by the promise; None: too few queries to hand any."""
    found = np.sort(likeness(ours, signals))
    share = bound_share(np.arange(len(found)), np.full(len(found), len(found)), bounds.confidence)
    kept = np.flatnonzero(share <= bounds.max_handed_over)
    return float(found[kept[-1]]) if len(kept) else None


def bound_share(counts: NDArray[np.integer], of: NDArray[np.integer], confidence: float | None) -> Numbers:
    """Return (n,) upper bounds of shares of which `counts` were seen among `of`; None: on average."""
    if confidence is None:
        return (counts + 1) / (of + 1)
    bounds: Numbers = np.where(counts < of, beta.ppf(confidence, counts + 1, np.maximum(of - counts, 1)), 1.0)
    return bounds


def measure_auroc(own: Numbers, others: Numbers) -> float:
    """Return the probability that one of `own` is above one of `others`, ties counting half."""
    ranks = rankdata(np.concatenate([own, others]))[: len(own)]
    return float((ranks.sum() - len(own) * (len(own) + 1) / 2) / (len(own) * len(others)))


def _spread(table: Numbers) -> Numbers:
    """Return the standard deviation of each column; of one that hardly varies, so much that it does not count."""
    spread: Numbers = table.std(axis=0)
    return np.where(spread < 1e-6, 1e6, spread)
