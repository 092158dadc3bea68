"""What changes for customers between two versions."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

from schemas.decisions import Decisions, Ours, Right
from schemas.errors import SourceError
from tasks.evaluate.asked import read_asked
from tasks.evaluate.changes import compare_answers
from tasks.retrieval.model_files import DECISIONS
from tasks.retrieval.retriever import Model

SURE = Decisions(
    held_out=100,
    right=Right(bias=9, score=0, margin=0),
    ours=Ours(bias=0, score=0, known=0),
    answer_from=0.5,
    handover_below=None,
    offer_within=0.1,
    max_wrong=0.05,
    max_handed_over=0.05,
)
ASKED = {"怎么退票": 7, "我要退票": 2, "怎么改签": 4, "zzz": 3}


@pytest.fixture
def version(candidate, tmp_path):
    """Make a version of the candidate that decides so, or not at all, with a standard question renamed if asked to."""

    def make(name, decisions=SURE, renamed=None):
        folder = tmp_path / name
        shutil.copytree(candidate, folder, ignore=shutil.ignore_patterns(DECISIONS))
        if decisions:
            (folder / DECISIONS).write_text(decisions.model_dump_json())
        if renamed:
            file = folder / "standard_questions.parquet"
            table = pq.read_table(file)
            texts = [renamed.get(text, text) for text in table["standard_question"].to_pylist()]
            place = table.schema.get_field_index("standard_question")
            pq.write_table(table.set_column(place, table.schema.field(place), [texts]), file)
        return Model(folder)

    return make


def test_the_same_version_changes_nothing(version):
    """Nor do queries that both hand over, whatever lies nearest."""
    found = compare_answers(version("a"), version("b"), ASKED)

    assert (found.asked, found.queries, found.changed, found.groups) == (16, 4, 0, [])


def test_changes_are_grouped_and_the_most_frequent_come_first(version):
    """Another first standard question, or another decision, as often as customers asked."""
    before = version("a")
    first = before.search(["怎么退票"])[0][0].standard_question
    found = compare_answers(before, version("b", renamed={first: "新标准问"}), ASKED)

    group = found.groups[0]
    assert (group.before.standard_question, group.after.standard_question) == (first, "新标准问")
    assert (group.asked, group.queries, group.examples) == (9, 2, ["怎么退票", "我要退票"])
    assert found.changed == 9
    assert found.share == pytest.approx(9 / 16)

    never = SURE.model_copy(update={"answer_from": None})
    decided = compare_answers(before, version("c", never), ASKED)
    assert decided.changed == 13  # all but what both hand over
    assert {str(one.after).split(":")[0] for one in decided.groups} == {"clarify"}


def test_against_a_version_of_before_first_answers_are_compared(version):
    """It decides nothing; that is no change of everything."""
    assert compare_answers(version("a"), version("b", decisions=None), ASKED).changed == 0


def test_a_log_of_the_service_and_a_list_of_queries_are_read_alike(tmp_path):
    """Feedback and torn lines do not count; what was turned over does; a brace may be typed by a customer."""
    lines = [
        {"kind": "query", "query": "怎么退票", "results": []},
        {"kind": "feedback", "query_id": "0" * 16},
        {"kind": "query", "query": "{怎么改签}"},
    ]
    (tmp_path / "q.jsonl").write_text(
        "".join(f"{json.dumps(one)}\n" for one in lines) + '{"kind": "query", "qu', "utf-8"
    )
    (tmp_path / "q.jsonl.1").write_text(json.dumps(lines[0]) + "\n", "utf-8")
    (tmp_path / "q.txt").write_text("\ufeff怎么退票\r\n\r\n{怎么改签}\r\n 怎么退票 \r\n", "utf-8")

    assert read_asked(tmp_path / "q.jsonl") == read_asked(tmp_path / "q.txt")
    assert read_asked(tmp_path / "q.txt").most_common(1) == [("怎么退票", 2)]


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "holds no query"), (b"\xff\xfe", "text in UTF-16"), (b"x" * (1 << 21), "no query")]
)
def test_what_is_no_log_is_named(content, message, tmp_path):
    """With the line, where there is one."""
    (tmp_path / "q.txt").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        read_asked(tmp_path / "q.txt")
    with pytest.raises(SourceError, match="cannot read"):
        read_asked(tmp_path / "nosuch.txt")
