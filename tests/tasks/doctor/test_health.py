"""The health report: one page that a person who knows no machine learning reads."""

import re

import numpy as np
import pytest

from schemas.doctor import Action, Diagnosis, Gain, Kept, Outcome, Promise, Receipt
from schemas.language import read_words
from tasks.doctor.diagnosis import Evidence, diagnose
from tasks.doctor.health import describe_health, list_things, render_health, say_state
from tests.tasks.doctor.test_advice import make_case

BAD = "<script>alert(1)</script>{{7*7}}"


@pytest.fixture(scope="module")
def said() -> Diagnosis:
    """A diagnosis with something of everything; one standard question is an attack."""
    texts = [BAD, "怎么退票", "如何改签"]
    truth, ranks = [0, 0, 1, 1, 2, 2], [1, 12, 1, 1, 0, 0]
    top = [[1, 0, 2], [1, 0, 2], [0, 1, 2], [0, 1, 2], [2, 0, 1], [2, 0, 1]]
    case = make_case([3, 2, 30], truth, ranks, top, texts=texts)
    more = [
        Action(kind="fix", standard_question="如何改签", query="=退票", to="怎么退票", why="wrong", gain=0.2),
        Action(kind="fix", standard_question="如何改签", query="退票呀", to="怎么退票", why="wrong", gain=0.1),
    ]
    return diagnose("bank", "20261126-000000-abcdef", case, Evidence(more=more), read_words("en"))


RECEIPT = Receipt(
    batch="20261125-000000-abcdef",
    run="r1",
    promises=[Promise(kind="feed", standard_question=BAD, gain=0.4)],
    outcome=Outcome(run="r2", rows=6, before=0.5, after=0.51, kept=[Kept(rows=2, before=0, after=0.5, points=16.7)]),
)


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", ["Of 6 queries that were held back for a test, 5 find", "Five things to do first", "won +1.00"]),
        ("zh", ["留出测试的 6 条问法中", "先做这五件事", "标准问", "相似问"]),
    ],
)
def test_the_page_says_state_things_and_receipts_in_both_languages(said, language, told):
    """In sentences, with plots, and without a request to anywhere."""
    page = render_health(said, language, [RECEIPT], ["todo.csv", "todo.xlsx"], "2026-11-26")

    assert [text for text in told if text not in page] == []
    assert page.count("<svg") == 8  # four plots, for wide and narrow pages
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=\"(https?:)?//", page)
    assert BAD not in page
    assert "alert(1)" in page


def test_decisions_of_one_kind_are_one_thing_and_what_wins_most_per_query_stands_first(said):
    """Two wrong rows are one thing to do, for two queries to look at."""
    things = list_things(said, read_words("en"))

    (fix,) = [thing for thing in things if thing.kind == "fix"]
    assert (fix.effort, fix.gain) == (2, pytest.approx(0.3))
    worth = [thing.gain / thing.effort for thing in things]
    assert worth == sorted(worth, reverse=True)
    assert len(things) <= 5


@pytest.mark.parametrize(
    ("tested", "at_10", "at_1", "held", "grade"),
    [
        (500, 0.95, 0.8, False, "is in good health"),
        (500, 0.95, 0.54, False, "does well"),
        (500, 0.7, 0.5, False, "needs your help"),
        (500, 0.95, 0.8, True, "was held back, the report says why"),
        (13, 1.0, 1.0, False, "they are too few to say how bank is"),
    ],
)
def test_the_first_sentence_follows_the_verdict(said, tested, at_10, at_1, held, grade):
    """A corpus whose candidate was held back does not do well, few rows are no health, half at first is no good one."""
    found = {"tested": tested, "recall_at_10": at_10, "recall_at_1": at_1, "held": held}
    assert grade in say_state(said.model_copy(update=found), read_words("en"))


def test_the_ui_gets_the_same_in_markdown(said):
    """State, list, plot; what comes from the corpus is no markup."""
    told = describe_health(said, "en")

    assert told.startswith("# Of 6 queries")
    assert "data:image/svg+xml" in told
    assert "<script>" not in told


def test_a_corpus_that_cannot_be_tested_has_a_page_too():
    """Every standard question has one query: nothing was held out, and that is what the page says."""
    said = diagnose("bank", "run", make_case([1, 1, 1], [], [], np.zeros((0, 3), int)), Evidence(), read_words("en"))

    page = render_health(said, "en")
    assert "No row of bank could be tested yet" in page
    assert all(np.isfinite(one.gain) for one in said.actions)


def test_a_forecast_that_wins_nothing_does_not_promise_the_same_figure(said):
    """Never "from 93.0% to 93.0%"."""
    gain = Gain(recall_at_1=0.6, recall_at_10=0.93, recall_at_1_after=0.6, recall_at_10_after=0.9303)
    little = said.model_copy(update={"plans": [one.model_copy(update={"gain": gain}) for one in said.plans]})

    assert "would win hardly anything: recall@10 stays 93.0%" in render_health(little, "en")
    assert "hardly anything" not in render_health(said, "en")
