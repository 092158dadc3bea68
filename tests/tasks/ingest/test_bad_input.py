"""Input that cannot be read, and rows that cannot be used: each is told, none is lost."""

import gzip
import io
import zipfile

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import CorpusRejected, SourceError
from tasks.ingest.quarantine import REMEDIES

GOOD = "query,label\n怎么退票,退票\n退票呢,退票\n"


def parquet_bytes() -> bytes:
    content = io.BytesIO()
    pq.write_table(pa.table({"query": [str(n) for n in range(5000)], "label": ["x"] * 5000}), content)
    return content.getvalue()


def zip_bytes(name: str = "t.csv") -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, GOOD)
    return content.getvalue()


def workbook_bytes() -> bytes:
    content = io.BytesIO()
    workbook = openpyxl.Workbook()
    workbook.active.append(["query", "label"])
    workbook.save(content)
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.zip", zip_bytes()[:-40], "t.zip is a torn Excel workbook or ZIP archive"),
        ("t.csv", b"%PDF-1.7 ...", "t.csv looks like a PDF document: not a table"),
        ("t.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "t.xls is a torn old Excel file (.xls), or one with a password"),
        ("t.csv", b"<!DOCTYPE html><html>", "looks like a web page or XML"),
        ("t.csv", b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        ("t.csv", b"query,label\n" + bytes(range(256)) * 20, "looks like a binary file (20 NUL bytes in 5132 bytes)"),
        ("t.parquet", b"query,label\n", "named like a Parquet file but does not begin like one"),
        ("t.parquet", parquet_bytes()[:-100], "t.parquet is a torn Parquet file ("),
        ("t.xlsx", b"query,label\n", "named like an Excel workbook but does not begin like one"),
        ("t.xlsx", workbook_bytes()[:-100], "t.xlsx is a torn Excel workbook or ZIP archive"),
        ("t.xlsx", zip_bytes("xl/workbook.xml"), "t.xlsx is a torn Excel workbook ("),
        ("t.csv.gz", gzip.compress(GOOD.encode() * 99, mtime=0)[:-20], "t.csv.gz is compressed, and torn"),
        ("t.jsonl", b"query,label\na,b\n", "t.jsonl is not JSONL: line 1 is 'query,label"),
        ("t.csv", b"", "t.csv is empty. Export it again"),
        ("t.csv", b"\xef\xbb\xbf\n\n", "t.csv is empty"),
        ("t.jsonl", b"\n", "t.jsonl is empty"),
        ("t.csv", b"query,label\n\n", "t.csv has a header and no rows. Export it again"),
        ("t.xlsx", workbook_bytes(), "t.xlsx has a header and no rows"),
        ("t.csv", b"x" * (1 << 20), "no line end in its first 1,048,576 characters"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_is_no_table_is_refused_in_one_sentence(name, content, message, write, ingest):
    """What it looks like instead, and what to do."""
    write(content, name)
    with pytest.raises(SourceError) as error:
        ingest(name)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "written", "given"),
    [(GOOD, "utf-8", "utf-16"), (GOOD, "utf-8", "utf-16-le"), (GOOD, "utf-8", "utf-32"), (GOOD, "utf-16-le", "utf-16")],
)
def test_a_wrong_encoding_is_a_fault_of_the_setting(text, written, given, write, ingest):
    """The file is not damaged; without the setting it is read."""
    write(text.encode(written))
    with pytest.raises(SourceError, match=rf"t\.csv is not {given}, as source.encoding says.*Leave the setting out"):
        ingest(encoding=given)
    assert ingest().pairs
    write(text.encode(given))
    assert ingest(encoding=given).pairs == ingest().pairs


def test_a_column_to_keep_that_no_table_has_is_told(write, ingest):
    """A typo loses what the column holds; a pattern that one of several tables has is none."""
    write("query,label,answr,渠道1\na,x,1,app\n", "1.csv")
    write("query,label\nb,y\n", "2.csv")
    wanted = ["渠道*", "answer1", "nosuch", "lab*"]
    said = ingest(["1.csv", "2.csv"], payload_columns=wanted).facts.warnings
    found = "Columns found: 'query', 'label', 'answr', '渠道1'. Correct it, or take it out"
    lost = "so that nothing of it is kept (source.payload_columns)"
    assert [one for one in said if "payload_columns" in one] == [
        f"no column of the rows is called 'answer1', {lost}; did you mean answr? {found}",
        f"no column of the rows is called 'nosuch', {lost}. {found}",
    ]
    write("id,text,area\n1,x,north\n2,y,south\n", "list.csv")
    listed = ingest(["1.csv", "2.csv"], payload_columns="area", questions_path="list.csv")
    assert "payload_columns" not in " ".join(listed.facts.warnings)


def test_a_missing_file_is_told_with_the_nearest_names(write, tmp_path, ingest):
    """A folder without tables and a glob without matches likewise."""
    write(GOOD, "data/train.csv")
    write("", "docs/readme.md")
    with pytest.raises(SourceError) as error:
        ingest("data/trian.csv")
    assert str(error.value) == (
        f"data/trian.csv does not exist (looked for {tmp_path}/data/trian.csv); did you mean train.csv?"
    )
    with pytest.raises(SourceError, match=r"its folder holds train\.csv\. Correct --source \(source\.path\)"):
        ingest("data/zzz")
    for setting, option in (("test_path", "--test-source"), ("questions_path", "--questions")):
        with pytest.raises(SourceError, match=rf"Correct {option} \(source\.{setting}\)"):
            ingest("data/train.csv", **{setting: "data/zzz"})
    with pytest.raises(SourceError, match="its folder does not exist either"):
        ingest("dota/x/train.csv")
    with pytest.raises(SourceError, match=r"the folder docs holds no table \(readme\.md\)"):
        ingest("docs")
    with pytest.raises(SourceError, match=r"data/\*\.tsv matches no file"):
        ingest("data/*.tsv")


def test_a_path_of_several_lines_is_told_in_one(write, ingest):
    """A name may hold line ends, and what steers a terminal."""
    write(GOOD, "a\tb.csv")
    for path, shown in (("a\nb.csv", r"'a\\nb\.csv' does not exist"), ("a\x1b*", r"'a\\x1b\*' matches no file")):
        with pytest.raises(SourceError, match=shown) as refused:
            ingest(path)
        assert str(refused.value).isprintable()


def test_examples_of_rasa_without_dashes_are_told_with_their_lines(write, ingest):
    """Rasa reads none of them either."""
    one, two = "- intent: a\n  examples: |\n    - 好\n\n    怎么退票\n", "- intent: b\n  examples: |\n    改签\n"
    write(f'version: "3.1"\nnlu:\n{one}{two}', "n.yml")
    (warning,) = [one for one in ingest("n.yml").facts.warnings if "set aside" in one]
    assert "2 × example without a dash (n.yml line 7 '怎么退票 | a', n.yml line 10 '改签 | b')" in warning
    assert "begin every line of examples with '- '" in warning


def test_columns_of_different_lengths_are_told(write, ingest):
    """Of a table by column, with how many cells each has."""
    write('{"query": ["a", "b", "c"], "standard_question": ["x", "y"]}', "t.json")
    with pytest.raises(SourceError, match="differ in length: 'query' has 3, 'standard_question' has 2"):
        ingest("t.json")


KOREAN = "카드 비밀번호를 잊어버렸어요,비밀번호 변경\n결제가 안 돼요,결제 오류\n배송이 언제 오나요,배송 조회\n"
JAPANESE = "カードをなくしました,紛失\nログインできません,ログイン\n領収書はどこですか,領収書\n"
TAIWANESE = "我想查信用卡帳單,信用卡帳單怎麼查詢\n如何更改密碼,密碼\n訂單在哪裡可以查詢呢,查詢\n"


@pytest.mark.parametrize(
    ("text", "encoding", "likeliest"),
    [
        (KOREAN, "euc_kr", "cp949"),
        (JAPANESE, "euc_jp", "euc_jp"),
        (JAPANESE, "shift_jis", "cp932"),
        (TAIWANESE, "big5", "big5"),
        ("как изменить тариф,тариф\nгде мой заказ,заказ\n" * 5, "koi8_r", "koi8_r"),
        ("où est mon reçu à payer,reçu\n" * 50, "cp1252", "cp1252"),
    ],
)
def test_an_encoding_that_cannot_be_told_is_asked_for(text, encoding, likeliest, write, ingest):
    """Never taken for Chinese; one line is shown in the likeliest readings, and the advice works."""
    write(("query,label\n" + text).encode(encoding))
    with pytest.raises(SourceError) as error:
        ingest()
    first = text.split("\n")[0][:29]
    assert f"One line of it reads as {likeliest} '{first}" in str(error.value)
    assert f"Name the right one, e.g. --set source.encoding={likeliest}, or export it as UTF-8" in str(error.value)
    assert ingest(encoding=likeliest).pairs[0] == tuple(text.split("\n")[0].split(","))


@pytest.mark.parametrize("encoding", ["utf-9", "base64", "idna", "undefined", "punycode", "rot13"])
def test_a_codec_that_is_none_of_text_is_refused(encoding, write, ingest):
    """Python calls more than encodings a codec."""
    write(GOOD)
    with pytest.raises(SourceError, match=f"there is no encoding '{encoding}' \\(source.encoding\\); try utf-8"):
        ingest(encoding=encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_few_undecodable_bytes_cost_their_rows_only(encoding, write, ingest):
    """The rest of the file keeps its encoding."""
    lines = [b"query,label\n", *("怎么退票呢,退票\n".encode(encoding) for _ in range(300))]
    lines[150] = b"\xff\xfe," + lines[150]
    lines[200] = "怎么".encode(encoding) + b"\xff" + ",退票\n".encode(encoding)
    write(b"".join(lines))
    ingested = ingest()
    assert ingested.facts.files[0].encoding == encoding
    assert ingested.reasons == [(151, "undecodable bytes"), (201, "undecodable bytes")]
    assert ingested.rows("quarantine", "query")[1] == ("怎么\ufffd",)
    assert ingested.facts.rows == 298


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b" ,x", "empty query"),
        (b"how, ", "empty standard question"),
        ("\u200b,退票".encode(), "query empty after normalising"),
        ("退票,\u200b".encode(), "empty standard question"),  # nothing can be read of it
        (b"how, can I,refund", "torn row"),  # a comma that is not quoted
        (b"how", "torn row"),
        (b"h\x00w,refund", "NUL byte"),
        (b"x" * 100_001 + b",refund", "cell too long"),
        (b"x" * 140_000 + b",refund", "cell too long"),  # beyond the csv module's own limit
        (b"how," + b"x" * 100_001, "cell too long"),
        (b'"how,refund', "torn row"),  # a quotation mark that nobody closes
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value,
)
def test_an_unusable_row_goes_to_the_quarantine_with_its_line(row, reason, write, ingest):
    """Rows before and after it are read, and the reason is told with a remedy."""
    write(b"query,label\na,x\n" + row + b"\n" + b"some good row,x\n" * 300)
    ingested = ingest()
    assert ingested.facts.rows == 301
    assert ingested.reasons == [(3, reason)]
    assert ingested.facts.reasons == {reason: 1}
    (warning,) = ingested.facts.warnings
    assert warning.startswith(f"1 of 302 train rows were set aside: 1 × {reason} (t.csv line 3")
    assert REMEDIES[reason] in warning


def test_json_rows_that_are_no_objects_or_hold_half_a_character_are_set_aside(write, ingest):
    """An emoji cut in two cannot be written as UTF-8."""
    rows = [
        '{"query": "a", "label": "x"}',
        '{"query": "b", "label"',
        '["c", "x"]',
        '{"query": "\\ud83d", "label": "x"}',
        '{"query": null, "label": "x"}',
        '{"label": "x"}',
        '{"query": "g", "label": 7, "more": {}}',
    ]
    write("\n".join(rows), "t.jsonl")
    ingested = ingest("t.jsonl")
    assert ingested.pairs == [("a", "x"), ("g", "7")]
    assert ingested.reasons == [
        (2, "torn row"),
        (3, "torn row"),
        (4, "lone surrogate"),
        (5, "empty query"),
        (6, "empty query"),
    ]


def test_lines_are_those_of_the_file_where_cells_hold_line_ends(write, ingest):
    """A row begins where its first line does."""
    write('query,label\n"a\nb\n",x\n\n,x\n"c\r\nd",x\ne,x\n')
    ingested = ingest()
    assert ingested.rows("questions", "query", "line") == [("a\nb\n", 2), ("c\r\nd", 7), ("e", 9)]
    assert ingested.reasons == [(6, "empty query")]


def test_an_open_quotation_mark_does_not_swallow_the_rows_after_it(write, ingest):
    """Only its own line is torn, also where the next quotation mark would close it or the file ends."""
    write('query,label\na,x\n"b,x\nc,"x"\n"d,x\ne,x\nf,x\n')
    ingested = ingest()
    assert [query for (query,) in ingested.rows("questions", "query")] == ["a", "c", "e", "f"]
    assert ingested.reasons == [(3, "torn row"), (5, "torn row")]


def test_commas_that_a_spreadsheet_leaves_at_the_end_are_no_cells(write, ingest):
    """They hold nothing."""
    write("query,label\na,x,,\nb,y\n")
    assert ingest().pairs == [("a", "x"), ("b", "y")]


def test_when_no_row_is_usable_the_quarantine_still_lies_on_disk(write, ingest, out):
    """The message has the counts, examples and remedies; the file has every row."""
    write("query,label\n,x\n,y\na,b,c\n")
    with pytest.raises(CorpusRejected) as error:
        ingest()
    assert str(error.value) == (
        "none of the 3 train rows is usable. 2 × empty query (t.csv line 2 'x', t.csv line 3 'y'): fill them in, or "
        "name the column of the queries with --query-column; 1 × torn row (t.csv line 4 'a | b'): put cells that hold "
        "the delimiter, a line end or a quotation mark in double quotes. "
        "Every row stands with its line and reason in quarantine.parquet"
    )
    assert pq.read_table(out / "quarantine.parquet", columns=["line"])["line"].to_pylist() == [4, 2, 3]


def test_a_test_file_without_a_usable_row_is_refused(write, ingest):
    """A recall over nothing would be a lie."""
    write(GOOD)
    write("query,label\n,x\n", "test.csv")
    with pytest.raises(CorpusRejected, match="none of the 1 test rows is usable"):
        ingest(test_path="test.csv")


def test_an_empty_file_among_others_is_skipped_with_a_warning(write, ingest):
    """Exports in parts often have an empty one."""
    write(GOOD, "parts/1.csv")
    write("query,label\n", "parts/2.csv")
    write("", "parts/3.csv")
    assert ingest("parts").facts.warnings == [
        "parts/2.csv has a header and no rows; it was skipped",
        "parts/3.csv is empty; it was skipped",
    ]


def test_a_file_in_a_closed_folder_is_not_said_to_be_missing(write, ingest, tmp_path):
    """Nor what is there to be unwritable, when it cannot be read: a person would look for the wrong thing."""
    from flows.faults import as_fault
    from tests.conftest import said_by_somebody_else

    with said_by_somebody_else() as (folder, ask):
        (folder / "in").mkdir()
        (folder / "in" / "t.csv").write_text(GOOD)
        (folder / "in").chmod(0)

        def ingest_each() -> str:
            said = []
            for address in ("in/t.csv", "in/*.csv"):
                with pytest.raises(SourceError) as error:
                    ingest(str(folder / address))
                said.append(str(error.value))
            with pytest.raises(PermissionError) as denied:
                (folder / "in" / "t.csv").read_bytes()
            return "\n".join([*said, str(as_fault(denied.value))])

        lines = ask(ingest_each).splitlines()
        (folder / "in").chmod(0o700)
    assert len(lines) == 3
    for line in lines:
        assert f"this user may not enter the folder {folder / 'in'}" in line


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", b"query,label,\x80x\n" + "怎么退票,退票,1\n".encode() * 20),
        ("t.jsonl", '{"query": "怎么退票", "label": "退票", "\\ud83d": 1}\n'.encode() * 20),
    ],
)
def test_a_column_whose_name_is_no_text_is_shown_with_escapes(name, content, write, ingest):
    """What is told of a file can be written down, whatever is in it."""
    write(content, name)
    facts = ingest(name).facts
    assert facts.rows == 20
    assert "\\udc80x" in facts.model_dump_json() or "\\\\ud83d" in facts.model_dump_json()
