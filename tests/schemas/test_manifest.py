"""Manifests and how files are written."""

import hashlib
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import StaleFile
from schemas.manifest import FileEntry, StepManifest, canonical_json, hash_json, list_files, write_atomically


@pytest.fixture
def folder(tmp_path):
    """A step's folder of two files, with its manifest."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_bytes(b"abc")
    (tmp_path / "sub" / "b.txt").write_bytes(b"")
    StepManifest(step="train", key="k", files=list_files(tmp_path)).write(tmp_path)
    return tmp_path


def test_files_are_listed_with_path_hash_size_and_rows(folder):
    """Below the folder at any depth, sorted, without the manifest; only a table has rows."""
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # published sha256 of "abc"
    pq.write_table(pa.table({"n": [1, 2, 3]}), folder / "c.parquet")

    first, table, nested = list_files(folder)
    assert first == FileEntry(path="a.txt", sha256=abc, bytes=3, rows=None)
    assert (table.path, table.rows) == ("c.parquet", 3)
    assert nested.path == "sub/b.txt"


def test_untouched_files_pass(folder):
    """And what lies beside them is nobody's business."""
    (folder / "notes.txt").touch()

    StepManifest.read(folder).verify(folder)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda file: file.unlink(), r"a\.txt is gone, though .*manifest\.json names it; run the step again"),
        (lambda file: file.write_bytes(b"abd"), r"a\.txt was altered after it was written; run the step again"),
        (lambda file: file.write_bytes(b"abcd"), r"a\.txt was altered"),
    ],
)
def test_harmed_files_are_named(folder, harm, message):
    """Gone, altered with the same length, or grown."""
    harm(folder / "a.txt")

    with pytest.raises(StaleFile, match=message):
        StepManifest.read(folder).verify(folder)


def test_canonical_json_does_not_know_the_order_of_keys():
    """Equal values, equal bytes; text stays readable; what is no JSON is refused."""
    assert canonical_json({"b": [1, 2], "a": "退"}) == '{"a":"退","b":[1,2]}'.encode()
    assert hash_json({"a": 1, "b": 2}) == hash_json({"b": 2, "a": 1}) == hashlib.sha256(b'{"a":1,"b":2}').hexdigest()
    assert hash_json({"a": 1}) != hash_json({"a": 1.5})
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": float("nan")})


def test_a_file_is_replaced_whole(tmp_path):
    """A reader that has it open keeps the old bytes, and nothing else is left in the folder."""
    file = tmp_path / "live.json"
    write_atomically(file, b"old")
    with file.open("rb") as reader:
        write_atomically(file, b"new and longer")
        assert reader.read() == b"old"

    assert file.read_bytes() == b"new and longer"
    assert os.listdir(tmp_path) == ["live.json"]
