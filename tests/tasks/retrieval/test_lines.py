"""Lines of files of queries."""

import tracemalloc

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


def test_lines_end_with_a_line_feed_alone(tmp_path):
    """A mark of UTF-8 and CR are none of a query; another separator may be; the last one may lack its end."""
    file = tmp_path / "queries.txt"
    file.write_bytes("\ufeff怎么\u2028退票\r\n\n我要".encode())
    assert [line for lines in read_lines(str(file)) for line in lines] == ["怎么\u2028退票", "", "我要"]
