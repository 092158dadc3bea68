"""Prepare as Ray tasks: the bytes of one machine, whatever happens to the nodes."""

import threading
import time
from functools import partial

import pytest

from tasks.cluster import open_cluster
from tasks.prepare import corpus
from tasks.prepare.corpus import prepare_corpus
from tests.tasks.prepare.toy import PAIRS, file_bytes, ingest_rows, toy_settings

pytestmark = pytest.mark.ray


def test_two_nodes_prepare_what_one_machine_does_though_one_is_killed(tmp_path, monkeypatch, cluster):
    """The node dies when some of the forty blocks are cut; its jobs run on the other."""
    settings = toy_settings()
    ingested = ingest_rows(tmp_path, settings, [(f"{query}{n}", label) for query, label in PAIRS for n in range(4)])
    for name in ("local", "ray"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(corpus, "ROWS", 50)
    prepare_corpus(ingested, tmp_path / "local", settings)
    monkeypatch.setattr(corpus, "BLOCK_ROWS", 10)
    scratch, killed = tmp_path / "scratch", []

    def kill() -> None:
        while len(list(scratch.glob("rows-*.rows.arrow"))) < 3:
            time.sleep(0.05)
        cluster.remove_node(cluster.spare, allow_graceful=False)
        killed.append(len(list(scratch.glob("rows-*.rows.arrow"))))

    threading.Thread(target=kill, daemon=True).start()
    prepare_corpus(ingested, tmp_path / "ray", settings, scratch=scratch, engine=partial(open_cluster, None))

    assert killed
    assert killed[0] < 39  # of 39 blocks
    assert file_bytes(tmp_path / "ray") == file_bytes(tmp_path / "local")
