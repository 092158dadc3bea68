"""Signs of life that a probe can read."""

import json
import os
import time

from flows.heartbeat import beat, beating


def test_a_file_stays_young_while_something_is_at_work_and_goes_with_it(tmp_path):
    """It says what is done now, not what was when it began."""
    file, steps = tmp_path / "runs" / "heartbeat.json", ["ingest"]
    with beating(file, lambda: {"step": steps[-1]}, every=0.02):
        first = json.loads(file.read_text())
        steps.append("train")
        until = time.monotonic() + 10
        while json.loads(file.read_text())["step"] != "train" and time.monotonic() < until:
            time.sleep(0.01)
        later = json.loads(file.read_text())
    assert (first["step"], first["pid"], later["step"]) == ("ingest", os.getpid(), "train")
    assert not file.exists()


def test_a_disk_that_takes_no_sign_ends_nothing(tmp_path):
    """A file lies where the folder should be."""
    (tmp_path / "home").write_text("")
    beat(tmp_path / "home" / "heartbeat.json")
