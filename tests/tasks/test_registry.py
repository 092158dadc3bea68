"""Versions on disk, the pointer, and the ways back."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from schemas.errors import NothingLive, SettingsError, StaleFile
from schemas.live import Live
from schemas.manifest import hash_file
from tasks.registry import ModelRegistry
from tasks.update import Update
from tasks.version_files import hash_candidate
from tests.tasks.conftest import add, publish, put


def test_nothing_published_is_an_empty_pointer(registry):
    """A first run asks before anything exists."""
    assert registry.live() == Live()
    assert registry.versions() == []


def test_the_manifest_has_the_hash_of_every_file(registry, candidates):
    """What is not in the manifest is not in the folder, and the other way round."""
    manifest = add(registry, candidates("one"))
    folder = registry.folder / manifest.version

    on_disk = {f.relative_to(folder).as_posix(): hash_file(f) for f in folder.rglob("*") if f.name != "manifest.json"}
    assert manifest.files == on_disk
    assert {"model.json", "model.safetensors", "settings.json"} <= set(manifest.files)
    assert json.loads((folder / "manifest.json").read_text()) == manifest.model_dump()


def test_equal_candidates_have_equal_hashes_and_different_names(registry, candidates):
    """A version is never overwritten, not even by itself within the same second."""
    first, second = add(registry, candidates("one")), add(registry, candidates("one"))

    assert first.candidate == second.candidate == hash_candidate(candidates("one"))
    assert first.version != second.version
    assert hash_candidate(candidates("two")) != first.candidate


def test_a_new_version_leaves_the_old_ones_bytes(registry, candidates, published):
    """Immutable: same files, same hashes, same inodes."""
    first = published("one")
    before = {file: (hash_file(file), file.stat().st_ino) for file in (registry.folder / first.version).iterdir()}

    published("two")

    assert {
        file: (hash_file(file), file.stat().st_ino) for file in (registry.folder / first.version).iterdir()
    } == before


def test_an_added_version_is_not_live(registry, candidates):
    """Naming and pointing are two actions."""
    add(registry, candidates("one"))

    assert registry.live().version is None


def test_history_tells_what_was_live_when_and_why(registry, published):
    """Oldest first, with the run that made each."""
    first, second = published("one"), published("two")
    registry.change(lambda update: update.roll_back())

    history = registry.live().history
    periods = registry.live().periods()
    assert [(p.version, p.since) for p in periods] == [(entry.version, entry.at) for entry in history]
    assert [p.until for p in periods] == [history[1].at, history[2].at, None]
    assert Live().periods() == []
    assert [(entry.version, entry.why) for entry in history] == [
        (first.version, "published"),
        (second.version, "published"),
        (first.version, "rolled back"),
    ]
    assert all(entry.at.endswith("+00:00") and entry.run == "run-1" for entry in history)


def test_rolling_back_returns_to_what_was_live_before_and_withdraws(registry, published):
    """Twice goes two back: a withdrawn version is no way back."""
    first, second, third = published("one"), published("two"), published("three")

    assert registry.change(lambda update: update.roll_back()).version == second.version
    assert registry.change(lambda update: update.roll_back()).version == first.version
    assert [one.version for one in registry.live().withdrawn] == [third.version, second.version]
    assert [one.candidate for one in registry.live().withdrawn] == [third.candidate, second.candidate]
    with pytest.raises(NothingLive, match=r"none to go back to; name another one: --to"):
        registry.change(lambda update: update.roll_back())
    assert registry.live().version == first.version


def test_rolling_back_to_a_named_version_even_a_withdrawn_one(registry, published):
    """A person who names it means it: it is withdrawn no longer."""
    first, second = published("one"), published("two")
    registry.change(lambda update: update.roll_back())

    assert registry.change(lambda update: update.roll_back(second.version)).version == second.version
    assert [one.version for one in registry.live().withdrawn] == [first.version]


@pytest.mark.parametrize("name", ["nosuch", "", ".", "..", "../other/{other}", "live.json"])
def test_only_a_version_of_this_corpus_can_be_gone_back_to(name, registry, published, candidates):
    """The known ones are listed; a path is no version, be it one of a neighbour."""
    published("one")
    live = published("two")
    other = add(ModelRegistry(registry.folder.parent / "other"), candidates("three"))

    with pytest.raises(SettingsError, match=rf"has no version.*{live.version}"):
        registry.change(lambda update: update.roll_back(name.format(other=other.version)) or "nosuch")
    assert registry.live().version == live.version


def test_the_live_version_is_no_way_back(registry, published):
    """Withdrawing it and pointing at it again would contradict each other."""
    version = published("one").version

    with pytest.raises(SettingsError, match="is live already"):
        registry.change(lambda update: update.roll_back(version))


def test_nothing_live_cannot_be_rolled_back(registry):
    """One sentence instead of a missing file."""
    with pytest.raises(NothingLive, match="nothing is live"):
        registry.change(lambda update: update.roll_back())


@pytest.mark.parametrize("harm", ["altered", "gone"])
def test_a_damaged_version_never_becomes_live_again(harm, registry, published):
    """Its files are verified before the pointer moves."""
    first, second = published("one"), published("two")
    file = registry.folder / first.version / "model.safetensors"
    file.unlink() if harm == "gone" else file.write_bytes(b"x" + file.read_bytes()[1:])

    with pytest.raises(StaleFile, match=r"model\.safetensors (is gone|was altered).*dssm rollback toy.*dssm run toy"):
        registry.change(lambda update: update.roll_back())
    assert registry.live().version == second.version
    assert not registry.is_whole(first.version)
    assert registry.is_whole(second.version)


def test_a_lost_live_version_can_be_rolled_back(registry, published):
    """The way back must not need what was lost."""
    first, second = published("one"), published("two")
    (registry.folder / second.version / "manifest.json").unlink()

    assert registry.change(lambda update: update.roll_back()).version == first.version


def test_a_version_of_another_corpus_never_goes_live(registry, candidates, published):
    """Its folder was copied among ours: its answers are not ours, though every file of it is whole."""
    mine = [published("one"), published("two")]
    other = add(ModelRegistry(registry.folder.parent / "other"), candidates("three"))
    (registry.folder.parent / "other" / other.version).rename(registry.folder / other.version)

    with pytest.raises(StaleFile, match=r"manifest\.json is damaged \(it is that of corpus 'other'"):
        registry.change(lambda update: update.roll_back(other.version))
    assert registry.versions() == mine
    assert registry.change(lambda update: update.roll_back()) == mine[0]


def test_a_pending_version_goes_live_when_approved(registry, candidates, published):
    """Until then the old one answers."""
    old, new = published("one"), add(registry, candidates("two"))
    registry.change(lambda update: update.wait_for_approval(new))

    assert registry.live().version == old.version
    assert registry.change(lambda update: update.approve()) == new
    live = registry.live()
    assert (live.version, live.pending, live.history[-1].why) == (new.version, None, "approved")


def test_a_declined_version_waits_no_longer_and_is_withdrawn(registry, candidates, published):
    """The live one stays; there is nothing left to approve or to decline."""
    old, waiting = published("one"), add(registry, candidates("two"))
    registry.change(lambda update: update.wait_for_approval(waiting))
    registry.change(lambda update: update.decline())
    after = registry.live()

    assert (after.version, after.pending) == (old.version, None)
    assert after.withdrawn[-1].candidate == waiting.candidate
    for again in (Update.approve, Update.decline):
        with pytest.raises(NothingLive, match="waits for approval"):
            registry.change(again)


def test_a_newer_pending_version_replaces_the_older(registry, candidates):
    """A person approves the latest, not a queue."""
    older = add(registry, candidates("one"))
    registry.change(lambda update: update.wait_for_approval(older))
    newer = add(registry, candidates("two"))
    registry.change(lambda update: update.wait_for_approval(newer))

    assert registry.change(lambda update: update.approve()).version == newer.version


def test_nothing_pending_cannot_be_approved(registry, published):
    """Twice is once too often."""
    published("one")

    with pytest.raises(NothingLive, match="waits for approval"):
        registry.change(lambda update: update.approve())


def test_a_damaged_pending_version_is_not_approved(registry, candidates):
    """A person's word does not mend a file."""
    pending = add(registry, candidates("one"))
    registry.change(lambda update: update.wait_for_approval(pending))
    (registry.folder / pending.version / "model.json").write_bytes(b"{}")

    with pytest.raises(StaleFile):
        registry.change(lambda update: update.approve())
    assert registry.live().version is None


def test_publishing_another_version_leaves_the_pending_one(registry, candidates, published):
    """It still waits for its person; only its own candidate going live ends that."""
    pending = add(registry, candidates("one"))
    registry.change(lambda update: update.wait_for_approval(pending))

    published("two")
    assert registry.live().pending == pending.version

    publish(registry, candidates("one"))
    assert registry.live().pending is None


def test_pruning_keeps_the_newest_and_never_the_live_or_the_pending_one_goes(registry, candidates, published):
    """However old they are."""
    live, pending = published("one"), add(registry, candidates("two"))
    registry.change(lambda update: update.wait_for_approval(pending))
    others = [add(registry, candidates("three")) for _ in range(4)]

    gone = registry.change(lambda update: update.prune(3))

    assert set(gone) <= {m.version for m in others}
    assert len(gone) == 3
    left = {m.version for m in registry.versions()}
    assert {live.version, pending.version} < left
    assert len(left) == 3


def test_rolling_back_skips_what_was_pruned(registry, published):
    """The version before may be gone; the one before that is the way back."""
    first, second, _ = published("one"), published("two"), published("three")
    (registry.folder / second.version).rename(registry.folder.parent / "elsewhere")

    assert registry.change(lambda update: update.roll_back()).version == first.version


def test_the_pointer_is_replaced_never_rewritten(registry, published):
    """A reader that has it open reads the old one to its end."""
    first = published("one")
    with (registry.folder / "live.json").open() as stream:
        published("two")
        assert json.loads(stream.read())["version"] == first.version


def test_the_lock_creates_the_folder(tmp_path: Path):
    """The first publishing of a corpus has none yet."""
    with ModelRegistry(tmp_path / "models" / "new").update():
        assert (tmp_path / "models" / "new").is_dir()


# --- what cannot be written down


def test_an_update_that_has_ended_changes_nothing(registry, candidates):
    """Whoever kept it past its lock has read what may be stale."""
    with registry.update() as update:
        manifest = update.add(candidates("one"), {}, "run-1", (0.5, 0.5, 100))

    for late in (lambda: update.go_live(manifest, "published"), lambda: update.prune(1)):
        with pytest.raises(RuntimeError, match="this update has ended"):
            late()
    assert registry.live().version is None


def test_a_pointer_that_changed_outside_the_lock_is_not_written_over(registry, candidates, published):
    """As on a disk without locks: the action is done again from what is there now."""
    first, second = published("one"), add(registry, candidates("two"))
    seen = []

    def action(update: Update) -> None:
        seen.append(update.live.pending)
        if len(seen) == 1:
            outside = registry.cached_live().model_copy(update={"pending": second.version})
            registry.pointer.write_text(outside.model_dump_json())
        update.go_live(first, "approved")

    registry.change(action)

    assert seen == [None, second.version]
    assert (registry.live().pending, len(registry.live().history)) == (second.version, 2)


def test_an_update_inside_an_update_is_refused(registry):
    """It would wait for itself for ever."""
    with registry.update(), pytest.raises(RuntimeError, match="by this very thread"), registry.update():
        pass


# --- the order of versions


class Clock(datetime):
    """A clock that a test sets."""

    year_now = 2026

    @classmethod
    def now(cls, tz=None):
        """Return the time, in another year."""
        return super().now(tz).replace(year=cls.year_now)


@pytest.fixture
def clock(monkeypatch):
    """The clock of this machine."""
    monkeypatch.setattr("tasks.version_files.datetime", Clock)
    monkeypatch.setattr("tasks.update.datetime", Clock)
    return Clock


def test_versions_of_a_future_clock_do_not_outlive_their_successors(registry, published, clock, caplog):
    """Names and times say 2031; the history knows that they came first."""
    clock.year_now = 2031
    ahead = [published(name) for name in ("one", "two")]
    clock.year_now = 2026
    after = [published(name) for name in ("three", "four", "five")]

    assert [m.version for m in registry.versions()] == [m.version for m in ahead + after]
    assert "runs backwards: it is 2026-" in caplog.text
    assert registry.change(lambda update: update.prune(3)) == [m.version for m in ahead]
    assert registry.change(lambda update: update.roll_back()).version == after[1].version
    assert registry.change(lambda update: update.roll_back()).version == after[0].version


def test_a_name_is_never_given_twice(registry, candidates):
    """Within one second, though what had it is pruned: somebody may be about to load that."""
    for _ in range(3):
        with registry.update() as update:
            update.go_live(put(update, candidates("one")), "published")
            update.prune(1)

    assert len({entry.version for entry in registry.live().history}) == 3


def test_what_was_never_live_goes_before_what_was(registry, candidates, published):
    """A predecessor is a way back; what a killed run left is none."""
    first = published("one")
    left = add(registry, candidates("left"))
    published("two")

    assert registry.change(lambda update: update.prune(2)) == [left.version]
    assert registry.change(lambda update: update.roll_back()).version == first.version
