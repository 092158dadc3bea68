"""What the service answers."""

import re

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from schemas.service import BatchAnswer, CorporaAnswer, CorpusState, ErrorAnswer, FeedbackAnswer, SearchAnswer
from tasks.retrieval.retriever import Retriever


def test_one_query_is_answered_as_the_retriever_does(api):
    """Texts, ids, scores and their order."""
    answer = SearchAnswer.model_validate_json(api.search("怎么退票", top=4).content)

    hits = Retriever.live("toy", api.home).search(["怎么退票"], 4)[0]
    assert [(one.standard_question, one.id) for one in answer.results] == [(h.standard_question, h.id) for h in hits]
    assert [one.score for one in answer.results] == pytest.approx([hit.score for hit in hits], abs=1e-6)
    assert answer.version == Retriever.live("toy", api.home).version
    assert (answer.corpus, answer.query) == ("toy", "怎么退票")


def test_what_to_do_with_a_query_is_said(api):
    """As the retriever decides, with 2 to 4 to choose from where the customer is to; counted for Prometheus."""
    model, queries = Retriever.live("toy", api.home).model, ["怎么退票", "改签", "今天天气怎么样", "🙂", ""]
    expected = model.answer(queries)
    answers = BatchAnswer.model_validate_json(api.search(queries).content).answers

    assert [one.decision for one in answers] == [one.decision for one in expected]
    assert [one.probability for one in answers] == pytest.approx([one.probability for one in expected], abs=1e-4)
    assert [len(one.offers) for one in answers] == [len(one.offers) for one in expected]
    assert [one.decision for one in answers][3:] == ["handover", "handover"]
    assert all(one.offers == one.results[: len(one.offers)] for one in answers)
    assert 'dssm_decisions_total{corpus="toy",decision="handover"}' in api.http.get("/metrics").text


def test_a_list_is_answered_in_its_order(api):
    """Each as if it had been asked alone; an empty query has no results; ids of queries differ."""
    queries = ["怎么退票", "", "我要改签" * 60, "🙂", "x" * 1000]
    answer = BatchAnswer.model_validate_json(api.search(queries).content)

    alone = [SearchAnswer.model_validate_json(api.search(query).content) for query in queries]
    assert [one.query for one in answer.answers] == queries
    assert [[r.id for r in one.results] for one in answer.answers] == [[r.id for r in one.results] for one in alone]
    assert [len(one.results) for one in answer.answers] == [10, 0, 10, 10, 10]
    assert len({one.query_id for one in [*answer.answers, *alone]}) == 10


def test_a_list_of_one_is_answered_as_a_list(api):
    """The shape of an answer follows that of the question, not the number of texts."""
    assert len(BatchAnswer.model_validate_json(api.search(["退票"]).content).answers) == 1


def test_what_answers_is_described(api):
    """Alone, and among all corpora."""
    state = CorpusState.model_validate_json(api.http.get("/v1/toy").content)
    everything = CorporaAnswer.model_validate_json(api.http.get("/v1/corpora").content)

    assert (state.corpus, state.standard_questions, state.recall_at_10, state.test_rows) == ("toy", 12, 0.5, 100)
    assert state.version == api.search("退票").json()["version"]
    assert [one.corpus for one in everything.corpora] == ["second-one", "toy"]
    assert everything.corpora[1] == state
    assert everything.not_loaded == {}


def test_a_request_keeps_its_id(api):
    """In the header of every answer; one that could break a log is replaced."""
    named = api.http.get("/v1/toy", headers={"X-Request-Id": "order-17:b"})
    odd = api.http.get("/v1/nosuch", headers={"X-Request-Id": "a b\tc"})

    assert named.headers["X-Request-Id"] == "order-17:b"
    assert re.fullmatch("[0-9a-f]{16}", odd.headers["X-Request-Id"])
    assert ErrorAnswer.model_validate_json(odd.content).error.request_id == odd.headers["X-Request-Id"]


def test_the_description_is_sound_and_its_examples_are_answered(api):
    """OpenAPI, with every example sent to the service as it stands there."""
    document = api.http.get("/openapi.json").json()
    OpenAPIV31SpecValidator(document).validate()

    search = document["paths"]["/v1/{corpus}/search"]["post"]
    examples = search["requestBody"]["content"]["application/json"]["examples"]
    assert len(examples) == 4
    for example in examples.values():
        assert api.http.post("/v1/toy/search", json=example["value"]).status_code == 200
    assert {"200", "401", "404", "413", "415", "422", "429", "503"} <= set(search["responses"])
    assert "at most" in document["components"]["schemas"]["Result"]["properties"]["score"]["description"].lower()
    for path, operations in document["paths"].items():
        if "get" in operations:
            assert api.http.get(path.replace("{corpus}", "toy")).status_code == 200, path


def test_figures_for_prometheus(api):
    """Requests, rejections, queries and versions are counted; no corpus that a caller makes up becomes a label."""
    before = figures(api)
    for _ in range(3):
        api.search(["退票", "改签"])
    api.search("退票", corpus="made-up")
    api.search(3)
    after = figures(api)

    def grown(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert grown('dssm_requests_total{endpoint="search",status="200"}') == 3
    assert grown('dssm_queries_total{corpus="toy"}') == 6
    assert grown('dssm_rejections_total{kind="unknown_corpus"}') == 1
    assert grown('dssm_rejections_total{kind="invalid"}') == 1
    assert grown('dssm_request_seconds_count{endpoint="search"}') == 5
    version = api.http.get("/v1/toy").json()["version"]
    assert after[f'dssm_live_version_info{{corpus="toy",version="{version}"}}'] == 1
    assert after["dssm_ready"] == 1
    assert not [name for name in after if "made-up" in name]
    assert after["process_resident_memory_bytes"] > 1e7


def test_feedback_without_a_log_is_refused(api):
    """Nobody should believe that it was noted."""
    response = api.http.post("/v1/toy/feedback", json={"query_id": "0" * 16, "standard_question": None})

    assert response.status_code == 409
    assert "DSSM_QUERY_LOG" in ErrorAnswer.model_validate_json(response.content).error.message
    assert FeedbackAnswer.model_fields.keys() == {"query_id", "recorded"}


def figures(api) -> dict[str, float]:
    """Return what Prometheus reads."""
    lines = api.http.get("/metrics").text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}
