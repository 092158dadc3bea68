"""What a model decides by: fitted so that its promises hold on queries that neither training nor fitting has seen."""

import numpy as np
import pytest

from schemas.decisions import Ours
from schemas.settings import DecisionBounds
from tasks.retrieval.decisions import Signals, decide
from tasks.train.calibration import (
    bound_share,
    calibrate,
    choose_answer_from,
    choose_handover_below,
    fit_right,
    measure_auroc,
    probabilities,
)

BOUNDS = DecisionBounds()


def draw(n: int, seed: int, slope: float = 9.0) -> tuple[Signals, np.ndarray]:
    """Return signals of queries whose first answer is right with a probability that is known, and whether it is."""
    random = np.random.default_rng(seed)
    score, margin = random.uniform(0.2, 1, n), random.exponential(0.15, n)
    chance = 1 / (1 + np.exp(-(-4 + slope * score + 8 * margin)))
    return Signals(score, margin, random.uniform(0.6, 1, n)), random.uniform(size=n) < chance


def places_of(right: np.ndarray) -> np.ndarray:
    """First where right, else second."""
    return np.where(right, 0, 1)


def test_the_probability_is_that_of_being_right():
    """In each fifth of new queries, by probability, as many are right as it says."""
    signals, right = draw(20_000, 1)
    fitted = fit_right(signals, right)

    new, truth = draw(20_000, 2)
    said = probabilities(fitted, new)
    for fifth in np.array_split(np.argsort(said), 5):
        assert said[fifth].mean() == pytest.approx(truth[fifth].mean(), abs=0.025)


@pytest.mark.parametrize("max_wrong", [0.05, 0.2])
@pytest.mark.parametrize("confidence", [0.9, None])
def test_both_promises_hold_on_new_queries(max_wrong, confidence):
    """With a confidence, in so many calibrations; without, on average: wrong direct answers, and own handed over."""
    bounds = DecisionBounds(max_wrong=max_wrong, confidence=confidence)
    wrong, answered, handed = [], [], []
    for seed in range(40):
        signals, right = draw(300, seed)
        found = calibrate(signals, places_of(right), np.full(300, 0.1), bounds)
        new, truth = draw(2000, 1000 + seed)
        told = [decide(found, [s, s - m], k)[0] for s, m, k in zip(new.score, new.margin, new.known, strict=True)]
        direct = np.array([one == "answer" for one in told])
        handed.append(np.mean([one == "handover" for one in told]))
        answered.append(direct.mean())
        wrong.append((~truth[direct]).mean() if direct.any() else 0)

    assert np.mean(answered) > 0.1
    if confidence:
        assert np.mean(np.array(wrong) <= max_wrong) > 0.8
        assert np.mean(wrong) > 0.4 * max_wrong
        assert np.mean(np.array(handed) <= 0.05) > 0.8
        assert np.mean(handed) > 0.02
    else:
        assert 0.6 * max_wrong < np.mean(wrong) <= max_wrong * 1.1
        assert 0.03 < np.mean(handed) <= 0.053


def test_the_bound_on_average_adds_one_wrong_answer():
    """(wrong + 1) / (answered + 1): 19 right ones keep 5 %, 18 do not, and of equals all count."""
    sure, bounds = np.linspace(1, 0.9, 19), DecisionBounds(confidence=None)
    assert choose_answer_from(sure, np.ones(19, bool), bounds) == sure[-1]
    assert choose_answer_from(sure[:18], np.ones(18, bool), bounds) is None
    tied = np.append(sure, sure[-1])
    assert choose_answer_from(tied, np.append(np.ones(19, bool), False), bounds) is None


def test_the_confident_bound_is_the_exact_one():
    """1 - 0.1^(1/45) = 0.0499: 45 right ones keep 5 % with a confidence of 90 %, 44 do not."""
    assert choose_answer_from(np.linspace(1, 0.9, 45), np.ones(45, bool), BOUNDS) is not None
    assert choose_answer_from(np.linspace(1, 0.9, 44), np.ones(44, bool), BOUNDS) is None
    assert bound_share(np.array([0, 3]), np.array([45, 3]), 0.9) == pytest.approx([0.0499, 1], abs=1e-4)


def test_of_few_queries_none_is_handed_over():
    """Of 18, not even one may be on average; of 39, one."""
    ours, bounds = Ours(bias=0, score=1, known=0), DecisionBounds(confidence=None)
    signals = Signals(np.arange(39.0), np.zeros(39), np.ones(39))
    assert choose_handover_below(signals.take(np.arange(18)), ours, bounds) is None
    assert choose_handover_below(signals, ours, bounds) == 1


def test_too_few_queries_calibrate_nothing():
    """Four say nothing; of five the customer always chooses."""
    signals, right = draw(5, 3)
    found = calibrate(signals, places_of(right), np.zeros(5), BOUNDS)

    assert (found.answer_from, found.handover_below) == (None, None)
    assert calibrate(signals.take(np.arange(4)), places_of(right)[:4], np.zeros(4), BOUNDS) is None


@pytest.mark.parametrize("right", [True, False])
def test_queries_that_are_all_alike_can_be_calibrated(right):
    """All right, or all wrong, and every signal the same: finite numbers, and no answer where all were wrong."""
    same = Signals(np.full(60, 0.5), np.zeros(60), np.ones(60))
    found = calibrate(same, places_of(np.full(60, right)), np.full(60, 0.1), BOUNDS)

    assert (found.answer_from is not None) == right
    assert decide(found, [0.5, 0.5], 1.0)[0] == ("answer" if right else "clarify")


def test_foreign_queries_tune_what_tells_them():
    """Where they share all n-grams with the corpus, the score alone tells; where not, what is known, too."""
    signals, right = draw(500, 4)
    near = Signals(signals.score, signals.margin, signals.known * 0.3)
    far = Signals(signals.score - 0.5, signals.margin, np.ones(500))

    def tell(foreign):
        ours = calibrate(signals, places_of(right), np.full(500, 0.1), BOUNDS, foreign).ours
        return [ours.bias + ours.score * one.score + ours.known * one.known for one in (signals, foreign)]

    for foreign in (near, far):
        assert measure_auroc(*tell(foreign)) > 0.9
    assert tell(far)[1].mean() < -1


def test_the_area_under_the_curve_counts_pairs():
    """Of the four pairs two are in order, one is level, one is not."""
    assert measure_auroc(np.array([1.0, 3.0]), np.array([0.0, 1.0])) == 0.875
