"""Fields of standard questions over HTTP and on the command line: returned, and filtered by."""

import json
import subprocess

import pytest

from schemas.service import CorpusState, SearchAnswer
from tests.conftest import DSSM, TOY, clean_environment
from tests.flows.api.conftest import publish_as, serving
from tests.tasks.conftest import dress

_ROWS = {
    text: {"category": "退改" if n < 3 else "其他", "fee": str(n), "answer": f"回答{n}"} for n, text in enumerate(TOY)
}
_OVER = [*TOY][1]  # is no longer valid
_ROWS[_OVER]["valid_until"] = "2020-12-31"


@pytest.fixture(scope="module")
def shop(candidate, tmp_path_factory):
    """A service of a corpus with fields, and a query log."""
    folder = tmp_path_factory.mktemp("shop")
    home = folder / "home"
    publish_as(home, "toy", dress(candidate, folder / "candidate", _ROWS))
    with serving(home, "--query-log", str(folder / "log.jsonl")) as api:
        yield api


def found(response) -> dict[str, dict]:
    """Return the payload of what was found, by text, in its order."""
    assert response.status_code == 200, response.text
    return {one.standard_question: one.payload for one in SearchAnswer.model_validate_json(response.content).results}


def test_fields_come_with_results(shop):
    """And the corpus says what they hold."""
    assert found(shop.search("怎么退票", top=12, valid_at="any")) == {
        text: row | {"fee": int(row["fee"])} for text, row in _ROWS.items()
    }
    state = CorpusState.model_validate_json(shop.http.get("/v1/toy").content)
    assert state.fields == {"category": "text", "fee": "number", "answer": "text", "valid_until": "date"}


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({}, {*range(12)} - {1}),
        ({"valid_at": "2020-06-01"}, {*range(12)}),
        ({"filters": {"category": "退改"}}, {0, 2}),
        ({"filters": {"category": "退改"}, "valid_at": "any"}, {0, 1, 2}),
        ({"filters": {"category": ["退改", "其他"], "fee": {"min": 2, "max": 3}}}, {2, 3}),
        ({"filters": {"fee": 7}}, {7}),
        ({"filters": {"fee": 70}}, set()),
        ({"filters": {"category": None}}, set()),
    ],
    ids=str,
)
def test_a_search_is_narrowed_before_it_is_ranked(shop, wanted, numbers):
    """An empty list where nothing is left."""
    assert {*found(shop.search("怎么退票", top=12, **wanted))} == {[*TOY][n] for n in numbers}


@pytest.mark.parametrize(
    ("wanted", "kind", "message"),
    [
        ({"filters": {"catgory": "x"}}, "unknown_filter", "did you mean category?"),
        ({"filters": {"fee": "x"}}, "unknown_filter", "'fee' holds numbers"),
        ({"filters": {"fee": {"least": 1}}}, "invalid", "an object is a range"),
        ({"filters": {"fee": [[1]]}}, "invalid", "a list holds texts, numbers or null"),
        ({"filters": [1]}, "invalid", "give an object"),
        ({"filters": {"category": {"min": 1}}}, "unknown_filter", "no order"),
        ({"valid_at": "tomorrow"}, "invalid", "is no moment"),
        ({"valid_at": 3}, "invalid", "give a text"),
    ],
    ids=str,
)
def test_what_cannot_be_filtered_by_is_refused(shop, wanted, kind, message):
    """With what would do."""
    response = shop.search("退票", **wanted)
    assert (response.status_code, response.json()["error"]["kind"]) == (422, kind)
    assert message in response.json()["error"]["message"]


def test_answers_do_not_fill_the_query_log(shop):
    """Texts, ids and scores alone: answers may be long."""
    shop.search("只问一次")
    file = shop.home.parent / "log.jsonl"
    (line,) = shop.wait(lambda: [json.loads(one) for one in file.read_text("utf-8").splitlines() if "只问一次" in one])
    assert {*line["results"][0]} == {"standard_question", "id", "score"}


def test_the_command_line_does_the_same(shop):
    """Fields in JSON and for people; filters; another moment."""

    def ask(*words: str) -> subprocess.CompletedProcess[str]:
        environment = clean_environment(shop.home.parent) | {"DSSM_HOME": str(shop.home)}
        return subprocess.run([*DSSM, "query", "toy", *words], env=environment, capture_output=True, text=True)

    words = ["怎么退票", "--filter", "category=退改", "--valid-at", "any", "--filter", "fee>=1", "--filter", "fee<=2"]
    results = json.loads(ask(*words, "--json").stdout)["results"]
    assert {one["standard_question"]: one["payload"]["fee"] for one in results} == {_OVER: 1, [*TOY][2]: 2}
    assert "category: 退改; fee: 1; answer: 回答1" in ask(*words).stdout
    assert json.loads(ask("退票", "--filter", "fee=99", "--json").stdout)["results"] == []
    for wrong, message in {"categry=x": "did you mean category?", "category": "is no filter"}.items():
        refused = ask("退票", "--filter", wrong)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert message in refused.stderr
    assert ask("退票", "--valid-at", "soon").returncode == 2
