"""What is advised, on a corpus small enough to see through."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from schemas.language import read_words
from tasks.doctor.advice import assess, find_lacking_words
from tasks.doctor.case import Case
from tasks.doctor.curves import fit_curve, forecast, grow, usual_curve
from tasks.doctor.diagnosis import Evidence, diagnose
from tasks.doctor.held_out import HeldOut
from tasks.doctor.mislabelled import find_mislabelled
from tasks.doctor.wording import find_splits, find_unfound
from tasks.evaluate.mislabelled import SHARPNESSES, own_probabilities

WORDS = read_words("en")


def make_case(sizes, truth, ranks, top, near=None, asked=None, texts=None):
    """Return a case of classes of these sizes, whose rows are all different."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return Case(
        texts=texts or [f"question {c}" for c in range(len(sizes))],
        sizes=np.array(sizes),
        near_duplicates=near or [[] for _ in sizes],
        queries=[f"row {n} of {c}" for n, c in enumerate(labels.tolist())],
        labels=labels,
        row_ids=np.arange(len(labels)),
        asked=asked or [f"asked {n}" for n in range(len(truth))],
        truth=np.array(truth, dtype=np.int64),
        ranks=np.array(ranks, dtype=np.int64),
        top=np.array(top, dtype=np.int64),
    )


def held_out(ranks, seen, **more):
    """Return what models made of the rows."""
    n = len(ranks)
    usual = {
        "own": np.full((n, SHARPNESSES), 0.5, np.float32),
        "best": np.zeros(n, np.int64),
    }
    return HeldOut(ranks=np.array(ranks), seen=np.array(seen), **usual | more)


def test_misses_that_halve_as_rows_double_have_an_exponent_of_one():
    """4,000 rows of classes of 31: half the misses with 31 rows (and the text) instead of 15 (and the text)."""
    labels = np.repeat(np.arange(100), 40)
    half = held_out(np.where(np.arange(4000) % 2 == 0, 20, 0), np.full(4000, 15))
    most = held_out(np.where(np.arange(4000) % 4 == 0, 20, 0), np.full(4000, 31))

    curve = fit_curve(labels, half, most)

    assert curve.slopes[10]["11-50"].exponent == pytest.approx(1, abs=0.05)
    assert curve.slopes[10]["1-3"].misses == 0  # no class is so small: what is usual in this corpus
    assert curve.measured


def test_few_misses_leave_the_usual_exponent():
    """Ten rows prove nothing."""
    labels = np.repeat([0, 1], 5)
    curve = fit_curve(labels, held_out([20] * 10, [2] * 10), held_out([0] * 10, [4] * 10))

    usual = usual_curve().slopes[10]["4-10"].exponent
    assert usual < curve.slopes[10]["4-10"].exponent < 1.5 * usual


def test_a_forecast_follows_the_power_of_rows_and_text():
    """3 rows and the text, then 7 and the text: twice as much, 2 ** -0.6 of the misses."""
    curve, recall = usual_curve(), np.array([0.5, 0.8])
    after = grow(curve, 10, np.array([3, 3]), np.array([4, 0]), recall)
    gain = forecast(curve, np.array([3, 3]), np.array([4, 0]), np.array([0.25, 0.75]), {1: recall, 10: recall})

    assert after == pytest.approx([1 - 0.5 * 2**-0.6, 0.8])
    assert gain.points == pytest.approx(100 * 0.25 * (after[0] - 0.5))


def test_recall_of_a_standard_question_is_drawn_towards_that_of_its_size():
    """One missed row of one is no recall of 0."""
    case = make_case([2, 2, 20], [0, 1, 1, 1, 1, 2], [30, 0, 0, 0, 0, 0], [[1, 0]] * 6)
    recall = assess(case, None).recall[10]

    assert 0.5 < recall[0] < recall[1] < 1


def test_the_neediest_standard_question_stands_first_and_says_what_it_lacks():
    """Many customers, few rows, missed: that is where a query wins most."""
    truth, ranks = [0] * 10 + [1] * 10, [50] * 8 + [0] * 12
    asked = [f"refund voucher {n}" for n in range(10)] + [f"asked {n}" for n in range(10)]
    case = make_case([2, 40], truth, ranks, [[1, 0]] * 20, asked=asked)

    said = diagnose("bank", "run", case, Evidence(), WORDS)

    first = said.actions[0]
    assert (first.kind, first.standard_question) == ("feed", "question 0")
    assert "refund, voucher" in first.why
    assert 0 < first.gain <= 100 * (1 - said.recall_at_10)
    plan = said.plans[0].gain
    assert plan.recall_at_10_after > plan.recall_at_10


def test_words_that_are_lacking_have_content_and_stand_in_no_other_training_query():
    """No number of a customer, no word under many standard questions, none that a row of its own has."""
    texts = [f"question {n}" for n in range(6)]
    asked = ["please refund my voucher 60093217", "please deliver"]
    case = make_case([2] * 6, [0, 1], [50, 0], [[1, 0]] * 2, asked=asked, texts=texts)
    rows = [f"please do my {word}" for word in "refund x1 x2 x3 x4 x5 x6 x7 x8 x9 x10 x11".split()]
    lacking = find_lacking_words(replace(case, queries=rows), None)

    assert lacking == {0: ["voucher"]}


def test_what_is_expected_is_not_told_as_found():
    """Of a standard question with held-out rows these are counted; of one without, others of its size speak."""
    case = make_case([2, 3, 2], [0, 0, 1], [50, 0, 50], [[1, 0]] * 3)
    said = {one.standard_question: one.why for one in diagnose("bank", "run", case, Evidence(), WORDS).actions}

    assert "of 2 that a model had not seen, 1 find it" in said["question 0"]
    assert "none was held back" in said["question 2"]
    assert "are expected to find it" in said["question 2"]


def test_trust_scales_forecasts():
    """What came of earlier ones: half of what was said."""
    case = make_case([2, 40], [0] * 10 + [1] * 10, [50] * 8 + [0] * 12, [[1, 0]] * 20)
    whole, half = (diagnose("bank", "run", case, Evidence(trust=trust), WORDS) for trust in (1.0, 0.5))

    assert half.actions[0].gain == pytest.approx(whole.actions[0].gain / 2)
    assert half.plans[0].gain.points == pytest.approx(whole.plans[0].gain.points / 2)


def test_twins_are_merged_into_the_larger_and_shown_with_queries():
    """Alike in wording, or answered for each other by a quarter of their rows; a third class stays out of it."""
    truth, ranks = [0, 0, 1, 1, 2], [1, 10, 1, 1, 0]
    top = [[1, 0, 2], [1, 0, 2], [0, 1, 2], [0, 1, 2], [2, 0, 1]]
    case = make_case([5, 3, *[9] * 18], truth, ranks, top)

    said = diagnose("bank", "run", case, Evidence(), WORDS)

    merges = [(one.standard_question, one.to) for one in said.actions if one.kind == "merge"]
    assert merges == [("question 1", "question 0")]
    assert [(one.one, one.other, one.rows) for one in said.confusions] == [("question 0", "question 1", 4)]
    assert said.confusions[0].examples == ["asked 0", "asked 1", "asked 2", "asked 3"]
    assert not [one for one in said.actions if one.kind == "group"]
    few = make_case([5, 3, 9], truth, ranks, top)  # among three, wrong answers meet by chance
    assert not [one for one in diagnose("bank", "run", few, Evidence(), WORDS).actions if one.to]
    found = replace(case, ranks=np.array([1, 1, 1, 1, 0]))  # all among the first ten: a merge wins nothing
    assert [one.kind for one in diagnose("bank", "run", found, Evidence(), WORDS).actions if one.to] == ["group"]


def test_the_owner_is_asked_once_whether_two_have_the_same_answer():
    """Of pairs that share too few rows to be merged; what she has said is no confusion any more."""
    truth, ranks, top = [0] * 4 + [1] * 4, [1] * 4 + [0] * 4, [[1, 0]] * 4 + [[1, 0]] * 4
    case = make_case([40, 30, *[9] * 18], truth, ranks, top)

    said = diagnose("bank", "run", case, Evidence(), WORDS)
    after = diagnose("bank", "run", replace(case, groups=[[0, 1]]), Evidence(), WORDS)

    (asked,) = (one for one in said.actions if one.kind == "group")
    assert (asked.standard_question, asked.to, asked.gain) == ("question 0", "question 1", 0)
    assert "4 queries" in asked.why
    assert said.confusions
    assert not after.confusions
    assert not [one for one in after.actions if one.kind in ("group", "merge")]


def planted(rng, rows=2000, share=0.05, classes=20, clear=0.4):
    """Return what models make of rows of which some are labelled wrongly, and which are; cosines, `clear` apart."""
    right = rng.integers(0, classes, rows)
    wrong = rng.random(rows) < share
    labels = np.where(wrong, (right + rng.integers(1, classes, rows)) % classes, right)
    scores = rng.normal(0, 0.1, (rows, classes)).astype(np.float32)
    scores[np.arange(rows), right] += clear
    ranks = (scores > scores[np.arange(rows), labels][:, None]).sum(axis=1)
    own = own_probabilities(scores, labels)
    return held_out(ranks, np.full(rows, 90), own=own, best=scores.argmax(axis=1)), wrong


@pytest.mark.parametrize(("rows", "share", "clear"), [(2000, 0.05, 0.4), (150, 0.1, 0.4), (150, 0.1, 0.3)])
def test_planted_errors_are_found_and_few_others(rows, share, clear):
    """At least six tenths of them, at a precision of at least one half, of few rows, too."""
    found, wrong = planted(np.random.default_rng(1), rows, share, clear=clear)
    doubted = find_mislabelled(found, 20)

    assert wrong[doubted.rows].mean() >= 0.5
    assert wrong[doubted.rows].sum() >= 0.6 * wrong.sum()
    assert np.all(np.diff(doubted.chance) <= 0)
    assert doubted.chance[0] < 1


@pytest.mark.parametrize("clear", [0.1, 0.15, 0.25, 0.4])
@pytest.mark.parametrize("rows", [137, 2000])
def test_clean_labels_are_not_doubted(rows, clear):
    """Of no corpus, however weak its models: their misses look like wrong labels, and are none."""
    for seed in range(10):
        found, _ = planted(np.random.default_rng(seed), rows, share=0.0, clear=clear)

        assert not len(find_mislabelled(found, 20).rows)


def bags(texts):
    """Return unit rows of the words of texts."""
    words = sorted({word for text in texts for word in text.split()})
    table = np.array([[float(word in text.split()) for word in words] for text in texts])
    return sp.csr_array(table / np.linalg.norm(table, axis=1, keepdims=True))


def test_a_standard_question_of_two_things_is_split():
    """Card lost and card fee, six rows each; one that says one thing stays whole."""
    two = [f"my card was lost {n}" for n in range(6)] + [f"annual fee too high {n}" for n in range(5)]
    one = [f"transfer money abroad {n}" for n in range(11)]
    labels = np.array([0] * 11 + [1] * 11)

    (part,) = find_splits(bags(two + one), labels)

    assert part.label == 0
    assert sorted(part.rows.tolist()) == [6, 7, 8, 9, 10]
    assert part.middle in part.rows


def test_a_text_that_no_query_finds_is_rewritten():
    """Its queries share no word with it, and with other texts they do."""
    texts = ["instrument reimbursement modalities", *(f"refund {n}" for n in range(12))]
    queries = [f"refund {n} please" for n in range(6)] + ["refund 7 now"] * 6
    labels = np.array([0] * 6 + [8] * 6)
    rows = bags(texts + queries)

    (one,) = find_unfound(rows[len(texts) :], labels, rows[: len(texts)])

    assert (one.label, one.found) == (0, 0.0)
