"""The queries a candidate gets wrong, and the lists that people work through."""

import csv

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.outputs import PrepareOutput
from schemas.tables import CLASSES, QUESTIONS, TEST
from tasks.evaluate import spreadsheets
from tasks.evaluate.failing import find_failing
from tasks.evaluate.spreadsheets import write_lists

HARMFUL = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1"]


@pytest.fixture
def measured(tmp_path):
    """Five test rows of three classes: one right, one second, one third, one not in the corpus, one second."""
    texts = ["怎么退票", "怎么改签", "行李多重"]
    classes = [
        {"class_id": n, "id": text, "standard_question": text, "standard_norm": text, "rows": 3}
        for n, text in enumerate(texts)
    ]
    fields = [field for field in CLASSES if field.name in classes[0]]
    pq.write_table(pa.Table.from_pylist(classes, pa.schema(fields)), tmp_path / "classes.parquet")
    truth, queries = [0, 1, 2, -1, 0], ["退票", "改期", "箱子", "天气", "不坐了"]
    rows = [
        {"row_id": 10 * n, "class_id": c, "query": queries[n], "standard_question": texts[c] if c >= 0 else "没有"}
        for n, c in enumerate(truth)
    ]
    rows = [{**row, "in_train": False, "line": 0} for row in rows]
    pq.write_table(pa.Table.from_pylist(rows, TEST), tmp_path / "test.parquet")
    ranked = {"row_id": [0, 10, 20, 30, 40], "rank": [0, 1, 2, -1, 1]}
    top = pa.array([[0, 1, 2], [0, 1, 2], [1, 0, 2], [2, 1, 0], [1, 0, 2]], pa.list_(pa.int32()))
    pq.write_table(pa.table({**ranked, "top": top}), tmp_path / "ranked.parquet")
    asked = [
        {
            "row_id": n,
            "query": "x",
            "query_norm": "x",
            "standard_question": "y",
            "source": f"/data/{'ab'[n // 30]}.csv",
            "line": n + 2,
        }
        for n in range(50)
    ]
    pq.write_table(pa.Table.from_pylist(asked, QUESTIONS), tmp_path / "questions.parquet")
    return tmp_path


def test_failing_queries_come_worst_first_with_their_place(measured):
    """Query, right, first answer, place, and where the row stands; what no model can find comes last."""
    rows = find_failing(
        PrepareOutput(measured), measured / "ranked.parquet", measured / "questions.parquet"
    ).to_pylist()

    assert [(row["query"], row["standard_question"], row["first"], row["place"]) for row in rows] == [
        ("箱子", "行李多重", "怎么改签", 3),
        ("改期", "怎么改签", "怎么退票", 2),
        ("不坐了", "怎么退票", "怎么改签", 2),
        ("天气", "没有", "行李多重", None),
    ]
    assert [(row["source"], row["line"]) for row in rows] == [
        ("/data/a.csv", 22),
        ("/data/a.csv", 12),
        ("/data/b.csv", 42),
        ("/data/b.csv", 32),
    ]


@pytest.mark.parametrize("text", HARMFUL)
def test_a_formula_is_text_in_both_files(text, tmp_path):
    """Whatever a customer typed, Excel calculates nothing."""
    write_lists(tmp_path, "failing", ["query"], [[text]])

    with (tmp_path / "failing.csv").open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file))[1] == [f"'{text}"]
    cell = openpyxl.load_workbook(tmp_path / "failing.xlsx").active["A2"]
    assert (cell.data_type, cell.value.strip()) == ("s", text.strip())


def test_lists_hold_every_row_and_numbers_stay_numbers(tmp_path):
    """Also characters that a workbook cannot hold, and negative numbers."""
    rows = [["退票\x0b", -1.5, None], *(["改签", n, "x"] for n in range(30))]
    assert write_lists(tmp_path, "failing", ["a", "b", "c"], rows) == ["failing.csv", "failing.xlsx"]

    sheet = openpyxl.load_workbook(tmp_path / "failing.xlsx").active
    assert [cell.value for cell in sheet[2]] == ["退票\ufffd", -1.5, None]
    assert sheet.max_row == 32
    assert (tmp_path / "failing.csv").read_text(encoding="utf-8-sig").count("\n") == 32


def test_of_very_many_rows_the_workbook_holds_the_first(tmp_path, monkeypatch):
    """The CSV holds them all."""
    monkeypatch.setattr(spreadsheets, "XLSX_ROWS", 5)
    write_lists(tmp_path, "failing", ["n"], ([n] for n in range(9)))

    assert openpyxl.load_workbook(tmp_path / "failing.xlsx").active.max_row == 6
    assert (tmp_path / "failing.csv").read_text(encoding="utf-8-sig").split() == ["n", *map(str, range(9))]
