"""The report and its plots: complete, harmless, offline, and the same bytes twice."""

import base64
import re

import numpy as np
import pytest

from schemas.evaluation import (
    ClassResult,
    Comparison,
    ConfusedPair,
    Decided,
    Difference,
    Evaluation,
    Foreign,
    Gate,
    Interval,
    Metrics,
    RiskPoint,
    SuspectRow,
    Zone,
)
from schemas.language import read_words
from schemas.settings import CorpusSettings
from schemas.training import Convergence, Epoch, Reachability, ShareScore, TrainingReport
from schemas.validation import Finding, Verdict
from tasks.evaluate.metrics import measure
from tasks.evaluate.next_steps import Step
from tasks.evaluate.plots import Night, plot_loss, to_data_uri
from tasks.evaluate.report import RowList, RunFacts, list_settings, render_report, summarise

HOSTILE = "<script>alert('怎么退票')</script>"
FAILING = {"source": "/data/bank/test.csv", "line": 7, "query": "票买错了", "first": "怎么改签", "place": 12}
FACTS = RunFacts(
    run="20260929-020300-aaaaaa",
    version="20260929-020311-bbbbbb",
    finished="2026-09-29 02:03 UTC",
    seconds={"train": 61.34},
    places={812: ("/data/bank/train.csv", 814)},
    failing=RowList([{**FAILING, "standard_question": "怎么退票"}], 102, ["failing.csv", "failing.xlsx"], 102),
    suspects=RowList([{}], 30, ["suspects.csv", "suspects.xlsx"], 30),
    history=[Night(f"202609{day}-020000-cccccc", 0.3, 0.7, day % 2 == 0) for day in range(20, 29)],
    next_steps=[Step("bad", "Begin here.", "gates")],
)


def metrics(recall, rows=200):
    """Metrics whose recall@10 is `recall`."""
    at = [Interval(value=v, low=v * 0.9, high=min(1.0, v * 1.1)) for v in (recall / 2, recall * 0.8, recall)]
    return Metrics(
        rows=rows, recall_at_1=at[0], recall_at_5=at[1], recall_at_10=at[2], mrr=at[1], macro_recall_at_10=at[2]
    )


@pytest.fixture
def evaluation():
    """A candidate of recall@10 73.1 % over a BM25 of 64.5 %."""
    return Evaluation(
        corpus="bank_zh",
        test_rows=200,
        classes=41,
        untested_classes=3,
        unknown_test_rows=2,
        overlap_rows=5,
        model=metrics(0.731),
        without_overlap=metrics(0.72, rows=195),
        by_class_size={"1-3": metrics(0.5, 80), ">50": metrics(0.9, 120)},
        baselines={"bm25": metrics(0.645), "tfidf": metrics(0.6)},
        baselines_by_class_size={"bm25": {"1-3": metrics(0.4, 80), ">50": metrics(0.95, 120)}, "tfidf": {}},
        classes_worst=[
            ClassResult(
                standard_question="怎么退票",
                train_rows=4,
                test_rows=5,
                recall_at_1=0.2,
                recall_at_10=0.4,
                confused_with=["退票手续费是多少"],
            )
        ],
        confused=[
            ConfusedPair(standard_question="怎么改签", ranked_first="如何改签", rows=3, near_duplicate=True),
        ],
        suspects=[
            SuspectRow(row_id=812, query=HOSTILE, standard_question="怎么退票", suggested="如何改签", margin=0.25)
        ],
    )


@pytest.fixture
def training():
    """Three epochs of choosing, two of the refit."""
    epochs = [
        Epoch(phase="choose", epoch=i, loss=6 / i, batch_loss_spread=0.05, recall_at_10=0.2 * i) for i in (1, 2, 3)
    ]
    epochs += [Epoch(phase="refit", epoch=i, loss=5 / i, batch_loss_spread=0.05) for i in (1, 2)]
    return TrainingReport(
        rows=1800,
        classes=41,
        parameters=123_456,
        epochs=epochs,
        chosen={"epochs": 2},
        validation_recall_at_10=0.7,
        negatives_used=False,
        reachability=Reachability(floor=0.4, first=7.6, reachable_fall=0.95, advice=""),
        convergence=Convergence(
            converged=True,
            cause="none",
            sentence="The loss fell by 96 % of what it could.",
            loss_fall=0.9,
            reducible_fall=0.96,
            oscillation=0.05,
            effective_rank=31.4,
            own_fall=0.8,
            tail_cosine=None,
            batch_variety=1.0,
            mislabelled=0.0,
            training_recall_at_1=0.97,
        ),
    )


@pytest.fixture
def verdict():
    """One warning, with an example that tries to be markup."""
    finding = Finding(
        rule="ordering",
        severity="warning",
        statement="rows stand in order (z = 1204)",
        offenders=1800,
        examples=[HOSTILE],
        remedy="leave the shuffle on",
    )
    return Verdict(
        outcome="warn",
        findings=[finding],
        statistics={"rows": 1800.0, "small_class_share": 0.31, "order_z": None},
        class_sizes={"怎么退票": 60, "怎么改签": 3, "如何改签": 1},
    )


@pytest.fixture
def settings():
    """Settings with one changed value, and variables that hold a password in an address."""
    return CorpusSettings.model_validate(
        {
            "name": "bank_zh",
            "source": {"path": "ftp://${BANK_USER}:${BANK_PASSWORD}@host/q.csv"},
            "model": {"hidden_dims": [64]},
        },
        context={"fill_defaults": True},
    )


@pytest.fixture
def page(evaluation, training, verdict, settings):
    """The report with a live version and facts of the run."""
    gain = Interval(value=0.031, low=0.01, high=0.05)
    difference = Difference(rows=160, won=9, lost=3, recall_at_10=gain, at_most=0.06)
    comparison = Comparison(version="v1", live=metrics(0.7), seen_rows=40, difference=difference)
    gates = [
        Gate(name="Live version", outcome="passed", measured="recall@10 +0.0310", bound="holds beyond 0.01 below"),
        Gate(name="Golden queries", outcome="held", measured="8 of 9 right", bound="all first", reason=HOSTILE),
    ]
    return render_report(evaluation, training, verdict, settings, comparison, FACTS, gates, "held")


def test_the_report_tells_what_each_part_contributes(evaluation, training, verdict, settings):
    """As chosen, and without each of encoder, towers and kept queries, at the best shares of the others."""
    scores = {(0.0, 0.5): 0.51, (0.0, 0.0): 0.5, (0.6, 0.0): 0.62, (0.6, 0.5): 0.64, (1.0, 0.25): 0.63}
    shares = [
        ShareScore(encoder=encoder, queries=queries, recall_at_1=value, recall_at_10=value + 0.3)
        for (encoder, queries), value in scores.items()
    ]
    chosen = {"epochs": 2, "encoder_share": 0.6, "exemplar_weight": 0.5}
    beside = training.model_copy(update={"shares": shares, "chosen": chosen})

    page = render_report(evaluation, beside, verdict, settings, None, FACTS, [], "published")

    text = re.sub(r"(<[^>]+>|\s)+", " ", page)
    assert "as chosen 0.6 0.5 64.0% 94.0%" in text
    assert "without the encoder 0 0.5 51.0% 81.0%" in text
    assert "the encoder without the towers 1 0.25 63.0% 93.0%" in text
    assert "without training queries 0.6 0 62.0% 92.0%" in text
    assert "of the towers alone, while choosing" in text
    assert "towers that this model does not use" not in text
    alone = beside.model_copy(update={"chosen": chosen | {"encoder_share": 1.0, "exemplar_weight": 0.25}})
    page = render_report(evaluation, alone, verdict, settings, None, FACTS, [], "published")
    assert "towers that this model does not use" in page
    assert "as chosen" not in render_report(evaluation, training, verdict, settings, None, FACTS, [], "published")


def test_what_the_run_found_in_the_encoder_is_not_told_as_set(evaluation, training, verdict, settings):
    """Its pooling and its prefix; a prefix of no letters is shown as such, and no empty cell."""
    model = settings.model.model_copy(update={"encoder": "e5", "pooling": "mean", "encoder_prefix": ""})
    settled = settings.model_copy(update={"model": model})

    page, before = (render_report(evaluation, training, verdict, one, None, FACTS) for one in (settled, settings))

    assert "Set by this corpus, or, of its encoder, found in its files." in page
    assert "found in its files" not in before
    assert "<code>&#34;&#34;</code>" in page


def test_the_report_says_what_an_operator_asks_for(page):
    """Recall, rivals, failures, suspects, findings with remedies, convergence, settings and the run."""
    text = re.sub(r"<style>.*?</style>|<[^>]+>", "", page, flags=re.DOTALL)
    for expected in (
        "Of 100 test queries, 73 find their standard question among the first ten answers and 37 in the first place",
        "8.6 points above the best baseline, BM25 (64.5% among the first ten)",
        "+3.1 points against live (+1.0 to +5.0)",
        "退票手续费是多少",
        "near-duplicate: merge?",
        "train.csv:814",
        "票买错了怎么退票怎么改签12",
        "1 of 102",
        "Lines of files in /data/bank.",
        "20260929-020311-bbbbbb",
        "2026-09-29 02:03 UTC",
        "Begin here.",
        "rows stand in order (z = 1204)",
        "leave the shuffle on",
        "Converged: the reducible loss fell by 96%; effective rank 31.",
        "70% is asked for",
        "did not use the drawn negatives",
        "5 test row(s) repeat a training query",
        "2 test row(s) ask for a standard question the corpus does not have",
        "61.3 s",
        "counted on the 160 rows whose query neither was trained on",
        "Held back",
        "1 of 2 hold or warn.",
        "Live versionpassedrecall@10 +0.0310holds beyond 0.01 below",
    ):
        assert expected in re.sub(r"\s*\n\s*", "", text)
    assert page.count("<svg") == 10  # each plot for a wide page and for a narrow one
    assert page.index('id="next"') < page.index('id="recall"') < page.index('id="gates"') < page.index('id="failing"')


def test_a_comparison_of_no_rows_is_no_gain(evaluation, training, verdict, settings):
    """The gate says "not asked"; a green "+0.0 points" would say "as good"."""
    nothing = Interval(value=0, low=0, high=0)
    difference = Difference(rows=0, won=0, lost=0, recall_at_10=nothing, at_most=0)
    comparison = Comparison(version="v1", live=metrics(0.7), seen_rows=200, difference=difference)
    page = render_report(evaluation, training, verdict, settings, comparison)

    assert "against live (" not in page
    assert "recall@10 changes by" not in page
    assert "nothing can be said of the candidate against the live version v1" in page


def test_hostile_text_stays_text(page):
    """A query is somebody else's input: it is shown, and it can do nothing."""
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(&#39;怎么退票&#39;)&lt;/script&gt;") == 3
    assert "default-src 'none'" in page


def test_the_report_needs_no_network(page):
    """No address but the names of the SVG namespaces; every reference stays on the page."""
    addresses = set(re.findall(r"https?://[^\"'\s<]+", page))
    references = set(re.findall(r"(?:href|src)=\"([^\"]*)\"", page))

    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    files = {reference for reference in references if not reference.startswith("#")}
    assert files == {"failing.csv", "failing.xlsx", "suspects.csv", "suspects.xlsx", "health.html"}  # beside the page
    assert all(f'id="{target[1:]}"' in page for target in references - files)


def test_what_turns_the_direction_of_writing_is_shown_as_an_escape(evaluation, training, verdict, settings):
    """A class name must not make the page read as something else."""
    turned = verdict.model_copy(update={"class_sizes": {"退票\u202e费": 3}})
    finding = verdict.findings[0].model_copy(update={"statement": "退票\u202e费\x1b[31m"})
    page = render_report(evaluation, training, turned.model_copy(update={"findings": [finding]}), settings)

    assert "\u202e" not in page
    assert "\x1b" not in page
    assert r"退票\u202e费\u001b[31m" in page


def test_equal_inputs_give_equal_bytes(evaluation, training, verdict, settings):
    """No date, no random id."""
    first, second = (render_report(evaluation, training, verdict, settings) for _ in range(2))

    assert first == second


def test_a_report_without_test_rows_says_so(evaluation, training, verdict, settings):
    """Zeros of nothing are not shown as recall."""
    empty = evaluation.model_copy(
        update={"model": metrics(0.0, 0), "test_rows": 0, "by_class_size": {}, "baselines": {}, "suspects": []}
    )

    assert summarise(empty).startswith("Nothing was measured")
    assert "Nothing was measured" in render_report(empty, training, verdict, settings)


def test_a_report_says_where_baselines_ranked_fewer_rows(evaluation, training, verdict, settings):
    """Of very many test rows they rank some; the sentence must not claim the same ones."""
    fewer = evaluation.model_copy(update={"baselines": {"bm25": metrics(0.4, rows=40)}})

    assert "of which the baselines ranked 40" in render_report(fewer, training, verdict, settings)
    assert "of which the baselines" not in render_report(evaluation, training, verdict, settings)


def test_a_candidate_below_its_baseline_is_called_that(evaluation):
    """The sentence names the loss as plainly as it names the gain."""
    worse = evaluation.model_copy(update={"model": metrics(0.6)})

    assert "4.5 points below the best baseline, BM25" in summarise(worse)


def test_only_changed_settings_are_marked(settings):
    """What the corpus sets differs from the default; what it must set has none."""
    rows = {row.key: row for row in list_settings(settings)}

    assert [key for key, row in rows.items() if row.changed] == ["model.hidden_dims"]
    assert (rows["model.hidden_dims"].value, rows["model.hidden_dims"].default) == ("[64]", "[]")
    assert rows["validate.min_rows.stop"].default == "2"
    assert rows["source.path"].default == ""


def test_a_loss_curve_fits_a_prefect_artifact(training):
    """Ten thousand epochs are thinned, and as a data URI stay below 100 KB."""
    epochs = [
        Epoch(phase=phase, epoch=i, loss=1 + 6 / i + i % 7 / 10, batch_loss_spread=0.1, recall_at_10=i % 9 / 9)
        for phase in ("choose", "refit")
        for i in range(1, 10_001)
    ]

    uri = to_data_uri(plot_loss(training.model_copy(update={"epochs": epochs})))

    assert len(uri) < 100_000
    assert base64.b64decode(uri.removeprefix("data:image/svg+xml;base64,")).startswith(b"<svg role=")


def test_a_loss_curve_needs_no_choosing(training):
    """With `choose = false` there is only the refit, and no recall to draw."""
    refit = [epoch for epoch in training.epochs if epoch.phase == "refit"]

    assert "validation" not in plot_loss(training.model_copy(update={"epochs": refit})).split(">", 1)[1]


def decided(**changes):
    """How 200 test rows were decided."""
    told = Foreign(rows=80, auroc=0.987, rejected=0.91, handed_over=0.9, answered=0.025)
    facts = {
        "held_out": 321,
        "max_wrong": 0.05,
        "max_handed_over": 0.05,
        "answer_from": 0.87,
        "rows": 200,
        "zones": {
            "answer": Zone(rows=100, right=96, offered_right=96),
            "clarify": Zone(rows=92, right=40, offered_right=69),
            "handover": Zone(rows=8, right=1, offered_right=0),
        },
        "wrong": Interval(value=0.04, low=0.01, high=0.08),
        "handed_over": Interval(value=0.04, low=0.02, high=0.07),
        "curve": [
            RiskPoint(answered=0.5, wrong=0.04, probability=0.87),
            RiskPoint(answered=1, wrong=0.3, probability=0),
        ],
        "by_class_size": {"1-3": Zone(rows=20, right=17, offered_right=17)},
        "left_out": told.model_copy(update={"auroc": 0.654}),
        "foreign": told,
    }
    return Decided(**facts | changes)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_decisions_are_told(language, evaluation, training, verdict):
    """Zones, promises beside what came of them, the curve, queries of others, and false answers by size of class."""
    settings = make_corpus(language)
    page = render_report(evaluation.model_copy(update={"decided": decided()}), training, verdict, settings)

    section = page.split('<section id="decisions">')[1].split("</section>")[0]
    words = read_words(language)
    for figure in ("321", "0.87", "50.0%", "96.0%", "75.0%", "0.987", "0.654", "91.0%", "15.0%"):
        assert figure in section, figure
    assert words("plot.risk_title") in section
    assert words("decided.wrong", share=0.04, low=0.01, high=0.08, limit=0.05) in section


def test_where_nothing_is_answered_directly_the_report_says_why(evaluation, training, verdict):
    """Of few held-out rows; where none were held out, the service gives no decision."""
    none = {"answer": Zone(rows=0, right=0, offered_right=0)}
    few = decided(answer_from=None, zones=decided().zones | none, by_class_size={}, foreign=None)
    pages = [
        render_report(evaluation.model_copy(update={"decided": one}), training, verdict, make_corpus("en"))
        for one in (few, None)
    ]

    assert "no probability keeps that promise on 321 queries" in pages[0]
    assert "decisions.foreign_path takes those of another corpus" in pages[0]
    assert "too few training rows could be held out" in pages[1]


def make_corpus(language):
    """Settings in a language."""
    raw = {"name": "bank_zh", "source": {"path": "train.csv"}, "language": language}
    return CorpusSettings.model_validate(raw, context={"fill_defaults": True})


def test_few_test_rows_are_counted_and_not_made_a_hundred(evaluation):
    """11 of 13, and what that says of all queries; never "of 100"."""
    few = measure(np.array([0] * 7 + [3] * 4 + [50] * 2), np.arange(13), 1)
    rival = measure(np.array([0] * 12 + [50]), np.arange(13), 1)
    counted = evaluation.model_copy(update={"test_rows": 13, "model": few, "baselines": {"tfidf": rival}})

    assert summarise(counted) == (
        "11 of 13 test queries find their standard question among the first ten answers, 7 of 13 in the first place. "
        "That is 1 fewer than the best baseline, tf-idf neighbour (12 of 13 among the first ten). "
        "So few say little: of all queries, 58% to 96% may find theirs among the first ten."
    )
