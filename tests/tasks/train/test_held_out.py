"""The model of the choosing phase, kept to calibrate."""

import json

import numpy as np
import pyarrow.parquet as pq

from schemas.outputs import PrepareOutput
from tasks.retrieval.model_files import DECISIONS
from tasks.retrieval.retriever import Model
from tasks.train.training import train_candidate


def test_held_out_queries_bring_no_features_of_their_own(prepared, small, tmp_path):
    """Prepare counts all rows: what stands in too few others is as new to the model as a customer's words are."""
    for name in ("out", "partial"):
        (tmp_path / name).mkdir()
    train_candidate(prepared, tmp_path / "out", tmp_path / "partial", small(), lambda epoch, most: None)

    files = PrepareOutput(prepared)
    rows, classes = pq.read_table(files.train), pq.read_table(files.classes)
    held = np.array(rows["validation"].to_pylist())
    seen = [row for row, out in zip(rows["features"].to_pylist(), held, strict=True) if not out]
    numbers = [number for row in [*seen, *classes["features"].to_pylist()] for number in row]
    names = pq.read_table(files.vocabulary)["feature"].to_pylist()
    counts = np.bincount(numbers, minlength=len(names))
    expected = [name for name, count in zip(names, counts, strict=True) if count >= small().text.min_texts]
    kept = pq.read_table(tmp_path / "partial" / "held_out" / "vocabulary.parquet")["feature"].to_pylist()
    assert kept == expected
    assert len(kept) < len(names)

    known = Model(tmp_path / "partial" / "held_out").signals(rows["query"].to_pylist())[0].known
    assert known[held].mean() < known[~held].mean()
    decisions = json.loads((tmp_path / "out" / "candidate" / DECISIONS).read_bytes())
    assert decisions["held_out"] == held.sum()


def test_without_held_out_rows_there_is_nothing_to_decide_by(prepared, small, tmp_path):
    """The candidate answers as before."""
    for name in ("out", "partial"):
        (tmp_path / name).mkdir()
    settings = small(training={"choose": False})
    train_candidate(prepared, tmp_path / "out", tmp_path / "partial", settings, lambda epoch, most: None)

    assert not (tmp_path / "out" / "candidate" / DECISIONS).exists()
    assert Model(tmp_path / "out" / "candidate").answer(["怎么退票"])[0].decision is None
