"""What a query is answered with."""

import json
import shutil

import pytest

from schemas.decisions import Decisions, Ours, Right
from schemas.errors import StaleFile
from tasks.retrieval.decisions import decide
from tasks.retrieval.model_files import DECISIONS
from tasks.retrieval.retriever import Model

USUAL = Decisions(
    held_out=100,
    right=Right(bias=-4, score=6, margin=10),
    ours=Ours(bias=-1, score=1, known=1),
    answer_from=0.9,
    handover_below=-0.5,
    offer_within=0.1,
    max_wrong=0.05,
    max_handed_over=0.05,
)


def test_the_three_zones():
    """Sure: an answer; near several: a choice; hardly an n-gram known: a person."""
    assert decide(USUAL, [0.9, 0.5, 0.4, 0.3], 1.0) == ("answer", pytest.approx(0.9955, abs=1e-4), 0)
    assert decide(USUAL, [0.5, 0.45, 0.42, 0.3], 0.8)[::2] == ("clarify", 3)
    assert decide(USUAL, [0.3, 0.2, 0.1, 0.0], 0.1)[::2] == ("handover", 0)


@pytest.mark.parametrize(("scores", "offered"), [([0.5] * 9, 4), ([0.5, 0.1], 2), ([0.5], 2)])
def test_a_choice_has_two_to_four(scores, offered):
    """However many are level with the first, or none."""
    unsure = USUAL.model_copy(update={"answer_from": None})
    assert decide(unsure, scores, 1.0)[::2] == ("clarify", offered)


def test_a_query_that_is_empty_or_unknown_is_handed_over():
    """All its scores are alike; that is told even where nothing else is handed over."""
    never = USUAL.model_copy(update={"handover_below": None})
    assert decide(never, [], 0.0) == decide(never, [0.0, 0.0], 0.0) == ("handover", 0.0, 0)


def test_without_a_bound_nothing_is_answered_directly():
    """The promise could not be kept on the held-out queries."""
    assert decide(USUAL.model_copy(update={"answer_from": None}), [1.0, 0.0], 1.0)[0] == "clarify"


def test_extreme_weights_do_not_overflow():
    """The probability stays between 0 and 1."""
    steep = USUAL.model_copy(update={"right": Right(bias=0, score=1e6, margin=0)})
    assert decide(steep, [1.0, 0.0], 1.0)[1] == 1
    assert decide(steep, [-1.0, -1.0], 1.0)[1] == 0


@pytest.fixture
def decided(candidate, tmp_path):
    """A trained candidate with decisions beside it."""
    folder = tmp_path / "decided"
    shutil.copytree(candidate, folder)
    (folder / DECISIONS).write_text(USUAL.model_dump_json())
    return folder


def test_a_model_decides_alone_and_in_a_batch(decided):
    """The same decision, probability and offers, the search unchanged; an empty query has no results."""
    model, queries = Model(decided), ["怎么退票", "改签", "🙂", "", "今天天气怎么样", "refund my ticket"]
    together = model.answer(queries, top=3)

    assert [answer.hits for answer in together] == model.search(queries, top=3)
    for query, answer in zip(queries, together, strict=True):
        alone = model.answer([query], top=3)[0]
        assert (alone.decision, len(alone.offers)) == (answer.decision, len(answer.offers))
        assert alone.probability == pytest.approx(answer.probability, abs=1e-5)
    assert [answer.decision for answer in together][2:4] == ["handover", "handover"]
    assert together[3].hits == []


def test_a_choice_does_not_depend_on_how_many_are_asked_for(decided):
    """One result is asked for, and two to four are offered all the same."""
    (decided / DECISIONS).write_text(USUAL.model_copy(update={"answer_from": None}).model_dump_json())
    answer = Model(decided).answer(["怎么退票"], top=1)[0]

    assert len(answer.hits) == 1
    assert 2 <= len(answer.offers) <= 4
    assert answer.offers[0] == answer.hits[0]


def test_a_model_of_before_answers_without_a_decision(candidate, tmp_path):
    """There is no file to decide by."""
    folder = tmp_path / "old"
    shutil.copytree(candidate, folder, ignore=shutil.ignore_patterns(DECISIONS))
    answer = Model(folder).answer(["怎么退票"])[0]

    assert (answer.decision, answer.probability, list(answer.offers)) == (None, None, [])
    assert len(answer.hits) == 10


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"format": 1}', USUAL.model_dump_json().replace("-4.0", "NaN"), USUAL.model_dump_json()[:-9]],
)
def test_a_damaged_file_is_named(decided, content):
    """Nothing is decided by half a file."""
    (decided / DECISIONS).write_text(content)
    with pytest.raises(StaleFile, match=DECISIONS):
        Model(decided)


def test_another_format_is_refused(decided):
    """What it means is not known here."""
    (decided / DECISIONS).write_text(json.dumps(USUAL.model_dump() | {"format": 2}))
    with pytest.raises(StaleFile, match="format 2"):
        Model(decided)
