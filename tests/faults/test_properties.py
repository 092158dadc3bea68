"""Whatever is read, set, split, drawn, loaded or asked: nothing leaves the error tree, and what must hold holds.

hypothesis draws the same examples each time, so that the suite is the same for everybody; HYPOTHESIS_PROFILE=search
draws others, and ten times as many.
"""

# ruff: noqa: PT017 - strategies are one expression each; what is raised may be right, and is looked at

import json
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from flows.api.server import create, start_options
from flows.corpora import build_settings, known_keys, merge, parse_overrides
from schemas.errors import PipelineError, SettingsError, StaleFile
from schemas.settings import CorpusSettings, Source
from tasks.ingest.corpus import ingest_corpus
from tasks.prepare.negatives import draw_negatives, forbidden_classes, is_forbidden
from tasks.prepare.split import hold_out
from tasks.registry import ModelRegistry
from tasks.retrieval.normalise import normalise
from tasks.retrieval.retriever import Model
from tests.conftest import PAIRS
from tests.tasks.conftest import publish

_SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile(
    "suite", max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=_SLOW
)
settings.register_profile("search", max_examples=400, deadline=None, database=None, suppress_health_check=_SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

#: Characters that tables, encodings and normalising stumble over, beside any other.
ODD = st.sampled_from(
    [
        "\0",
        "\r",
        "\n",
        '"',
        ",",
        "\t",
        "\ufeff",
        "\u200b",
        "\u2028",
        "\ud83d",
        "'",
        "\\",
        "😀",
        "\u202e",
        "ǆ",
        "ß",
        "İ",
        "　",
        "退",
        "=",
        ";",
    ]
)
TEXT = st.lists(st.one_of(ODD, st.characters()), max_size=12).map("".join)
ROWS = st.lists(st.lists(TEXT, min_size=1, max_size=4), max_size=12)


def ingest(content: bytes, name: str) -> tuple[list[tuple[int, str, str]], list[int], int]:
    """Return the rows that can be used (line, query, standard question), the lines set aside, and the rows counted."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        (base / name).write_bytes(content)
        (base / "out").mkdir()
        facts = ingest_corpus(Source(path=name), base / "out", base, 1)
        assert type(facts).model_validate_json(facts.model_dump_json()) == facts
        used, aside = (pq.read_table(base / "out" / f"{file}.parquet") for file in ("questions", "quarantine"))
    columns = (used[column].to_pylist() for column in ("line", "query", "standard_question"))
    return list(zip(*columns, strict=True)), aside["line"].to_pylist(), facts.rows


def check_ingested(content: bytes, name: str) -> None:
    """What is read holds texts, each of a line of its own; what is not is one message of ours."""
    try:
        used, aside, rows = ingest(content, name)
    except PipelineError as error:
        assert error.exit_code == 2
        assert 0 < len(str(error)) < 3000
        return
    lines = [line for line, *_ in used]
    assert len(used) == rows
    assert name != "t.csv" or (len(set(lines)) == rows and not set(lines) & set(aside))
    for _, query, question in used:
        assert normalise(query)
        assert question == question.strip()
        assert question


@given(st.binary(max_size=400))
def test_any_bytes_are_a_table_or_one_message(content):
    """Under every name that a table may have."""
    for name in ("t.csv", "t.jsonl", "t.json", "t.parquet", "t.xlsx", "t.csv.gz", "t.zip", "t.yml"):
        check_ingested(content, name)


@given(TEXT, ROWS, st.sampled_from([",", ";", "\t", "|"]), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_any_table_of_text_is_read_or_one_message(column, rows, delimiter, end, quoted):
    """Cells of anything, quoted or as they are, beside rows that are sound."""

    def cell(text):
        return '"' + text.replace('"', '""') + '"' if quoted else text

    lines = [
        delimiter.join(("query", "standard_question", cell(column))),
        *(delimiter.join(pair) for pair in PAIRS[:6]),
    ]
    lines += [delimiter.join(map(cell, row)) for row in rows]
    check_ingested(end.join(lines).encode("utf-8", "surrogatepass"), "t.csv")


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.sampled_from(["query", "standard_question", "label", "data"]), TEXT), inner, max_size=3
        ),
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=6), st.booleans())
def test_any_json_is_read_or_one_message(values, lines):
    """As a document or a line each."""
    rows = [{"query": query, "standard_question": question} for query, question in PAIRS[:4]]
    content = "\n".join(map(json.dumps, [*rows, *values])) if lines else json.dumps([*rows, *values])
    check_ingested(content.encode(), "t.jsonl" if lines else "t.json")


@given(st.dictionaries(st.sampled_from(known_keys()), JSON, max_size=3))
def test_any_settings_are_valid_or_one_message_and_valid_ones_stay_as_they_are(values):
    """Through the model's JSON, too, which is how a deployment's run gets them."""
    raw = {"name": "toy", "source": {"path": "t.csv"}}
    for key, value in values.items():
        nested = value
        for part in reversed(key.split(".")):
            nested = {part: nested}
        raw = merge(raw, nested) if isinstance(nested, dict) else raw
    try:
        found = build_settings(raw, "the test")
    except SettingsError as error:
        assert str(error).startswith("the test: ")
        return
    assert CorpusSettings.model_validate_json(found.model_dump_json()) == found


@given(st.lists(TEXT.map(lambda text: f"model.hidden_dims={text}") | TEXT, max_size=3))
def test_any_words_after_set_are_settings_or_one_message(pairs):
    """Half TOML, bare words, emptiness."""
    try:
        assert isinstance(parse_overrides(pairs), dict)
    except SettingsError:
        pass


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6)), min_size=1, max_size=80),
    st.floats(0.01, 0.9),
    st.integers(0, 2**31),
    st.booleans(),
)
def test_no_query_is_on_both_sides_and_every_class_keeps_a_row(rows, share, seed, lend):
    """Whatever queries the classes share; only a class of one row may lend it."""
    queries = np.array([query for query, _ in rows], dtype=np.uint64)
    names, classes = np.unique([number for _, number in rows], return_inverse=True)
    held = hold_out(queries, classes, share, seed, "test", lend)
    assert not set(queries[held].tolist()) & set(queries[~held].tolist())
    sizes, kept = np.bincount(classes), np.bincount(classes[~held], minlength=len(names))
    assert ((kept > 0) | (lend & (sizes == 1))).all()
    assert (np.bincount(classes[held], minlength=len(names)) <= np.ceil(sizes * share)).all()
    assert (hold_out(queries[::-1], classes[::-1], share, seed, "test", lend)[::-1] == held).all(), (
        "order tells nothing"
    )


@given(
    st.integers(2, 12).flatmap(
        lambda count: st.lists(st.sets(st.integers(0, count - 1)), min_size=count, max_size=count)
    ),
    st.integers(1, 6),
    st.integers(0, 5),
    st.integers(0, 2**31),
    st.sampled_from(["random", "first_n"]),
)
def test_no_negative_is_the_right_answer_or_a_near_duplicate_of_it(duplicates, per_row, epoch, seed, sampler):
    """And a row's are the same whatever stands beside it."""
    forbidden = forbidden_classes([sorted(others) for others in duplicates])
    labels = np.arange(len(duplicates)).repeat(3)
    rows = np.arange(len(labels))
    drawn = draw_negatives(rows, labels, forbidden, per_row, epoch, seed, sampler)
    assert drawn.shape == (len(rows), per_row)
    assert ((drawn >= 0) & (drawn < len(duplicates))).all()
    assert not is_forbidden(forbidden, labels, drawn).any()
    assert (draw_negatives(rows[1::2], labels[1::2], forbidden, per_row, epoch, seed, sampler) == drawn[1::2]).all()


FILES = ("model.json", "model.safetensors", "standard_questions.parquet", "vocabulary.parquet")


@given(
    st.sampled_from(FILES),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4),
    st.integers(0, 300),
)
def test_a_model_of_any_bytes_answers_or_is_one_message(candidate, name, changes, cut):
    """Also where no sha256 tells first: what a loader believes is what it has checked."""
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(candidate, Path(folder) / "candidate")
        content = bytearray((copy / name).read_bytes())
        for at, new in changes:
            start = at % len(content)
            content[start : start + len(new)] = new
        (copy / name).write_bytes(content[: len(content) - cut])
        try:
            (hits,) = Model(copy).search(["怎么退票"], 3)
        except (StaleFile, SettingsError) as error:
            assert 0 < len(str(error)) < 3000
        else:
            assert len(hits) == 3
            assert all(np.isfinite(hit.score) for hit in hits)


@pytest.fixture(scope="module")
def service(candidate, tmp_path_factory):
    """The HTTP service, without a socket."""
    home = tmp_path_factory.mktemp("home")
    publish(ModelRegistry(home / "models" / "toy"), candidate)
    limits = {"body_bytes": 5000, "batch": 4, "characters": 100, "top": 10, "concurrency": 8, "body_seconds": 5.0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DSSM_HOME", str(home))
        options = start_options([], ([], []), query_log=None, query_log_bytes=1, query_log_digits=False, **limits)
        with TestClient(create(options)) as client:
            yield client


NAMES = st.sampled_from(["toy", "nix", "", "..", "%2e%2e", "%00", "toy/search", "退", "a" * 300]) | TEXT.filter(
    lambda text: not set(text) & set("?#")
)
BODY = st.binary(max_size=200) | st.fixed_dictionaries({"query": JSON}, optional={"top": JSON, "more": JSON}).map(
    lambda body: json.dumps(body).encode()
)


@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"]),
    NAMES,
    st.sampled_from(["search", "feedback", "", "nix"]),
    BODY,
    st.sampled_from(["application/json", "text/plain", "", "application/json; charset=gbk"]),
)
def test_any_request_is_answered_or_refused_and_never_a_fault_of_ours(service, method, name, what, body, kind):
    """A 4xx has a body that says what is wrong."""
    path = f"/v1/{quote(name, safe='/%.', errors='replace')}/{what}"
    answer = service.request(method, path, content=body, headers={"Content-Type": kind})
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400 and method != "HEAD":
        assert answer.json()["error"]
