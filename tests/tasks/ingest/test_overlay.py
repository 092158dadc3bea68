"""Edits made since the export are in the corpus of every night, until the export has them."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from schemas.corrections import Correction
from schemas.edits import Edit, Overlay, Taken
from schemas.outputs import GoldenOutput, IngestOutput
from schemas.settings import Source
from tasks.ingest.corpus import ingest_corpus
from tasks.ingest.golden import find_golden_files, write_golden
from tasks.ingest.groups import read_groups
from tasks.ingest.overlay import take_edits
from tasks.ingest.payload import read_payload
from tests.conftest import write_table

ROWS = [
    ("怎么退", "退票", "旧", "A"),
    ("想退", "退票", "旧", "A"),
    ("改期", "改签", "", "B"),
    ("带狗", "宠物", "", "B"),
]
HEADER = ("query", "standard_question", "answer", "category")


class Night:
    """Ingests rows, and takes edits."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0

    def __call__(self, edits: list[Edit], rows=ROWS, corrections=(), test=()) -> "Night":
        """Return itself, after one more night."""
        self._count += 1
        out = self._folder / str(self._count)
        out.mkdir()
        file = write_table(self._folder / "rows.csv", rows, HEADER)
        asked = str(write_table(self._folder / "test.csv", test, HEADER)) if test else None
        source = Source(path=str(file), test_path=asked)
        facts = ingest_corpus(source, out, self._folder, 1, corrections=corrections)
        self.output = IngestOutput(out)
        self.facts = take_edits(self.output, facts, edits)
        return self

    @property
    def rows(self) -> list[tuple[str, str, str, int]]:
        """Return id, query, standard question, and the line, in order."""
        table = pq.read_table(self.output.questions).to_pylist()
        assert [row["row_id"] for row in table] == [*range(len(table))]
        assert self.facts.rows == len(table)
        return [
            (row["query"], row["standard_question"], row["source"].rpartition("/")[2], row["line"]) for row in table
        ]

    @property
    def classes(self) -> dict[str, tuple[str, int]]:
        """Return id and rows by text."""
        table = pq.read_table(self.output.standard_questions).to_pylist()
        texts = [row["standard_question"] for row in table]
        assert texts == sorted(texts)
        assert self.facts.classes == len(texts)
        return {row["standard_question"]: (row["id"], row["rows"]) for row in table}

    @property
    def taken(self) -> Taken:
        """Return what was done with the edits."""
        return self.output.read_taken()


@pytest.fixture
def night(tmp_path) -> Night:
    """No night yet."""
    return Night(tmp_path)


def add(name="行李", *queries, **more) -> Edit:
    """Return an edit that adds one."""
    return Edit(action="add", standard_question=name, similar_queries=list(queries), **more)


def test_an_added_one_has_its_rows_and_fields(night):
    """Behind those of the export, with a place of their own."""
    edit = add("行李", "带几公斤", "托运", id="Q9", payload={"answer": "20 公斤", "fee": 3, "channel": ["App"]})
    night([edit])
    assert night.rows[3:] == [
        ("带狗", "宠物", "rows.csv", 5),
        ("带几公斤", "行李", "dssm add", 1),
        ("托运", "行李", "dssm add", 2),
    ]
    assert night.classes == {"改签": ("改签", 1), "行李": ("Q9", 2), "退票": ("退票", 2), "宠物": ("宠物", 1)}
    assert read_payload(night.output.payload)["行李"] == {"answer": "20 公斤", "fee": "3", "channel": '["App"]'}
    assert night.taken == Taken(edits=[edit], left=[edit])
    assert "1 edit is not in the export" in night.facts.warnings[-1]
    assert "add '行李' (2 similar queries" in night.facts.warnings[-1]


def test_a_renamed_one_takes_its_rows_and_fields_along(night):
    """With a new query; what it says anew replaces what the export says."""
    night(
        [
            Edit(
                action="edit",
                standard_question="退票",
                text="如何退票",
                similar_queries=["退钱", "想退"],
                payload={"answer": "新"},
            )
        ]
    )
    assert [row[:2] for row in night.rows] == [
        ("怎么退", "如何退票"),
        ("想退", "如何退票"),
        ("改期", "改签"),
        ("带狗", "宠物"),
        ("退钱", "如何退票"),
    ]
    assert night.classes["如何退票"] == ("如何退票", 3)
    assert read_payload(night.output.payload)["如何退票"] == {"answer": "新", "category": "A"}
    assert "退票" not in night.classes


def test_golden_and_official_test_rows_follow_an_edit(night, tmp_path):
    """Those that name the text of before, however many texts ago; a standard question that has it again keeps it."""
    old = Edit(action="edit", standard_question="退票", text="退", similar_queries=["退票"])
    edit = Overlay(edits=[old]).followed_by(
        Edit(action="edit", standard_question="退", text="怎样退", similar_queries=["退"])
    )
    asked = [("钱", "退票", "", ""), ("票", "退", "", ""), ("狗", "宠物", "", ""), ("无", "没有", "", "")]
    night(edit.edits, test=asked)

    table = pq.read_table(night.output.test).to_pylist()
    assert [row["standard_question"] for row in table] == ["怎样退", "怎样退", "宠物", "没有"]
    assert [row["line"] for row in table] == [2, 3, 4, 5]
    golden = find_golden_files(str(write_table(tmp_path / "golden.csv", asked[:3], HEADER)), tmp_path)
    assert write_golden(golden, Source(path="rows.csv"), night.output.folder, tmp_path) == 3
    named = pq.read_table(GoldenOutput(tmp_path).queries)["standard_question"]
    assert named.to_pylist() == ["怎样退", "怎样退", "宠物"]
    night([*edit.edits, add("退票")], test=asked)
    assert pq.read_table(night.output.test)["standard_question"].to_pylist()[:2] == ["退票", "怎样退"]


def test_a_removed_one_is_gone_with_its_rows(night):
    """And with its fields."""
    night([Edit(action="remove", standard_question="退票")])
    assert [row[:2] for row in night.rows] == [("改期", "改签"), ("带狗", "宠物")]
    assert {*night.classes} == {"改签", "宠物"}
    assert "退票" not in read_payload(night.output.payload)


@pytest.mark.parametrize(
    ("edit", "rows"),
    [
        (add("行李", "托运"), [*ROWS, ("托运", "行李", "", "")]),
        (add("行李", payload={"answer": "20"}), [*ROWS, ("托运", "行李", "20", "")]),
        (
            Edit(action="edit", standard_question="退票", text="如何退票"),
            [(q, n.replace("退票", "如何退票"), a, c) for q, n, a, c in ROWS],
        ),
        (Edit(action="edit", standard_question="退票", payload={"answer": "旧"}), ROWS),
        (Edit(action="edit", standard_question="退票", payload={"fee": None}), ROWS),
        (Edit(action="edit", standard_question="没有", text="也没有"), ROWS),
        (Edit(action="remove", standard_question="退票"), ROWS[2:]),
    ],
    ids=lambda one: one.describe() if isinstance(one, Edit) else "",
)
def test_an_edit_that_the_export_has_is_no_longer_kept(night, edit, rows):
    """The corpus is that of the export alone, and the run says so."""
    night([edit], rows)
    assert night.taken == Taken(edits=[edit], left=[])
    assert [row[:2] for row in night.rows] == [(row[0], row[1]) for row in rows]
    assert "1 edit is in the export by now" in night.facts.warnings[-1]


@pytest.mark.parametrize(
    ("edit", "rows"),
    [
        (add("行李", "托运", "公斤"), [*ROWS, ("托运", "行李", "", "")]),  # a query is missing
        (add("行李", payload={"answer": "30"}), [*ROWS, ("托运", "行李", "20", "")]),  # another answer
    ],
    ids=["query", "answer"],
)
def test_an_edit_that_the_export_has_in_part_is_kept(night, edit, rows):
    """What is missing is added, nothing twice."""
    night([edit], rows)
    assert night.taken.left == [edit]
    queries = [row[0] for row in night.rows]
    assert len(queries) == len({*queries}) == len(rows) + (len(edit.similar_queries) == 2)


def test_groups_follow_an_edit(night):
    """A renamed one stays in its group; of a group of two that loses one nothing is left."""
    night([])
    corrections = [Correction(batch="b", do="group", standard_question="退票", to=to) for to in ("改签", "宠物")]
    rename = Edit(action="edit", standard_question="退票", text="如何退票")

    night([rename], corrections=corrections)
    assert read_groups(night.output) == [sorted(["如何退票", "改签", "宠物"])]
    night([rename, Edit(action="remove", standard_question="宠物")], corrections=corrections[1:])
    assert read_groups(night.output) == []
