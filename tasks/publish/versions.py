"""Versions of a corpus on disk: immutable folders, and the pointer that is replaced last. Pure but for the disk.

A crash at any point leaves the old version live: a version's folder gets its name only when it is
complete, and live.json is replaced by one rename. Where machines share a store, `tasks.mirror` does the same there;
call what changes anything inside `change`.
"""

import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from schemas.errors import NothingLive, SettingsError, StaleFile
from schemas.live import Live, VersionManifest, WentLive, Withdrawn
from schemas.manifest import hash_file, hash_json, sync_folder, write_atomically
from tasks.mirror import MANIFEST, POINTER, check_stored, claim, fetch, forget, point, share, sweep


def hash_candidate(candidate: Path) -> str:
    """Return one sha256 over all files of a candidate."""
    return hash_json({path: hash_file(candidate / path) for path in _files(candidate)})


def read_live(models: Path) -> Live:
    """Return the pointer below `models`; an empty one where nothing was ever published."""
    try:
        return Live.model_validate_json((models / POINTER).read_bytes())
    except FileNotFoundError:
        return Live()


def read_versions(models: Path) -> list[VersionManifest]:
    """Return the manifests of all versions, oldest first."""
    return [VersionManifest.model_validate_json(f.read_bytes()) for f in sorted(models.glob(f"[!.]*/{MANIFEST}"))]


def add_version(
    models: Path, candidate: Path, extra: Mapping[str, bytes], corpus: str, run: str, recall: tuple[float, float, int]
) -> VersionManifest:
    """Copy a candidate into a new immutable folder and name it; it is not live yet.

    Args:
        models: folder of the corpus's versions.
        candidate: complete.
        extra: further files by name: model card, evaluation, settings.
        corpus: its name.
        run: that made it.
        recall: recall@1, recall@10 and the number of test rows, for `dssm models`.
    """
    now = datetime.now(UTC)
    digest = hash_candidate(candidate)
    version = _free_name(models, f"{now:%Y%m%d-%H%M%S}-{digest[:6]}")
    partial = models / f".{version}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        shutil.copytree(candidate, partial)
        for name, content in extra.items():
            (partial / name).write_bytes(content)
        files = {path: hash_file(partial / path) for path in _files(partial)}
        manifest = VersionManifest(
            version=version,
            corpus=corpus,
            run=run,
            made=now.isoformat(timespec="seconds"),
            candidate=digest,
            files=files,
            recall_at_1=recall[0],
            recall_at_10=recall[1],
            test_rows=recall[2],
        )
        write_atomically(partial / MANIFEST, manifest.model_dump_json(indent=1).encode())
        for path in [*files, MANIFEST]:
            _sync(partial / path)
        os.replace(partial, models / version)
    except BaseException:  # a full disk: what was copied so far must not keep it full
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync_folder(models)
    share(models, manifest)
    return manifest


def find_named(models: Path, candidate: Path, run: str) -> VersionManifest | None:
    """Return the version that this very run has already made of the candidate: it was stopped before the pointer."""
    digest = hash_candidate(candidate)
    return next((m for m in read_versions(models) if m.run == run and m.candidate == digest), None)


def verify_version(models: Path, version: str) -> VersionManifest:
    """Return a version's manifest after checking every file against it.

    Raises:
        SettingsError: there is no such version.
        StaleFile: a file is gone or altered.
    """
    folder = models / version
    versions = {m.version: m for m in read_versions(models)}  # by name: a path is no version
    if version not in versions:
        known = ", ".join(list(versions)[-5:]) or "none"
        raise SettingsError(f"corpus {models.name!r} has no version {version!r}; the newest are: {known}")
    manifest = versions[version]
    fetch(models, version)
    for path, digest in manifest.files.items():
        if not (folder / path).is_file() or hash_file(folder / path) != digest:
            raise StaleFile(f"{folder / path} is gone or was altered since it was published; take another version")
    check_stored(models, manifest)
    return manifest


def is_whole(models: Path, version: str) -> bool:
    """Say whether a version exists and every file of it is as it was published."""
    try:
        verify_version(models, version)
    except (SettingsError, StaleFile):
        return False
    return True


def go_live(models: Path, manifest: VersionManifest, why: str) -> Live:
    """Point live.json at a version; `why` is "published" or "approved"."""
    live = read_live(models)
    entry = WentLive.model_validate({"version": manifest.version, "at": _now(), "why": why, "run": manifest.run})
    waiting = _candidate_of(models, live.pending) if live.pending else ""
    pending = None if waiting == manifest.candidate else live.pending  # published without waiting any longer
    return point(
        models,
        live.model_copy(update={"version": manifest.version, "history": [*live.history, entry], "pending": pending}),
    )


def wait_for_approval(models: Path, manifest: VersionManifest) -> Live:
    """Remember a version that a person must approve; one that waited before is replaced."""
    return point(models, read_live(models).model_copy(update={"pending": manifest.version}))


def approve(models: Path) -> VersionManifest:
    """Make the pending version live.

    Raises:
        NothingLive: none waits.
    """
    pending = read_live(models).pending
    if pending is None:
        raise NothingLive(f"no version of corpus {models.name!r} waits for approval; see dssm models {models.name}")
    manifest = verify_version(models, pending)
    go_live(models, manifest, "approved")
    return manifest


def decline(models: Path) -> Live:
    """Withdraw the pending version: the same candidate never waits, or goes live, again."""
    live = read_live(models)
    if live.pending is None:
        raise NothingLive(f"no version of corpus {models.name!r} waits for approval; see dssm models {models.name}")
    declined = Withdrawn(version=live.pending, candidate=_candidate_of(models, live.pending))
    return point(models, live.model_copy(update={"pending": None, "withdrawn": [*live.withdrawn, declined]}))


def roll_back(models: Path, to: str | None = None) -> VersionManifest:
    """Withdraw the live version and return to the one live before it, or to `to`.

    Raises:
        NothingLive: nothing is live, or nothing was live before.
        SettingsError: no such version, or it is live already.
    """
    live = read_live(models)
    if live.version is None:
        raise NothingLive(f"nothing is live for corpus {models.name!r}: nothing to roll back")
    if to == live.version:
        raise SettingsError(f"version {to} is live already")
    withdrawn = {one.version for one in live.withdrawn} | {live.version}
    earlier = [entry.version for entry in live.history if entry.version not in withdrawn]
    earlier = [version for version in earlier if (models / version).exists()]
    if to is None and not earlier:
        raise NothingLive(
            f"{live.version} is the first version of corpus {models.name!r}: there is none to go back to; "
            "name one with --to"
        )
    target = verify_version(models, to or earlier[-1])
    entry = WentLive(version=target.version, at=_now(), why="rolled back", run=target.run)
    taken_back = Withdrawn(version=live.version, candidate=_candidate_of(models, live.version))
    kept = [one for one in live.withdrawn if one.version != target.version]  # going back to it on purpose
    point(
        models,
        live.model_copy(
            update={"version": target.version, "history": [*live.history, entry], "withdrawn": [*kept, taken_back]}
        ),
    )
    return target


def runs_to_spare(models: Path) -> frozenset[str]:
    """Return the runs that made the live and the pending version: their reports are what a person looks at."""
    live = read_live(models)
    return frozenset(m.run for m in read_versions(models) if m.version in (live.version, live.pending))


def prune_versions(models: Path, keep: int) -> list[str]:
    """Delete the oldest versions beyond `keep`, never the live or the pending one; return their names.

    What a killed process left unfinished goes, too. Call it under the lock.
    """
    _sweep(models)
    live = read_live(models)
    versions = [m.version for m in read_versions(models) if m.version not in (live.version, live.pending)]
    protected = (live.version is not None) + (live.pending is not None)
    surplus = versions[: max(0, len(versions) + protected - keep)]
    for version in surplus:
        forget(models, version)
        doomed = models / f".{version}.deleted"
        os.replace(models / version, doomed)  # no longer a version, whatever happens next
        shutil.rmtree(doomed)
    sweep(models)
    return surplus


def _candidate_of(models: Path, version: str) -> str:
    """Return the hash of a version's candidate; empty where its folder is lost: that must not bar the way back."""
    try:
        return VersionManifest.model_validate_json((models / version / MANIFEST).read_bytes()).candidate
    except (OSError, ValidationError):
        return ""


def _sweep(models: Path) -> None:
    """Delete what a killed process left; only under the lock, where nobody else writes here."""
    for left in [*models.glob(".*.partial"), *models.glob(".*.deleted")]:
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def _files(folder: Path) -> list[str]:
    return [f.relative_to(folder).as_posix() for f in sorted(folder.rglob("*")) if f.is_file() and f.name != MANIFEST]


def _free_name(models: Path, name: str) -> str:
    number, free = 1, name
    while not claim(models, free):
        number += 1
        free = f"{name}-{number}"
    return free


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _sync(file: Path) -> None:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
