"""Test rows ranked shard by shard."""

import numpy as np

from tasks.evaluate import measure, shards
from tasks.evaluate.candidate import Prepared
from tasks.evaluate.measure import rank_rows
from tasks.prepare.engine import open_local
from tasks.retrieval.retriever import Model
from tasks.train.training import train_candidate
from tests.tasks.prepare.toy import prepare_rows, toy_settings


def test_shards_put_together_are_the_ranking_of_all_rows(tmp_path, monkeypatch):
    """Three shards of eight rows, of 24."""
    settings = toy_settings(
        split={"test_share": 0.25}, model={"ensemble": 1, "embedding_dim": 8}, training={"epochs": 2, "choose": False}
    )
    prepared = prepare_rows(tmp_path, settings)
    for name in ("out", "partial"):
        (tmp_path / name).mkdir()
    train_candidate(prepared, tmp_path / "out", tmp_path / "partial", settings, lambda *_: None)
    monkeypatch.setattr(measure, "BLOCK_ROWS", 2)
    ranked, rank_shard = [], shards.rank_shard
    monkeypatch.setattr(shards, "rank_shard", lambda *job: ranked.append(job) or rank_shard(*job))

    with open_local(1) as engine:
        found = shards.rank_in_shards(engine, prepared, tmp_path / "out" / "candidate", 12)

    expected = rank_rows(Model(tmp_path / "out" / "candidate"), Prepared.read(prepared).test_rows(), 12)
    assert len(ranked) == 3
    assert np.array_equal(found.ranks, expected.ranks)
    assert np.array_equal(found.top, expected.top)
