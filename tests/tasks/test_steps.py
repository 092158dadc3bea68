"""How a step leaves its files."""

import os
import threading

import pytest
from pydantic import BaseModel

from schemas.errors import CorpusRejected, MachineFault
from schemas.manifest import StepManifest, hash_file
from schemas.outputs import PrepareOutput, TrainOutput
from schemas.workspace import Workspace
from tasks import steps
from tasks.steps import StepNotes, run_step


class Facts(BaseModel):
    """What the step counted."""

    rows: int
    pair: tuple[int, int]


class Counted:
    """A maker that writes two files and remembers how often it was asked."""

    def __init__(self, content="rows"):
        self.content, self.calls = content, 0

    def __call__(self, out, partial):
        """Write."""
        self.calls += 1
        (out.folder / "deep").mkdir()
        (out.folder / "a.txt").write_text(self.content)
        (out.folder / "deep" / "b.txt").write_text(self.content * 2)
        return StepNotes(Facts(rows=3, pair=(1, 2)), ["careful"])


@pytest.fixture
def workspace(tmp_path):
    """Give the workspace of a run by its name."""
    return lambda run="run-1": Workspace.of("toy", run, tmp_path)


@pytest.fixture
def made(workspace):
    """Run the step "prepare" of a run."""

    def run(make, run="run-1", inputs=None):
        return run_step(workspace(run), PrepareOutput, inputs or {"seed": 1}, make)

    return run


def leftovers(workspace):
    """Return what lies in the folder of unfinished work."""
    folder = workspace().partial
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


def test_a_step_is_made_in_the_folder_of_its_run(made, workspace):
    """With a manifest that tells path, hash and size of every file; nothing unfinished stays behind."""
    step = made(Counted())

    assert step.output.folder == workspace().step("prepare")
    assert step.reused_from is None
    assert {entry.path: (entry.sha256, entry.bytes) for entry in step.manifest.files} == {
        path: (hash_file(step.output.folder / path), size) for path, size in (("a.txt", 4), ("deep/b.txt", 8))
    }
    assert step.manifest == StepManifest.read(step.output.folder)
    assert step.manifest.warnings == ["careful"]
    assert leftovers(workspace) == []


def test_a_step_is_made_once_and_then_re_used(made):
    """In the same run and in a later one, which gets hard links: no second copy, and no tie to the first folder."""
    make = Counted()
    first, again, later = made(make), made(make), made(make, "run-2")

    assert make.calls == 1
    assert (again.reused_from, later.reused_from) == ("run-1", "run-1")
    assert first.manifest == again.manifest == later.manifest
    for path in ("a.txt", "deep/b.txt", "manifest.json"):
        assert os.path.samefile(first.output.folder / path, later.output.folder / path)

    first.output.folder.rename(first.output.folder.with_name("pruned"))
    assert made(make, "run-3").reused_from == "run-2"
    assert make.calls == 1


def test_facts_read_the_same_now_and_later(made):
    """A tuple is a list on disk, and so it is in the first run."""
    first, later = made(Counted()), made(Counted(), "run-2")

    assert first.manifest.facts == later.manifest.facts == {"rows": 3, "pair": [1, 2]}


@pytest.mark.parametrize("harm", ["alter", "alter in place", "delete", "manifest"])
def test_files_harmed_since_are_noticed_and_made_again(made, harm):
    """Also where the length stays the same; the step ends whole."""
    make = Counted()
    folder = made(make).output.folder
    if harm == "alter":
        (folder / "a.txt").unlink()
        (folder / "a.txt").write_text("more rows")
    elif harm == "alter in place":
        (folder / "a.txt").write_text("ROWS")
    elif harm == "delete":
        (folder / "deep" / "b.txt").unlink()
    else:
        (folder / "manifest.json").write_text("{")

    step = made(make)

    assert make.calls == 2
    assert step.reused_from is None
    step.manifest.verify(step.output.folder)
    assert (step.output.folder / "a.txt").read_text() == "rows"


def test_a_later_run_does_not_take_over_harmed_files(made):
    """An older whole one serves instead, if there is one."""
    make = Counted()
    first, second = made(make), made(make, "run-2")
    (second.output.folder / "a.txt").unlink()

    assert made(make, "run-3").reused_from == "run-1"
    (first.output.folder / "a.txt").write_text("ROWS")
    assert made(make, "run-4").reused_from == "run-3" or make.calls == 2


def test_other_inputs_make_another_step(made):
    """The key is of their content, whatever the order of their names."""
    make = Counted()
    keys = {
        made(make, "run-1", {"seed": 1, "rows": [1, 2]}).manifest.key,
        made(make, "run-2", {"rows": [1, 2], "seed": 1}).manifest.key,
    }

    assert len(keys) == make.calls == 1
    assert made(make, "run-3", {"seed": 2, "rows": [1, 2]}).manifest.key not in keys
    assert make.calls == 2


def test_another_step_with_the_same_inputs_is_another_one(workspace):
    """The name is part of the key."""
    first, second = (run_step(workspace(), kind, {"seed": 1}, Counted()) for kind in (PrepareOutput, TrainOutput))

    assert first.manifest.key != second.manifest.key


def test_other_code_makes_another_step(made, monkeypatch, tmp_path):
    """A changed source of schemas or tasks, or a changed word list, re-uses nothing; no other file matters."""
    for package in ("schemas", "tasks", "data/bundled", "data/corpora"):
        (tmp_path / "checkout" / package).mkdir(parents=True)
    source = tmp_path / "checkout" / "tasks" / "losses.py"
    words = tmp_path / "checkout" / "data" / "bundled" / "noise.toml"
    settings = tmp_path / "checkout" / "data" / "corpora" / "a.toml"
    words.write_text("slips = ''")
    source.write_text("target = 1")
    monkeypatch.setattr(steps, "CHECKOUT", tmp_path / "checkout")
    make, keys = Counted(), []
    try:
        for change in (
            lambda: None,
            lambda: source.with_suffix(".pyc").touch(),
            lambda: settings.write_text("name = 'a'"),
            lambda: source.write_text("target = 0.4"),
            lambda: words.write_text("slips = '的'"),
        ):
            change()
            steps.code_version.cache_clear()
            keys.append(made(make, f"run-{len(keys)}").manifest.key)
    finally:
        steps.code_version.cache_clear()

    assert keys[0] == keys[1] == keys[2]
    assert len({keys[0], keys[3], keys[4]}) == 3
    assert make.calls == 3


def test_a_failure_leaves_nothing_that_has_the_name_of_the_step(made, workspace):
    """Half-written files are not found by anyone, and the next run starts with an empty folder."""

    def fail(out, partial):
        (out.folder / "half.txt").write_text("ro")
        raise MachineFault("disk full")

    with pytest.raises(MachineFault, match="disk full"):
        made(fail)

    assert list(workspace().root.iterdir()) == []
    assert sorted(entry.path for entry in made(Counted()).manifest.files) == ["a.txt", "deep/b.txt"]


def test_checkpoints_of_a_crash_are_there_for_the_next_run(made, workspace):
    """Of the same inputs only; they are deleted when the step is finished."""
    seen = []

    def crash(out, partial):
        seen.append((partial / "checkpoint").exists())
        (partial / "checkpoint").touch()
        raise KeyboardInterrupt

    def finish(out, partial):
        seen.append((partial / "checkpoint").exists())
        return Counted()(out, partial)

    with pytest.raises(KeyboardInterrupt):
        made(crash)
    made(finish, "run-2", {"seed": 2})
    step = made(finish, "run-3")

    assert seen == [False, False, True]
    assert sorted(entry.path for entry in step.manifest.files) == ["a.txt", "deep/b.txt"]
    assert leftovers(workspace) == []


def test_a_rejected_corpus_leaves_what_was_found(made, workspace):
    """Beside the step, never under its name; the message says where, and a repeat replaces it."""

    def reject(out, partial):
        (out.folder / "quarantine.txt").write_text("row 7")
        raise CorpusRejected("no row is usable")

    for _ in range(2):
        with pytest.raises(CorpusRejected) as error:
            made(reject)

    rejected = workspace().root / "prepare.rejected"
    assert str(error.value) == f"no row is usable\nThe rows concerned are listed in {rejected}"
    assert [file.name for file in rejected.iterdir()] == ["quarantine.txt"]
    assert not workspace().step("prepare").exists()
    assert leftovers(workspace) == []


def test_two_runs_at_once_do_not_disturb_each_other(made, workspace):
    """The second gets a folder of its own, and both end whole with equal files."""
    inside, both, ended, partials = threading.Event(), threading.Event(), {}, []

    def slow(out, partial):
        partials.append(partial)
        inside.set()
        assert both.wait(10)
        return Counted()(out, partial)

    def run(name, make):
        ended[name] = made(make, name)

    first = threading.Thread(target=run, args=("run-1", slow))
    first.start()
    assert inside.wait(10)
    others = [threading.Thread(target=run, args=(name, slow)) for name in ("run-2", "run-3")]
    for thread in others:
        thread.start()
    while len(partials) < 3:
        threading.Event().wait(0.01)
    both.set()
    for thread in (first, *others):
        thread.join()

    assert len(set(partials)) == 3
    assert len(ended) == 3
    for step in ended.values():
        step.manifest.verify(step.output.folder)
    assert ended["run-1"].manifest == ended["run-2"].manifest == ended["run-3"].manifest
    assert leftovers(workspace) == []


def test_many_runs_one_after_the_other_and_at_once_all_end_well(made):
    """Eight threads hand the lock to each other while folders come and go."""
    failures = []

    def run(number):
        try:
            for turn in range(25):
                made(Counted(), f"run-{number}-{turn}", {"seed": turn % 2, "again": turn})
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
