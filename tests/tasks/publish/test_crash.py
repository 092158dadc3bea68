"""kill -9 at every point of publishing, approving and rolling back; and two processes at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from schemas.workspace import CHECKOUT
from tasks.mirror import locked
from tasks.publish.versions import (
    go_live,
    is_whole,
    prune_versions,
    read_live,
    read_versions,
    wait_for_approval,
)
from tasks.retrieval.retriever import Retriever
from tests.tasks.publish.conftest import add


@pytest.mark.parametrize(("deed", "least_points"), [("publish", 25), ("approve", 3), ("roll back", 3)])
def test_killed_at_any_point_the_old_or_the_new_version_is_live_and_answers(
    deed, least_points, tmp_path, candidates, monkeypatch
):
    """The pointer never names a version that is not whole, and the next publishing sweeps up."""
    start = tmp_path / "crash" / "start"
    with locked(start):
        old = go_live(start, add(start, candidates("one")), "published")
        old = go_live(start, add(start, candidates("two")), "published")
        if deed == "approve":
            wait_for_approval(start, add(start, candidates("three")))

    crash(start.parent, candidates("four"), deed)

    states = sorted((state for state in start.parent.iterdir() if state != start), key=lambda state: int(state.name))
    assert len(states) > least_points
    changed = [read_live(state).version != old.version for state in states]
    assert changed[-1]
    assert changed == sorted(changed), "at one point it changes, and it stays changed"
    for state in states:
        answers_and_recovers(state, candidates("five"))


def answers_and_recovers(state: Path, candidate: Path) -> None:
    """Check that what is live answers, and that publishing goes on from there and leaves no litter."""
    version = read_live(state).version
    assert version is not None
    assert is_whole(state, version)
    assert Retriever(state).search(["怎么退票"], top=1)[0]
    with locked(state):
        manifest = add(state, candidate)
        go_live(state, manifest, "published")
        prune_versions(state, 2)
    assert read_live(state).version == manifest.version
    names = {file.name for file in state.iterdir()}
    assert names == {".lock", "live.json", *(m.version for m in read_versions(state))}


def crash(base: Path, candidate: Path, deed: str) -> None:
    """Run the module that kills itself."""
    words = [sys.executable, "-m", "tests.tasks.publish.crash", str(base), str(candidate), deed]
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_two_processes_at_once_lose_no_entry(models, candidates):
    """Reading, changing and replacing the pointer is one deed under the lock."""
    code = f"""
from pathlib import Path
from tasks.mirror import locked
from tasks.publish.versions import go_live
from tests.tasks.publish.conftest import add
models = Path({str(models)!r})
for _ in range(10):
    with locked(models):
        go_live(models, add(models, Path({str(candidates("one"))!r})), "published")
"""
    both = [subprocess.Popen([sys.executable, "-c", code], cwd=CHECKOUT) for _ in range(2)]

    assert [process.wait(60) for process in both] == [0, 0]
    assert len(read_live(models).history) == 20
    assert len({entry.version for entry in read_live(models).history}) == 20
    assert len(read_versions(models)) == 20


def test_a_dead_process_holds_no_lock(models):
    """The operating system frees it; no stale lock file has to be deleted by hand."""
    code = f"""
import os, signal
from pathlib import Path
from tasks.mirror import locked
with locked(Path({str(models)!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT).returncode == -9
    with locked(models):
        pass
