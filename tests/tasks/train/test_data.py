"""The prepared files as arrays, whole and by row group."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.retrieval.texts import Texts
from tasks.train import data
from tasks.train.data import Shards, read_prepared
from tasks.train.trainer import Trainer
from tasks.train.training import train_candidate
from tests.tasks.prepare.toy import prepare_rows


@pytest.fixture(scope="module")
def parts(tmp_path_factory, prepared):
    """The toy corpus in row groups of ten, in two files."""
    from tests.tasks.train.conftest import small_settings

    folder = prepare_rows(tmp_path_factory.mktemp("parts"), small_settings())
    for file in (folder / "train.parquet", *(folder / "negatives").iterdir()):
        table = pq.read_table(file)
        for number, part in enumerate((table.slice(0, 45), table.slice(45))):
            pq.write_table(part, file / f"part-{number:05d}.parquet", row_group_size=10)
    return folder


@pytest.fixture
def few_in_memory(monkeypatch):
    """More than thirty rows count as very many."""
    monkeypatch.setattr(data, "IN_MEMORY_ROWS", 30)
    monkeypatch.setattr(data, "WINDOW_ROWS", 20)


def same(left: Texts, right: Texts) -> bool:
    """Say whether two hold the same bags and words."""
    words = np.array_equal(left.words, right.words) and np.array_equal(left.offsets, right.offsets)
    return words and (left.bags != right.bags).nnz == 0


def test_rows_are_found_in_whatever_row_group_they_lie(parts, few_in_memory, monkeypatch):
    """In any order, with repeats, and with standard questions' own texts behind them."""
    shards = read_prepared(parts).queries
    monkeypatch.setattr(data, "IN_MEMORY_ROWS", 10**6)
    whole = read_prepared(parts)
    assert isinstance(shards, Shards)
    assert len(shards) == len(whole.queries)
    both, expected = shards.followed_by(whole.classes), whole.queries.followed_by(whole.classes)
    assert len(both) == len(expected)
    random = np.random.default_rng(0)
    for rows in (random.integers(0, len(expected), 200), np.array([5]), np.zeros(0, np.int64)):
        assert same(both.take(rows), expected.take(rows))


def test_no_more_row_groups_are_held_than_a_window_touches(parts, few_in_memory):
    """Of eight, four."""
    shards = read_prepared(parts).queries

    shards.take(np.arange(len(shards)))

    assert len(shards._held) == 4


@pytest.mark.parametrize("own_texts", [True, False])
def test_each_group_of_towers_holds_row_groups_of_its_own(parts, small, few_in_memory, own_texts):
    """Their windows come in another order: one store for all would read every row group anew for each batch."""
    settings, prepared = small(training={"own_texts": own_texts}), read_prepared(parts)
    rows = np.arange(len(prepared.labels))

    one, other = (Trainer(prepared, rows, settings, f"refit/{number}", 2).sampler.queries for number in (0, 1))

    assert one is not other
    assert one._held is not other._held


def test_negatives_are_the_same_from_a_file_as_from_memory(parts, few_in_memory, monkeypatch):
    """Mapped, of very many rows."""
    mapped = [read_prepared(parts).negatives(epoch) for epoch in (0, 5)]
    monkeypatch.setattr(data, "IN_MEMORY_ROWS", 10**6)
    held = [read_prepared(parts).negatives(epoch) for epoch in (0, 5)]

    assert all(isinstance(one, np.memmap) for one in mapped)
    assert all(np.array_equal(one, other) for one, other in zip(mapped, held, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["softmax_all", "sampled_softmax"])
def test_a_corpus_that_does_not_fit_in_memory_is_learnt_as_well(tmp_path, parts, small, few_in_memory, kind):
    """Row group by row group: the training rows find their standard question, and the same bytes come out twice."""
    settings = small(loss={"kind": kind}, training={"epochs": 12, "feature_dropout": 0.1, "vector_dropout": 0.0})
    made = []
    for name in ("once", "again"):
        folder, partial = tmp_path / name, tmp_path / f"{name}-partial"
        folder.mkdir()
        partial.mkdir()
        report = train_candidate(parts, folder, partial, settings, lambda epoch, most: None)
        made.append((folder / "candidate" / "model.safetensors").read_bytes())

    assert report.convergence.training_recall_at_1 > 0.75
    assert made[0] == made[1]
