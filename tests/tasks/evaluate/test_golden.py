"""Golden queries asked of a model, and the queries a version was trained on."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.tables import GOLDEN
from tasks.evaluate.golden import ask_golden
from tasks.evaluate.training_queries import TRAINED_ON, list_trained_on, was_trained_on
from tasks.retrieval.retriever import Hit


class Fixed:
    """Answers every query with the same standard questions."""

    def search(self, queries, top, valid_at):
        """Return the first `top` of letters."""
        return [[Hit(name, 0.5, name) for name in "abcdefghijklmnop"[:top]] for _ in queries]


def ask(top, *pairs):
    """Ask pairs of query and standard question."""
    rows = [{"query": q, "standard_question": s, "where": f"golden.csv:{n}"} for n, (q, s) in enumerate(pairs, 2)]
    return ask_golden(Fixed(), pa.Table.from_pylist(rows, GOLDEN), top)


@pytest.mark.parametrize(("top", "missed"), [(1, ["b", "c", "p"]), (2, ["c", "p"]), (3, ["p"]), (16, [])])
def test_a_golden_query_is_right_among_the_first_so_many(top, missed):
    """The place of the right one is told where it is among the first ten."""
    found = ask(top, *[("query", name) for name in "abcp"])

    assert (found.queries, found.top) == (4, top)
    assert [miss.standard_question for miss in found.misses] == missed
    assert {m.standard_question: m.place for m in found.misses}.get("c", 3) == 3
    assert all((m.instead, m.place) == ("a", None) for m in found.misses if m.standard_question == "p")


def test_a_version_knows_which_queries_it_was_trained_on(tmp_path):
    """By their normal form; one that does not say has seen none."""
    (tmp_path / "train.parquet").mkdir()
    for number, query in enumerate(["怎么退票", "how do i fly"]):
        pq.write_table(pa.table({"query": [query]}), tmp_path / "train.parquet" / f"part-{number:05d}.parquet")
    asked = ["怎么退票", "How  do I FLY", "怎么改签"]

    assert was_trained_on(tmp_path, asked).tolist() == [False, False, False]
    (tmp_path / TRAINED_ON).write_bytes(list_trained_on(tmp_path))
    assert was_trained_on(tmp_path, asked).tolist() == [True, True, False]


def test_what_was_trained_on_is_small(tmp_path):
    """50,000 queries in about two bytes each."""
    queries = [f"query {n}" for n in range(50_000)]
    (tmp_path / "train.parquet").mkdir()
    pq.write_table(pa.table({"query": queries}), tmp_path / "train.parquet" / "part-00000.parquet")

    file = list_trained_on(tmp_path)
    assert len(file) < 150_000
    (tmp_path / TRAINED_ON).write_bytes(file)
    assert was_trained_on(tmp_path, queries).all()
    assert was_trained_on(tmp_path, [f"new {n}" for n in range(50_000)]).sum() < 10
