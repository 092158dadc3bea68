"""What customers ask now, against what the corpus has."""

from schemas.language import read_words
from schemas.settings import Doctor
from tasks.doctor.log import Asked
from tasks.doctor.traffic import describe_traffic, find_warnings


def asked(day, query, decision="answer"):
    """Return a query of a day of November 2026."""
    return Asked(query, query, f"2026-11-{day:02d}T10:00:00Z", decision=decision)


LOG = [
    *(asked(2, "open account") for _ in range(4)),
    *(asked(3, "close account") for _ in range(4)),
    *(asked(24, "close account") for _ in range(8)),
    *(asked(25, "open esim account", "handover") for _ in range(4)),
]
FIRST = {"open account": "open", "close account": "close"}


def look():
    """Return the traffic of LOG."""
    return describe_traffic(
        LOG, lambda one: one.decision == "answer", FIRST, {"open", "close", "account"}, str.split,
        {"open": 9, "close": 3, "lend": 5},
    )  # fmt: skip


def test_weeks_count_what_was_not_answered():
    """By their Monday."""
    weeks = [(week.start, week.queries, week.unanswered) for week in look().weeks]

    assert weeks == [("2026-11-02", 8, 0), ("2026-11-23", 12, 4)]


def test_new_words_and_what_grows_dies_or_was_never_asked():
    """A word that the corpus lacks; asked twice as often, after allowing for more queries in all; no more; never."""
    said = look()

    assert said.new_words == [("esim", 4)]
    assert said.dying == [("open", 4, 0)]
    assert said.growing == []  # 8 of 12 after 4 of 8 is no doubling
    assert (said.never_asked, said.never_examples) == (1, ["lend"])


def test_bounds_of_the_settings_warn():
    """A fifth of the queries is not answered; the bound says how many may be."""
    words = read_words("en")

    assert find_warnings(look(), Doctor(), words) == []
    (warning,) = find_warnings(look(), Doctor(max_unanswered_share=0.1), words)
    assert "20.0% of the queries" in warning
    assert "doctor.max_unanswered_share" in warning


def test_a_log_without_days_has_no_weeks():
    """Halves are those of its lines."""
    said = describe_traffic(
        [Asked("a", "a"), Asked("a", "a"), Asked("a", "a"), Asked("b", "b"), Asked("b", "b"), Asked("b", "b")],
        lambda one: True, {"a": "A", "b": "B"}, {"a", "b"}, str.split, {"A": 1, "B": 1},
    )  # fmt: skip

    assert said.weeks == []
    assert (said.dying, said.growing) == ([("A", 3, 0)], [("B", 0, 3)])
