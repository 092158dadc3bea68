"""`language = "zh"`: no sentence of a report or a card is left in English."""

import re

import pytest

from schemas.evaluation import ClassResult, ConfusedPair, Golden, GoldenMiss, SuspectRow
from schemas.language import Message, read_words
from schemas.section import Bound
from schemas.settings import CustomExpectation, DriftBounds, Publishing, Validation
from schemas.training import Epoch
from tasks.evaluate.next_steps import Counts, list_next_steps
from tasks.evaluate.plots import Night
from tasks.evaluate.report import RowList, RunFacts, render_report
from tasks.publish.card import write_card
from tasks.publish.gates import ask_gates, refuse_again
from tasks.validate.corpus import validate_corpus
from tasks.validate.drift import Corpus, Kept, check_drift
from tests.conftest import make_settings
from tests.tasks.publish.measured import comparison, evaluation, metrics, training
from tests.tasks.validate.conftest import write_ingested

SENTENCE = re.compile(r"(?:[A-Za-z]{2,}[ ,]+){3,}[A-Za-z]{2,}")  # four words of it
ZH = read_words("zh")
SMALL = Message(key="training.small_gamma", values={"gamma": 1, "negatives": 4})
CAUSES = {
    "unreachable target": ("training.unreachable", {"what": SMALL, "fall": 0.5, "change": "loss.gamma = 5"}),
    "ordered data": ("training.ordered", {"batch": 64, "variety": 0.1, "oscillation": 0.4}),
    "noisy labels": ("training.noisy", {"share": 0.3}),
    "too few steps": ("training.too_few", {"epochs": 1, "setting": "training.epochs = 24"}),
}


@pytest.fixture
def verdict(tmp_path):
    """Findings of nearly every rule, from a corpus that breaks it, in Chinese."""
    damaged = "怎么退票".encode().decode("latin-1")
    pairs = [(f"【微信公众号】客户您好，请问：第{row}个", "其他") for row in range(60)]
    pairs += [("怎么办", f"问题{row % 3}") for row in range(9)] + [(damaged, "nan"), ("长" * 400, "ＡＢ"), ("短", "ab")]
    bad = [("a.csv", 9, "train", "empty query", "", "退票")]
    strict = Validation(
        max_long_share=Bound(warn=0),
        expectations=[CustomExpectation(type="expect_column_values_to_be_unique", kwargs={"column": "query"})],
    )
    folder = write_ingested(tmp_path / "ingested", pairs, quarantine=bad)
    found = validate_corpus(folder, tmp_path / "validated", strict, "bank", 13, language="zh")
    assert len(found.findings) >= 10
    return found


@pytest.fixture
def drift(tmp_path, monkeypatch):
    """Everything changed at once."""
    same = [Kept(f"{n}", "餐食", 9, frozenset([9])) for n in (8, 9)]
    old = [Kept("1", "退票", 90, frozenset([1])), Kept("2", "改签", 10, frozenset([2])), same[0]]
    new = [Kept("1", "怎么退票", 90, frozenset([1])), Kept("3", "行李", 300, frozenset([3])), same[1]]
    old = Corpus(old, {"退": 5}, {"答案": 3, "链接": 3})
    new = Corpus(new, {"箱": 5}, {"链接": 1})
    corpora = iter([old, new])
    monkeypatch.setattr(Corpus, "of", classmethod(lambda cls, profile: next(corpora)))
    monkeypatch.setattr("tasks.validate.drift.pq.read_table", lambda file: None)
    loose = {name: Bound(warn=0) for name in DriftBounds.model_fields}
    found = check_drift(tmp_path, tmp_path, tmp_path, "v1", DriftBounds(**loose), "bank", "zh")
    assert len(found.findings) > 7
    return found


def words_of(page):
    """Return the text of a page: no markup, no names of settings, no description of Great Expectations."""
    text = re.sub(r"<style>.*?</style>|<[^>]+>", "\n", page, flags=re.DOTALL)
    return [line for line in text.splitlines() if "expect_column" not in line]


def measured():
    """Return an evaluation with something in every list."""
    return evaluation(0.5, bm25=0.7).model_copy(
        update={
            "overlap_rows": 3,
            "unknown_test_rows": 2,
            "without_overlap": metrics(0.4),
            "baselines": {"bm25": metrics(0.7, rows=40)},
            "classes_worst": [
                ClassResult(
                    standard_question="退票", train_rows=3, test_rows=9, recall_at_1=0, recall_at_10=0, confused_with=[]
                )
            ],
            "confused": [ConfusedPair(standard_question="甲", ranked_first="乙", rows=3, near_duplicate=True)],
            "suspects": [SuspectRow(row_id=3, query="问", standard_question="甲", suggested="乙", margin=0.5)],
        }
    )


def trained(cause="noisy labels"):
    """Return a training that failed for every reason at once."""
    report = training(cause, "x")
    reasons = {name: Message(key=key, values=values) for name, (key, values) in CAUSES.items()}
    epochs = [
        Epoch(phase=phase, epoch=1, loss=3, batch_loss_spread=0.1, recall_at_10=0.5) for phase in ("choose", "refit")
    ]
    convergence = report.convergence.model_copy(update={"reasons": reasons})
    reach = report.reachability.model_copy(update={"told": reasons["unreachable target"]})
    return report.model_copy(
        update={"convergence": convergence, "reachability": reach, "epochs": epochs, "chosen": {"epochs": 3}}
    )


def gates_of(found, verdict):
    """Return gates of every outcome, with every reason."""
    misses = [
        GoldenMiss(query="问", standard_question="甲", instead="乙", place=place, where="g.csv:2")
        for place in (2, None, 3, 4)
    ]
    beaten = comparison(0, 300, seen=4, _1_3=(0, 50, 100))
    golden = Golden(queries=9, top=1, misses=misses)
    gates = [refuse_again("v1", "zh")]
    for compared, live in ((beaten, "v1"), (None, None), (None, "v1"), (comparison(0, 0, rows=0), "v1")):
        gates += ask_gates(found, trained(), verdict, compared, live, golden, Publishing(), "zh")
    gates += ask_gates(evaluation(0, rows=0), training(), verdict, None, None, None, Publishing(), "zh")
    gates += ask_gates(evaluation(0, unknown=100), training(), verdict, None, None, None, Publishing(), "zh")
    return gates, beaten


def test_no_english_sentence_is_left_in_a_chinese_report(verdict, drift, tmp_path):
    """With every finding, gate, cause and list there is."""
    settings = make_settings(tmp_path / "x.csv", "bank", language="zh", model__hidden_dims=[64])
    found = measured()
    gates, beaten = gates_of(found, verdict)
    row = {"source": "/data/a.csv", "line": 3, "query": "问", "standard_question": "甲", "first": "乙", "place": None}
    aside = {**row, "reason": "empty query", "role": "train"}
    counts = Counts(failing=9, missed=3, suspects=2, quarantine=1, draws=[("其他", 60)])
    facts = RunFacts(
        run="20261126-020000-aaaaaa",
        finished="2026-11-26 02:00 UTC",
        seconds={"train": 3.0},
        failing=RowList([row], 200_000, ["failing.csv"], 100_000),
        suspects=RowList([{}], 2, ["suspects.csv"], 2),
        quarantine=RowList([aside], 1, ["quarantine.csv"], 1),
        history=[Night("20261125-020000-aaaaaa", 0.3, 0.5, True), Night("20261126-020000-aaaaaa", 0.3, 0.5, False)],
        next_steps=list_next_steps("held", None, found, verdict, drift, gates, counts, ZH),
    )
    page = render_report(found, trained(), verdict, settings, beaten, facts, gates, "held", drift)

    assert [line.strip() for line in words_of(page) if SENTENCE.search(line)] == []
    assert '<html lang="zh">' in page
    for part in ("接下来做什么", "答错的问法", "1 / 200,000", "抢走了别的问法", "固定话术", "新增标准问", "标注噪声"):
        assert part in page


@pytest.mark.parametrize("status", ["published", "unchanged", "awaiting_approval", None])
def test_every_end_of_a_run_is_said_in_chinese(status, verdict):
    """The first line of what to do says what became of the candidate."""
    steps = list_next_steps(status, "v2", measured(), verdict, None, [], Counts(), ZH)

    assert [step.text for step in steps if SENTENCE.search(step.text)] == []


def test_no_english_sentence_is_left_in_a_chinese_card(verdict, tmp_path):
    """But for the code and its names."""
    settings = make_settings(tmp_path / "x.csv", "bank", language="zh")
    card = write_card(settings, measured(), trained(), verdict, "run-7")

    lines = [line for line in card.split("```")[0].splitlines() if "expect_column" not in line]
    assert [line for line in lines if SENTENCE.search(line)] == []
    assert "召回率@10" in card
