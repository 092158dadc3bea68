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
from schemas.workspace import CHECKOUT, default_home, models_root
from tasks import mirror
from tasks.mirror import Overtaken, change, fetch, list_corpora, locked, refresh
from tasks.publish.versions import (
    approve,
    go_live,
    is_whole,
    prune_versions,
    read_live,
    read_versions,
    roll_back,
    wait_for_approval,
)
from tasks.retrieval.retriever import Retriever
from tasks.store import Store
from tests.conftest import s3_server, set_store
from tests.tasks.publish.conftest import add


@pytest.fixture
def machine(store, tmp_path, monkeypatch) -> Callable[[str], Path]:
    """Step over to a machine by its name, with a disk of its own; return its folder of the toy corpus's versions."""

    def step_over(name: str) -> Path:
        monkeypatch.setenv("DSSM_HOME", str(tmp_path / "machines" / name))
        return models_root(default_home()) / "toy"

    return step_over


def publish(models: Path, candidate: Path, keep: int = 9) -> VersionManifest:
    """Publish as the task does: a version that was made before another machine was faster is not made again."""
    made: list[VersionManifest] = []

    def deed() -> VersionManifest:
        made.extend([] if made else [add(models, candidate)])
        go_live(models, made[0], "published")
        prune_versions(models, keep)
        return made[0]

    return change(models, deed)


def versions(models: Path) -> list[str]:
    """Return the names of the versions that the store has."""
    refresh(models)
    return [manifest.version for manifest in read_versions(models)]


def test_what_one_machine_publishes_answers_on_another(machine, store, candidates):
    """And what it takes back, or approves, is taken back and approved there."""
    here, there = machine("here"), machine("there")
    machine("here")
    first, second = publish(here, candidates("one")), publish(here, candidates("two"))
    third = change(here, lambda: add(here, candidates("three")))
    change(here, lambda: wait_for_approval(here, third))

    machine("there")
    retriever = Retriever.live("toy")
    assert retriever.version == second.version
    assert retriever.search(["怎么退票"], top=1)[0]
    assert change(there, lambda: roll_back(there)).version == first.version
    assert change(there, lambda: approve(there)).version == third.version

    machine("here")
    refresh(here)
    assert [entry.version for entry in read_live(here).history] == [
        manifest.version for manifest in (first, second, first, third)
    ]
    assert [one.version for one in read_live(here).withdrawn] == [second.version]
    assert list_corpora(default_home()) == ["toy"]
    assert set(store.objects(f"models/toy/{first.version}")) == {*first.files, "manifest.json", "claim"}


def test_a_live_retriever_takes_up_what_another_machine_publishes(machine, candidates, monkeypatch):
    """By itself, in the background."""
    monkeypatch.setattr(mirror, "_POLL_SECONDS", 0.05)
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
    monkeypatch.setattr(mirror, "_POLL_SECONDS", 0.05)
    monkeypatch.setenv("DSSM_HOME", str(tmp_path / "machine"))
    with s3_server(tmp_path) as url:
        store = set_store(url, monkeypatch)
        subprocess.run(["curl", "-s", "-X", "PUT", f"{url}/shared"], check=True)
        models = models_root(default_home()) / "toy"
        first = publish(models, candidates("one"))
        retriever = Retriever(models)
    with caplog.at_level(logging.WARNING):
        wait_until(lambda: retriever.search(["怎么退票"], 1) and "answers on" in caplog.text)
        time.sleep(0.3)
        retriever.search(["怎么退票"], 1)

    assert caplog.text.count("what was live answers on") == 1, "once, not at every look"
    assert Retriever(models).version == first.version
    with pytest.raises(MachineFault, match="does not answer"):
        publish(models, candidates("two"))
    assert read_live(models).version == first.version
    monkeypatch.setenv("DSSM_HOME", str(tmp_path / "empty"))
    with pytest.raises(MachineFault, match=f"{store.address} does not answer"):
        Retriever.live("toy")


def test_who_asks_does_not_wait_for_who_publishes(machine, candidates):
    """On the same machine: what is here answers; where nothing is here yet, there is nothing but to wait."""
    here, there = machine("here"), machine("there")
    machine("here")
    first = publish(here, candidates("one"))
    with ThreadPoolExecutor() as pool:
        with locked(here):
            assert pool.submit(Retriever.live, "toy").result(30).version == first.version
        machine("there")
        with locked(there):
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
        file.parent for file in there.rglob("*") if file.is_file() and file.name not in ("manifest.json", ".lock")
    ]
    refresh(there)
    assert left.exists()
    os.utime(left, (0, 0))
    refresh(there)
    assert not left.exists()


def test_a_version_forgotten_while_it_is_copied_leaves_no_folder(machine, candidates, monkeypatch):
    """Nor does one that was fetched into just then."""
    publish(machine("here"), candidates("one"))
    there = machine("there")
    read = Store.read
    (there / "20200101-000000-abcdef").mkdir(parents=True)
    monkeypatch.setattr(Store, "read", lambda self, path: None if path.endswith("manifest.json") else read(self, path))
    refresh(there)
    assert list(there.glob("[!.]*/")) == []


def test_nothing_is_live_in_an_empty_store(machine, home, candidates):
    """What was published to the disk before is another matter."""
    with locked(home / "models" / "toy"):
        go_live(home / "models" / "toy", add(home / "models" / "toy", candidates("one")), "published")
    with pytest.raises(NothingLive):
        Retriever.live("toy")
    assert Retriever(home / "models" / "toy").search(["怎么退票"], 1)[0], "a folder that is named is taken as it is"


def test_machines_that_publish_at_once_lose_nothing(machine, store, candidates):
    """Every version is there, and every one stands in the history."""
    code = f"""
from pathlib import Path
from tests.tasks.publish.test_store import default_home, models_root, publish
for _ in range(4):
    publish(models_root(default_home()) / "toy", Path({str(candidates("one"))!r}), keep=99)
"""
    processes = []
    for name in ("here", "there"):
        machine(name)
        processes.append(subprocess.Popen([sys.executable, "-c", code], cwd=CHECKOUT, env=dict(os.environ)))

    assert [process.wait(120) for process in processes] == [0, 0]
    models = machine("elsewhere")
    assert len(versions(models)) == 8
    assert sorted(entry.version for entry in read_live(models).history) == versions(models)


def test_who_is_overtaken_decides_again(machine, candidates):
    """On what is live now, not on what was."""
    here, there = machine("here"), machine("there")
    seen = []

    def deed() -> str | None:
        refreshed = read_live(here)
        seen.append(refreshed.version)
        if len(seen) == 1:
            machine("there")
            publish(there, candidates("faster"))
            machine("here")
        go_live(here, add(here, candidates("slower")), "published")
        return read_live(here).version

    machine("here")
    live = change(here, deed)

    assert seen[0] is None
    assert seen[1] == read_live(here).history[0].version
    assert [entry.version for entry in read_live(here).history] == [seen[1], live]


def test_outside_change_a_stale_pointer_replaces_nothing(machine, candidates):
    """The store's own condition refuses it, whatever this machine believes."""
    here, there = machine("here"), machine("there")
    machine("here")
    first = publish(here, candidates("one"))
    machine("there")
    second = publish(there, candidates("two"))
    machine("here")
    with pytest.raises(Overtaken):
        go_live(here, first, "approved")
    refresh(here)
    assert read_live(here).version == second.version


def test_killed_before_any_write_the_old_or_the_new_version_is_live(store, candidates, machine, monkeypatch):
    """Seen from an empty disk: whole, answering, and the next publishing goes on from there."""
    base = store.address
    words = [sys.executable, "-m", "tests.tasks.publish.crash_store", base, candidates("old"), candidates("new")]
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr

    marks = []
    for n in range(1, int(done.stdout) + 1):
        monkeypatch.setenv("DSSM_STORE", f"{base}/{n}")
        models = machine(f"after-{n}")
        retriever = Retriever.live("toy")
        marks.append(retriever.search(["怎么退票"], 1)[0][0].id.split("-")[0])
        assert is_whole(models, retriever.version)
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
        change(there, lambda: roll_back(there))
    assert read_live(there).version == second.version
    if harm != "altered in place":
        machine("here")
        with pytest.raises(StaleFile, match=f"{path} is gone or was altered"):
            change(here, lambda: roll_back(here))


def test_a_copy_harmed_on_this_disk_is_got_again(machine, candidates):
    """The store is the truth."""
    here = machine("here")
    first = publish(here, candidates("one"))
    (here / first.version / "card.json").unlink(missing_ok=True)
    (here / first.version / "standard_questions.parquet").write_bytes(b"torn")

    assert Retriever.live("toy").search(["怎么退票"], 1)[0]
    assert is_whole(here, first.version)


def test_old_versions_are_no_more_and_their_files_go_a_day_later(machine, store, candidates, monkeypatch):
    """Never the live one; what a machine that died left goes likewise."""
    here = machine("here")
    manifests = [publish(here, candidates(name), keep=2) for name in ("one", "two", "three")]
    store.write("models/toy/20200101-000000-abcdef/vocabulary.parquet", b"left by a machine that died")

    there = machine("there")
    assert len(versions(there)) == 2
    assert manifests[-1].version in versions(there)
    assert len(store.children("models/toy")) == 5
    monkeypatch.setattr(mirror, "_LEFT_OVER", timedelta(0))
    change(there, lambda: roll_back(there))
    last = publish(there, candidates("four"), keep=1)
    assert versions(there) == [last.version]
    assert store.children("models/toy") == sorted([last.version, "live.json"])
    assert [folder.name for folder in there.glob("[!.]*/")] == [last.version]


def test_going_back_to_a_version_while_another_machine_prunes_it(machine, store, candidates):
    """Its manifest is put back before its files would go: never is live what is no version."""
    here, there = machine("here"), machine("there")
    machine("here")
    first = publish(here, candidates("one"))
    publish(here, candidates("two"))
    machine("there")
    refresh(there)
    fetch(there, first.version)

    def deed() -> None:
        store.delete([f"models/toy/{first.version}/manifest.json"])  # as the other machine's retention does, just now
        go_live(there, first, "approved")

    change(there, deed)
    assert store.read(f"models/toy/{first.version}/manifest.json")
    assert first.version in versions(machine("elsewhere"))


def wait_until(true: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for the background."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        threading.Event().wait(0.05)
