"""Whatever is wrong with the bytes or the address of a source is one message, and no bomb fills the memory."""

import bz2
import gzip
import io
import os
import zipfile

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from schemas.errors import CorpusRejected, SourceError, Unreachable
from schemas.settings import Source
from tasks.ingest.corpus import ingest_corpus
from tasks.ingest.guard import guarded

MB = b"x" * (1 << 20)
GOOD = b"query,label\n" + "怎么退票,退票\n".encode() * 500


def zipped(name: str, blocks) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as stream:
        for block in blocks:
            stream.write(block)
    return content.getvalue()


def workbook(part: str, before: bytes, blocks) -> bytes:
    """A workbook with more put before a tag of one part."""
    plain, content = io.BytesIO(), io.BytesIO()
    made = openpyxl.Workbook()
    made.active.append(["query", "label"])
    made.active.append(["a", "x"])
    made.save(plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in old.namelist():
            first, mark, last = old.read(name).partition(before)
            with archive.open(name, "w") as stream:
                for block in [first, *(blocks if name == part else ()), mark + last]:
                    stream.write(block)
        if part not in old.namelist():
            archive.writestr(part, b"".join(blocks))
    return content.getvalue()


def parquet(column: pa.Array, **options) -> bytes:
    content = io.BytesIO()
    pq.write_table(pa.table({"query": column, "label": ["x"] * len(column)}), content, **options)
    return content.getvalue()


def test_the_longest_text_is_a_setting(tmp_path):
    """Of queries and of standard questions, with rows or without; what is longer is set aside under its own reason."""
    rows = [("a" * 20, "x"), ("a" * 21, "x"), ("b", "y" * 20), ("c", "y" * 21), ("", "z" * 21), ("", "z" * 20)]
    (tmp_path / "t.csv").write_text("query,label\n" + "".join(f"{query},{label}\n" for query, label in rows))
    facts = ingest_corpus(Source(path="t.csv", max_cell_characters=20), tmp_path, tmp_path, 1)
    assert (facts.rows, facts.without_query, facts.reasons) == (2, 1, {"cell too long": 3})
    assert "source.max_cell_characters" in " ".join(facts.warnings)
    facts = ingest_corpus(Source(path="t.csv"), tmp_path, tmp_path, 1)
    assert (facts.rows, facts.without_query, facts.quarantined) == (4, 2, 0)
    with pytest.raises(ValidationError):
        Source(path="t.csv", max_cell_characters=100_001)


SHEET = "xl/worksheets/sheet1.xml"
ENDLESS_CELL = [b'<row r="3"><c r="A3" t="inlineStr"><is><t>', *[MB] * 40, b"</t></is></c></row>"]
ENDLESS_ROW = [b'<row r="3">', *[b"<c><v>1</v></c>" * 100_000] * 30, b"</row>"]
SHARED = [b"<si><t>" + MB + b"</t></si>"] * 40
BOMBS = [
    ("t.csv.gz", lambda: gzip.compress(b"query,label\n" + MB * 40), "a line of more than 16 MB"),
    ("t.csv.gz", lambda: gzip.compress(GOOD * 400 + MB * 40), "a line of more than 16 MB"),
    ("t.csv.bz2", lambda: bz2.compress(GOOD * 400 + MB * 40), "a line of more than 16 MB"),
    (
        "t.jsonl.gz",
        lambda: gzip.compress(b'{"query":"a","label":"x"}\n' * 99_999 + MB * 40),
        "a line of more than 16 MB",
    ),
    ("t.zip", lambda: zipped("t.csv", [GOOD * 400, *[MB] * 40]), "a line of more than 16 MB"),
    ("t.xlsx", lambda: workbook(SHEET, b"</sheetData>", ENDLESS_CELL), "a cell of more than 524,288 bytes"),
    ("t.xlsx", lambda: workbook(SHEET, b"</sheetData>", ENDLESS_ROW), "a row of more than 33,554,432 bytes"),
    ("t.xlsx", lambda: workbook("xl/sharedStrings.xml", b"</sst>", SHARED), "xl/sharedStrings.xml unpacks from"),
    ("t.ods", lambda: zipped("content.xml", [MB] * 40), "is named like an OpenDocument sheet"),
    ("t.parquet", lambda: parquet(pa.array(["y" * (40 << 20)]), compression="zstd"), "unpacks from"),
]


@pytest.mark.parametrize(("name", "make", "message"), BOMBS, ids=lambda value: value if isinstance(value, str) else "")
def test_what_unpacks_to_more_than_texts_do_is_refused_while_it_is_read(name, make, message, write, ingest):
    """A cell, a line, a row, a part of an archive, a page: 40 MB here, gigabytes in a bomb."""
    content = make()
    assert len(content) < 3_000_000
    write(content, name)
    with pytest.raises(SourceError) as error:
        ingest(name)
    assert message in str(error.value)


def test_a_dictionary_of_long_cells_is_never_spread_out(write, ingest):
    """A cell of a megabyte that 20,000 rows share would be 20 GB."""
    write(
        parquet(pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), pa.array(["z" * (1 << 20)]))),
        "t.parquet",
    )
    with pytest.raises(CorpusRejected, match="20000 × cell too long"):
        ingest("t.parquet")


YEARS = pa.array([1 << 62], pa.int64())
BAD = [
    ("t.bz2", bz2.compress(GOOD)[:-20], "torn"),
    ("t.bz2", bz2.compress(GOOD)[:20] + b"\0" * 60, "torn"),
    ("t.csv.gz", gzip.compress(GOOD, mtime=0)[:30] + b"\0" * 60, "torn"),
    ("t.zip", zipped("t.csv", [GOOD])[:-30], "torn"),
    ("t.zip", zipped("t.csv", [GOOD]).replace(b"PK\x03\x04", b"PK\x03\x05", 0)[:60] + b"\0" * 90, "torn"),
    ("t.csv", ",".join(f"c{at}" for at in range(100_000)).encode() + b"\n1\n", "100,000 columns"),
    ("t.csv", b"x" * 200_000 + b"\na,b\n", "no column of queries"),
    ("t.csv", b"x" * 200_000 + b",y\na,b\n", "no column of queries"),
    ("t.parquet", parquet(YEARS.cast(pa.timestamp("us"))), "torn Parquet file"),
    ("t.parquet", parquet(pa.array([1], pa.timestamp("us", tz="Mars/Olympus"))), "Parquet file"),
]


@pytest.mark.parametrize(
    ("name", "content", "message"), BAD, ids=[f"{number}-{name}" for number, (name, *_) in enumerate(BAD)]
)
def test_whatever_a_library_raises_is_one_message(name, content, message, write, ingest):
    """Torn archives, headers nobody means, dates beyond the calendar."""
    write(content, name)
    with pytest.raises(SourceError) as error:
        ingest(name)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1_000


@pytest.mark.parametrize(
    "address",
    ["data:text/plain;base64,!!", "github://nobody", "zip://a.csv::t.csv", "ftp://", "s3:", "::", "http://[", "a\0b"],
)
def test_an_address_that_cannot_be_meant_is_one_message(address, write, ingest):
    """None of them reaches out: they fail as they are read."""
    write(GOOD)
    with pytest.raises((SourceError, ValueError)) as error:  # the settings refuse most of them
        ingest(address)
    assert isinstance(error.value, (SourceError, ValidationError))


def test_a_file_whose_name_is_no_utf8_is_named(tmp_path, ingest):
    """It cannot be written into a column of texts."""
    (tmp_path / "shop").mkdir()
    with open(os.fsencode(tmp_path / "shop") + b"/\xb9\xfa.csv", "wb") as stream:
        stream.write(GOOD)
    with pytest.raises(SourceError, match=r"\\xb9\\xfa\.csv|\\udcb9\\udcfa\.csv.*is not UTF-8; rename it"):
        ingest("shop")


def test_faults_of_the_network_are_told_and_those_of_the_machine_pass():
    """The same bytes may be read a moment later, and are tried again; a panic in Rust is not."""

    class PanicException(BaseException):
        """What a library in Rust raises."""

    for fault in (ConnectionResetError(), TimeoutError(), OSError("s3")):
        with pytest.raises(Unreachable, match=r"t\.csv cannot be reached"), guarded("t.csv", remote=True):
            raise fault
    with pytest.raises(OSError, match="full"), guarded("t.csv"):
        raise OSError(28, "full")
    for fault, remote in (
        (ValueError("x"), True),
        (OSError("x"), False),
        (PanicException("x"), False),
        (LookupError(), False),
    ):
        with pytest.raises(SourceError, match=r"t\.csv cannot be read"), guarded("t.csv", remote=remote):
            raise fault
