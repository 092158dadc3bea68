"""Corpora that are not what they seem: swapped columns, a catch-all, missing values, boilerplate."""

import pytest

from schemas.settings import Validation
from tasks.validate.boilerplate import find_boilerplate
from tasks.validate.corpus import validate_corpus
from tasks.validate.places import name_folders, shorten_paths
from tests.tasks.validate.conftest import shuffled_pairs

CLEAN = shuffled_pairs()
ENGLISH = [f"{start} my {thing}" for start in ("how do i change", "where is", "can i cancel") for thing in range(40)]
STARTS = [row // 40 for row in range(120)]


@pytest.fixture
def findings(ingested, tmp_path):
    """Return what is said of pairs, by rule."""

    def find(pairs, **more):
        verdict = validate_corpus(ingested(pairs), tmp_path / "out", Validation(), "bank", 13, **more)
        return {finding.rule: finding for finding in verdict.findings}

    return find


def test_swapped_columns_are_called_that_and_the_command_is_given(findings):
    """Each customer's query became a standard question; with names that need quoting."""
    found = findings([(standard, query) for query, standard in CLEAN], columns=("ask it", "answer"))

    assert "600 standard questions, of 12 characters on average, have only 12 different queries" in (
        found["swapped"].statement
    )
    assert "swap them: --query-column answer --question-column 'ask it'" in found["swapped"].remedy


def test_columns_in_their_places_are_not_called_swapped(findings):
    """Not even where half of the queries stand under two standard questions, or each has its own."""
    twice = [*CLEAN, *((query, f"{standard}呢") for query, standard in CLEAN[:300])]

    assert "swapped" not in findings(twice)
    assert "swapped" not in findings([(query, f"问题{row}") for row, (query, _) in enumerate(CLEAN)])


@pytest.mark.parametrize("name", ["其他", "Other", "怎么办理业务"])
def test_a_catch_all_is_told_with_what_it_costs(findings, name):
    """By its name, or by ten times the mean of all, whatever it is called."""
    more = [(f"随便说点什么{row}", name) for row in range(300 if name[0] in "其O" else 6000)]
    found = findings(CLEAN + more)["catch_all"]

    assert f"“{name}”" in found.statement
    assert "cost 0.09 of recall@1" in found.statement


def test_two_even_standard_questions_are_no_catch_all(findings):
    """Half of the rows each, but no more than the mean."""
    assert "catch_all" not in findings([(query, f"问题{row % 2}") for row, (query, _) in enumerate(CLEAN)])


@pytest.mark.parametrize("name", ["nan", "NULL", "None", "N/A", "无"])
def test_a_standard_question_that_reads_like_a_missing_value_is_told(findings, name):
    """It is kept, and told how many rows it takes; it is no catch-all as well."""
    found = findings([*CLEAN, *((f"没有标注的{row}", name) for row in range(90))])

    assert f"90 of 690 rows (13.0%) stand under a standard question that reads like a missing value: “{name}”" in (
        found["placeholder"].statement
    )
    assert "catch_all" not in found


def test_boilerplate_is_told_with_its_text(findings):
    """At the start of some queries and at the end of others, from several channels."""
    channels = ["【微信公众号】客户您好，请问：{}", "【手机银行】尊敬的用户：{}", "{}（来自网页端在线客服）", "{}"]
    found = findings([(channels[row % 4].format(query[3:6]), standard) for row, (query, standard) in enumerate(CLEAN)])

    assert "450 of 600 queries (75.0%) begin or end with a text" in found["boilerplate"].statement
    assert "“【微信公众号】客户您好，请问：” begins 150 queries" in found["boilerplate"].statement


def test_how_people_ask_is_no_boilerplate():
    """Openings and endings of a language are shared, too, but they tell what is asked for."""
    assert find_boilerplate(ENGLISH, STARTS).texts == []
    assert find_boilerplate([query for query, _ in CLEAN], range(len(CLEAN))).texts == []
    assert find_boilerplate([], []).queries == 0


def test_one_query_sent_often_is_no_boilerplate():
    """Repeats count once."""
    assert find_boilerplate(["我想知道怎么提前还款可以吗"] * 500 + ENGLISH, [0] * 500 + STARTS).texts == []


def test_a_file_is_named_by_the_shortest_end_that_tells_it_from_others():
    """The folder is said once, elsewhere."""
    files = ["/data/bank/train.csv", "/data/card/train.csv", "s3://bucket/more.csv", "bundled:c"]

    assert shorten_paths(files) == {
        "/data/bank/train.csv": "bank/train.csv",
        "/data/card/train.csv": "card/train.csv",
        "s3://bucket/more.csv": "more.csv",
        "bundled:c": "bundled:c",
    }
    assert name_folders(files) == ["/data/bank", "/data/card", "s3://bucket"]
