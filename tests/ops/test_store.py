"""`dssm` on workers that share a store and no disk."""

import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tasks.store import Store
from tests.conftest import Command, fast_words, make_command

pytestmark = pytest.mark.ops
STEPS = ["ingest", "validate", "prepare", "train", "evaluate"]


@pytest.fixture
def workers(store: Store, tmp_path: Path, server_url: str) -> Mapping[str, Command]:
    """`dssm` on three workers, each with a disk of its own and the variables of the store."""
    variables = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "DSSM_STORE"))}
    made = {}
    for name in ("first", "second", "third"):
        (tmp_path / name).mkdir()
        worker = make_command(tmp_path / name, server_url)
        made[name] = Command(worker.home, worker.folder, {**worker.environment, **variables})
    return made


def test_a_killed_run_is_taken_up_by_another_worker(workers, store, toy_csv):
    """Kill -9 after the training: it is not repeated. A third worker queries, and asks what is live."""
    words = ["run", "toy", "--source", toy_csv, "--json", *fast_words()]
    killed = workers["first"].start(*words)
    until = time.monotonic() + 240
    while not any(name.partition("/")[2].startswith("train-") for name in store.objects("runs/toy")):
        assert time.monotonic() < until
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert store.read("models/toy/live.json") is None

    done = workers["second"](*words)
    result = json.loads(done.out.splitlines()[-1])
    assert (result["status"], done.code) == ("published", 0), done.err
    assert result["reused"][:4] == STEPS[:4]

    assert "如何办理退票" in workers["third"]("query", "toy", "怎么退票", "--json").out
    assert json.loads(workers["third"]("models", "toy", "--json").out)["live"]["version"] == result["version"]
