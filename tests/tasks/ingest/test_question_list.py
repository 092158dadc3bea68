"""The owner's list of standard questions: all of its tables, and what in them is no entry."""

import json

import openpyxl
import pytest

from schemas.errors import SourceError

NAMES = ["退票", "改签", "选座", "值机"]
ROWS = "query,question_id\n" + "".join(f"怎么{name},Q{at}\n" for at, name in enumerate(NAMES))
ENTRIES = [(f"Q{at}", name, f"答{at}") for at, name in enumerate(NAMES)]
HEADER = ("id", "text", "answer")


def save(path, hidden=(), **sheets):
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for title, rows in sheets.items():
        sheet = workbook.create_sheet(title)
        sheet.sheet_state = "hidden" if title in hidden else "visible"
        for row in rows:
            sheet.append(row)
    workbook.save(path)


def as_lists(**lists):
    return json.dumps({name: [dict(zip(HEADER, row, strict=True)) for row in rows] for name, rows in lists.items()})


def as_lines(rows):
    return "".join(",".join(row) + "\n" for row in rows)


def same(ingested):
    """Whether all four standard questions were found by their ids, and nothing else is one."""
    ids = ingested.rows("standard_questions", "id", "standard_question")
    return sorted(ids) == [entry[:2] for entry in ENTRIES] and ingested.facts.rows == 4


def files(ingested):
    return [(file.name, file.rows) for file in ingested.facts.files if file.role == "questions"]


def test_all_sheets_of_a_list_are_read(write, ingest, tmp_path):
    """As of a source: hidden ones and those without the columns are told."""
    write(ROWS)
    save(
        tmp_path / "l.xlsx",
        ["旧"],
        机票=[HEADER, *ENTRIES[:1]],
        说明=[("填写说明",)],
        酒店=[HEADER, *ENTRIES[1:]],
        旧=[HEADER, ("Q9", "旧", "")],
        渠道=[("编号", "名称"), ("1", "App")],
    )
    ingested = ingest(questions_path="l.xlsx")
    assert same(ingested)
    assert files(ingested) == [("l.xlsx[机票]", 1), ("l.xlsx[酒店]", 3)]
    told = " ".join(ingested.facts.warnings)
    assert "hidden sheets with the same columns were not read: '旧'" in told
    assert "sheets without these columns were not read: '说明'" in told
    assert "'渠道' was not read: its texts have another name than in l.xlsx[机票]" in told


def test_all_lists_of_a_document_are_read(write, ingest):
    """One by business, say."""
    write(ROWS)
    write(as_lists(flights=ENTRIES[:2], hotels=ENTRIES[2:]), "l.json")
    ingested = ingest(questions_path="l.json")
    assert same(ingested)
    assert files(ingested) == [("l.json", 2), ("l.json", 2)]


def test_what_two_sheets_list_is_refused_as_within_one(write, ingest, tmp_path):
    """With the sheet and the line of each."""
    write(ROWS)
    save(tmp_path / "l.xlsx", 甲=[HEADER, *ENTRIES], 乙=[HEADER, ("Q3", "行李", "")], 丙=[HEADER, ("Q5", "", "")])
    with pytest.raises(SourceError, match=r"l.xlsx: 1 standard questions have no id.*\(lines 2 of '丙'\)"):
        ingest(questions_path="l.xlsx")
    save(tmp_path / "l.xlsx", 甲=[HEADER, *ENTRIES], 乙=[HEADER, ("Q3", "行李", "")])
    with pytest.raises(SourceError, match=r"1 ids are listed .* \('Q3' in lines 5 of '甲', lines 2 of '乙'\)"):
        ingest(questions_path="l.xlsx")


@pytest.mark.parametrize(
    "rows",
    [
        [HEADER, *ENTRIES[:2], HEADER, *ENTRIES[2:]],
        [HEADER, ("必填", "必填，不超过100字", "选填"), *ENTRIES],
        [HEADER, *ENTRIES, ("合计", "4", "")],
        [HEADER, *ENTRIES, ("制表人：张三", "审核人：李四", "")],
    ],
)
def test_what_is_no_entry_of_a_list_is_set_aside_and_told(rows, write, ingest):
    """As in a source: repeated headers, notes, totals, signatures; with and without a column of ids."""
    write(ROWS)
    write(as_lines(rows), "l.csv")
    ingested = ingest(questions_path="l.csv")
    assert same(ingested)
    assert (
        "l.csv: 1 rows of the list are no standard questions and were set aside: line " in ingested.facts.warnings[-1]
    )
    write("query,label\n" + "".join(f"怎么{name},{name}\n" for name in NAMES))
    write(as_lines(row[1:] for row in rows), "l.csv")
    if rows[-1][1] != "4":  # 合计 stood in the column of ids
        ingested = ingest(questions_path="l.csv")
        assert [text for (text,) in ingested.rows("standard_questions", "standard_question")] == sorted(NAMES)


@pytest.mark.parametrize("beside", [None, "", "见正文", "说明：见正文", "30"])
@pytest.mark.parametrize("column", ["id", "answer"])
def test_entries_that_read_like_notes_or_totals_stay(beside, column, write, ingest):
    """What stands beside them says nothing: it may be blank, a note, a number as in other rows."""
    texts = ["合计", "咨询", "第3页打不开", "说明：在哪", "总数", "page 3", "小计"]
    cells = [beside] * len(texts) if column == "answer" else [str(at) for at in range(len(texts))]
    lines = [("text", column), *zip(texts, cells, strict=True)]
    write(as_lines(row if beside is not None else row[:1] for row in lines), "l.csv")
    write("query,label\n" + "".join(f"怎么{text},{text}\n" for text in texts))
    ingested = ingest(questions_path="l.csv")
    assert {text for (text,) in ingested.rows("standard_questions", "standard_question")} == {*texts}
    assert not [one for one in ingested.facts.warnings if "set aside" in one]
