"""Publishing to a store: machines that share no disk see one truth, torn by nobody and lost by nobody."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.errors import MachineFault, NothingLive, StaleFile
from schemas.live import VersionManifest
from schemas.workspace import CHECKOUT, default_home
from tasks import registry as registry_module
from tasks import remote
from tasks.locks import locked
from tasks.registry import ModelRegistry, Overtaken, list_corpora
from tasks.retrieval.retriever import Retriever
from tasks.store import Store
from tasks.update import Update
from tests.conftest import s3_server, set_store
from tests.tasks import conftest
from tests.tasks.conftest import put


@pytest.fixture
def machine(store, tmp_path, monkeypatch) -> Callable[[str], ModelRegistry]:
    """Step over to a machine by its name, with a disk of its own; return its registry of the toy corpus."""

    def step_over(name: str) -> ModelRegistry:
        monkeypatch.setenv("DSSM_HOME", str(tmp_path / "machines" / name))
        return ModelRegistry.of("toy")

    return step_over


def publish(registry: ModelRegistry, candidate: Path, keep: int = 9) -> VersionManifest:
    """Publish as the task does: a version that was made before another machine was faster is not made again."""
    made: list[VersionManifest] = []

    def action(update: Update) -> VersionManifest:
        made.extend([] if made else [put(update, candidate)])
        update.go_live(made[0], "published")
        update.prune(keep)
        return made[0]

    return registry.change(action)


def versions(registry: ModelRegistry) -> list[str]:
    """Return the names of the versions that the store has."""
    return sorted(manifest.version for manifest in registry.versions())


def test_what_one_machine_publishes_answers_on_another(machine, store, candidates):
    """And what it takes back, or approves, is taken back and approved there."""
    here, there = machine("here"), machine("there")
    machine("here")
    first, second = publish(here, candidates("one")), publish(here, candidates("two"))
    third = here.change(lambda update: put(update, candidates("three")))
    here.change(lambda update: update.wait_for_approval(third))

    machine("there")
    retriever = Retriever.live("toy")
    assert retriever.version == second.version
    assert retriever.search(["怎么退票"], top=1)[0]
    assert there.change(lambda update: update.roll_back()).version == first.version
    assert there.change(lambda update: update.approve()).version == third.version

    machine("here")
    assert [entry.version for entry in here.live().history] == [
        manifest.version for manifest in (first, second, first, third)
    ]
    assert [one.version for one in here.live().withdrawn] == [second.version]
    assert list_corpora(default_home()) == ["toy"]
    assert set(store.objects(f"models/toy/{first.version}")) == {*first.files, "manifest.json", "claim"}


def test_a_live_retriever_takes_up_what_another_machine_publishes(machine, candidates, monkeypatch):
    """By itself, in the background."""
    monkeypatch.setattr(registry_module, "_POLL_SECONDS", 0.05)
    here = machine("here")
    publish(here, candidates("one"))
    machine("there")
    retriever = Retriever.live("toy")

    machine("here")
    second = publish(here, candidates("two"))

    machine("there")
    wait_until(lambda: retriever.search(["怎么退票"], 1)[0][0].id.startswith("two"))
    assert retriever.version == second.version


def test_a_store_that_is_gone_silences_nobody(tmp_path, candidates, monkeypatch, caplog):
    """A retriever answers on, a new one answers from the copy here; publishing fails and changes nothing."""
    monkeypatch.setattr(registry_module, "_POLL_SECONDS", 0.05)
    monkeypatch.setenv("DSSM_HOME", str(tmp_path / "machine"))
    with s3_server(tmp_path) as url:
        store = set_store(url, monkeypatch)
        subprocess.run(["curl", "-s", "-X", "PUT", f"{url}/shared"], check=True)
        registry = ModelRegistry.of("toy")
        first = publish(registry, candidates("one"))
        retriever = Retriever(registry)
    with caplog.at_level(logging.WARNING):
        wait_until(lambda: retriever.search(["怎么退票"], 1) and "answers on" in caplog.text)
        time.sleep(0.3)
        retriever.search(["怎么退票"], 1)

    assert caplog.text.count("what was live answers on") == 1, "once, not at every look"
    assert Retriever(registry).version == first.version
    with pytest.raises(MachineFault, match="does not answer"):
        publish(registry, candidates("two"))
    assert registry.cached_live().version == first.version
    monkeypatch.setenv("DSSM_HOME", str(tmp_path / "empty"))
    with pytest.raises(MachineFault, match=f"{store.address} does not answer"):
        Retriever.live("toy")


def test_who_asks_does_not_wait_for_who_publishes(machine, candidates):
    """On the same machine: what is here answers; where nothing is here yet, there is nothing but to wait."""
    here, there = machine("here"), machine("there")
    machine("here")
    first = publish(here, candidates("one"))
    with ThreadPoolExecutor() as pool:
        with here.update():
            assert pool.submit(Retriever.live, "toy").result(30).version == first.version
        machine("there")
        there.folder.mkdir(parents=True)
        with locked(there.folder / ".lock"):
            waiting = pool.submit(Retriever.live, "toy")
            with pytest.raises(TimeoutError):
                waiting.result(0.5)
        assert waiting.result(30).version == first.version


def test_what_a_killed_fetch_left_goes_a_day_later(machine, candidates):
    """A whole model; a younger one may be about to arrive."""
    publish(machine("here"), candidates("one"))
    there = machine("there")
    code = """
import os
from tasks.retrieval.retriever import Retriever
from tasks.store import Store
Store.pull = lambda self, path, folder, files: (folder / files[0]).touch() or os._exit(9)
Retriever.live("toy")
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT).returncode == 9
    (left,) = [
        file.parent
        for file in there.folder.rglob("*")
        if file.is_file() and file.name not in ("manifest.json", ".lock")
    ]
    there.live()
    assert left.exists()
    os.utime(left, (0, 0))
    there.live()
    assert not left.exists()


def test_a_version_forgotten_while_it_is_copied_leaves_no_folder(machine, candidates, monkeypatch):
    """Nor does one that was fetched into just then."""
    publish(machine("here"), candidates("one"))
    there = machine("there")
    read = Store.read
    (there.folder / "20200101-000000-abcdef").mkdir(parents=True)
    monkeypatch.setattr(Store, "read", lambda self, path: None if path.endswith("manifest.json") else read(self, path))
    there.live()
    assert list(there.folder.glob("[!.]*/")) == []


def test_nothing_is_live_in_an_empty_store(machine, home, candidates):
    """What was published to the disk before is another matter."""
    conftest.publish(ModelRegistry(home / "models" / "toy"), candidates("one"))
    with pytest.raises(NothingLive):
        Retriever.live("toy")
    assert Retriever(home / "models" / "toy").search(["怎么退票"], 1)[0], "a folder that is named is taken as it is"


def test_machines_that_publish_at_once_lose_nothing(machine, store, candidates):
    """Every version is there, and every one stands in the history."""
    code = f"""
from pathlib import Path
from tasks.locks import locked
from tasks.registry import ModelRegistry
from tests.tasks.test_registry_store import publish
for _ in range(4):
    publish(ModelRegistry.of("toy"), Path({str(candidates("one"))!r}), keep=99)
"""
    processes = []
    for name in ("here", "there"):
        machine(name)
        processes.append(subprocess.Popen([sys.executable, "-c", code], cwd=CHECKOUT, env=dict(os.environ)))

    assert [process.wait(120) for process in processes] == [0, 0]
    models = machine("elsewhere")
    assert len(versions(models)) == 8
    assert sorted(entry.version for entry in models.live().history) == versions(models)


def test_who_is_overtaken_decides_again(machine, candidates):
    """On what is live now, not on what was."""
    here, there = machine("here"), machine("there")
    seen = []

    def action(update: Update) -> str | None:
        seen.append(update.live.version)
        if len(seen) == 1:
            publish(there, candidates("faster"))
        update.go_live(put(update, candidates("slower")), "published")
        return update.live.version

    live = here.change(action)

    assert seen[0] is None
    assert seen[1] == here.live().history[0].version
    assert [entry.version for entry in here.live().history] == [seen[1], live]


def test_a_stale_pointer_replaces_nothing(machine, candidates):
    """The store's own condition refuses it, whatever this machine believes."""
    here, there = machine("here"), machine("there")
    first = publish(here, candidates("one"))
    with here.update() as update:
        second = publish(there, candidates("two"))
        with pytest.raises(Overtaken):
            update.go_live(first, "approved")
    assert here.live().version == second.version


@pytest.mark.slow
def test_killed_before_any_write_the_old_or_the_new_version_is_live(store, candidates, machine, monkeypatch):
    """Seen from an empty disk: whole, answering, and the next publishing goes on from there."""
    base = store.address
    words = [sys.executable, "-m", "tests.tasks.killed_store", base, candidates("old"), candidates("new")]
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr

    marks = []
    for n in range(1, int(done.stdout) + 1):
        monkeypatch.setenv("DSSM_STORE", f"{base}/{n}")
        models = machine(f"after-{n}")
        retriever = Retriever.live("toy")
        marks.append(retriever.search(["怎么退票"], 1)[0][0].id.split("-")[0])
        assert models.is_whole(retriever.version)
        if n % 5 == 0:
            newest = publish(models, candidates("newest"), keep=1)
            assert versions(models) == [newest.version]
    assert len(marks) > 10
    assert set(marks) == {"old", "new"}
    assert marks == sorted(marks, reverse=True), "at one write it changes, and it stays changed"


@pytest.mark.parametrize("harm", ["altered", "altered in place", "gone"])
def test_a_harmed_object_is_noticed(harm, machine, store, candidates):
    """By whoever gets it; a machine that has it whole notices what it can without getting it."""
    here = machine("here")
    first = publish(here, candidates("one"))
    second = publish(here, candidates("two"))
    path = f"models/toy/{first.version}/standard_questions.parquet"
    if harm == "gone":
        store.delete([path])
    else:
        content = store.read(path)
        store.write(path, content[:-9] + b"X" * (9 if harm == "altered in place" else 8))

    there = machine("there")
    with pytest.raises(StaleFile, match=r"s3://shared/.*(altered|gone)"):
        there.change(lambda update: update.roll_back())
    assert there.live().version == second.version
    if harm != "altered in place":
        machine("here")
        with pytest.raises(StaleFile, match=f"{path} is gone or was altered"):
            here.change(lambda update: update.roll_back())


def test_a_copy_harmed_on_this_disk_is_got_again(machine, candidates):
    """The store is the truth."""
    here = machine("here")
    first = publish(here, candidates("one"))
    (here.folder / first.version / "card.json").unlink(missing_ok=True)
    (here.folder / first.version / "standard_questions.parquet").write_bytes(b"torn")

    assert Retriever.live("toy").search(["怎么退票"], 1)[0]
    assert here.is_whole(first.version)


def test_old_versions_are_no_more_and_their_files_go_a_day_later(machine, store, candidates, monkeypatch):
    """Never the live one; what a machine that died left goes likewise."""
    here = machine("here")
    manifests = [publish(here, candidates(name), keep=2) for name in ("one", "two", "three")]
    store.write("models/toy/20200101-000000-abcdef/vocabulary.parquet", b"left by a machine that died")

    there = machine("there")
    assert len(versions(there)) == 2
    assert manifests[-1].version in versions(there)
    assert len(store.children("models/toy")) == 5
    monkeypatch.setattr(remote, "LEFT_OVER", timedelta(0))
    there.change(lambda update: update.roll_back())
    last = publish(there, candidates("four"), keep=1)
    assert versions(there) == [last.version]
    assert store.children("models/toy") == sorted([last.version, "live.json"])
    assert [folder.name for folder in there.folder.glob("[!.]*/")] == [last.version]


def test_going_back_to_a_version_while_another_machine_prunes_it(machine, store, candidates):
    """Its manifest is put back before its files would go: never is live what is no version."""
    here, there = machine("here"), machine("there")
    machine("here")
    first = publish(here, candidates("one"))
    publish(here, candidates("two"))
    machine("there")
    there.live()
    there.fetch(first.version)

    def action(update: Update) -> None:
        store.delete([f"models/toy/{first.version}/manifest.json"])  # as the other machine's retention does, just now
        update.go_live(first, "approved")

    there.change(action)
    assert store.read(f"models/toy/{first.version}/manifest.json")
    assert first.version in versions(machine("elsewhere"))


def files_below(folder: Path) -> set[Path]:
    """Return every file."""
    return {file for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("path", ["../../../escaped", "/tmp/escaped", "a/../../../escaped", "..", "a//b", "a\\b"])
def test_a_manifest_from_the_store_writes_nothing_outside(path, machine, store, candidates, tmp_path):
    """Whoever may write to the bucket must not write to every machine that reads it."""
    first = publish(machine("here"), candidates("one"))
    raw = store.read(f"models/toy/{first.version}/manifest.json")
    hostile = raw.replace(b'"files": {', b'"files": {"' + path.replace("\\", "\\\\").encode() + b'": "0",')
    store.write(f"models/toy/{first.version}/manifest.json", hostile)
    there = machine("there")
    before = files_below(tmp_path)

    with pytest.raises(StaleFile, match=r"manifest\.json is damaged \(.*no relative path inside a folder"):
        Retriever.live("toy")
    assert all(file.is_relative_to(there.folder) for file in files_below(tmp_path) - before)


def test_names_from_a_listing_stay_inside(machine, store, candidates, tmp_path):
    """A key of "..", and of a hidden name: neither is a version."""
    first = publish(machine("here"), candidates("one"))
    for name in ("..", ".hidden", "a\\b"):
        store._put_if(f"models/toy/{name}/manifest.json", b"{}", None)
    there = machine("there")

    assert versions(there) == [first.version]
    assert list_corpora(default_home()) == ["toy"]
    assert {file.name for file in there.folder.iterdir()} <= {first.version, "live.json", ".lock", ".live.backup.json"}
    assert not (there.folder.parent / "manifest.json").exists()


@pytest.mark.parametrize("pointer", [b"null", b"", b'{"version": "../../x", "history": []}'])
def test_a_damaged_pointer_of_the_store_harms_no_copy_and_is_repaired(pointer, machine, store, candidates):
    """Who has a copy answers from it; a repair puts back what was there."""
    here, there = machine("here"), machine("there")
    publish(here, candidates("one"))
    second = publish(here, candidates("two"))
    machine("there")
    before = Retriever.live("toy").version
    store.write("models/toy/live.json", pointer)

    assert Retriever.live("toy").version == before == second.version
    with pytest.raises(StaleFile, match=r"s3://.*live\.json is damaged .*dssm models toy --repair"):
        there.live()
    with pytest.raises(StaleFile, match="is damaged"):
        publish(there, candidates("three"))
    repaired = there.repair()
    assert repaired is not None
    assert [entry.version for entry in here.live().history] == [entry.version for entry in repaired.history]
    assert here.live().version == second.version


def wait_until(true: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for the background."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        threading.Event().wait(0.05)
