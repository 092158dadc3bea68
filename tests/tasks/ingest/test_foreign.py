"""Queries that are not of the corpus: the sources of others, or texts with one a line."""

import json

import pyarrow.parquet as pq
import pytest

from schemas.errors import SourceError
from schemas.outputs import ForeignOutput
from schemas.settings import Source
from tasks.ingest.corpus import ingest_corpus
from tasks.ingest.foreign import find_query_files, read_queries, write_foreign
from tests.conftest import PAIRS, write_table


@pytest.fixture
def write(tmp_path, toy_csv):
    """Write foreign.parquet of files below a folder, for the toy corpus; return what reads it."""
    ingested = tmp_path / "ingest"
    ingested.mkdir()
    ingest_corpus(Source(path=str(toy_csv)), ingested, tmp_path, 1)

    def write_files(addresses):
        write_foreign(
            find_query_files(addresses, tmp_path, "decisions.foreign_path"), Source(path="x.csv"), ingested, 1, tmp_path
        )
        return ForeignOutput(tmp_path)

    return write_files


def test_tables_and_texts_are_read_and_own_queries_left_out(write, tmp_path):
    """Each query once, in a drawn order; half of them tune, the other half measures."""
    rows = [(f"天气怎么样{n}", "天气") for n in range(30)]
    write_table(tmp_path / "weather.csv", [*rows, *PAIRS, *rows])
    (tmp_path / "more.txt").write_text(
        "\ufeff".join(["", *(f"What time is it {n}\r\n\r\n" for n in range(20))]), "utf-8"
    )
    found = write(["weather.csv", "more.txt"])

    queries = pq.read_table(found.queries)["query"].to_pylist()
    expected = {query for query, _ in rows} | {f"what time is it {n}" for n in range(20)}
    assert sorted(queries) == sorted(expected)
    assert queries != sorted(queries)
    tuning, measuring = found.read_for_calibration(), found.read_for_measuring()
    assert len(tuning) == len(measuring) == 25
    assert set(tuning) | set(measuring) == expected


def test_too_few_are_refused(write, tmp_path):
    """All of them may be the corpus's own: the wrong file was named."""
    write_table(tmp_path / "own.csv", PAIRS)
    with pytest.raises(SourceError, match=r"own\.csv: 0 queries that are not of the corpus itself, at least 20"):
        write("own.csv")
    with pytest.raises(SourceError, match=r"nosuch\.csv does not exist"):
        write("nosuch.csv")


def test_a_table_needs_no_standard_questions(tmp_path):
    """A log is queries alone; of the service's own, feedback is no query, and queries need none."""
    (tmp_path / "log.csv").write_text("time,query,session\n1,Card lost,a\n2,,b\n3,Card stolen,c\n", "utf-8")
    service = [
        {"kind": "query", "query_id": "1", "corpus": "c", "query": "Top up", "results": [{"standard_question": "x"}]},
        {"kind": "feedback", "query_id": "1", "corpus": "c", "standard_question": "y"},
        {"kind": "query", "query_id": "2", "corpus": "c", "query": "New card", "results": []},
    ]
    (tmp_path / "service.jsonl").write_text("".join(json.dumps(row) + "\n" for row in service), "utf-8")
    without_header = "".join(f"how do I do {n},my card {'abc'[n % 3]}\n" for n in range(12))
    (tmp_path / "other.csv").write_text(without_header, "utf-8")
    (tmp_path / "unnamed.csv").write_text("a,b\n1,2\n", "utf-8")

    def read(name):
        return read_queries(find_query_files(name, tmp_path, "source.unlabelled"), Source(path="x.csv"))

    assert read("log.csv") == ["card lost", "card stolen"]
    assert read("service.jsonl") == ["top up", "new card"]
    assert len(read("other.csv")) == 12
    with pytest.raises(SourceError, match=r"none of its columns is called like queries: 'a', 'b'\. Call that"):
        read("unnamed.csv")


def test_of_a_long_log_the_last_queries_are_read(tmp_path):
    """Files in the order of their names; a query that is asked again is as new as its last time."""
    (tmp_path / "log-1.txt").write_text("old\nwanted often\nolder\n", "utf-8")
    (tmp_path / "log-2.txt").write_text("wanted often\nnew\n", "utf-8")
    files = find_query_files(str(tmp_path / "log-*.txt"), tmp_path, "source.unlabelled")
    source = Source(path="x.csv")

    assert read_queries(files, source, 3) == ["older", "wanted often", "new"]
    assert read_queries(files, source) == ["old", "wanted often", "older", "new"]
