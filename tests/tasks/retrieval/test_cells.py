"""What cells are taken for: kinds of columns, and the moments between which something is valid."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tasks.retrieval.cells import Span, read_bound, read_column, read_moment

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["贷款", None, " 存款 ", ""], "text", ["贷款", None, "存款", None]),
        (["1", "2.5", "-3"], "number", [1.0, 2.5, -3.0]),
        (["007", "12"], "text", ["007", "12"]),  # codes
        (["1234567890123456789"], "text", ["1234567890123456789"]),  # no float holds it
        (["1", "一"], "text", ["1", "一"]),
        (["2026-01-31", "2026/2/1", "2026年3月5日"], "date", [date(2026, 1, 31), date(2026, 2, 1), date(2026, 3, 5)]),
        (["2026-01-31 00:00:00", None], "date", [date(2026, 1, 31), None]),  # how a spreadsheet exports a day
        (["2026-02-30"], "text", ["2026-02-30"]),
        (["9999-12-31", "2026-01-31"], "date", [date(9999, 12, 31), date(2026, 1, 31)]),
        (["0001-01-01 00:00:01"], "text", ["0001-01-01 00:00:01"]),  # elsewhere it is another year
        (["App;微信", "微信", "App", "App;微信"], "list", [["App", "微信"], ["微信"], ["App"], ["App", "微信"]]),
        (["先登录；再点退票", "打电话；等待"], "text", ["先登录；再点退票", "打电话；等待"]),  # nothing comes again
        (['["a", 1]', "[]"], "list", [["a", "1"], []]),
        (["[" * 100_000], "text", ["[" * 100_000]),
        (["", None], "text", [None, None]),
    ],
)
def test_a_column_is_of_the_kind_that_all_its_cells_have(cells, kind, values):
    """Missing cells are of any kind."""
    column = read_column(cells, SHANGHAI)
    assert (column.kind, column.values) == (kind, values)


def test_an_answer_is_a_text_whatever_it_looks_like():
    """So it is what the bot says."""
    assert read_column(["24", "48"], SHANGHAI, plain=True).kind == "text"


def test_moments_take_the_zone_they_name_or_the_usual_one():
    """Ten o'clock in Shanghai is two o'clock in Greenwich."""
    column = read_column(["2026-01-31 10:00", "2026-01-31T10:00:30Z", "2026-01-31T10:00+05:30"], SHANGHAI)
    assert column.kind == "moment"
    assert [one.astimezone(UTC).isoformat() for one in column.values] == [
        "2026-01-31T02:00:00+00:00",
        "2026-01-31T10:00:30+00:00",
        "2026-01-31T04:30:00+00:00",
    ]


def at(*parts: int) -> datetime:
    """Return a moment in Shanghai."""
    return datetime(*parts, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("cell", "ends", "span"),
    [
        ("2026-01-31", False, Span(at(2026, 1, 31))),
        ("2026-01-31", True, Span(end=at(2026, 2, 1))),  # valid on that day
        ("20260131", True, Span(end=at(2026, 2, 1))),
        ("2026-01-31 18:00", True, Span(end=at(2026, 1, 31, 18))),
        ("2026-01-31 00:00:00", True, Span(end=at(2026, 2, 1))),
        ("2026-01-31T00:00:00Z", True, Span(end=datetime(2026, 1, 31, tzinfo=UTC))),
        ("2026-01-01至2026-01-31", True, Span(at(2026, 1, 1), at(2026, 2, 1))),
        ("2026.1.1 - 2026.1.31", True, Span(at(2026, 1, 1), at(2026, 2, 1))),
        ("2026-01-01 ~", True, Span(at(2026, 1, 1))),
        ("2026-01-01至长期", True, Span(at(2026, 1, 1))),
        ("长期有效", True, Span()),
        ("never", True, Span()),
        ("9999-12-31", True, Span()),
        ("99991231", True, Span()),
        ("99999-01-01", True, None),
        ("0001-01-01 00:00:00", False, Span()),
        ("31.01.2026", True, None),
        ("下周", True, None),
    ],
)
def test_a_cell_of_validity_is_a_span(cell, ends, span):
    """None: nobody knows what it means."""
    assert read_bound(cell, SHANGHAI, ends) == span


def test_a_day_is_one_of_the_calendar():
    """When clocks are put forward it has 23 hours."""
    berlin = ZoneInfo("Europe/Berlin")
    span = read_bound("2026-03-29", berlin, True)
    assert span.end - read_moment("2026-03-29", berlin).astimezone(UTC) == timedelta(hours=23)
