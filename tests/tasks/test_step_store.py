"""Steps and runs in the store: what one machine has finished, another one has."""

import shutil
from datetime import timedelta

import pytest

from schemas.errors import CorpusRejected, MachineFault
from schemas.outputs import PrepareOutput
from schemas.workspace import Workspace
from tasks import step_store
from tasks.step_store import find_run, keep_files, prune, where
from tasks.steps import run_step
from tests.conftest import free_port
from tests.tasks.test_steps import Counted


@pytest.fixture
def made(tmp_path):
    """Run the step "prepare" of a run on a machine, each of which has a disk of its own."""

    def run(make, run="run-1", machine="here", inputs=None):
        workspace = Workspace.of("toy", run, tmp_path / machine)
        return run_step(workspace, PrepareOutput, inputs or {"seed": 1}, make)

    return run


def objects(store, path=""):
    """Return the names of what is in the store."""
    return sorted(store.objects(path) if path else [*store.objects("steps"), *store.objects("runs")])


def test_another_machine_gets_what_one_has_made(store, made):
    """With the same bytes, and it says by which run."""
    make = Counted()
    first = made(make)
    second = made(make, "run-2", "there")

    assert make.calls == 1
    assert second.reused_from == "run-1"
    assert second.manifest == first.manifest
    assert not second.output.folder.samefile(first.output.folder)
    second.manifest.verify(second.output.folder)
    folder = f"toy/prepare-{first.manifest.key[:16]}"
    assert objects(store, "steps") == [f"{folder}/run-1/{name}" for name in ("a.txt", "deep/b.txt", "manifest.json")]
    assert objects(store, "runs") == [f"toy/{run}/prepare-{first.manifest.key[:16]}.json" for run in ("run-1", "run-2")]
    assert [file.name for file in second.output.folder.parent.iterdir()] == ["prepare"]


def test_a_machine_prefers_its_own_disk_and_puts_there_what_the_store_lacks(store, made):
    """A machine killed before it put a step there does so when it re-uses it."""
    make = Counted()
    made(make)
    for name in objects(store, "steps"):
        store.delete([f"steps/{name}"])

    assert made(make, "run-2").reused_from == "run-1"
    assert made(make, "run-3", "there").reused_from == "run-2"
    assert make.calls == 1


@pytest.mark.parametrize("harm", ["alter", "delete", "manifest", "no manifest"])
def test_a_step_harmed_in_the_store_is_made_again_and_put_there(harm, store, made):
    """Then the next machine finds a whole one."""
    make = Counted()
    folder = f"steps/toy/prepare-{made(make).manifest.key[:16]}/run-1"
    if harm == "alter":
        store.write(f"{folder}/a.txt", b"ROWS")
    elif harm == "delete":
        store.delete([f"{folder}/a.txt"])
    elif harm == "manifest":
        store.write(f"{folder}/manifest.json", b"{")
    else:
        store.delete([f"{folder}/manifest.json"])

    assert made(make, "run-2", "there").reused_from is None
    assert made(make, "run-3", "elsewhere").reused_from == "run-2"
    assert make.calls == 2


def test_a_fault_leaves_no_step_in_the_store(store, made):
    """Nor its checkpoints: they stay on the machine's own disk."""

    def fail(out, partial):
        (out.folder / "half.txt").write_text("ro")
        (partial / "checkpoint").touch()
        raise MachineFault("disk full")

    with pytest.raises(MachineFault):
        made(fail)
    assert objects(store) == []


def test_what_was_found_in_a_rejected_corpus_can_be_read_in_the_store(store, made):
    """The machine that found it may be gone; the message says where."""

    def reject(out, partial):
        (out.folder / "quarantine.txt").write_text("row 7")
        raise CorpusRejected("no row is usable")

    with pytest.raises(CorpusRejected, match=f"listed in {store.address}/runs/toy/run-1/prepare.rejected"):
        made(reject)
    assert store.read("runs/toy/run-1/prepare.rejected/quarantine.txt") == b"row 7"


def test_a_store_that_is_away_does_not_hide_why_a_corpus_is_rejected(store, made, tmp_path, monkeypatch):
    """What was found is still here."""

    def reject(out, partial):
        (out.folder / "quarantine.txt").write_text("row 7")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
        raise CorpusRejected("no row is usable")

    with pytest.raises(CorpusRejected, match=rf"no row is usable\n.* listed in {tmp_path}/.*prepare.rejected$"):
        made(reject)


def test_a_run_that_began_elsewhere_is_found_with_its_result(store, tmp_path):
    """Resumed after a suspension, on a machine that has not seen it."""
    here, there = (Workspace.of("toy", "20261124-1-abc", tmp_path / machine) for machine in ("here", "there"))
    here.root.mkdir(parents=True)
    for name in ("run.json", "report.html"):
        (here.root / name).write_text(name)
    keep_files(here, ["settings.json", "report.html", "run.json"])

    assert find_run(there, "-xyz") is None
    assert find_run(there.model_copy(update={"run": "new"}), "-abc") == here.run
    assert [file.name for file in there.root.iterdir()] == ["run.json"]
    assert where(here, "report.html") == f"{store.address}/runs/toy/{here.run}/report.html"


def test_old_runs_go_and_steps_that_no_run_has(store, made, tmp_path, monkeypatch):
    """A step that a kept run re-uses stays, whoever made it; one of a run at work, too."""
    make = Counted()
    for n, seed in enumerate((1, 2, 2, 2), 1):
        workspace = Workspace.of("toy", f"run-{n}", tmp_path / "here")
        made(make, workspace.run, inputs={"seed": seed})
        (workspace.root / "run.json").touch()
        keep_files(workspace, ["run.json"])
    made(make, "run-0-at-work", inputs={"seed": 3})
    made(make, "run-9-killed", inputs={"seed": 4})
    store.delete([f"runs/{name}" for name in objects(store, "runs") if "killed" in name])

    prune(workspace, keep=2)
    assert {name.split("/")[1] for name in objects(store, "runs")} == {"run-0-at-work", "run-3", "run-4"}
    assert len({name.split("/")[1] for name in objects(store, "steps")}) == 4, "a run may be about to say it has one"

    monkeypatch.setattr(step_store, "_IN_PROGRESS", timedelta(0))
    prune(workspace, keep=2)
    assert {name.split("/", 2)[2] for name in objects(store, "steps")} == {
        f"{run}/{name}" for run in ("run-2", "run-0-at-work") for name in ("a.txt", "deep/b.txt", "manifest.json")
    }
    shutil.rmtree(tmp_path / "here")
    assert made(make, "run-5", inputs={"seed": 2}).reused_from == "run-2"


def test_a_manifest_from_the_store_writes_nothing_outside(store, made, tmp_path, caplog):
    """The step is made again."""
    make = Counted()
    first = made(make)
    name = f"steps/toy/prepare-{first.manifest.key[:16]}/run-1/manifest.json"
    store.write(name, store.read(name).replace(b'"path": "a.txt"', b'"path": "../../escaped"'))

    assert made(make, "run-2", "there").reused_from is None
    assert make.calls == 2
    assert "no relative path inside a folder" in caplog.text
    assert not list(tmp_path.rglob("escaped"))
