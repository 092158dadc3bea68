"""The to-do list: written for Excel, edited by a person, read back."""

import csv
import os
import zipfile

import pytest
from openpyxl import load_workbook

from schemas.doctor import Action
from schemas.errors import SourceError
from schemas.language import read_words
from tasks.doctor.sheet import COLUMNS, read_todo, write_todo

KNOWN = ["退票", "改签", "怎么退票啊", "行李"]
ACTIONS = [
    Action(kind="feed", standard_question="退票", why="few", effort=3, gain=0.4),
    Action(kind="fix", standard_question="退票", query="=改期(1)", to="改签", why="wrong", gain=0.2),
    Action(kind="merge", standard_question="怎么退票啊", to="退票", why="twins", gain=0.3),
    Action(kind="split", standard_question="改签", query="多少钱\n收费吗", to="改签费", why="two things"),
    Action(kind="rewrite", standard_question="行李", to="能带几公斤行李", why="unfound", gain=0.1),
    Action(kind="group", standard_question="行李", to="改签", why="confused"),
    Action(kind="new", standard_question="宠物托运", new_queries=["能带狗吗", "猫怎么托运"], why="asked", gain=0.9),
]


def edit(file, **accepted):
    """Accept rows of a CSV, by action, as a person would; return the file."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        header, *rows = csv.reader(stream)
    at = {name: place for place, name in enumerate(COLUMNS)}
    for row in rows:
        for column, value in accepted.get(row[at["action"]], {}).items():
            row[at[column]] = value
    with file.open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return file


@pytest.fixture
def todo(tmp_path):
    """A list of every kind of action, as CSV; the workbook lies beside it."""
    write_todo(tmp_path, ACTIONS, read_words("en"))
    return tmp_path / "todo.csv"


YES = {"accept": "yes"}


def test_every_kind_of_action_becomes_corrections(todo):
    """With the forecast on the first of each."""
    feed = {"feed": {"new_queries": "票不要了\n 不飞了 \n"}, "same answer": YES}
    made = read_todo(edit(todo, fix=YES, merge=YES, split=YES, rewrite=YES, new=YES, **feed), "b1", KNOWN)

    told = [(one.do, one.standard_question, one.query, one.to, one.gain) for one in made]
    assert told == [
        ("add", "退票", "票不要了", None, 0.4),
        ("add", "退票", "不飞了", None, None),
        ("move", "退票", "=改期(1)", "改签", 0.2),
        ("rename", "怎么退票啊", None, "退票", 0.3),
        ("add", "退票", "怎么退票啊", None, None),
        ("move", "改签", "多少钱", "改签费", 0.0),
        ("move", "改签", "收费吗", "改签费", None),
        ("rename", "行李", None, "能带几公斤行李", 0.1),
        ("add", "能带几公斤行李", "行李", None, None),
        ("group", "行李", None, "改签", None),
        ("add", "宠物托运", "能带狗吗", None, 0.9),
        ("add", "宠物托运", "猫怎么托运", None, None),
    ]
    assert {one.batch for one in made} == {"b1"}


def test_what_is_not_accepted_is_left_alone(todo):
    """A blank or a no; and what is written into feed is meant unless it says no."""
    with pytest.raises(SourceError, match="accepts nothing"):
        read_todo(edit(todo, fix={"accept": "no"}, feed={"accept": "no", "new_queries": "票不要了"}), "b", KNOWN)


def test_no_text_becomes_a_formula_and_comes_back_as_it_was(todo):
    """A customer's =HYPERLINK(...) is text in the CSV and in the workbook."""
    assert "'=改期(1)" in todo.read_text("utf-8-sig")
    cell = load_workbook(todo.with_suffix(".xlsx")).worksheets[0].cell(3, 1 + COLUMNS.index("query"))
    assert (cell.value, cell.data_type) == ("=改期(1)", "s")

    assert read_todo(edit(todo, fix=YES), "b", KNOWN)[0].query == "=改期(1)"


def test_an_edited_workbook_is_read_in_either_language(tmp_path):
    """The header and the actions are Chinese; 是 accepts."""
    write_todo(tmp_path, ACTIONS, read_words("zh"))
    book = load_workbook(tmp_path / "todo.xlsx")
    book.worksheets[0].cell(4, 1).value = "是"
    book.save(tmp_path / "todo.xlsx")

    made = read_todo(tmp_path / "todo.xlsx", "b", KNOWN)

    assert [(one.do, one.standard_question, one.to) for one in made] == [
        ("rename", "怎么退票啊", "退票"),
        ("add", "退票", None),
    ]


@pytest.mark.parametrize(
    ("kind", "cells", "told"),
    [
        ("fix", {"accept": "maybe"}, r"todo\.csv:3 accept is 'maybe'"),
        ("feed", {"accept": "yes"}, r"todo\.csv:2 new queries are missing"),
        ("merge", {"accept": "yes", "to": ""}, r"todo\.csv:4 'change to' is missing"),
        ("fix", {"accept": "yes", "standard_question": "退嫖"}, r"todo\.csv:3 no standard question '退嫖'"),
        ("fix", {"accept": "yes", "action": "fixx"}, r"todo\.csv:3 action is 'fixx'"),
        ("rewrite", {"accept": "yes", "to": "行李"}, "is what it is called already"),
        ("same answer", {"accept": "yes", "to": "改前"}, r"todo\.csv:7 no standard question '改前'"),
        ("merge", {"accept": "yes", "action": "same answer", "to": "怎么退票啊"}, "is what it is called already"),
        ("rewrite", {"accept": "yes", "to": "改" * 1001}, r"todo\.csv:6 '改+'… has 1001 characters, at most 1000"),
        ("rewrite", {"accept": "yes", "to": "改\0签"}, r"todo\.csv:6 .* holds a NUL"),
        ("feed", {"accept": "yes", "new_queries": f"退\n{'退' * 1001}"}, r"todo\.csv:2 '退+'… has 1001 characters"),
        ("feed", {"new_queries": "退" * 140_000}, r"todo\.csv:2 cannot be read \(field larger than"),
    ],
)
def test_a_row_that_cannot_be_meant_is_named_and_nothing_is_applied(todo, kind, cells, told):
    """Row and reason, as everywhere."""
    with pytest.raises(SourceError, match=told):
        read_todo(edit(todo, **{kind: cells}), "b", KNOWN)


@pytest.mark.parametrize("content", [b"PK\x03\x04broken", b"a,b\n1,2\n", b"\xff\xfe\x00", b""])
def test_what_is_no_todo_list_is_refused(tmp_path, content):
    """Damaged, another table, no text, empty: one message each."""
    file = tmp_path / "todo.xlsx"
    file.write_bytes(content)

    with pytest.raises(SourceError, match=r"todo\.xlsx"):
        read_todo(file, "b", KNOWN)


def test_what_would_be_waited_for_or_fill_the_memory_is_refused(tmp_path, todo):
    """A pipe, a device, a column twice, a workbook that unpacks to 40 MB; a gain that is no number promises none."""
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "endless.csv").symlink_to("/dev/zero")
    for name in ("pipe.csv", "endless.csv"):
        with pytest.raises(SourceError, match=f"{name} is no file"):
            read_todo(tmp_path / name, "b", KNOWN)
    content = todo.read_text("utf-8-sig")
    todo.write_text(content.replace("why", "accept", 1), "utf-8")
    with pytest.raises(SourceError, match="has the column 'accept' more than once"):
        read_todo(todo, "b", KNOWN)
    with zipfile.ZipFile(tmp_path / "bomb.xlsx", "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("xl/worksheets/sheet1.xml", bytes(40 << 20))
    with pytest.raises(SourceError, match=r"bomb\.xlsx: xl/worksheets/sheet1\.xml unpacks from"):
        read_todo(tmp_path / "bomb.xlsx", "b", KNOWN)
    todo.write_text(content, "utf-8")
    made = read_todo(edit(todo, merge=YES | {"gain": "nan"}, rewrite=YES | {"gain": "1e999"}), "b", KNOWN)
    assert {one.gain for one in made} == {None}


def test_a_file_of_excel_in_german_is_read(todo):
    """Semicolons, and a decimal comma."""
    with edit(todo, merge=YES).open(encoding="utf-8-sig", newline="") as stream:
        rows = [[cell.replace("0.3", "0,3") for cell in row] for row in csv.reader(stream)]
    with todo.open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream, delimiter=";").writerows(rows)

    assert read_todo(todo, "b", KNOWN)[0].gain == pytest.approx(0.3)
