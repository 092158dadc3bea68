"""A whole run with `engine = "ray"`, as a user starts it."""

import json
import subprocess
import sys
import time

import pytest

from schemas.errors import SettingsError
from schemas.workspace import CHECKOUT
from tasks.cluster import open_cluster
from tests.tasks.prepare.toy import PAIRS, write_rows

pytestmark = pytest.mark.ray


def test_one_setting_sends_a_run_to_the_cluster(tmp_path, cluster, monkeypatch):
    """The same candidate and the same measurement as on this machine."""
    write_rows(tmp_path / "toy.csv", PAIRS)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    made = []
    for engine in ("local", "ray"):
        monkeypatch.setenv("DSSM_HOME", str(tmp_path / engine))
        command = [sys.executable, "-m", "flows.cli", "run", "toy", "--source", str(tmp_path / "toy.csv"), "--json"]
        sizes = ["--set", "model.embedding_dim=8", "--set", "training.epochs=3"]
        done = subprocess.run(
            [*command, "--set", f"engine={engine!r}", *sizes], cwd=CHECKOUT, capture_output=True, text=True
        )
        assert done.returncode in (0, 1), done.stderr
        result = json.loads(done.stdout.splitlines()[-1])
        run = tmp_path / engine / "runs" / "toy" / result["run"]
        files = ("train/candidate/model.safetensors", "evaluate/evaluation.json", "evaluate/ranked.parquet")
        made.append([(run / file).read_bytes() for file in files])

    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("address", "why"), [("nonsense", "Invalid address format"), ("127.0.0.1:1", "refused"), ("host:port", "Port")]
)
def test_an_address_that_is_none_is_one_message(address, why):
    """Ray itself raises a ValueError, or asks where nobody listens for a minute."""
    began = time.monotonic()
    with pytest.raises(SettingsError, match=rf"'{address}'.*{why}"), open_cluster(address):
        pass
    assert time.monotonic() - began < 20
