"""Unanswered queries: read, grouped, placed."""

import json

import numpy as np
import pytest

from schemas.errors import SourceError
from schemas.language import read_words
from schemas.settings import Text
from tasks.doctor.log import Asked, read_log
from tasks.doctor.mining import as_actions, find_common, group, place, without_common, word_bags
from tasks.retrieval.features import Tokeniser

PETS = ["can i bring my dog on board", "can i take my dog on board", "bring a dog on board please"]
MEALS = ["order a vegan meal for my flight", "vegan meal for my flight", "i want a vegan meal on my flight"]
ALONE = ["where is gate seven", "hello"]


def test_queries_that_ask_the_same_are_one_group():
    """Dogs and meals; what is said once is no group."""
    queries = [*PETS, *ALONE, *MEALS]
    bags = word_bags(queries, Tokeniser(Text()))
    found = group((bags @ bags.T).toarray())

    assert sorted(sorted(rows.tolist()) for rows in found) == [[0, 1, 2], [5, 6, 7]]


def test_what_any_two_queries_have_in_common_groups_none():
    """A model draws queries of matters that it does not know together: 0.6 of each vector is the same here."""
    random = np.random.default_rng(1)
    vectors = np.repeat(random.standard_normal((6, 64)), 5, axis=0) + 0.7 * random.standard_normal((30, 64))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    apart = (vectors @ vectors.T).astype(np.float32)
    crowded = np.float32(0.6) + np.float32(0.4) * apart
    assert len(group(crowded)) == 1

    for cosines in (apart, crowded):
        found = group(without_common(cosines, find_common(cosines)))
        assert sorted(sorted(rows.tolist()) for rows in found) == [list(range(n, n + 5)) for n in range(0, 30, 5)]


def test_a_group_belongs_where_the_corpus_has_nearer_queries_else_it_is_new():
    """Nearer to the nearest query of the corpus than to each other, and answered alike."""
    similarity = np.full((6, 6), 0.5)
    rows = [np.array([0, 1, 2]), np.array([3, 4, 5])]
    near, first, times = np.array([0.9] * 3 + [0.1] * 3), np.array([7, 7, 7, 1, 2, 7]), np.array([1, 1, 1, 5, 1, 1])

    placed = place(rows, similarity, near, first, times)

    assert [(one.label, one.asked) for one in placed] == [(-1, 7), (7, 3)]
    texts = [f"question {number}" for number in range(8)]
    actions = as_actions(placed, list("abcdef"), texts, 100, read_words("en"), np.full(8, 0.3))
    assert [(one.kind, one.standard_question, one.new_queries) for one in actions] == [
        ("new", "d", ["d", "e", "f"]),
        ("add", "question 7", ["a", "b", "c"]),
    ]
    assert actions[0].gain == pytest.approx(4.9)  # 7 of 100 queries, of which 0.7 will find it
    assert actions[1].gain == pytest.approx(0.9)  # 3 of 100 queries, of which 0.3 more will find it
    assert "7 times (7.0% of all)" in actions[0].why


def test_the_log_of_the_service_is_read_with_its_feedback(tmp_path):
    """Of this corpus alone; a person's word is kept beside the query it is about."""
    lines = [
        {"kind": "query", "corpus": "bank", "query_id": "1", "query": "开户", "at": "2026-11-25T10:00:00Z",
         "results": [{"standard_question": "怎么开户", "score": 0.4}], "decision": "clarify"},
        {"kind": "query", "corpus": "other", "query_id": "2", "query": "别的"},
        {"kind": "query", "corpus": "bank", "query_id": "3", "query": "带狗"},
        {"kind": "feedback", "corpus": "bank", "query_id": "1", "standard_question": "怎么销户"},
        {"kind": "feedback", "corpus": "bank", "query_id": "3", "standard_question": None},
    ]  # fmt: skip
    file = tmp_path / "log.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in lines), "utf-8")

    one, other = read_log(file, "bank")

    assert (one.query, one.first, one.score, one.decision, one.right) == (
        "开户",
        "怎么开户",
        0.4,
        "clarify",
        "怎么销户",
    )
    assert (other.query, other.right, other.none_right, one.none_right) == ("带狗", None, True, False)


@pytest.mark.parametrize(
    "field",
    [
        {"results": 3},
        {"results": "退票"},
        {"results": [3]},
        {"results": {"a": 1}},
        {"results": [{"standard_question": ["x"], "score": "high"}]},
        {"results": [{"score": float("nan")}]},
        {"decision": ["answer"]},
    ],
    ids=str,
)
def test_a_field_that_another_program_wrote_is_not_known(field, tmp_path):
    """The query counts all the same."""
    file = tmp_path / "log"
    lines = [{"query": "开户", "query_id": "1"} | field, {"query": {"a": 1}}, {"query": "退\ud83d"}]
    feedback = [{"kind": "feedback", "query_id": "1", "standard_question": wrong, "query": 0} for wrong in (7, ["x"])]
    file.write_text("\n".join(json.dumps(line) for line in [*lines, *feedback]), "utf-8")

    assert read_log(file, "bank") == [Asked("开户", "开户"), Asked("退\ufffd", "退\ufffd")]


def test_no_line_of_a_log_fills_the_memory(tmp_path):
    """Of a file without line ends, or nested deep; a device has no end."""
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "log").write_bytes(b"x" * (2 << 20))
    (tmp_path / "deep").write_text('{"query": ' + "[" * 100_000)
    for name, why in (
        ("zero", "first 65,536 bytes are NUL"),
        ("log", "log:1 has over 1,048,576 bytes"),
        ("deep", "deep:1 is a broken line"),
    ):
        with pytest.raises(SourceError, match=why):
            read_log(tmp_path / name, "bank")


def test_a_plain_file_is_one_query_a_line(tmp_path):
    """Blank lines are none; a query may begin with a brace."""
    file = tmp_path / "queries.txt"
    file.write_text("怎么退票\n\n {退票}\n", "utf-8")

    assert [one.query for one in read_log(file, "bank")] == ["怎么退票", "{退票}"]


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "holds no query"), (b"\xff\xfe\xfd", "text in UTF-16"), (b'{"query": "a"\n', r"log:1 is a broken line")],
)
def test_a_log_that_cannot_be_read_is_told_in_one_sentence(tmp_path, content, told):
    """Empty, no text, torn."""
    file = tmp_path / "log"
    file.write_bytes(content)

    with pytest.raises(SourceError, match=told):
        read_log(file, "bank")
