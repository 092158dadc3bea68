"""What has gone wrong once, or would in seconds: the fast part of `make faults`, what atheris found, closed streams."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from schemas.workspace import CHECKOUT
from tests.conftest import DSSM, clean_environment
from tests.faults.fuzz import SEEDS, read_as_source


@pytest.mark.slow
def test_what_is_tried_in_seconds_ends_right(tmp_path):
    """Settings, TOMLs, words, homes, secrets, pointers, queries: hundreds, each in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", "--fast"],
        cwd=CHECKOUT,
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=1200,
    )
    print(done.stdout)  # noqa: T201 - the table
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    *_, every, _ = done.stdout.splitlines()
    assert int(every.split()[1]) > 300


@pytest.mark.parametrize("seed", sorted(SEEDS.iterdir()) if SEEDS.is_dir() else [], ids=lambda seed: seed.name)
def test_what_a_fuzzer_found_ends_in_one_message(seed):
    """Or is read."""
    read_as_source(seed.read_bytes())


@pytest.mark.parametrize(
    ("words", "streams", "code"),
    [
        ("check --source ''", "2>&1", 2),
        ("models nix", "2>&-", 2),
        ("settings model", "<&- >&- 2>&-", 0),
        ("settings model", ">/dev/full", 3),
        ("models nix", "2>/dev/full", 2),
    ],
)
def test_standard_streams_that_are_closed_or_full_are_no_traceback(words, streams, code, tmp_path):
    """Of cron jobs, of pipes whose reader has gone, of logs on a full disk."""
    line = f"{' '.join(DSSM)} {words} {streams}"
    environment = clean_environment(tmp_path) | {"DSSM_HOME": str(tmp_path)}
    done = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr


def test_a_folder_that_is_gone_is_one_message(tmp_path):
    """Somebody has deleted the one that the command was started in."""
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    line = f"rmdir {folder}; {' '.join(DSSM)} check c"
    environment = clean_environment(tmp_path) | {"DSSM_HOME": str(tmp_path), "PWD": os.sep}
    done = subprocess.run(["sh", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "is gone; change to another one" in done.stderr
