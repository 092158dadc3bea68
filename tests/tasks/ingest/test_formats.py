"""One small table in every format and encoding, from every kind of address."""

import bz2
import csv
import gzip
import io
import json
import lzma

import fsspec
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import SourceError
from schemas.settings import Source
from tasks.ingest.corpus import fingerprint
from tests.tasks.ingest.conftest import ROWS

HEADER = ("query", "standard_question")


def as_csv(delimiter: str = ",", line_end: str = "\n") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=line_end).writerows([HEADER, *ROWS])
    return text.getvalue()


def as_jsonl() -> str:
    return "".join(json.dumps(dict(zip(HEADER, row, strict=True)), ensure_ascii=False) + "\n" for row in ROWS)


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),  # with BOM, as Excel writes it
        ("utf-16", "utf-16"),  # with BOM
        ("utf-16-le", "utf-16-le"),  # without
        ("utf-16-be", "utf-16-be"),
        ("gb18030", "gb18030"),
    ],
)
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", as_csv()),
        ("t.csv", as_csv(line_end="\r\n")),
        ("t.csv", as_csv(";")),  # Excel in half of Europe
        ("t.csv", as_csv("|")),
        ("t.tsv", as_csv("\t")),
        ("t.jsonl", as_jsonl()),
    ],
)
def test_every_encoding_and_delimiter_gives_the_same_rows(name, content, encoding, found, write, ingest):
    """Nothing has to be said about a text file that its bytes say."""
    write(content.encode(encoding), name)
    ingested = ingest(name)
    assert ingested.pairs == ROWS
    assert ingested.facts.files[0].encoding == found
    assert ingested.facts.quarantined == 0


@pytest.mark.parametrize(("suffix", "compress"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_compressed_text_is_read_as_it_is(suffix, compress, write, ingest):
    """The bytes say that they are compressed, whatever the name says."""
    write(compress(as_csv().encode()), f"t.csv.{suffix}")
    write(compress(as_csv().encode()), "plain.csv")
    assert ingest(f"t.csv.{suffix}").pairs == ROWS
    assert ingest("plain.csv").pairs == ROWS


def test_a_named_delimiter_is_used_as_it_is(write, ingest):
    """A wrong one is told."""
    write("query~label\na,b~x\n")
    assert ingest(delimiter="~").pairs == [("a,b", "x")]
    with pytest.raises(SourceError, match=r"The header was split at ';', as source\.delimiter says"):
        ingest(delimiter=";")


def test_a_named_encoding_is_used_as_it_is(write, ingest):
    """Encodings that decode as others do, too, are the owner's to name."""
    write("query,label\n訂單在哪裡,查詢\n訂單,查詢\n".encode("big5"))
    assert ingest(encoding="big5").pairs[0] == ("訂單在哪裡", "查詢")
    with pytest.raises(SourceError, match="there is no encoding 'utf-9'"):
        ingest(encoding="utf-9")
    with pytest.raises(SourceError, match="there is no encoding 'base64'"):
        ingest(encoding="base64")
    write('\ufeff"query",label\na,x\n')
    assert ingest(encoding="utf-8").pairs == [("a", "x")]


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.binary()],
    ids=str,
)
def test_parquet_gives_the_same_rows(kind, tmp_path, ingest):
    """Whatever type the exporter gave the texts."""
    columns = {name: pa.array([row[at] for row in ROWS], pa.string()).cast(kind) for at, name in enumerate(HEADER)}
    pq.write_table(pa.table({"extra": range(len(ROWS)), **columns}), tmp_path / "t.parquet")
    ingested = ingest("t.parquet")
    assert ingested.pairs == ROWS
    assert [line for (line,) in ingested.rows("questions", "line")] == [1, 2, 3, 4]


def test_numbers_in_cells_become_the_text_a_person_sees(tmp_path, ingest):
    """A class called 7 is not 7.0."""
    pq.write_table(pa.table({"text": ["a", "b", "c"], "label": [7.0, 8.5, float("nan")]}), tmp_path / "t.parquet")
    ingested = ingest("t.parquet")
    assert ingested.pairs == [("a", "7"), ("b", "8.5")]
    assert ingested.reasons == [(3, "empty standard question")]


def test_excel_gives_the_same_rows_of_the_sheet_that_is_named(tmp_path, ingest):
    """Rows without any cell are no rows; lines are those of the sheet."""
    workbook = openpyxl.Workbook()
    workbook.active.append(["query", "label"])
    workbook.active.append(["first sheet", 7])
    sheet = workbook.create_sheet("数据")
    for row in [HEADER, *ROWS[:2], (), *ROWS[2:]]:
        sheet.append(row)
    workbook.save(tmp_path / "t.xlsx")
    assert ingest("t.xlsx").pairs == [("first sheet", "7"), *ROWS]
    assert ingest("t.xlsx", sheet="Sheet").pairs == [("first sheet", "7")]
    ingested = ingest("t.xlsx", sheet="数据")
    assert ingested.pairs == ROWS
    assert [line for (line,) in ingested.rows("questions", "line")] == [2, 3, 5, 6]
    with pytest.raises(SourceError, match=r"has no sheet 'data'.*'Sheet', '数据'"):
        ingest("t.xlsx", sheet="data")


def test_bytes_decide_what_a_file_is(tmp_path, write, ingest):
    """A workbook or a Parquet file saved as .csv is read as what it is."""
    pq.write_table(pa.table({"query": ["a"], "label": ["b"]}), tmp_path / "t.csv")
    assert ingest("t.csv").facts.files[0].format == "parquet"
    write(as_jsonl(), "t.txt")
    assert ingest("t.txt").facts.files[0].format == "jsonl"


def test_parquet_columns_called_alike_are_read_as_those_of_a_csv_are(write, ingest, tmp_path):
    """As a join leaves them: each is a column of queries."""
    rows = {"names": ["query", "n", "label", "query"], "cells": [["a", "b"], [1, 2], ["x", "y"], ["c", "d"]]}
    pq.write_table(pa.table([*map(pa.array, rows["cells"])], names=rows["names"]), tmp_path / "t.parquet")
    write("query,n,label,query\na,1,x,c\nb,2,y,d\n")
    assert ingest("t.parquet").pairs == ingest("t.csv").pairs == [("a", "x"), ("c", "x"), ("b", "y"), ("d", "y")]
    pq.write_table(
        pa.table([*map(pa.array, rows["cells"])], names=["query", "n", "label", "label"]), tmp_path / "2.parquet"
    )
    write("query,n,label,label\na,1,x,c\nb,2,y,d\n")
    told = []
    for name in ("2.parquet", "t.csv"):
        with pytest.raises(SourceError) as refused:
            ingest(name)
        told.append(str(refused.value).partition(": ")[2])
    assert told[0] == told[1] == "the column 'label' is there 2 times; rename all but one"


def test_files_folders_and_globs_are_read_in_order(write, ingest):
    """A list in its own order, a folder and a glob by name; what is no table in a folder is left alone."""
    first = write("query,label\na,x\n", "shop/1.csv")
    write("query\tlabel\nb,c\ty\n", "shop/2.tsv")
    write("notes", "shop/readme.md")
    write("", "shop/_SUCCESS.csv")
    write("query,label\nold,x\n", "shop/old/3.csv")
    assert ingest("shop").rows("questions", "query", "source") == [("a", "shop/1.csv"), ("b,c", "shop/2.tsv")]
    assert ingest("shop/").rows("questions", "source") == [("shop/1.csv",), ("shop/2.tsv",)]
    assert ingest("shop/*.csv").rows("questions", "query") == [("a",)]
    assert ingest(f"{first.parent}/*.csv").rows("questions", "source") == [(str(first),)]
    assert ingest("shop/**/*.csv").rows("questions", "source") == [("shop/1.csv",), ("shop/old/3.csv",)]
    both = ingest(["shop/2.tsv", "shop/1.csv"])
    assert both.rows("questions", "row_id", "query", "line") == [(0, "b,c", 2), (1, "a", 2)]


def test_a_glob_leaves_out_what_a_folder_does(write, ingest):
    """The lock of a workbook that somebody has open fails no night; a pattern that names such files means them."""
    write("query,label\na,x\n", "shop/1.csv")
    write("query,label\nb,x\n", "shop/_2.csv")
    write("query,label\nb,x\n", "shop/.old/3.csv")
    for name in ("~$1.csv", ".DS_Store", ".4.csv", "5.csv~", "6.csv.tmp", "Thumbs.db"):
        write(b"\x00\x01lock", f"shop/{name}")
    for pattern in ("shop/*", "shop/**/*", "sh*/?*.csv"):
        assert ingest(pattern).rows("questions", "source") == [("shop/1.csv",)]
    assert ingest("shop/_*.csv").pairs == ingest("shop/.old/*.csv").pairs == [("b", "x")]
    assert ingest("shop/.*/*").pairs == [("b", "x")]
    with pytest.raises(
        SourceError, match=r"shop/\?\$\*\.csv matches only 1 hidden or temporary file\(s\) \(~\$1\.csv\)"
    ):
        ingest("shop/?$*.csv")


def test_an_fsspec_address_is_a_file_like_any_other(ingest):
    """memory:// stands for s3:// and its like."""
    with fsspec.open("memory://shop/t.csv", "wb") as stream:
        stream.write(as_csv().encode())
    assert ingest("memory://shop/t.csv").pairs == ROWS
    assert ingest("memory://shop").facts.files[0].name == "memory://shop/t.csv"
    with pytest.raises(SourceError, match=r"memory://shop/tt\.csv does not exist; did you mean t\.csv\?"):
        ingest("memory://shop/tt.csv")


def test_a_link_to_a_folder_is_no_file_of_a_folder(write, ingest, tmp_path):
    """As current -> 2026-11-27 beside the tables of each night."""
    write("query,label\na,x\n", "d/a.csv")
    (tmp_path / "d" / "old").mkdir()
    (tmp_path / "d" / "current").symlink_to("old")
    (tmp_path / "d" / "z.csv").symlink_to("old")
    assert ingest("d").pairs == [("a", "x")]
    assert ingest((tmp_path / "d" / "a.csv").as_uri().replace("file", "FILE")).pairs == [("a", "x")]


def test_the_test_file_in_a_folder_is_never_trained_on(write, ingest):
    """Nor is the list of standard questions; both are said."""
    write("query,label\na,x\n", "shop/train.csv")
    write("query,label\nb,x\n", "shop/test.csv")
    write("id,text\n1,x\n", "shop/list.csv")
    ingested = ingest("shop", test_path="shop/test.csv", questions_path="shop/list.csv")
    assert ingested.pairs == [("a", "x")]
    assert ingested.rows("test", "query") == [("b",)]
    assert ingested.facts.warnings == [
        "shop/list.csv was not trained on: it is source.questions_path",
        "shop/test.csv was not trained on: it is source.test_path",
    ]
    with pytest.raises(SourceError, match=r"both source\.path and source\.test_path"):
        ingest("shop/test.csv", test_path="shop/test.csv")


def test_a_bundled_corpus_needs_no_file_and_follows_the_seed(ingest, tmp_path):
    """The rows come from the generator."""
    ingested = ingest("bundled:c")
    assert (ingested.facts.rows, ingested.facts.classes) == (10_005, 1_035)
    assert ingested.rows("questions", "source", "line")[:2] == [("bundled:c", 1), ("bundled:c", 2)]
    source = Source(path="bundled:c")
    assert fingerprint(source, tmp_path, 1) != fingerprint(source, tmp_path, 2)
    with pytest.raises(SourceError, match="there is no bundled:z; the bundled corpora are a, b, c"):
        ingest("bundled:z")


def test_the_fingerprint_is_of_the_content_of_every_file(write, tmp_path):
    """An altered test file or list is another input, too."""
    for name in ("train.csv", "test.csv", "list.csv"):
        write("query,label\na,x\n", name)
    source = Source(path="train.csv", test_path="test.csv", questions_path="list.csv")
    before = fingerprint(source, tmp_path, 1)
    assert list(before) == ["train.csv", "test.csv", "list.csv"]
    write("query,label\nb,x\n", "test.csv")
    after = fingerprint(source, tmp_path, 1)
    assert [name for name in before if before[name] != after[name]] == ["test.csv"]
    with pytest.raises(SourceError, match=r"nowhere\.csv does not exist"):
        fingerprint(Source(path="nowhere.csv"), tmp_path, 1)
