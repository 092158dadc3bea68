"""The shapes in which companies export queries: each gives the same rows, or a word about what was not read."""

import csv
import datetime
import io
import re
import shlex
import zipfile

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl.styles import Alignment

from schemas.errors import SourceError

# Twelve standard questions with three queries each; commas and quotation marks as people type them.
CLASSES = [f"业务{letter}怎么办理" for letter in "甲乙丙丁戊己庚辛壬癸子丑"]
ASKED = [
    (f"{way}{label[2]}业务{end}", label)
    for label in CLASSES
    for way, end in (("办", "吗"), ("想问", ""), ("不会", "！"))
]
HEADER = ("标准问", "相似问")
LONG = [HEADER, *((label, query) for query, label in ASKED)]


def as_csv(rows, delimiter=","):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return text.getvalue()


def grouped():
    return {label: [query for query, other in ASKED if other == label] for label in CLASSES}


def save(path, **sheets):
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for title, rows in sheets.items():
        sheet = workbook.create_sheet(title)
        for row in rows:
            sheet.append(row)
    workbook.save(path)
    return workbook


def one_of_role(ingested, role):
    (file,) = [file for file in ingested.facts.files if file.role == role]
    return file


def one_file(ingested):
    (file,) = ingested.facts.files
    return file


@pytest.mark.parametrize("separator", ["\n", "；", ";", "|", "##", "<br>", "\\n", "\r\n"])
def test_a_faq_sheet_with_several_similar_questions_in_a_cell_is_split(separator, write, ingest):
    """A row per standard question, and lists in most rows: the column is sure to hold lists."""
    write(as_csv([(*HEADER, "答案"), *((label, separator.join(cell), "见官网") for label, cell in grouped().items())]))
    ingested = ingest()
    assert ingested.pairs == ASKED
    assert one_file(ingested).payload_columns == ["答案"]
    assert "12 cells hold 36 similar questions; they were split at" in one_file(ingested).notes[0]
    assert ingest(split="none").facts.rows == 12


@pytest.mark.parametrize("mark", ["{}. ", "{}、", "（{}）", "{}) "])
@pytest.mark.parametrize("between", ["\n", " ", "；"])
def test_numbers_before_similar_questions_are_dropped(mark, between, write, ingest):
    """On lines of their own or in one line."""
    cells = [between.join(mark.format(at) + query for at, query in enumerate(cell, 1)) for cell in grouped().values()]
    write(as_csv([HEADER, *zip(CLASSES, cells, strict=True)]))
    assert ingest().pairs == ASKED


def test_queries_with_line_breaks_in_a_log_are_told_not_split(write, ingest):
    """Many rows a standard question: a few cells may be lists or messages, which the owner knows."""
    rows = [(label, query) for query, label in ASKED] * 10
    rows[5] = (rows[5][0], "一行\n又一行")
    rows[9] = (rows[9][0], "一行\n又一行\n三行")
    write(as_csv([HEADER, *rows]))
    ingested = ingest()
    assert ingested.facts.rows == 360
    (warning,) = [one for one in ingested.facts.warnings if "several parts" in one]
    assert warning.startswith("t.csv: 2 of 360 queries hold several parts at line breaks ('一行\\n又一行' in line 7")
    (setting,) = re.findall(r"source\.split=(\w+)'", warning)
    assert ingest(split=setting).facts.rows == 363


def test_named_separators_split_every_cell(write, ingest):
    """Whatever the column looks like."""
    write("query,label\na/b,x\nc~~d,x\n")
    assert [query for query, _ in ingest(split="/~").pairs] == ["a", "b", "c", "d"]
    assert [query for query, _ in ingest(split=["~~"]).pairs] == ["a/b", "c", "d"]


@pytest.mark.parametrize(
    "names",
    [
        ["相似问1", "相似问2", "相似问3"],
        ["相似问"] * 3,
        ["相似问", "", ""],
        ["相似问（一）", "相似问（二）", "相似问（三）"],
    ],
)
def test_a_wide_sheet_is_read_whole(names, write, ingest):
    """Numbered columns, columns of one name, and a merged header that leaves blanks."""
    write(as_csv([("标准问", *names), *((label, *cell) for label, cell in grouped().items())]))
    assert ingest().pairs == ASKED


def test_columns_of_queries_are_named_singly_or_by_a_pattern(write, ingest):
    """Also where their names say nothing."""
    write(as_csv([("标准问", "a1", "a2", "b"), *((label, *cell) for label, cell in grouped().items())]))
    assert ingest(query_column=["a1", "a2", "b"]).pairs == ASKED
    assert ingest(query_column=["a*", "b"]).pairs == ASKED
    assert ingest(query_column="a?").facts.rows == 24
    assert one_file(ingest(query_column="a?")).unused_columns == ["b"]


def test_cells_beyond_the_header_of_a_wide_sheet_are_read(write, ingest):
    """Two names over more similar questions."""
    write(as_csv([("标准问", "相似问", "相似问"), *((label, *cell) for label, cell in grouped().items())]))
    assert ingest().pairs == ASKED


def test_standard_questions_without_similar_ones_stay_classes(write, ingest):
    """Most of a sheet may have none; they are no unusable rows."""
    alone = [(f"没有相似问{n}", "") for n in range(60)]
    write(as_csv([*LONG, *alone]))
    ingested = ingest()
    facts = ingested.facts
    assert (facts.rows, facts.classes, facts.quarantined, facts.without_query) == (36, 72, 0, 60)
    assert any(
        one.startswith("60 standard questions have no similar question ('没有相似问0'") for one in facts.warnings
    )
    assert ("没有相似问0", 0) in ingested.rows("standard_questions", "standard_question", "rows")


def test_answers_and_the_like_are_kept_beside_the_standard_question(write, ingest):
    """The first cell that is not blank; other columns are named as not used."""
    write("标准问,相似问,答案,分类,点击量\n退票,怎么退,,机票,3\n退票,如何退,见官网,机票,5\n改签,怎么改,去柜台,,1\n")
    ingested = ingest()
    assert ingested.rows("payload") == [
        ("改签", '{"答案": "去柜台"}'),
        ("退票", '{"答案": "见官网", "分类": "机票"}'),
    ]
    assert (one_file(ingested).payload_columns, one_file(ingested).unused_columns) == (["答案", "分类"], ["点击量"])


def test_rows_out_of_use_are_told(write, ingest):
    """They are read: the owner decides."""
    write("标准问,相似问,状态\n退票,怎么退,启用\n退票,如何退,停用\n改签,怎么改,停用\n")
    assert any("2 rows are marked '停用' in the column '状态'" in one for one in ingest().facts.warnings)


def test_blank_cells_of_a_merged_sheet_take_the_value_above(write, ingest, tmp_path):
    """In a workbook by its merged ranges, in a CSV made of one by its shape; how many is said."""
    rows = [(label if at == 0 else "", query) for label, cell in grouped().items() for at, query in enumerate(cell)]
    write(as_csv([HEADER, *rows]))
    ingested = ingest()
    assert ingested.pairs == ASKED
    assert any(
        one.startswith("t.csv: 24 rows without a standard question took the one above")
        for one in ingested.facts.warnings
    )
    assert ingest(fill_down="none").facts.quarantined == 24

    workbook = save(tmp_path / "t.xlsx", FAQ=[HEADER, *rows])
    for top in range(2, 38, 3):
        workbook["FAQ"].merge_cells(f"A{top}:A{top + 2}")
    workbook.save(tmp_path / "t.xlsx")
    ingested = ingest("t.xlsx")
    assert ingested.pairs == ASKED
    assert one_file(ingested).notes == ["24 cells of merged ranges took the value of their range"]


def test_a_blank_standard_question_in_a_log_is_not_filled(write, ingest):
    """Where standard questions stand in many rows, a blank is a missing label."""
    write("query,label\na,x\nb,x\nc,\nd,y\ne,\nf,y\n")
    assert [reason for _, reason in ingest().reasons] == ["empty standard question"] * 2


@pytest.mark.parametrize(
    "above",
    [
        ["客服FAQ语料（2026年10月）,"],
        ["客服FAQ语料（2026年10月）,", "导出时间,2026-10-31", ","],
        ["# exported by tool"],
        ["sep=,"],
        ["", ""],
    ],
)
def test_the_header_is_found_below_titles_and_comments(above, write, ingest):
    """The first line that has the columns."""
    write("\ufeff" + "\n".join(above) + "\n" + as_csv(LONG))
    ingested = ingest()
    assert ingested.pairs == ASKED
    assert one_file(ingested).header_line == len(above) + 1


def test_a_declared_delimiter_counts(write, ingest):
    """Excel reads the line `sep=;` so."""
    write("sep=;\n" + as_csv(LONG, ";"))
    assert (ingest().pairs, one_file(ingest()).delimiter) == (ASKED, ";")


@pytest.mark.parametrize(
    "header",
    [
        ("*标准问", "相似问（必填）"),
        ("标准问题\n（必填，不超过50字）", "相似问题(选填)"),
        ("标准问*", "【相似问】"),
        ("标准问：", "相似问：多个换行"),
    ],
)
def test_marks_and_notes_in_a_header_do_not_hide_its_names(header, write, ingest):
    """What a form demands stands beside the name."""
    header = tuple("相似问" if cell == "【相似问】" else cell for cell in header)
    write(as_csv([header, *LONG[1:]]))
    assert ingest().pairs == ASKED


@pytest.mark.parametrize("blank", [",,\n", ", ,\n", '"","",""\n', ",\n", "\n"])
def test_rows_without_any_text_are_no_rows(blank, write, ingest):
    """Spreadsheets write the empty rows of a formatted sheet as delimiters; the lines of the others stay right."""
    write(f"标准问,相似问,答案\n{blank * 50}退票,怎么退,钱\n{blank}退票,,\n{blank}改签,怎么改,x\n{blank * 200}")
    write(f"编号,标准问,答案\nQ1,退票,钱\n{blank * 60}Q2,改签,x\n{blank}", "list.csv")
    ingested = ingest(questions_path="list.csv")
    assert ingested.pairs == [("怎么退", "退票"), ("怎么改", "改签")]
    assert ingested.rows("questions", "line") == [(52,), (56,)]
    assert ingested.reasons == [(54, "empty query")]


def test_rows_that_are_no_data_are_set_aside(write, ingest):
    """Headers repeated where files were joined, notes below the header, totals and signatures at the end."""
    rows = [("标准问", "相似问", "点击量"), ("必填", "选填，多个用分号", ""), *((a, b, "3") for a, b in LONG[1:])]
    rows[9:9] = [("标准问", "相似问", "点击量")]
    write(as_csv([*rows, ("合计", "", "108"), ("数据来源：客服系统", "导出人：张三", "")]))
    ingested = ingest()
    assert ingested.pairs == ASKED
    assert sorted(reason for _, reason in ingested.reasons) == [
        "note below the header",
        "repeated header",
        "total or signature",
        "total or signature",
    ]


ENDS = [
    "合计,36",
    "总计：36,",
    "小计,12",
    "Total,36",
    "共计36条,",
    "合计,",
    "制表人：张三,审核人：李四",
    "制表人：张三,",
]
ENDS += [
    "导出时间：,2026-01-01 10:00",
    "导出时间：2026-01-01,",
    "统计日期：,2026年1月1日",
    "审核人：,李四",
    "第1页,共3页",
]
ENDS += [
    "总计：36条记录,",
    "汇总,36",
    "合计,100%",
    "导出时间,2026-01-01 10:00:00",
    "共36条,",
    "Total rows,36",
    '合计,"1,234.5"',
]
ENDS += ["制表人：,张三\n审核人：,李四\n更新时间：,2026/1/1", "Printed on: 2026-01-01,Page 1 of 3"]


@pytest.mark.parametrize("turned", [False, True], ids=["query first", "standard question first"])
@pytest.mark.parametrize("end", ENDS)
def test_totals_and_signatures_are_no_rows_whichever_column_is_first(end, turned, write, ingest):
    """The words may stand in either column."""
    way = -1 if turned else 1
    write(as_csv([("query", "label")[::way], *(pair[::way] for pair in ASKED)]) + end + "\n")
    ingested = ingest()
    assert (ingested.pairs, {*one_file(ingested).reasons}) == (ASKED, {"total or signature"})


@pytest.mark.parametrize(
    "rows",
    [
        [("total", "3"), ("合计", "3"), ("sum", "4"), ("how much", "5")],  # numbers of standard questions
        [("合计", "账单总额"), ("total", "账单总额"), ("total", "balance"), ("多少", "账单总额")],
        [
            ("导出时间：", "查询导出时间"),
            ("制表人：", "查询制表人"),
            ("制表人：谁", "查询制表人"),
            ("谁制表", "其他问题"),
        ],
        [("多少钱", "合计"), ("一共多少", "合计"), ("total cost", "total"), ("审核人：是谁", "审核")],
        [("联系人", "客服"), ("更新时间", "何时更新"), ("负责人", "3号窗口"), ("统计日期", "查询日期")],
        [("总数", "2026-01-01"), ("昨天", "2026-01-02"), ("今天", "2026-01-03"), ("明天", "2026-01-04")],
    ],
)
def test_queries_that_read_like_totals_stay(rows, write, ingest):
    """Their standard questions are those of other rows, too, or of one kind with them, or sentences."""
    write(as_csv([("query", "label"), *rows]))
    assert ingest().pairs == rows


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ('query, label\n"a, b", "x"\n"c, d", "y"\n', [("a, b", "x"), ("c, d", "y")]),
        ('label, query\nx, "a, b"\ny, "c ""d"""\n', [("a, b", "x"), ('c "d"', "y")]),
        ('query,label\n"say \\"hi\\", now",x\n"b",y\n', [('say "hi", now', "x"), ("b", "y")]),
        ('query,label\n"say \\"hi\\" now","x"\n"b","y"\n', [('say "hi" now', "x"), ("b", "y")]),
        ('query,label\n"C:\\temp\\",x\n"b ""q""",y\n', [("C:\\temp\\", "x"), ('b "q"', "y")]),
        ('text\tlabel\n"a\tx\nscreen 15.6" b\ty\n', [('"a', "x"), ('screen 15.6" b', "y")]),
        ('text\tlabel\n"a\tb"\tx\nc\ty\n', [("a\tb", "x"), ("c", "y")]),
        ("query,standard_question\na\tx\nb, c\ty\n", [("a", "x"), ("b, c", "y")]),
        ('\ufeff\ufeff"query",label\na,x\nb,y\n', [("a", "x"), ("b", "y")]),
    ],
)
def test_a_text_is_split_as_most_of_it_is_well_formed(text, pairs, write, ingest):
    """Blanks after delimiters, backslashes before quotation marks, lone ones, a header split at another delimiter."""
    write(text)
    ingested = ingest()
    assert (ingested.pairs, ingested.facts.quarantined) == (pairs, 0)


@pytest.mark.parametrize(("delimiter", "query_first"), [(",", True), ("\t", False), (";", True), ("|", False)])
def test_the_advice_for_a_file_without_header_works(delimiter, query_first, write, ingest):
    """Followed literally: the standard questions are the column that repeats."""
    rows = [ASKED[0], *ASKED[3:]]  # were the first label there again, the file would be read as it is
    write(as_csv([pair if query_first else pair[::-1] for pair in rows], delimiter))
    with pytest.raises(SourceError) as error:
        ingest()
    words = shlex.split(re.search(r"--query-column \S+ --question-column \S+$", str(error.value)).group())
    ingested = ingest(query_column=words[1], question_column=words[3])
    assert ingested.pairs == rows
    assert (one_file(ingested).header_line, one_file(ingested).why_query) == (None, "by its number")


BELOW = "".join(f"怎么{at},退票\n" for at in range(12))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('query,"label\n' + BELOW, "A quotation mark in line 1 is not closed"),
        ('"query,label"\n' + BELOW, "Line 1 stands in quotation marks as a whole"),
        ("queries\n" + BELOW.replace(",退票", ""), "No comma, TAB, ';' or '|' splits it"),
    ],
)
def test_what_is_wrong_with_a_header_of_one_cell_is_said(text, said, write, ingest):
    """A delimiter that is there is not asked for."""
    write(text.replace("queries", "甲乙"))
    with pytest.raises(SourceError, match=re.escape(said)):
        ingest()


def test_no_delimiter_is_asked_for_in_a_workbook(tmp_path, ingest):
    """The advice of a title works."""
    save(tmp_path / "t.xlsx", 表=[["怎么退"], ["怎么改"]])
    with pytest.raises(SourceError, match=r"Its rows have one cell each.*beside it$"):
        ingest("t.xlsx")
    save(tmp_path / "t.xlsx", 表=[["知识库"], ["甲", "乙"], ["怎么退", "退票"]])
    with pytest.raises(SourceError, match=r"if the columns are those of line 2, they are '甲', '乙'$"):
        ingest("t.xlsx")
    assert ingest("t.xlsx", query_column="甲", question_column="乙").pairs == [("怎么退", "退票")]


def test_a_tab_may_be_named_as_it_is_typed(write, ingest):
    r"""No shell makes a TAB of \t."""
    write(as_csv(LONG, "\t"))
    assert ingest(delimiter="\\t").pairs == ASKED


def test_a_number_tells_a_column_also_below_a_header(write, ingest):
    """The header is no row then; with two columns, one number tells both."""
    write("query,label\na,x\n")
    assert ingest(query_column="1").pairs == [("a", "x")]
    write("a,x\nb,y\n")
    assert ingest(query_column="1").pairs == [("a", "x"), ("b", "y")]


def test_what_was_read_is_said(write, ingest):
    """Per file: everything by which a wrong reading shows."""
    write(
        "\n".join(
            ["语料,,,", "标准问;相似问;点击量;答案", "退票;怎么退;3;", "退票;如何退;3;", "改签;;1;", ";怎么改;1;"]
        ).replace(";", ",")
    )
    file = one_file(ingest())
    assert (file.format, file.encoding, file.delimiter, file.header_line) == ("csv", "utf-8", ",", 2)
    assert (file.columns, file.why_query, file.why_question) == (
        ["相似问", "标准问"],
        "found by its name",
        "found by its name",
    )
    assert (file.rows, file.quarantined, file.reasons) == (2, 1, {"empty standard question": 1})
    assert file.samples == [("怎么退", "退票"), ("如何退", "退票")]
    told = file.describe()
    for part in (
        "header in line 2",
        "queries: '相似问'",
        "1 × empty standard question",
        "not used: 点击量",
        "怎么退 → 退票",
    ):
        assert part in told


def test_the_column_that_repeats_is_doubted(write, ingest):
    """A prompt beside what was answered to it."""
    rows = [
        ("question", "intent", "answer"),
        *(("What would you say?", f"i{n % 5}", f"wake me up at {n}") for n in range(30)),
    ]
    write(as_csv(rows))
    assert any("'answer' more; if queries stand there, name it" in one for one in ingest().facts.warnings)


@pytest.mark.parametrize("column", ["标准问编号", "label"])
def test_rows_that_carry_ids_are_joined_with_the_list(column, write, ingest):
    """An id that the list lacks is set aside; a text of the list is one."""
    write("编号,标准问\nQ1,退票\nQ2,改签\n", "list.csv")
    write(f"{column},用户问\nQ1,怎么退\nQ2,怎么改\nQ9,什么\n退票,如何退\n")
    ingested = ingest(questions_path="list.csv")
    assert ingested.pairs == [("怎么退", "退票"), ("怎么改", "改签"), ("如何退", "退票")]
    assert ingested.reasons == [(4, "id that the list lacks")]
    assert one_of_role(ingested, "train").notes == [
        "the standard questions are ids of list.csv; their texts were taken from there"
    ]


def test_html_is_told_and_stripped_if_asked(write, ingest):
    """Tags, entities, and tags that are entities themselves."""
    write("text,label\n<p>怎么退<br/></p>,x\n&lt;p&gt;如何退&nbsp;&lt;/p&gt;,x\na < b & c,x\n")
    assert any("2 of 3 queries hold HTML" in one for one in ingest().facts.warnings)
    assert [query for query, _ in ingest(markup="strip").pairs] == ["怎么退", "如何退", "a < b & c"]


def test_a_word_for_nothing_as_standard_question_is_told(write, ingest):
    """Kept as text all the same."""
    write("text,label\na,nan\nb,x\nc,nan\n")
    assert any("the standard question 'nan' has 2 rows" in one for one in ingest().facts.warnings)
    assert ingest().facts.rows == 3


@pytest.mark.parametrize("name", ["t.zip", "train.csv.zip"])
def test_the_one_table_of_a_zip_archive_is_read(name, write, ingest):
    """What a Macintosh leaves beside it does not count; of several, one is to be named."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("train.csv", as_csv(LONG))
        archive.writestr("__MACOSX/._train.csv", "x")
    write(content.getvalue(), name)
    assert ingest(name).pairs == ASKED
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr("test.csv", as_csv(LONG))
    write(content.getvalue(), name)
    with pytest.raises(SourceError, match=r"a ZIP archive of 2 files \(train\.csv, test\.csv\); unpack it"):
        ingest(name)


def test_all_visible_sheets_that_have_the_columns_are_read(tmp_path, ingest):
    """A cover sheet is none, a hidden one is told; names and patterns choose."""
    workbook = save(
        tmp_path / "t.xlsx",
        说明=[["填写说明"], ["请按模板填写"]],
        机票=[["语料"], HEADER, *LONG[1:19]],
        酒店=[HEADER, *LONG[19:]],
        旧版=[HEADER, ("旧", "旧的问题")],
    )
    workbook["旧版"].sheet_state = "hidden"
    workbook.save(tmp_path / "t.xlsx")
    ingested = ingest("t.xlsx")
    assert ingested.pairs == ASKED
    assert [(file.name, file.sheet, file.header_line) for file in ingested.facts.files] == [
        ("t.xlsx[机票]", "机票", 2),
        ("t.xlsx[酒店]", "酒店", 1),
    ]
    assert ingested.rows("questions", "source")[0] == ("t.xlsx[机票]",)
    assert any("hidden sheets with the same columns were not read: '旧版'" in one for one in ingested.facts.warnings)
    assert any("sheets without these columns were not read: '说明'" in one for one in ingested.facts.warnings)
    assert ingest("t.xlsx", sheet=["酒店", "旧*"]).facts.rows == 19
    assert ingest("t.xlsx", sheet="*").facts.rows == 37


def test_a_cell_counts_as_it_shows(tmp_path, ingest):
    """007, percent, thousands and dates; errors and formulas that nobody computed are set aside."""
    workbook = openpyxl.Workbook()
    shown = [
        (7, "000", "007"),
        (0.5, "0%", "50%"),
        (1234.5, "#,##0.00", "1,234.50"),
        (7, "General", "7"),
        (True, "General", "TRUE"),
    ]
    sheet = workbook.active
    sheet.append(["query", "label"])
    for at, (value, number_format, _) in enumerate(shown, 2):
        sheet.append([f"q{at}", value])
        sheet.cell(at, 2).number_format = number_format
    for at, number_format in enumerate(["yyyy/m/d", 'yyyy"年"m"月"d"日"', "yyyy-mm-dd hh:mm"], 7):
        sheet.append([f"q{at}", datetime.datetime(2026, 5, 1, 9, 5)])
        sheet.cell(at, 2).number_format = number_format
    sheet.append(["error", "#N/A"])
    sheet.append(["formula", "=B2"])
    workbook.save(tmp_path / "t.xlsx")
    ingested = ingest("t.xlsx")
    dates = ["2026/5/1", "2026年5月1日", "2026-05-01 09:05"]
    assert [label for _, label in ingested.pairs] == [text for *_, text in shown] + dates
    assert sorted(ingested.reasons) == [(10, "error value"), (11, "formula without a stored value")]


DAY = datetime.datetime(2026, 1, 7, 15, 5, 9)  # a Wednesday


@pytest.mark.parametrize(
    ("value", "number_format", "text"),
    [
        (DAY, "dddd", "Wednesday"),
        (DAY, "[$-409]ddd d mmmm", "Wed 7 January"),
        (DAY, "mmmmm", "J"),
        (DAY, "mmm-yy", "Jan-26"),
        (DAY, "d-mmm", "7-Jan"),
        (DAY, "mmmm d, yyyy", "January 7, 2026"),
        (DAY, "e/m/d", "2026/1/7"),
        (DAY, '上午/下午h"时"mm"分"', "下午3时05分"),
        (DAY, "[$-804]dddd mmmm", "星期三 一月"),
        (DAY, "[$-zh-CN]ddd AM/PM h", "周三 下午 3"),
        (DAY, "m/d/yyyy aaaa", "1/7/2026 星期三"),
        (46029, "aaaa", "星期三"),
        (46029, "[$-804]aaa;@", "周三"),
        (1e9, "aaaa", "1000000000"),
        (DAY, "hh:mm:ss A/P", "03:05:09 P"),
        (datetime.timedelta(hours=30), "[h]:mm", "30:00"),
        (datetime.timedelta(hours=9.5), "[hh]:mm:ss", "09:30:00"),
        (datetime.timedelta(minutes=90.5), "[mm]:ss", "90:30"),
        (2.5, "#,##0", "3"),
        (-0.4, "0", "0"),
        (0.125, "0%", "13%"),
        (1.005, "0.00", "1.01"),
        (7, '"Q"0', "Q7"),
        (7, '0"天"', "7天"),
        (7, "\\Q-000", "Q-007"),
        (1234567, "000-0000", "123-4567"),
        (12, "[$¥-804]#,##0.00", "¥12.00"),
        (-7, "0_);[Red](0)", "(7)"),
        (1234, '_ * #,##0_ ;_ * -#,##0_ ;_ * "-"??_ ;_ @_ ', "1,234"),
        (0, '0;-0;"无"', "无"),
        (2.5, "0.##", "2.5"),
        (12345, '0.0,"k"', "12.3k"),
        (7, "G/通用格式", "7"),
        (7, ";;;", "7"),
        (123456789012, "0.00E+00", "123456789012"),
        (0.5, "# ?/?", "0.5"),
    ],
)
def test_numbers_and_dates_count_as_excel_shows_them(value, number_format, text, tmp_path, ingest):
    """Names of months and days, elapsed time, literal texts; halves are rounded up; what is unknown stays a number."""
    workbook = save(tmp_path / "t.xlsx", 表=[("query", "label"), ("q", value)])
    workbook.active["B2"].number_format = number_format
    workbook.save(tmp_path / "t.xlsx")
    assert ingest("t.xlsx").pairs == [("q", text)]


def test_a_format_that_chinese_excel_names_by_number_alone_is_known(tmp_path, ingest):
    """No text of it stands in the workbook."""
    save(tmp_path / "plain.xlsx", 表=[("query", "label"), ("q", 46029)])
    with zipfile.ZipFile(tmp_path / "plain.xlsx") as plain, zipfile.ZipFile(tmp_path / "t.xlsx", "w") as archive:
        for name in plain.namelist():
            archive.writestr(name, plain.read(name).replace(b'<xf numFmtId="0"', b'<xf numFmtId="31"'))
    assert ingest("t.xlsx").pairs == [("q", "2026年1月7日")]


def test_what_excel_escapes_in_its_files_is_read_as_it_shows(tmp_path, ingest):
    """Line ends of Windows, characters of all planes, and an underscore that begins no escape; in headers as well."""
    queries = [("怎_x000D_\n么", "怎\n么"), ("_x4E00__xd83d__xDE00_", "一😀"), ("a_x005F_x000D_", "a_x000D_")]
    queries += [("_xDC81_", "\ufffd"), ("a_x_xyz_", "a_x_xyz_")]
    rows = [
        ("标准问_x000D_\n必填", "相似_x000D_问"),
        *(("提前还款_x000D_" * (at % 2), one) for at, (one, _) in enumerate(queries)),
    ]
    rows = [(label or "提前还款", query) for label, query in rows]
    save(tmp_path / "t.xlsx", 表=rows)
    save(tmp_path / "l.xlsx", 表=[("text",), ("提前还款_x000D_",)])
    ingested = ingest("t.xlsx", questions_path="l.xlsx", split="none", query_column="相似\r问")
    assert ingested.pairs == [(query, "提前还款") for _, query in queries]
    assert not [one for one in ingested.facts.warnings if "lacks" in one]


def test_hidden_rows_of_a_sheet_are_told(tmp_path, ingest):
    """Filtered out on the screen, still in the file."""
    workbook = save(tmp_path / "t.xlsx", 表=LONG)
    for line in (3, 5):
        workbook["表"].row_dimensions[line].hidden = True
    workbook["表"]["B2"].alignment = Alignment(wrap_text=True)
    workbook.save(tmp_path / "t.xlsx")
    ingested = ingest("t.xlsx")
    assert ingested.pairs == ASKED
    assert one_file(ingested).notes == ["2 rows are hidden or filtered out in the sheet; they were read"]


def test_strict_open_xml_is_read(tmp_path, ingest):
    """Excel offers it as a format of its own, with other names in its XML."""
    save(tmp_path / "plain.xlsx", 表=LONG)
    strict = {
        "http://schemas.openxmlformats.org/spreadsheetml/2006/main": "http://purl.oclc.org/ooxml/spreadsheetml/main",
        "http://schemas.openxmlformats.org/officeDocument/2006/relationships": "http://purl.oclc.org/ooxml/officeDocument/relationships",
    }
    with zipfile.ZipFile(tmp_path / "plain.xlsx") as plain, zipfile.ZipFile(tmp_path / "t.xlsx", "w") as archive:
        for name in plain.namelist():
            text = plain.read(name).decode()
            for transitional, other in strict.items():
                text = text.replace(transitional, other)
            archive.writestr(name, text)
    assert ingest("t.xlsx").pairs == ASKED


def test_an_opendocument_sheet_is_read(tmp_path, ingest):
    """As LibreOffice and WPS write it."""
    rows = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="string"><text:p>{cell}</text:p></table:table-cell>' for cell in row
        )
        + "</table:table-row>"
        for row in LONG
    )
    spaces = "".join(
        f' xmlns:{one}="urn:oasis:names:tc:opendocument:xmlns:{one}:1.0"' for one in ("office", "table", "text")
    )
    mimetype = "application/vnd.oasis.opendocument.spreadsheet"
    with zipfile.ZipFile(tmp_path / "t.ods", "w") as archive:
        archive.writestr("mimetype", mimetype)
        archive.writestr(
            "META-INF/manifest.xml",
            f'<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
            f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{mimetype}"/></manifest:manifest>',
        )
        archive.writestr(
            "content.xml",
            f"<office:document-content{spaces}><office:body><office:spreadsheet><table:table table:name='表'>{rows}"
            "</table:table></office:spreadsheet></office:body></office:document-content>",
        )
    assert ingest("t.ods").pairs == ASKED


@pytest.mark.parametrize("kind", [pa.date32(), pa.timestamp("us"), pa.string_view()], ids=str)
def test_odd_types_of_parquet_are_texts(kind, tmp_path, ingest):
    """Dates as labels, and the view types of other programs."""
    labels = (
        pa.array(["x", "y"], kind)
        if kind == pa.string_view()
        else pa.array([1, 2], pa.int64()).cast(pa.int32() if kind == pa.date32() else pa.int64()).cast(kind)
    )
    pq.write_table(pa.table({"text": ["a", "b"], "label": labels}), tmp_path / "t.parquet")
    assert ingest("t.parquet").facts.rows == 2
