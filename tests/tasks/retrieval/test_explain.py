"""Why a standard question was found: shares that sum to its score, and training queries with their places."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from schemas.outputs import IngestOutput
from tasks.ingest.corpus import ingest_corpus
from tasks.prepare.corpus import prepare_corpus
from tasks.retrieval.explain import _share, _sum_up, explain
from tasks.retrieval.retriever import Model
from tasks.train.training import train_candidate
from tests.conftest import PAIRS, make_settings, write_table

QUERIES = ["怎么退票", "宠物猫可以坐飞机吗", "我要改到明天的航班 wifi", "手续费", "🙂", "完全无关的一句话"]


def train(folder, **changes) -> Model:
    """Return a model of the toy corpus, with the texts of its kept queries."""
    settings = make_settings(write_table(folder / "rows.csv", PAIRS), **changes)
    steps = [folder / name for name in ("ingest", "prepare", "train", "partial")]
    for step in steps:
        step.mkdir()
    ingest_corpus(settings.source, steps[0], folder, settings.seed)
    prepare_corpus(steps[0], steps[1], settings)
    train_candidate(*steps[1:], settings, lambda *_: None, ingested=IngestOutput(steps[0]))
    return Model(steps[2] / "candidate")


@pytest.fixture(scope="module", params=[{}, {"model__output_dim": 6}, {"model__exemplar_weight": 0.0}], ids=str)
def exact(request, tmp_path_factory) -> Model:
    """One without hidden layers: plain, with an output layer, without kept queries."""
    usual = {"model__exemplar_weight": 0.5, "model__ensemble": 2}
    return train(tmp_path_factory.mktemp("exact"), **(usual | request.param))


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("filtered", [False, True])
def test_shares_sum_to_the_score(exact, query, filtered):
    """Of every standard question, whether or not its kept queries had a part, computed from the parts alone."""
    chosen = np.arange(0, 12, 2) if filtered else None
    numbers, scores, near = exact.explain(query, 12, chosen)
    shares = _share(exact, query)
    for number, score, one in zip(numbers.tolist(), scores.tolist(), near, strict=True):
        ngrams, rest = _sum_up(exact, shares, number, float("nan") if one else score, one)
        assert sum(share for _, share in ngrams) + rest == pytest.approx(score, abs=2e-5)


@pytest.mark.parametrize("query", QUERIES)
def test_what_is_told_sums_to_the_score_and_is_what_a_search_finds(exact, query):
    """The n-grams listed, the others, and the rest."""
    found = explain(exact, query, 5)
    assert [one.hit for one in found] == exact.search([query], 5)[0]
    for one in found:
        told = sum(ngram.share for ngram in one.why.ngrams) + one.why.other_ngrams + one.why.rest
        assert one.why.method == "exact"
        assert told == pytest.approx(one.hit.score, abs=5e-5)


def test_kept_queries_are_told_with_their_places(tmp_path):
    """Those of the standard question that was found, the nearest first, as they stand in the file."""
    model = train(tmp_path, model__exemplar_weight=0.5)
    (one,) = explain(model, "怎么退票", 1)
    rows = dict(enumerate(PAIRS, start=2))
    assert one.why.kept
    for kept in one.why.kept:
        assert rows[kept.line] == (kept.query, one.hit.standard_question)
        assert kept.source.endswith("rows.csv")
    assert one.why.kept[0].query == "怎么退票"
    assert one.why.kept[0].cosine == pytest.approx(1, abs=1e-3)
    assert {"退票", "怎么 退票"} & {ngram.ngram for ngram in one.why.ngrams}


def test_a_model_may_keep_no_texts(tmp_path):
    """No customer's words are in its files, and their shares are told without them."""
    model = train(tmp_path, model__exemplar_weight=0.5, model__exemplar_texts=False)
    assert not (tmp_path / "train" / "candidate" / "exemplars.parquet").exists()
    (one,) = explain(model, "怎么退票", 1)
    assert [(kept.query, kept.line) for kept in one.why.kept] == [(None, None)] * len(one.why.kept)
    assert one.why.kept[0].share > 0


@pytest.mark.parametrize("changes", [{"model__hidden_dims": [8]}, {"model__tower": "lstm"}], ids=str)
def test_elsewhere_it_is_what_the_score_loses_without(tmp_path, changes):
    """Words for an LSTM, n-grams for layers: checked by asking without one."""
    model = train(tmp_path, **changes)
    (one, *_) = explain(model, "我要退票", 3)
    assert (one.why.method, one.why.rest) == ("left out", None)
    assert one.why.ngrams
    if "model__tower" in changes:
        without = {hit.standard_question: hit.score for hit in model.search(["我要"], 12)[0]}
        share = next(ngram.share for ngram in one.why.ngrams if ngram.ngram == "退票")
        assert share == pytest.approx(one.hit.score - without[one.hit.standard_question], abs=1e-5)


def test_of_nothing_nothing_is_explained(candidate):
    """An empty query finds nothing."""
    assert explain(Model(candidate), " ") == []
    assert pq.ParquetFile(candidate / "standard_questions.parquet").metadata.num_rows == 12
