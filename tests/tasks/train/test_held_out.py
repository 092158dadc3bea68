"""The model of the choosing phase, kept to calibrate."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from schemas.outputs import PrepareOutput
from tasks.retrieval.model_files import DECISIONS
from tasks.retrieval.retriever import Model
from tasks.train import choosing, held_out
from tasks.train.choosing import further_cuts, remaining_cuts
from tasks.train.data import read_prepared
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
    expected = [name for name, count in zip(names, counts, strict=True) if count >= 2]
    first = tmp_path / "partial" / "held_out" / "00"
    kept = pq.read_table(first / "vocabulary.parquet")["feature"].to_pylist()
    assert kept == expected
    assert len(kept) < len(names)

    known = Model(first).signals(rows["query"].to_pylist())[0].known
    assert known[held].mean() < known[~held].mean()


def test_of_few_rows_each_is_asked_once_of_a_model_that_has_not_seen_it(prepared, small, tmp_path):
    """Five cuts have chosen, further ones hold out the rest; near copies are asked of none."""
    for name in ("out", "partial"):
        (tmp_path / name).mkdir()
    train_candidate(prepared, tmp_path / "out", tmp_path / "partial", small(), lambda epoch, most: None)

    data = read_prepared(prepared, small().model)
    chosen = [data.validation, *(cut.validation for cut in further_cuts(data, small()))]
    rest = [cut.validation for cut in remaining_cuts(data, np.any(chosen, axis=0), small())]
    assert len(chosen) == 5
    assert np.array_equal(np.any(chosen, axis=0), np.sum(rest, axis=0) == 0)  # each of the others in one

    table = pq.read_table(PrepareOutput(prepared).train)
    rows = list(zip(table["query"].to_pylist(), table["class_id"].to_pylist(), strict=True))
    bags, right, seen = data.queries.bags, [], np.zeros(len(rows), bool)
    for number, mask in enumerate([*chosen, *rest]):
        nearest = (bags @ bags[~mask].T).max(axis=1).toarray().ravel()
        folder = tmp_path / "partial" / "held_out" / f"{number:02}"
        asked = [tuple(row.values()) for row in pq.read_table(folder / "asked.parquet").to_pylist()]
        assert asked == [rows[n] for n in np.flatnonzero(mask & ~seen & (nearest < 0.8))]
        seen |= mask
        first = Model(folder).signals([query for query, _ in asked])[1][:, 0] if asked else []
        right += [found == label for found, (_, label) in zip(first, asked, strict=True)]

    decisions = json.loads((tmp_path / "out" / "candidate" / DECISIONS).read_bytes())
    assert seen.all()
    assert 2 * chosen[0].sum() < decisions["held_out"] == len(right) < len(rows)
    assert np.mean(right) > 0.5


def test_one_cut_is_enough_of_many_rows(prepared, small, tmp_path, monkeypatch):
    """What it holds out, up to a bound, and nothing else is asked."""
    monkeypatch.setattr(choosing, "_ENOUGH", 10)
    monkeypatch.setattr(held_out, "_MOST", 15)
    for name in ("out", "partial"):
        (tmp_path / name).mkdir()
    train_candidate(prepared, tmp_path / "out", tmp_path / "partial", small(), lambda epoch, most: None)

    decisions = json.loads((tmp_path / "out" / "candidate" / DECISIONS).read_bytes())
    assert decisions["held_out"] == 15 < read_prepared(prepared).validation.sum()
    assert [folder.name for folder in (tmp_path / "partial" / "held_out").iterdir()] == ["00"]


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(file.read_bytes()[:-99])])
def test_damaged_models_of_the_choice_are_made_anew(prepared, small, tmp_path, monkeypatch, damage):
    """As a power cut may leave them: every later night would else end there."""
    monkeypatch.setattr(choosing, "_ENOUGH", 10)
    (tmp_path / "partial").mkdir()
    decided = []
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
        train_candidate(prepared, tmp_path / name, tmp_path / "partial", small(), lambda epoch, most: None)
        decided.append((tmp_path / name / "candidate" / DECISIONS).read_bytes())
        damage(tmp_path / "partial" / "held_out" / "00" / "model.safetensors")

    assert decided[0] == decided[1]


def test_without_held_out_rows_there_is_nothing_to_decide_by(prepared, small, tmp_path):
    """The candidate answers as before."""
    for name in ("out", "partial"):
        (tmp_path / name).mkdir()
    settings = small(training={"choose": False})
    train_candidate(prepared, tmp_path / "out", tmp_path / "partial", settings, lambda epoch, most: None)

    assert not (tmp_path / "out" / "candidate" / DECISIONS).exists()
    assert Model(tmp_path / "out" / "candidate").answer(["怎么退票"])[0].decision is None
