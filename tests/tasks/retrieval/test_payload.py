"""Fields of standard questions: kept with a model, given with every answer, and chosen by before anything is ranked."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from schemas.errors import FilterError, StaleFile
from schemas.filters import Range, check_filters, parse_filters, parse_valid_at
from schemas.outputs import IngestOutput
from tasks.ingest.corpus import ingest_corpus
from tasks.prepare.corpus import prepare_corpus
from tasks.retrieval.payload import PAYLOAD_FILE, Payload
from tasks.retrieval.retriever import Model
from tasks.train.training import train_candidate
from tests.conftest import PAIRS, TOY, make_settings, write_table

# id, text, and what else a list says: the fee is missing once, one is over, one is yet to come
_LIST = [
    (
        f"Q{n}",
        text,
        f"回答{n}",
        "退改" if n < 3 else "其他",
        "App;微信" if n % 2 else "App",
        "" if n == 4 else str(n * 5),
        {5: "2030-01-01"}.get(n, "2020-01-01"),
        {6: "2020-12-31", 7: "长期"}.get(n, ""),
    )
    for n, text in enumerate(TOY)
]
_HEADER = ("id", "text", "答案", "Category", "channel", "fee", "valid_from", "有效期至")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A candidate trained with such a list."""
    folder = tmp_path_factory.mktemp("payload")
    source = write_table(folder / "rows.csv", PAIRS)
    listed = write_table(folder / "list.csv", _LIST, _HEADER)
    settings = make_settings(source, source__questions_path=str(listed), model__exemplar_weight=0.5)
    steps = [folder / name for name in ("ingest", "prepare", "train", "partial")]
    for step in steps:
        step.mkdir()
    ingested, prepared, trained, partial = steps
    ingest_corpus(settings.source, ingested, folder, settings.seed)
    prepare_corpus(ingested, prepared, settings)
    train_candidate(prepared, trained, partial, settings, lambda *_: None, ingested=IngestOutput(ingested))
    return trained / "candidate"


@pytest.fixture(scope="module")
def model(made) -> Model:
    """The same, loaded."""
    return Model(made)


def texts(hits) -> list[str]:
    """Return what was found."""
    return [hit.standard_question for hit in hits]


def test_what_the_list_says_comes_with_every_answer(model):
    """As JSON has it; what is missing is left out."""
    hits = model.search(["怎么退票"], top=12, valid_at="any")[0]
    by_text = {hit.standard_question: hit.payload for hit in hits}

    assert by_text[_LIST[1][1]] == {
        "答案": "回答1",
        "Category": "退改",
        "channel": ["App", "微信"],
        "fee": 5,
        "valid_from": "2020-01-01",
    }
    assert "fee" not in by_text[_LIST[4][1]]
    json.dumps([dict(payload) for payload in by_text.values()])
    assert model.payload.fields == {
        "答案": "text",
        "Category": "text",
        "channel": "list",
        "fee": "number",
        "valid_from": "date",
        "有效期至": "text",  # one says 长期
    }


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ({"Category": "退改"}, {0, 1, 2}),
        ({"category": " 退改 "}, {0, 1, 2}),  # a name and a value are found as they are read
        ({"channel": "微信"}, {1, 3, 5, 7, 9, 11}),
        ({"channel": ["微信", "App"], "Category": "退改"}, {0, 1, 2}),
        ({"channel": "微信", "Category": "退改"}, {1}),
        ({"fee": 15}, {3}),
        ({"fee": "15"}, {3}),
        ({"fee": Range(10, 20)}, {2, 3}),  # 4 has none
        ({"fee": Range(min=50)}, {10, 11}),
        ({"fee": None}, {4}),
        ({"valid_from": "2030-01-01"}, {5}),
        ({"valid_from": Range(max="2025-01-01")}, {*range(12)} - {5}),
        ({"有效期至": None}, {*range(12)} - {6, 7}),
        ({"Category": "没有"}, set()),
        ({"Category": []}, set()),
    ],
)
def test_filters_choose_exactly(model, filters, numbers):
    """Whatever the query; the first k are then filled from what they leave."""
    (hits,) = model.search(["怎么退票"], top=12, filters=filters, valid_at="any")
    assert {*texts(hits)} == {_LIST[n][1] for n in numbers}
    (few,) = model.search(["宠物托运"], top=2, filters=filters, valid_at="any")
    assert len(few) == min(2, len(numbers))


def test_what_is_chosen_is_ranked_as_if_nothing_else_were_there(made, model):
    """To the last bit: not the first of all, filtered afterwards."""
    chosen = model.payload.choose({"Category": "其他"}, "any")
    vectors = model.vectors_of(model.encoder.read(["宠物", "怎么退票"]))
    alone = model._scores(vectors, chosen)

    for query, row in zip(["宠物", "怎么退票"], alone, strict=True):
        (hits,) = model.search([query], top=3, filters={"Category": "其他"}, valid_at="any")
        order = np.argsort(-row, kind="stable")[:3]
        assert texts(hits) == [model.standard_questions[n] for n in chosen[order]]
        np.testing.assert_allclose([hit.score for hit in hits], row[order], atol=1e-6)


def test_only_what_is_valid_now_is_found_unless_another_moment_is_asked_for(model):
    """Number 5 begins in 2030, number 6 ended with 2020; the last day counts, by the clocks of Shanghai."""
    now = texts(model.search(["飞机"], top=12)[0])
    assert {*(row[1] for row in _LIST)} - {*now} == {_LIST[5][1], _LIST[6][1]}
    assert len(model.search(["飞机"], top=12, valid_at="any")[0]) == 12

    last = datetime(2020, 12, 31, 15, 59, 59, tzinfo=UTC)
    assert _LIST[6][1] in texts(model.search(["飞机"], top=12, valid_at=last)[0])
    assert _LIST[6][1] not in texts(model.search(["飞机"], top=12, valid_at=last + timedelta(seconds=1))[0])
    assert _LIST[6][1] in texts(model.search(["飞机"], top=12, valid_at=parse_valid_at("2020-12-31T23:59"))[0])


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        (["Category=退"], ["nothing has Category=退; values: 其他, 退改"]),
        (["channel=电话", "channel=短信"], ["nothing has channel=电话 or channel=短信; values: App, 微信"]),
        (
            ["fee>=99", "category=退改"],
            ["nothing has fee>=99; values: 0, 5, 10, 15, 25, 30, 35, 40, 45, 50, … (11 in all)"],
        ),
        (["channel=微信", "channel=短信"], []),
    ],
)
def test_a_filter_that_holds_of_nothing_is_told_with_the_values(model, filters, said):
    """An empty answer does not say why it is empty."""
    assert model.payload.find_unmatched(parse_filters(filters)) == said


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (
            {"catgory": "退改"},
            "there is no field 'catgory'; did you mean Category?; known: 答案 (text), Category (text)",
        ),
        ({"fee": "viel"}, "'fee' holds numbers, and 'viel' is none"),
        ({"valid_from": "soon"}, "'valid_from' holds dates, and 'soon' is none; give a date such as 2026-01-31"),
        ({"Category": Range("a", "b")}, "'Category' holds texts, which have no order"),
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused(model, filters, message):
    """With the name that was meant, or what the field holds."""
    with pytest.raises(FilterError) as error:
        model.search(["退票"], filters=filters)
    assert message in str(error.value)


def test_a_model_without_fields_says_so(candidate):
    """One of an earlier version, or of a corpus without a list: it answers as before."""
    model = Model(candidate)
    assert model.search(["退票"])[0][0].payload == {}
    with pytest.raises(FilterError, match="keeps no fields"):
        model.search(["退票"], filters={"category": "退改"})


@pytest.mark.parametrize("harm", ["rows", "schema", "bytes"])
def test_fields_that_do_not_belong_to_the_model_are_found(made, tmp_path, harm):
    """Another number of rows, a schema that comes later, or no table."""
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(made, folder)
    file = folder / PAYLOAD_FILE
    table = pq.read_table(file)
    if harm == "rows":
        pq.write_table(table.slice(1), file)
    elif harm == "schema":
        notes = table.schema.metadata[b"dssm"].replace(b'"schema_version":1', b'"schema_version":2')
        pq.write_table(table.replace_schema_metadata({b"dssm": notes}), file)
    else:
        file.write_bytes(b"PAR1")
    with pytest.raises(StaleFile, match=r"payload\.parquet is damaged"):
        Model(folder)


def test_the_kept_queries_say_where_they_stood(made):
    """Text as given, file and line, in the order of their vectors."""
    kept = pq.read_table(made / "exemplars.parquet").to_pylist()
    rows = dict(enumerate(PAIRS, start=2))
    starts = [*Model(made)._exemplars.starts]
    owners = np.repeat(sorted(TOY), np.diff(starts))
    assert len(kept) == starts[-1] > 12
    for one, owner in zip(kept, owners, strict=True):
        assert rows[one["line"]] == (one["text"], owner)
        assert one["source"].endswith("rows.csv")


def test_filters_of_words_are_those_of_json():
    """The command line, and a request."""
    assert parse_filters(["category=贷款", "category = 存款", "fee>=1", "fee<=2", "channel="]) == {
        "category": ["贷款", "存款"],
        "fee": Range("1", "2"),
        "channel": [None],
    }
    assert check_filters({"a": "x", "b": ["x", 1, None], "c": {"min": 1}}) == {
        "a": "x",
        "b": ["x", 1, None],
        "c": Range(1, None),
    }


@pytest.mark.parametrize("pairs", [["category"], ["=x"], ["fee=1", "fee>=2"]])
def test_words_that_are_no_filter_are_refused(pairs):
    """With how one is written."""
    with pytest.raises(FilterError):
        parse_filters(pairs)


@pytest.mark.parametrize(
    "given",
    [[], "x", {"a": {}}, {"a": {"from": 1}}, {"a": [[1]]}, {"a": list(range(101))}, dict.fromkeys(map(str, range(21)))],
)
def test_json_that_is_no_filter_is_refused(given):
    """Before anything is looked for."""
    with pytest.raises(ValueError, match=r"give an object|at most|is a range|a list holds"):
        check_filters(given)


def test_payload_reads_what_it_wrote(tmp_path):
    """Every kind, with what is missing."""
    rows = [{"t": "a", "n": "1.5", "d": "2026-01-31", "m": "2026-01-31 10:00", "l": '["x"]'}, {}]
    Payload.of(rows, "Asia/Shanghai", {}, []).write(tmp_path)
    again = Payload.read(tmp_path, 2)
    assert again[0] == {"t": "a", "n": 1.5, "d": "2026-01-31", "m": "2026-01-31T10:00:00+08:00", "l": ["x"]}
    assert again[1] == {}
    assert again.choose({"m": "2026-01-31T02:00:00Z"}, "now").tolist() == [0]
