"""When a candidate may go live."""

import pytest

from schemas.settings import Publishing
from tasks.publish.gates import find_objections
from tests.tasks.publish.measured import comparison, evaluation, training

GATES = Publishing(below_baseline=0.02, below_live=0.01)


def test_a_first_candidate_as_good_as_the_best_baseline_may_go_live():
    """Without a live version, the baselines are the bar."""
    assert find_objections(evaluation(0.7, bm25=0.7, tfidf=0.6), training(), None, GATES) == []


@pytest.mark.parametrize(("recall", "held"), [(0.69, False), (0.67, True)])
def test_a_first_candidate_may_lie_below_the_best_baseline_by_the_tolerance(recall, held):
    """The tolerance is a setting, and a wider one lets the same candidate pass."""
    reasons = find_objections(evaluation(recall, bm25=0.5, tfidf=0.7), training(), None, GATES)

    assert bool(reasons) == held
    wide = GATES.model_copy(update={"below_baseline": 0.05})
    assert find_objections(evaluation(recall, bm25=0.5, tfidf=0.7), training(), None, wide) == []


def test_the_reason_names_the_figures_the_best_baseline_and_the_setting():
    """An operator sees what to compare and what to change."""
    (reason,) = find_objections(evaluation(0.6, bm25=0.5, tfidf=0.7), training(), None, GATES)

    for part in ("0.6000", "tfidf", "0.7000", "publish.below_baseline = 0.02"):
        assert part in reason


@pytest.mark.parametrize(("recall", "held"), [(0.80, False), (0.795, False), (0.78, True)])
def test_a_later_candidate_is_held_against_the_live_version(recall, held):
    """A better baseline does not matter any more: something worse than it may be live already."""
    reasons = find_objections(evaluation(recall, bm25=0.99), training(), comparison(0.80), GATES)

    assert bool(reasons) == held
    assert all("publish.below_live = 0.01" in reason and comparison(0).version in reason for reason in reasons)


def test_nothing_measured_is_nothing_published():
    """A corpus of one-row classes has no test row of its own."""
    (reason,) = find_objections(evaluation(0.0, rows=0), training(), None, GATES)

    assert "no test row" in reason
    assert "source.test_path" in reason


def test_test_rows_of_another_corpus_measure_nothing():
    """All rows miss for everybody, so no baseline and no live version would hold the candidate back."""
    (reason,) = find_objections(evaluation(0.0, rows=20, unknown=20), training(), comparison(0.0), GATES)

    assert "none of the 20 test rows" in reason


def test_a_collapsed_model_is_held_however_good_its_recall():
    """The sentence of the verdict is the reason."""
    collapsed = training("collapse", "All vectors point one way.")

    assert find_objections(evaluation(0.9), collapsed, None, GATES) == ["training: All vectors point one way."]


def test_every_reason_is_given():
    """One run tells all that is wrong."""
    collapsed = training("collapse", "All vectors point one way.")

    assert len(find_objections(evaluation(0.1, bm25=0.9), collapsed, None, GATES)) == 2
