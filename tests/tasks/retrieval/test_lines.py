"""Lines of files of queries."""

import gzip
import tracemalloc

import pytest

from schemas.errors import SourceError
from tasks.retrieval.lines import read_lines


def test_a_file_is_never_whole_in_memory(tmp_path):
    """300,000 lines, of 30 MB, take less than one."""
    file = tmp_path / "queries.txt"
    file.write_text(("怎么提前还款" * 5 + "\n") * 300_000, "utf-8")
    tracemalloc.start()
    try:
        count = sum(len(lines) for lines in read_lines(file))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (count, most < 1 << 20) == (300_000, True)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("chunk", [1, 2, 7, 1 << 16])
def test_lines_end_as_any_system_ends_them(end, chunk, tmp_path, monkeypatch):
    """A mark of UTF-8 is none of a query; another separator may be; the last line may lack its end."""
    monkeypatch.setattr("tasks.retrieval.lines._CHUNK", chunk)
    file = tmp_path / "queries.txt"
    file.write_bytes("\ufeff怎么\u2028退票|||我要".replace("|", end).encode())
    assert [line for lines in read_lines(str(file)) for line in lines] == ["怎么\u2028退票", "", "", "我要"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("怎么退票\n".encode("utf-16"), "text in UTF-16"),
        ("how\ncan\n".encode("utf-16-le"), "UTF-16, or none at all: 8 of its first 16 bytes"),
        ("how\ncan\n".encode("utf-16-be"), "UTF-16, or none at all"),
        (gzip.compress("怎么退票\n".encode()), "gzip"),
        (b"PK\x03\x04...", "an Excel workbook or ZIP archive"),
    ],
    ids=["mark", "little", "big", "gzip", "xlsx"],
)
def test_what_is_no_text_of_queries_is_named(content, what, tmp_path):
    """To ask what a workbook or UTF-16 decodes to would answer nonsense."""
    file = tmp_path / "queries.txt"
    file.write_bytes(content)
    with pytest.raises(SourceError, match=rf"{what}.*give a text file in UTF-8 with one query a line"):
        list(read_lines(file))
