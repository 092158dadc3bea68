"""JSON and YAML: any layout of a document gives the same rows, in bounded memory; damage is named by its line."""

import io
import json
import subprocess
import sys
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import CorpusRejected, SourceError
from tasks.ingest import json_values, yaml_values
from tasks.ingest.values import Item
from tests.tasks.ingest.conftest import ROWS

RECORDS = [{"query": query, "standard_question": question} for query, question in ROWS]


class Trickle(io.StringIO):
    """A text that comes a few characters at a time, as a slow network gives it."""

    def read(self, size: int | None = -1, /) -> str:
        """Return at most three characters."""
        return super().read(3 if size else 0)


def values(text: str) -> list[tuple[Any, ...]]:
    """Return the values of a JSON text, alike whether it comes at once or in small pieces."""
    at_once = list(json_values.stream_values(io.StringIO(text), "t.json"))
    assert list(json_values.stream_values(Trickle(text), "t.json")) == at_once
    return [tuple(item) for item in at_once]


def test_elements_of_lists_and_single_values_come_with_their_places():
    """A list streams wherever only objects lead to it."""
    text = '{"a": 1.5,\n "b": {"c": [{"x": [1]},\n [2], 12345678901], "d": {}},\n "e": []}'
    assert values(text) == [
        (1, ("a",), False, 1.5),
        (2, ("b", "c"), True, {"x": [1]}),
        (3, ("b", "c"), True, [2]),
        (3, ("b", "c"), True, 12345678901),
        (3, ("b", "d"), False, {}),
        (4, ("e",), False, []),
    ]


@pytest.mark.parametrize(
    "text",
    [
        '[{"a": 1}, {"a": 2}]',
        '\ufeff[{"a": 1},\n{"a": 2},\n]\n',  # a comma too many, as people write it
        '{"a": 1} {"a": 2}',
        '{\n"a": 1\n}\n\n\n\n\n\n\n\n\n\n\n\n{\n"a": 2\n}',
        '{"a": 1},\n{"a": 2},\n',
        '[{"a": 1}]\n[{"a": 2}]',
    ],
)
def test_rows_may_be_laid_out_in_any_way(text):
    """One list, several, or objects one after the other."""
    assert [(path, listed, value) for _, path, listed, value in values(text)] == [
        ((), True, {"a": 1}),
        ((), True, {"a": 2}),
    ]


def test_what_python_writes_is_read():
    """NaN, half a surrogate pair, and line ends inside of texts."""
    (first, second) = values('[NaN, {"a": "\\ud83d x\ny"}]')
    assert first[3] != first[3]
    assert second[3] == {"a": "\ud83d x\ny"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a": 1},\n{"a": ', "is torn: it ends at line 2"),
        ('[{"a": 1},\n{"a": "x', "is torn: it ends at line 2"),
        ('[{"a": 1}\n {"a": 2}]', "is no JSON: line 2 has '{\"a\": 2}]' where ',' should stand"),
        ("[{'a': 1}]", "is no JSON: line 1 has \"'a': 1}]\""),
        ('{"a": 1\n,, "b": 2}', "is no JSON: line 2"),
        ('{"a": [1, 2}', "where ',' should stand"),
        ("[1]\n]", "is no JSON: line 2 has ']'"),
        ("[" * 100_000, "nested too deep"),
        ('{"a":' * 100_000, "nested too deep"),
        ("[1" + "0" * 5_000 + "]", "too many digits"),
        ('["' + "x" * 4_100_000 + '"]', "more than 4,000,000 characters"),
    ],
    ids=lambda value: value[:20],
)
def test_damage_is_named_with_its_line(text, message):
    """Half a list is never taken for the whole."""
    with pytest.raises(SourceError) as error:
        list(json_values.stream_values(io.StringIO(text), "t.json"))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.json", json.dumps(RECORDS)),
        ("t.json", json.dumps(RECORDS, indent=2, ensure_ascii=False)),
        ("t.json", "\n".join(json.dumps(row, indent=1) for row in RECORDS)),
        ("t.txt", json.dumps(RECORDS)),  # its bytes say what it is
        ("t.json", json.dumps({"code": 0, "data": {"total": 4, "rows": RECORDS}, "tags": ["a", "b"]})),
        ("t.json", json.dumps({"columns": ["query", "standard_question"], "index": [0, 1, 2, 3], "data": ROWS})),
        ("t.json", json.dumps([["query", "standard_question"], *ROWS])),
        ("t.json", json.dumps({key: {str(at): row[key] for at, row in enumerate(RECORDS)} for key in RECORDS[0]})),
        ("t.json", json.dumps({key: [row[key] for row in RECORDS] for key in RECORDS[0]})),
        ("t.json", json.dumps({"train": RECORDS, "test": RECORDS})),
        ("t.json", json.dumps({"x": RECORDS[:2], "y": RECORDS[2:]})),
        ("t.yml", json.dumps(RECORDS, ensure_ascii=False)),  # JSON is YAML
        ("t.yaml", "- query: {}\n  standard_question: {}\n".format(*map(json.dumps, ROWS[0]))),
    ],
)
def test_every_layout_of_a_document_gives_the_same_rows(name, content, write, ingest):
    """What pandas, an interface of a server, or a person writes."""
    write(content, name)
    assert ingest(name).pairs == (ROWS if name != "t.yaml" else ROWS[:1])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030"])
def test_a_document_may_have_any_encoding(encoding, write, ingest):
    """As tables may."""
    write(json.dumps(RECORDS[:3], ensure_ascii=False).encode(encoding), "t.json")
    assert ingest("t.json").pairs == ROWS[:3]


def test_what_of_a_document_was_not_read_is_told(write, ingest):
    """Tests beside a training part, and lists that are no table."""
    write(json.dumps({"train": RECORDS, "test": RECORDS}), "t.json")
    assert ingest("t.json").facts.files[0].notes == ["the lists of tests (test) were not read"]
    write(json.dumps({"rows": RECORDS, "users": [{"name": "x"}]}), "t.json")
    assert ingest("t.json").facts.warnings == ["t.json: lists without these columns were not read: 'users'"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"code": 0,\n"data": []}', "holds no table: it holds no list"),
        ('{"data": [1, 2]}', "it holds the lists data, none of objects"),
        ('{"query": ["a", "b"], "standard_question": ["x"]}', "its columns differ in length"),
        ("query,label\na,b\n", "t.json is not JSONL: line 1 is 'query,label'"),
        ("[]", "t.json is empty"),
    ],
)
def test_a_document_without_rows_is_refused(content, message, write, ingest):
    """With what it holds instead."""
    write(content, "t.json")
    with pytest.raises(SourceError) as error:
        ingest("t.json")
    assert message in str(error.value)


def test_keys_that_come_late_and_keys_inside_of_objects_are_columns(write, ingest):
    """The first rows of an annotation project have no label yet."""
    rows = [{"text": f"q{at}"} for at in range(30)] + [{"text": "late", "label": "x"}]
    write("".join(json.dumps(row) + "\n" for row in rows), "t.jsonl")
    assert ingest("t.jsonl").pairs == [("late", "x")]
    nested = [{"z": {"w": "a", "lang": "en"}, "intent": {"name": "x"}}, {"z": {"w": "b"}, "intent": None}]
    write("".join(json.dumps(row) + "\n" for row in nested), "n.jsonl")
    with pytest.raises(SourceError, match=r"Columns found: 'z\.w', 'z\.lang', 'intent\.name'"):
        ingest("n.jsonl")
    assert ingest("n.jsonl", query_column="z.w", question_column="intent.name").pairs == [("a", "x")]


@pytest.mark.parametrize("suffix", ["jsonl", "json"])
def test_lists_and_objects_are_never_made_a_class(suffix, write, ingest):
    """One label counts, several are set aside or exploded, none and objects are set aside."""
    rows = [
        {"text": "one", "label": ["x"]},
        {"text": "none", "label": []},
        {"text": "two", "label": ["x", "y"]},
        {"text": "twice", "label": ["y", "y"]},
        {"text": "choices", "label": {"choices": ["y"]}},
        {"text": "object", "label": {"name": "x"}},
        {"text": "spans", "label": [[0, 3, "x"]]},
        {"text": "number", "label": 7},
    ]
    content = "".join(json.dumps(row) + "\n" for row in rows) if suffix == "jsonl" else json.dumps(rows)
    write(content, f"t.{suffix}")
    ingested = ingest(f"t.{suffix}")
    assert ingested.pairs == [("one", "x"), ("twice", "y"), ("choices", "y"), ("number", "7")]
    assert sorted(reason for _, reason in ingested.reasons) == [
        "empty standard question",
        "nested value",
        "nested value",
        "several labels",
    ]
    assert ("two", "x") in (pairs := ingest(f"t.{suffix}", multiple_labels="explode").pairs)
    assert ("two", "y") in pairs


def test_json_and_joined_labels_in_a_table_are_taken_apart_too(write, ingest):
    """As annotation tools write CSV. A sign inside a name joins nothing unless all its parts are labels."""
    write(
        'text,label\none,"[""x""]"\ntwo,"{""choices"": [""x"", ""y""]}"\njoined,x#y\nc,C# code\ny,y\nslash,x/y\n'
        'log,"[not a list]"\n',
        "t.csv",
    )
    ingested = ingest()
    assert sorted(ingested.pairs) == [
        ("c", "C# code"),
        ("log", "[not a list]"),
        ("one", "x"),
        ("slash", "x/y"),
        ("y", "y"),
    ]
    assert ingested.reasons == [(3, "several labels"), (4, "several labels")]
    assert sorted(ingest(multiple_labels="explode").pairs)[-6:] == [
        ("log", "[not a list]"),
        ("one", "x"),
        ("slash", "x/y"),
        ("two", "x"),
        ("two", "y"),
        ("y", "y"),
    ]


def test_a_list_of_queries_is_a_row_for_each(write, ingest):
    """A standard question beside all that means the same."""
    write(json.dumps([{"query": ["a", "b"], "label": "x"}, {"query": "c", "label": "y"}]), "t.json")
    assert ingest("t.json").pairs == [("a", "x"), ("b", "x"), ("c", "y")]


def test_a_row_that_is_no_object_is_set_aside(write, ingest):
    """With its line."""
    write('[{"query": "a", "label": "x"},\n"torn",\n{"query": "b", "label": "x"}]', "t.json")
    ingested = ingest("t.json")
    assert ingested.pairs == [("a", "x"), ("b", "x")]
    assert ingested.reasons == [(2, "torn row")]


def write_parquet(path, labels, feature) -> None:
    table = pa.table({"text": ["a", "b", "c"], "label": labels})
    metadata = {b"huggingface": json.dumps({"info": {"features": {"label": feature}}}).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), path)


def test_names_of_hugging_face_labels_are_used(tmp_path, ingest):
    """A number stands for its name; -1 for none."""
    class_label = {"names": ["refund", "hours"], "_type": "ClassLabel"}
    write_parquet(tmp_path / "t.parquet", [0, 1, -1], class_label)
    ingested = ingest("t.parquet")
    assert ingested.pairs == [("a", "refund"), ("b", "hours")]
    assert ingested.reasons == [(3, "empty standard question")]
    for sequence in ({"feature": class_label, "_type": "Sequence"}, [class_label]):
        write_parquet(tmp_path / "t.parquet", [[0], [0, 1], []], sequence)
        ingested = ingest("t.parquet")
        assert ingested.pairs == [("a", "refund")]
        assert ingested.reasons == [(2, "several labels"), (3, "empty standard question")]


@pytest.mark.parametrize("metadata", [b"not JSON", b'{"info": []}', b'{"info": {"features": {"label": 3}}}'])
def test_other_metadata_changes_nothing(metadata, tmp_path, ingest):
    """A column of numbers stays one."""
    table = pa.table({"text": ["a", "b"], "label": [0, 1]}).replace_schema_metadata({b"huggingface": metadata})
    pq.write_table(table, tmp_path / "t.parquet")
    assert ingest("t.parquet").pairs == [("a", "0"), ("b", "1")]


def test_a_parquet_column_of_objects_has_a_column_for_each_field(tmp_path, ingest):
    """As in JSON; a list of texts is read as labels are, a map holds no text."""
    queries = [{"text": "a", "at": {"line": 1}}, {"text": "b", "at": None}]
    pq.write_table(pa.table({"query": queries, "label": [{"name": "x"}, {"name": "y"}]}), tmp_path / "t.parquet")
    ingested = ingest("t.parquet")
    assert ingested.pairs == [("a", "x"), ("b", "y")]
    assert ingested.facts.files[0].unused_columns == ["query.at.line"]
    labels = pa.array([[("x", "y")]], pa.map_(pa.string(), pa.string()))
    pq.write_table(pa.table({"text": ["a"], "label": labels}), tmp_path / "t.parquet")
    with pytest.raises(SourceError, match=r"the column 'label' holds map"):
        ingest("t.parquet")
    pq.write_table(pa.table({"text": ["a"], "label": [["x"]]}), tmp_path / "t.parquet")
    assert ingest("t.parquet").pairs == [("a", "x")]


def yaml_values_of(text: str) -> list[Item]:
    return list(yaml_values.stream_values(io.StringIO(text), "t.yml"))


def test_yaml_keeps_what_was_typed():
    """`yes` is no truth value, 007 no number, and a date no date."""
    assert yaml_values_of("a: yes\nb:\n- 007\n- {c: 2026-01-01}\n") == [
        Item(1, ("a",), False, "yes"),
        Item(3, ("b",), True, "007"),
        Item(4, ("b",), True, {"c": "2026-01-01"}),
    ]
    assert [item.value for item in yaml_values_of("--- !!python/object:os.system\na\n---\nb: 1\n")] == ["a", {"b": "1"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [1]\nb: *x\n", "t.yml line 2 holds a YAML alias (*x)"),
        ("[" * 10_000, "nested too deep"),
        ("a:\n- b\n c: d\n", "t.yml line 3 is no YAML"),
        ("a: \0", "t.yml is no YAML"),
        ("- x\n" * 500_001, "more than 500,000 YAML values"),
    ],
    ids=lambda value: value[:20],
)
def test_yaml_that_is_damaged_or_a_bomb_is_refused(text, message):
    """Aliases are what bombs are made of, and no export needs one."""
    with pytest.raises(SourceError) as error:
        yaml_values_of(text)
    assert message in str(error.value)


BOMBS = {
    "json": '"[" + "{}," * 10_000_000',  # 30 MB of empty objects, 30 kB packed, 1 GB as Python's objects
    "jsonl": '"[[" + "[]," * 10_000_000',
    "yml": '"- []\\n" * 1_000_000',
}


@pytest.mark.parametrize("suffix", BOMBS)
def test_a_bomb_stays_in_bounds(suffix, tmp_path):
    """Memory is bounded by what one value may be, not by the file."""
    program = f"""
import gzip, pathlib
from schemas.errors import PipelineError
from schemas.settings import Source
from tasks.ingest.corpus import ingest_corpus
out = pathlib.Path({str(tmp_path)!r})
with gzip.open(out / "bomb.{suffix}.gz", "wt", 1) as file:
    file.write({BOMBS[suffix]})
try:
    ingest_corpus(Source(path=str(out / "bomb.{suffix}.gz")), out, out, 1)
except PipelineError as error:
    print(error)
# not getrusage, which begins with what the process was forked from
(peak,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1024)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    *_, message, megabytes = ended.stdout.splitlines()
    assert f"bomb.{suffix}.gz" in message
    assert int(megabytes) < 700


def test_a_rejected_document_leaves_its_rows_in_the_quarantine(write, ingest, out):
    """As every table does."""
    write('[{"text": "a", "label": ["x", "y"]}]', "t.json")
    with pytest.raises(CorpusRejected, match="1 × several labels"):
        ingest("t.json")
    assert pq.read_table(out / "quarantine.parquet").column("reason").to_pylist() == ["several labels"]
