"""Versions on disk, the pointer, and the ways back."""

import json
from pathlib import Path

import pytest

from schemas.errors import NothingLive, SettingsError, StaleFile
from schemas.live import Live
from schemas.manifest import hash_file
from tasks.mirror import locked
from tasks.publish.versions import (
    approve,
    decline,
    go_live,
    hash_candidate,
    is_whole,
    prune_versions,
    read_live,
    read_versions,
    roll_back,
    wait_for_approval,
)
from tests.tasks.publish.conftest import add


def test_nothing_published_is_an_empty_pointer(models):
    """A first run asks before anything exists."""
    assert read_live(models) == Live()
    assert read_versions(models) == []


def test_the_manifest_has_the_hash_of_every_file(models, candidates):
    """What is not in the manifest is not in the folder, and the other way round."""
    manifest = add(models, candidates("one"))
    folder = models / manifest.version

    on_disk = {f.relative_to(folder).as_posix(): hash_file(f) for f in folder.rglob("*") if f.name != "manifest.json"}
    assert manifest.files == on_disk
    assert {"model.json", "model.safetensors", "settings.json"} <= set(manifest.files)
    assert json.loads((folder / "manifest.json").read_text()) == manifest.model_dump()


def test_equal_candidates_have_equal_hashes_and_different_names(models, candidates):
    """A version is never overwritten, not even by itself within the same second."""
    first, second = add(models, candidates("one")), add(models, candidates("one"))

    assert first.candidate == second.candidate == hash_candidate(candidates("one"))
    assert first.version != second.version
    assert hash_candidate(candidates("two")) != first.candidate


def test_a_new_version_leaves_the_old_ones_bytes(models, candidates, published):
    """Immutable: same files, same hashes, same inodes."""
    first = published("one")
    before = {file: (hash_file(file), file.stat().st_ino) for file in (models / first.version).iterdir()}

    published("two")

    assert {file: (hash_file(file), file.stat().st_ino) for file in (models / first.version).iterdir()} == before


def test_an_added_version_is_not_live(models, candidates):
    """Naming and pointing are two deeds."""
    add(models, candidates("one"))

    assert read_live(models).version is None


def test_history_tells_what_was_live_when_and_why(models, published):
    """Oldest first, with the run that made each."""
    first, second = published("one"), published("two")
    roll_back(models)

    history = read_live(models).history
    periods = read_live(models).periods()
    assert [(p.version, p.since) for p in periods] == [(entry.version, entry.at) for entry in history]
    assert [p.until for p in periods] == [history[1].at, history[2].at, None]
    assert Live().periods() == []
    assert [(entry.version, entry.why) for entry in history] == [
        (first.version, "published"),
        (second.version, "published"),
        (first.version, "rolled back"),
    ]
    assert all(entry.at.endswith("+00:00") and entry.run == "run-1" for entry in history)


def test_rolling_back_returns_to_what_was_live_before_and_withdraws(models, published):
    """Twice goes two back: a withdrawn version is no way back."""
    first, second, third = published("one"), published("two"), published("three")

    assert roll_back(models).version == second.version
    assert roll_back(models).version == first.version
    assert [one.version for one in read_live(models).withdrawn] == [third.version, second.version]
    assert [one.candidate for one in read_live(models).withdrawn] == [third.candidate, second.candidate]
    with pytest.raises(NothingLive, match="none to go back to"):
        roll_back(models)
    assert read_live(models).version == first.version


def test_rolling_back_to_a_named_version_even_a_withdrawn_one(models, published):
    """A person who names it means it: it is withdrawn no longer."""
    first, second = published("one"), published("two")
    roll_back(models)

    assert roll_back(models, second.version).version == second.version
    assert [one.version for one in read_live(models).withdrawn] == [first.version]


@pytest.mark.parametrize("name", ["nosuch", "", ".", "..", "../other/{other}", "live.json"])
def test_only_a_version_of_this_corpus_can_be_gone_back_to(name, models, published, candidates):
    """The known ones are listed; a path is no version, be it one of a neighbour."""
    published("one")
    live = published("two")
    other = add(models.parent / "other", candidates("three"))

    with pytest.raises(SettingsError, match=rf"has no version.*{live.version}"):
        roll_back(models, name.format(other=other.version) or "nosuch")
    assert read_live(models).version == live.version


def test_the_live_version_is_no_way_back(models, published):
    """Withdrawing it and pointing at it again would contradict each other."""
    version = published("one").version

    with pytest.raises(SettingsError, match="is live already"):
        roll_back(models, version)


def test_nothing_live_cannot_be_rolled_back(models):
    """One sentence instead of a missing file."""
    with pytest.raises(NothingLive, match="nothing is live"):
        roll_back(models)


@pytest.mark.parametrize("harm", ["altered", "gone"])
def test_a_damaged_version_never_becomes_live_again(harm, models, published):
    """Its files are verified before the pointer moves."""
    first, second = published("one"), published("two")
    file = models / first.version / "model.safetensors"
    file.unlink() if harm == "gone" else file.write_bytes(b"x" + file.read_bytes()[1:])

    with pytest.raises(StaleFile, match="gone or was altered"):
        roll_back(models)
    assert read_live(models).version == second.version
    assert not is_whole(models, first.version)
    assert is_whole(models, second.version)


def test_a_lost_live_version_can_be_rolled_back(models, published):
    """The way back must not need what was lost."""
    first, second = published("one"), published("two")
    (models / second.version / "manifest.json").unlink()

    assert roll_back(models).version == first.version


def test_a_pending_version_goes_live_when_approved(models, candidates, published):
    """Until then the old one answers."""
    old, new = published("one"), add(models, candidates("two"))
    wait_for_approval(models, new)

    assert read_live(models).version == old.version
    assert approve(models) == new
    live = read_live(models)
    assert (live.version, live.pending, live.history[-1].why) == (new.version, None, "approved")


def test_a_declined_version_waits_no_longer_and_is_withdrawn(models, candidates, published):
    """The live one stays; there is nothing left to approve or to decline."""
    old, waiting = published("one"), add(models, candidates("two"))
    wait_for_approval(models, waiting)
    after = decline(models)

    assert (after.version, after.pending) == (old.version, None)
    assert after.withdrawn[-1].candidate == waiting.candidate
    for again in (approve, decline):
        with pytest.raises(NothingLive, match="waits for approval"):
            again(models)


def test_a_newer_pending_version_replaces_the_older(models, candidates):
    """A person approves the latest, not a queue."""
    wait_for_approval(models, add(models, candidates("one")))
    newer = add(models, candidates("two"))
    wait_for_approval(models, newer)

    assert approve(models).version == newer.version


def test_nothing_pending_cannot_be_approved(models, published):
    """Twice is once too often."""
    published("one")

    with pytest.raises(NothingLive, match="waits for approval"):
        approve(models)


def test_a_damaged_pending_version_is_not_approved(models, candidates):
    """A person's word does not mend a file."""
    pending = add(models, candidates("one"))
    wait_for_approval(models, pending)
    (models / pending.version / "model.json").write_bytes(b"{}")

    with pytest.raises(StaleFile):
        approve(models)
    assert read_live(models).version is None


def test_publishing_another_version_leaves_the_pending_one(models, candidates, published):
    """It still waits for its person; only its own candidate going live ends that."""
    pending = add(models, candidates("one"))
    wait_for_approval(models, pending)

    published("two")
    assert read_live(models).pending == pending.version

    go_live(models, add(models, candidates("one")), "published")
    assert read_live(models).pending is None


def test_pruning_keeps_the_newest_and_never_the_live_or_the_pending_one_goes(models, candidates, published):
    """However old they are."""
    live, pending = published("one"), add(models, candidates("two"))
    wait_for_approval(models, pending)
    others = [add(models, candidates("three")) for _ in range(4)]

    gone = prune_versions(models, 3)

    assert set(gone) <= {m.version for m in others}
    assert len(gone) == 3
    left = {m.version for m in read_versions(models)}
    assert {live.version, pending.version} < left
    assert len(left) == 3


def test_rolling_back_skips_what_was_pruned(models, published):
    """The version before may be gone; the one before that is the way back."""
    first, second, _ = published("one"), published("two"), published("three")
    (models / second.version).rename(models.parent / "elsewhere")

    assert roll_back(models).version == first.version


def test_the_pointer_is_replaced_never_rewritten(models, published):
    """A reader that has it open reads the old one to its end."""
    first = published("one")
    with (models / "live.json").open() as stream:
        published("two")
        assert json.loads(stream.read())["version"] == first.version


def test_the_lock_creates_the_folder(tmp_path: Path):
    """The first publishing of a corpus has none yet."""
    with locked(tmp_path / "models" / "new"):
        assert (tmp_path / "models" / "new").is_dir()
