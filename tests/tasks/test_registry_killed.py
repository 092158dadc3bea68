"""kill -9 at every point of publishing, approving and rolling back; and two processes at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from schemas.workspace import CHECKOUT
from tasks.registry import ModelRegistry
from tasks.retrieval.retriever import Retriever
from tests.tasks.conftest import add, publish, put


@pytest.mark.parametrize(
    ("action", "least_points"),
    [("publish", 25), ("approve", 3), ("roll back", 3), pytest.param("edit", 40, marks=pytest.mark.slow)],
)
def test_killed_at_any_point_the_old_or_the_new_version_is_live_and_answers(
    action, least_points, tmp_path, candidates, monkeypatch
):
    """The pointer never names a version that is not whole, and the next publishing sweeps up."""
    start = tmp_path / "crash" / "start" / "toy"
    registry = ModelRegistry(start)
    publish(registry, candidates("one"))
    old = publish(registry, candidates("two"))
    if action == "approve":
        waiting = add(registry, candidates("three"))
        registry.change(lambda update: update.wait_for_approval(waiting))

    base = start.parent.parent
    crash(base, candidates("four"), action)

    numbers = sorted(int(state.name) for state in base.iterdir() if state != start.parent)
    states = [base / str(number) / "toy" for number in numbers]
    assert len(states) > least_points
    changed = [ModelRegistry(state).live().version != old.version for state in states]
    assert changed[-1]
    assert changed == sorted(changed), "at one point it changes, and it stays changed"
    for state in states:
        answers_and_recovers(state, candidates("five"))


def answers_and_recovers(state: Path, candidate: Path) -> None:
    """Check that what is live answers, and that publishing goes on from there and leaves no litter."""
    registry = ModelRegistry(state)
    version = registry.live().version
    assert version is not None
    assert registry.is_whole(version)
    assert Retriever(registry).search(["怎么退票"], top=1)[0]
    with registry.update() as update:
        manifest = put(update, candidate)
        update.go_live(manifest, "published")
        update.prune(2)
    assert registry.live().version == manifest.version
    names = {file.name for file in state.iterdir()}
    assert names == {".lock", "live.json", ".live.backup.json", *(m.version for m in registry.versions())}


def crash(base: Path, candidate: Path, action: str) -> None:
    """Run the module that kills itself."""
    words = [sys.executable, "-m", "tests.tasks.killed_update", str(base), str(candidate), action]
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_two_processes_at_once_lose_no_entry(registry, candidates):
    """Reading, changing and replacing the pointer is one action under the lock."""
    code = f"""
from pathlib import Path
from tasks.registry import ModelRegistry
from tests.tasks.conftest import publish
for _ in range(10):
    publish(ModelRegistry(Path({str(registry.folder)!r})), Path({str(candidates("one"))!r}))
"""
    both = [subprocess.Popen([sys.executable, "-c", code], cwd=CHECKOUT) for _ in range(2)]

    assert [process.wait(60) for process in both] == [0, 0]
    history = registry.live().history
    assert len(history) == len({entry.version for entry in history}) == len(registry.versions()) == 20


def test_a_dead_process_holds_no_lock(registry):
    """The operating system frees it; no stale lock file has to be deleted by hand."""
    code = f"""
import os, signal
from pathlib import Path
from tasks.registry import ModelRegistry
with ModelRegistry(Path({str(registry.folder)!r})).update():
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT).returncode == -9
    with registry.update():
        pass
