"""The owner's corrections, laid over her rows."""

import pyarrow.parquet as pq
import pytest

from schemas.corrections import Correction, parse_corrections, write_lines
from schemas.errors import SourceError
from schemas.outputs import IngestOutput
from tasks.ingest.corpus import ingest_corpus
from tasks.ingest.golden import find_golden_files, write_golden
from tasks.ingest.groups import read_groups
from tests.conftest import make_settings, write_table

ROWS = [
    ("怎么退票", "退票"),
    ("退票扣钱吗", "退票"),
    ("改签费多少", "改签"),
    ("怎么改期", "改签"),
    ("退改规则", "退票规定"),
]


def correct(do, label, query=None, to=None, **more):
    """Return a correction."""
    return Correction(batch="b", do=do, standard_question=label, query=query, to=to, **more)


@pytest.fixture
def ingest(tmp_path):
    """Return the rows of questions.parquet, and the facts, with these corrections."""

    def read(*corrections, **source):
        file = write_table(tmp_path / "rows.csv", ROWS)
        settings = make_settings(file, **source)
        folder = tmp_path / "ingest"
        folder.mkdir(exist_ok=True)
        facts = ingest_corpus(settings.source, folder, tmp_path, 1, corrections=corrections)
        table = pq.read_table(IngestOutput(folder).questions).to_pylist()
        return {(row["query"], row["standard_question"]) for row in table}, facts, table

    return read


def test_rows_are_added_moved_and_removed(ingest, tmp_path):
    """The four kinds, together, and the owner's file as it was."""
    rows, facts, _ = ingest(
        correct("add", "退票", "票不要了"),
        correct("move", "改签", "怎么改期", to="退票"),
        correct("remove", "改签", "改签费多少"),
        correct("rename", "退票规定", to="退改规定"),
    )

    assert rows == {
        ("怎么退票", "退票"),
        ("退票扣钱吗", "退票"),
        ("怎么改期", "退票"),
        ("票不要了", "退票"),
        ("退改规则", "退改规定"),
    }
    assert facts.corrections == {"all": 4, "add": 1, "move": 1, "remove": 1, "rename": 1, "group": 0}
    assert (tmp_path / "rows.csv").read_text("utf-8").count("\n") == 1 + len(ROWS)


def test_corrections_are_made_one_after_the_other(ingest):
    """A row moves to a standard question that is renamed later; a rename back ends where it began, not in a circle."""
    rows, _, _ = ingest(
        correct("move", "改签", "怎么改期", to="退票规定"),
        correct("rename", "退票规定", to="规定"),
        correct("add", "规定", "有什么规定"),
        correct("rename", "退票", to="怎样退票"),
        correct("rename", "怎样退票", to="退票"),
    )

    assert {("怎么改期", "规定"), ("退改规则", "规定"), ("有什么规定", "规定"), ("怎么退票", "退票")} <= rows


def test_what_the_source_has_by_now_is_added_once_and_said(ingest):
    """The export has caught up with the correction."""
    _, facts, table = ingest(correct("add", "退票", " 怎么退票"), correct("remove", "退票", "没有这句"))

    assert len(table) == len(ROWS)
    assert any("2 of 2 corrections" in warning and "怎么退票" in warning for warning in facts.warnings)


def test_added_rows_say_where_they_come_from(ingest):
    """Their source is no file of the owner, and drafts are told apart."""
    _, _, table = ingest(correct("add", "退票", "不飞了"), correct("add", "退票", "退一下票", drafted=True))

    assert [row["source"] for row in table[-2:]] == ["the corrections", "the corrections (drafted)"]
    assert [row["line"] for row in table[-2:]] == [1, 2]


def test_test_rows_follow_a_rename_and_nothing_else(ingest, tmp_path):
    """An official test file is never altered, but a merged standard question would count as a miss for ever."""
    write_table(tmp_path / "test.csv", [("怎么改期", "改签"), ("退改规则", "退票规定")])
    ingest(
        correct("move", "改签", "怎么改期", to="退票"),
        correct("rename", "退票规定", to="退票"),
        source__test_path=str(tmp_path / "test.csv"),
    )

    tested = pq.read_table(IngestOutput(tmp_path / "ingest").test).to_pylist()
    assert [row["standard_question"] for row in tested] == ["改签", "退票"]


def test_standard_questions_with_the_same_answer_are_groups_beside_the_rows(ingest, tmp_path):
    """Pairs that share one are one group, called what they are called in the end; rows stay as they are."""
    rows, facts, _ = ingest(
        correct("group", "退票", to="改签"),
        correct("rename", "退票规定", to="退改规定"),
        correct("group", "退改规定", to="改签"),
        correct("rename", "退票", to="怎样退票"),
    )

    output = IngestOutput(tmp_path / "ingest")
    assert read_groups(output) == [sorted(["怎样退票", "改签", "退改规定"])]
    assert {name for _, name in rows} == {"怎样退票", "改签", "退改规定"}
    assert facts.corrections["group"] == 2

    _, facts, _ = ingest(
        correct("group", "退票", to="退票规定"),
        correct("rename", "退票规定", to="退票"),
        correct("group", "退票", to="没有"),
    )
    assert not output.groups.exists()
    assert any("2 of 3 corrections" in warning for warning in facts.warnings)


def test_golden_queries_and_a_list_follow_a_rename(ingest, tmp_path):
    """The id stays with the standard question, and a golden query still names one that is there."""
    listed = write_table(tmp_path / "list.csv", [("7", "退票规定"), ("8", "退票"), ("9", "改签")], ("id", "text"))
    rename = correct("rename", "退票规定", to="退改规定")
    ingest(rename, source__questions_path=str(listed))
    classes = pq.read_table(IngestOutput(tmp_path / "ingest").standard_questions).to_pylist()
    golden = write_table(tmp_path / "golden.csv", [("退改规则", "退票规定")])
    settings = make_settings(tmp_path / "rows.csv", publish__golden_path=str(golden))

    out = tmp_path / "golden"
    out.mkdir()
    count = write_golden(find_golden_files(str(golden), tmp_path), settings.source, tmp_path / "ingest", out, [rename])

    assert {one["standard_question"]: one["id"] for one in classes} == {"退改规定": "7", "退票": "8", "改签": "9"}
    assert count == 1


def test_a_damaged_line_is_named():
    """Somebody edits by hand."""
    content = write_lines([correct("add", "退票", "票不要了")]) + b'{"do": "ad"}\n'

    with pytest.raises(SourceError, match=r"bank\.jsonl:2 is no correction .*--apply"):
        parse_corrections(content, "bank.jsonl")
