"""Why, over HTTP and on the command line."""

import json
import subprocess

import pytest

from schemas.service import BatchAnswer, SearchAnswer
from tests.conftest import DSSM, clean_environment


def test_the_first_three_say_why(api):
    """Their shares sum to the score; without being asked for, nothing is said."""
    answer = SearchAnswer.model_validate_json(api.search("怎么退票", top=5, explain=True).content)

    assert [one.why is not None for one in answer.results] == [True] * 3 + [False] * 2
    for one in answer.results[:3]:
        shares = sum(ngram.share for ngram in one.why.ngrams) + one.why.other_ngrams + one.why.rest
        assert (one.why.method, shares) == ("exact", pytest.approx(one.score, abs=1e-4))
    assert "why" not in api.search("怎么退票").json()["results"][0]


def test_each_of_a_list_is_explained_and_only_so_many(api):
    """An empty one has nothing to explain."""
    answer = BatchAnswer.model_validate_json(api.search(["退票", ""], explain=True).content)
    assert [len([r for r in one.results if r.why]) for one in answer.answers] == [3, 0]
    refused = api.search(["退票"] * 17, explain=True)
    assert refused.status_code == 422
    assert "explain: of at most 16 queries" in refused.json()["error"]["message"]


def test_the_command_line_does_the_same(api):
    """As JSON, and for people."""

    def explain(*words: str) -> subprocess.CompletedProcess[str]:
        environment = clean_environment(api.home.parent) | {"DSSM_HOME": str(api.home)}
        return subprocess.run([*DSSM, "explain", "toy", *words], env=environment, capture_output=True, text=True)

    told = json.loads(explain("怎么退票", "--json", "--top", "2").stdout)
    asked = api.search("怎么退票", top=2, explain=True).json()["results"]
    assert [one["why"] for one in told["results"]] == [one["why"] for one in asked]
    text = explain("怎么退票").stdout
    assert asked[0]["standard_question"] in text
    (shares, *_) = [line.split("n-grams: ")[1].split("  ")[:-2] for line in text.splitlines() if "n-grams: " in line]
    texts = [share.rpartition(" ")[0] for share in shares]
    assert len(set(texts)) == len(texts), texts  # 退票 is a word, and two characters: one share for a person
    assert explain("退票", "--filter", "a=b").returncode == 2
