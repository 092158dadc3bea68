"""Old runs and versions go, never what is live, at work, or what a person still needs."""

import fcntl
import os
from pathlib import Path

import pytest

from schemas.workspace import Workspace
from tasks.retention import prune_runs
from tests.tasks.conftest import add

LONG_AGO = 15 * 24 * 3600


@pytest.fixture
def workspace(tmp_path):
    """Five runs that have ended, of which this is the newest."""
    for number in range(5):
        folder = tmp_path / "runs" / "toy" / f"run-{number}"
        folder.mkdir(parents=True)
        (folder / "run.json").write_text("{}")
    return Workspace(home=tmp_path, corpus="toy", run="run-4")


def left(workspace: Workspace) -> list[str]:
    """Return the runs that are there."""
    return sorted(folder.name for folder in workspace.runs.iterdir())


def age(folder: Path) -> None:
    """Let a folder be two weeks old."""
    then = folder.stat().st_mtime - LONG_AGO
    os.utime(folder, (then, then))


def test_the_oldest_go_and_this_one_counts(workspace):
    """Two are kept."""
    assert prune_runs(workspace, 2) == ["run-0", "run-1", "run-2"]
    assert left(workspace) == ["run-3", "run-4"]


def test_runs_of_a_clock_that_was_ahead_are_the_oldest(workspace):
    """Else they would stay until 2031, and every run of today go after the next."""
    names = ["20310101-000000-aaaaaa", "20310102-000000-bbbbbb", "20260101-000000-cccccc", "20260102-000000-dddddd"]
    for name in names:
        (workspace.runs / name).mkdir()
        (workspace.runs / name / "run.json").write_text("{}")
    for number in range(5):
        (workspace.runs / f"run-{number}" / "run.json").unlink()
    this = workspace.model_copy(update={"run": names[-1]})

    assert prune_runs(this, 2) == names[:2]


def test_checks_and_runs_are_counted_by_themselves(workspace):
    """Ten checks of an export in one evening delete no report of a published version, and no check stays for ever."""
    for number in range(5):
        folder = workspace.runs / f"check-{number}-check"
        folder.mkdir()
        (folder / "run.json").write_text("{}")
    last = workspace.model_copy(update={"run": "check-4-check"})

    assert prune_runs(last, 2) == ["check-0-check", "check-1-check", "check-2-check"]
    assert prune_runs(workspace, 4) == ["run-0"]
    assert left(workspace) == ["check-3-check", "check-4-check", "run-1", "run-2", "run-3", "run-4"]


def test_a_run_that_cannot_be_deleted_keeps_no_other_one(workspace, tmp_path, caplog):
    """Somebody moved it to another disk and left a link: that is told, and the others go."""
    (workspace.runs / "run-0").rename(tmp_path / "elsewhere")
    (workspace.runs / "run-0").symlink_to(tmp_path / "elsewhere")

    assert prune_runs(workspace, 2) == ["run-1", "run-2"]
    assert left(workspace) == ["run-0", "run-3", "run-4"]
    assert f"old run {workspace.runs / 'run-0'} was not deleted: " in caplog.text


def test_the_run_of_the_live_version_stays_and_counts(workspace):
    """However old it is: its report says why the version is live."""
    assert prune_runs(workspace, 3, frozenset({"run-0"})) == ["run-1", "run-2"]
    assert left(workspace) == ["run-0", "run-3", "run-4"]


def test_the_runs_to_spare_are_those_of_the_live_and_the_pending_version(registry, candidates, published):
    """A run that waits for a person is resumed from its files."""
    assert registry.runs_to_spare() == set()
    published("one")
    assert registry.runs_to_spare() == {"run-1"}
    waiting = add(registry, candidates("two"))
    manifest = registry.folder / waiting.version / "manifest.json"
    manifest.write_text(manifest.read_text().replace("run-1", "run-7"))
    registry.change(lambda update: update.wait_for_approval(waiting))
    assert registry.runs_to_spare() == {"run-1", "run-7"}


def test_a_run_at_work_is_left_alone_until_it_is_old(workspace):
    """It has no run.json yet; two weeks later nobody is at work there."""
    for run in ("run-0", "run-1"):
        (workspace.runs / run / "run.json").unlink()
    age(workspace.runs / "run-1")

    assert prune_runs(workspace, 2) == ["run-1", "run-2"]
    assert left(workspace) == ["run-0", "run-3", "run-4"]


def test_unfinished_work_goes_when_it_is_old_and_nobody_holds_it(workspace):
    """A checkpoint of yesterday is taken up tomorrow; a locked one is in use."""
    for name in ("fresh", "old", "held"):
        (workspace.partial / name).mkdir(parents=True)
    lock = os.open(workspace.partial / "held" / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    for name in ("old", "held"):
        age(workspace.partial / name)

    prune_runs(workspace, 5)
    os.close(lock)
    assert sorted(folder.name for folder in workspace.partial.iterdir()) == ["fresh", "held"]
