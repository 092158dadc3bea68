"""How test rows are decided, counted by hand."""

import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from schemas.decisions import Decisions, Ours, Right
from tasks.evaluate.deciding import compare_decisions, draw_curve, measure_decisions
from tasks.prepare.groups import group_of
from tasks.retrieval.model_files import DECISIONS
from tasks.retrieval.retriever import Model

OPEN = Decisions(
    held_out=100,
    right=Right(bias=-3, score=4, margin=4),
    ours=Ours(bias=-1, score=1, known=1),
    answer_from=0.5,
    handover_below=-0.2,
    offer_within=0.1,
    max_wrong=0.05,
    max_handed_over=0.05,
)


@pytest.fixture
def asked(candidate, tmp_path):
    """A candidate that decides as `OPEN` says, its test queries, their classes, and the rows of each class."""
    shutil.copytree(candidate, tmp_path / "candidate")
    (tmp_path / "candidate" / DECISIONS).write_text(OPEN.model_dump_json())
    prepared = candidate.parent.parent / "prepare"
    test, classes = (pq.read_table(prepared / f"{name}.parquet") for name in ("test", "classes"))
    return (
        Model(tmp_path / "candidate"),
        test["query"].to_pylist(),
        test["class_id"].to_numpy().astype(np.int64),
        classes["rows"].to_numpy(),
    )


def alone(rows):
    """No two have the same answer."""
    return group_of([], len(rows))


def test_an_answer_with_the_same_answer_is_right(asked):
    """Of two groups of half of the standard questions each, nearly every first answer is one of the right group."""
    model, queries, truth, rows = asked
    half = len(rows) // 2
    groups = group_of([range(half), range(half, len(rows))], len(rows))
    told = [measure_decisions(model, queries, truth, rows, one, None, 1)[0] for one in (alone(rows), groups)]
    first = model.signals(queries)[1][:, 0]

    assert sum(zone.right for zone in told[0].zones.values()) == (first == truth).sum()
    assert sum(zone.right for zone in told[1].zones.values()) == ((first < half) == (truth < half)).sum()
    assert told[1].wrong.value < told[0].wrong.value


def test_every_row_stands_in_one_zone(asked):
    """As the model answers it; a direct answer is wrong where its first standard question is not the right one."""
    model, queries, truth, rows = asked
    decided, chosen = measure_decisions(model, queries, truth, rows, alone(rows), None, 1)

    answers = model.answer(queries)
    assert chosen.tolist() == [answer.decision for answer in answers]
    assert sum(zone.rows for zone in decided.zones.values()) == decided.rows == len(queries)
    direct = [(a, t) for a, t in zip(answers, truth, strict=True) if a.decision == "answer"]
    wrong = sum(a.hits[0].id != model.ids[t] for a, t in direct)
    assert direct
    assert decided.wrong.value == wrong / len(direct)
    zone = decided.zones["answer"]
    assert (zone.rows, zone.rows - zone.right) == (len(direct), wrong)
    assert sum(one.rows for one in decided.by_class_size.values()) == len(direct)


def test_queries_of_others_are_told(asked):
    """Those that share nothing are all rejected; without its own standard question a row looks more foreign."""
    model, queries, truth, rows = asked
    decided, _ = measure_decisions(model, queries, truth, rows, alone(rows), ["zzz qqq", "今夜月色", "vvv"] * 10, 1)

    assert decided.foreign.rows == 30
    assert decided.foreign.auroc > 0.95
    assert decided.foreign.handed_over == 1
    assert 0.5 < decided.left_out.auroc < decided.foreign.auroc
    assert decided.left_out.answered < decided.zones["answer"].rows / decided.rows


def test_a_model_without_decisions_or_rows_is_not_measured(asked):
    """There is nothing to say."""
    model, queries, truth, rows = asked
    assert measure_decisions(model, [], truth[:0], rows, alone(rows), None, 1) is None
    model.decisions = None
    assert measure_decisions(model, queries, truth, rows, alone(rows), None, 1) is None


def test_the_curve_is_that_of_the_surest_first():
    """Of four, the surest is right, the next wrong: half of two, a third of three, and of all."""
    curve = draw_curve(np.array([0.2, 0.9, 0.8, 0.4]), np.array([False, True, False, True]))

    assert [(point.answered, round(point.wrong, 3), point.probability) for point in curve] == [
        (0.25, 0, 0.9),
        (0.5, 0.5, 0.8),
        (0.75, 0.333, 0.4),
        (1, 0.5, 0.2),
    ]


def test_direct_answers_are_compared_row_by_row():
    """Ours answers two more, one of them wrongly."""
    ours = np.array(["answer", "answer", "answer", "clarify"]), np.array([True, True, False, True])
    live = np.array(["answer", "clarify", "clarify", "handover"]), np.array([True, True, False, False])
    found = compare_decisions(ours, live, 0.01)

    assert (found.more_right.gain.value, found.fewer_wrong.gain.value) == (0.25, -0.25)
    assert (found.live_answered, found.live_wrong) == (0.25, 0)
