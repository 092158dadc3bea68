"""The query log and feedback."""

import json
from pathlib import Path

import pytest

from tests.flows.api.conftest import serving


def lines(file: Path) -> list[dict]:
    """Return what stands in a log."""
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def test_queries_and_feedback_are_noted(home, tmp_path):
    """Digits masked, one line a query; feedback names the query; all is written when the service has ended."""
    file = tmp_path / "log" / "queries.jsonl"
    with serving(home, DSSM_QUERY_LOG=str(file)) as api:
        one = api.search("退票，卡号6222 ０１２３", top=7).json()
        many = api.search(["改签", ""]).json()["answers"]
        right = one["results"][2]["standard_question"]
        for question in (right, None):
            noted = api.http.post("/v1/toy/feedback", json={"query_id": one["query_id"], "standard_question": question})
            assert noted.json() == {"query_id": one["query_id"], "recorded": True}
        wrong = api.http.post("/v1/toy/feedback", json={"query_id": one["query_id"], "standard_question": "没有"})
        assert (wrong.status_code, wrong.json()["error"]["kind"]) == (422, "unknown_standard_question")
        assert api.stop() == 0

    first, second, third, yes, no = lines(file)
    assert first["query"] == "退票，卡号#### ####"
    assert first["query_id"] == one["query_id"]
    assert [r["standard_question"] for r in first["results"]] == [r["standard_question"] for r in one["results"][:5]]
    assert [second["query_id"], third["query_id"]] == [answer["query_id"] for answer in many]
    assert (second["query"], third["query"], third["results"]) == ("改签", "", [])
    assert all(line["version"] == one["version"] and line["corpus"] == "toy" and line["at"] for line in lines(file))
    assert (yes["kind"], yes["query_id"], yes["standard_question"]) == ("feedback", one["query_id"], right)
    assert no["standard_question"] is None
    assert file.stat().st_mode & 0o077 == 0, "customers' words are nobody else's"


def test_digits_are_kept_where_that_is_asked_for(home, tmp_path):
    """By a switch of its own."""
    file = tmp_path / "queries.jsonl"
    with serving(home, "--query-log", str(file), "--query-log-digits") as api:
        api.search("卡号6222")
        api.stop()
    assert lines(file)[0]["query"] == "卡号6222"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query_id": "abc", "standard_question": None},
        {"query_id": "0" * 16},
        {"query_id": "0" * 16, "standard_question": 3},
        {"query_id": "0" * 16, "standard_question": "a\0"},
        {"query_id": "0" * 16, "standard_question": None, "more": 1},
    ],
)
def test_bad_feedback_is_explained(api, body):
    """As a bad query is."""
    response = api.http.post("/v1/toy/feedback", json=body)

    assert response.status_code == 422
    assert response.json()["error"]["kind"] == "invalid"
