"""The table of queries that must always be right: any format, and every mistake in it is told before a training."""

import json
import time

import pytest

from schemas.errors import SourceError
from schemas.settings import Source
from tasks.ingest.golden import find_golden_files, read_golden

STANDARD = ["如何办理退票", "如何改签"]
ROWS = [("我要退票", "如何办理退票"), ("想改签", "如何改签"), ("我要退票 ", "如何办理退票")]


def read(file, rows, standard=STANDARD):
    """Write golden rows as CSV and read them."""
    file.write_text("query,standard_question\n" + "".join(f"{q},{s}\n" for q, s in rows), "utf-8")
    return read_golden(find_golden_files(file.name, file.parent), Source(path="x.csv"), standard)


def test_golden_queries_are_read_once_each_with_their_place(tmp_path):
    """Repeats are one query; line 1 is the header."""
    table = read(tmp_path / "golden.csv", ROWS)

    assert table["query"].to_pylist() == ["我要退票", "想改签"]
    assert table["where"].to_pylist() == ["golden.csv:2", "golden.csv:3"]


def test_any_format_and_the_columns_of_the_source(tmp_path):
    """As the rows themselves are read."""
    lines = [json.dumps({"ask": query, "answer": standard}) for query, standard in ROWS]
    (tmp_path / "golden.jsonl").write_text("\n".join(lines), "utf-8")
    source = Source(path="x.csv", query_column="ask", question_column="answer")

    assert len(read_golden(find_golden_files("golden.jsonl", tmp_path), source, STANDARD)) == 2


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [*ROWS, ("退票", "如何办理退标"), ("订餐", "怎么订餐")],
            r"golden\.csv: 2 golden row\(s\) name a standard question that the corpus does not have "
            r"\(golden\.csv:5 “如何办理退标” \(did you mean “如何办理退票”\?\); golden\.csv:6 “怎么订餐”\)",
        ),
        ([*ROWS, ("我要退票", "如何改签")], r"1 golden query\(s\) have two right answers .*golden\.csv:5"),
        ([("", "如何改签")], r"1 row\(s\) cannot be read \(golden\.csv:2 empty query\)"),
        ([], "holds no golden query"),
    ],
)
def test_a_mistake_is_told_with_its_line(rows, message, tmp_path):
    """And nothing is set aside: a golden query that nobody asks protects nobody."""
    with pytest.raises(SourceError, match=message):
        read(tmp_path / "golden.csv", rows)


def test_a_table_of_another_corpus_is_refused_at_once(tmp_path):
    """What may have been meant is looked for, among many standard questions, only for the rows that are told."""
    standard = [f"如何办理第{n}号业务" for n in range(3000)]
    began = time.monotonic()

    with pytest.raises(SourceError, match=r"400 golden row\(s\) name .*did you mean “如何办理第1号业务”"):
        read(tmp_path / "golden.csv", [(f"第{n}号", f"如何办理第{n}号业务？") for n in range(400)], standard)
    assert time.monotonic() - began < 5


def test_a_missing_file_and_a_bundled_corpus_are_refused(tmp_path):
    """Both are known before anything is read."""
    with pytest.raises(SourceError, match=r"does not exist.*Correct publish\.golden_path"):
        find_golden_files("golden.csv", tmp_path)
    with pytest.raises(SourceError, match="not a bundled corpus"):
        find_golden_files("bundled:c", tmp_path)
