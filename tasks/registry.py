"""The versions of a corpus, and which of them is live: the one owner of its folder, pointer, lock and store.

    registry = ModelRegistry.of("bank")
    registry.live(), registry.versions(), registry.fetch(version)
    registry.change(lambda update: update.roll_back())

A version is an immutable folder that gets its name only when it is complete, and live.json is replaced by one rename:
a crash at any point leaves the old version live. On one machine a lock keeps writers apart. With a store the folder is
a copy of what the store holds, and its pointer is replaced by one conditional write that fails where another machine
was faster; the action is then done again from what is there now.
"""

import logging
import os
import random
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self, TypeVar

from schemas.errors import MachineFault, PipelineError, SettingsError, StaleFile
from schemas.live import Live, VersionManifest, WentLive, parse_model
from schemas.manifest import sync_folder, write_atomically
from schemas.paths import check_name, join_inside, read_file
from schemas.workspace import default_home, models_root
from tasks.locks import locked
from tasks.remote import LEFT_OVER, POINTER, Remote
from tasks.store import Store, open_store
from tasks.update import Update
from tasks.version_files import MANIFEST, clear, find_harm, now, read_if_there

_LOGGER = logging.getLogger("dssm.registry")
_Result = TypeVar("_Result")
_TRIES = 20  # of an action that others keep overtaking
_BACKUP = ".live.backup.json"  # what live.json was last written as: `repair` goes by it
_FETCHING = ".fetch-"
_VERSION = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")  # how a version's name begins
_POLL_SECONDS = 5.0


class Overtaken(MachineFault):
    """What is live was changed by another one since it was read."""


class ModelRegistry:
    """All versions of one corpus. What it reads is of now: with a store, it looks there first."""

    def __init__(self, folder: Path, store: Store | None = None) -> None:
        """Own a folder of versions; with a store, as the copy of what that holds of the corpus."""
        self.folder, self.corpus = folder, folder.name
        self._remote = Remote(store, folder.name) if store else None
        self._holder: int | None = None  # thread that has the lock

    @classmethod
    def of(cls, corpus: str, home: Path | str | None = None) -> Self:
        """Return the registry of a corpus below `home`, by default $DSSM_HOME or data/ of the checkout.

        Raises:
            SettingsError: that is no name of a corpus.
        """
        try:
            root = models_root(Path(home).expanduser() if home else default_home())
            return cls(root / check_name(corpus), open_store())
        except ValueError as error:
            raise SettingsError(f"{corpus!r} is no name of a corpus") from error

    @property
    def has_store(self) -> bool:
        """Whether the folder is a copy of what a store holds."""
        return self._remote is not None

    @property
    def pointer(self) -> Path:
        """The file that names the live version."""
        return self.folder / POINTER

    def exists(self) -> bool:
        """Say whether anything was ever published, be it damaged by now."""
        self._refresh()
        try:
            self.pointer.lstat()
        except FileNotFoundError:
            return any(self.folder.glob(f"[!.]*/{MANIFEST}"))
        except OSError:
            pass  # it cannot be looked at: whoever reads it says why
        return True

    def live(self) -> Live:
        """Return what is live, was live and waits; an empty one where nothing was ever published.

        Raises:
            StaleFile: live.json is damaged.
        """
        self._refresh()
        return self.cached_live()

    def cached_live(self) -> Live:
        """Do the same without asking the store."""
        return self._parse_pointer(self._read_pointer(), str(self.pointer))

    def versions(self) -> list[VersionManifest]:
        """Return the manifests of all versions, oldest first; `damaged` names those that have none that is whole."""
        self._refresh()
        return self.cached_versions()

    def cached_versions(self) -> list[VersionManifest]:
        """Do the same without asking the store."""
        return self.cached_live().in_order(self._survey()[0])

    def damaged(self) -> dict[str, str]:
        """Return what is wrong with the versions that are set aside, by their names."""
        self._refresh()
        return self.cached_damaged()

    def cached_damaged(self) -> dict[str, str]:
        """Do the same without asking the store."""
        return self._survey()[1]

    def manifest(self, version: str) -> VersionManifest:
        """Return a version's manifest; with a store, got again where it is not whole here.

        Raises:
            StaleFile: it is gone or damaged.
        """
        folder = join_inside(self.folder, version)
        try:
            return self._read_manifest(folder)
        except StaleFile:
            if not self._remote or not self._get_manifest(self._remote, version):
                raise
        return self._read_manifest(folder)

    def fetch(self, version: str, *only: str) -> Path:
        """Return the folder of a version, with its files (or `only` some) just as they were published.

        With a store, those that are missing or altered here are got from there.

        Raises:
            StaleFile: one is gone or altered; the message names it.
        """
        folder, harmed = join_inside(self.folder, version), self._find_harmed(version, only)
        if harmed and self._remote:
            self._get_manifest(self._remote, version)  # perhaps it is that which is wrong here
            harmed = self._find_harmed(version, only)
            self._get(self._remote, self.manifest(version), list(harmed))
        elif harmed:
            path, why = next(iter(harmed.items()))
            others = f" (and {len(harmed) - 1} more of its files)" if len(harmed) > 1 else ""
            raise StaleFile(f"{folder / path} {why}{others}: this version is not used; {self._way_out()}")
        return folder

    def verify(self, version: str) -> VersionManifest:
        """Return a version's manifest after checking every file of it here, and that the store has them.

        Raises:
            StaleFile: one is gone or altered.
        """
        folder, manifest = self.fetch(version), self.manifest(version)
        if self._remote:
            self._remote.check(manifest, folder)
        return manifest

    def is_whole(self, version: str) -> bool:
        """Say whether a version exists and every file of it is as it was published."""
        try:
            self.verify(version)
        except StaleFile:
            return False
        return True

    def runs_to_spare(self) -> frozenset[str]:
        """Return the runs that made the live and the pending version: their reports are what a person looks at."""
        live = self.live()
        return frozenset(m.run for m in self.versions() if m.version in (live.version, live.pending))

    @contextmanager
    def update(self) -> Iterator[Update]:
        """Let one process at a time change what is live; what is read inside is what will be changed.

        Raises:
            Overtaken: inside, another machine was faster; nothing was changed. `change` would have tried again.
        """
        with self._locked():
            if self._remote:
                self._copy(self._remote, with_files=False)
            content = self._read_pointer()
            update = Update(self, self._parse_pointer(content, str(self.pointer)), content)
            try:
                yield update
            finally:
                update.close()

    def change(self, action: Callable[[Update], _Result]) -> _Result:
        """Return what `action` returns, which changes what is live; done again where another machine was faster.

        Args:
            action: points at most once, and may be repeated until then.
        """
        for _ in range(_TRIES):
            try:
                with self.update() as update:
                    return action(update)
            except Overtaken as error:
                _LOGGER.info("%s; looking again", error)
                time.sleep(random.uniform(0.05, 0.5))
        raise MachineFault(f"corpus {self.corpus!r}: {_TRIES} times others were faster to change what is live")

    def repair(self) -> Live | None:
        """Rebuild a damaged live.json from what of it, of its backup and of the versions can be read.

        What was live stays live where it is whole, or where nothing is; else the last whole version that was live
        answers, or, where none is known to have been, the newest whole one.

        Returns:
            The new pointer; None: there was nothing to repair.
        """
        with self._locked():
            contents = [read_if_there(self.pointer), read_if_there(self.folder / _BACKUP)]
            there = None
            if self._remote:
                there = self._remote.read_pointer()
                self._copy_manifests(self._remote)
                contents.insert(0, there)
            if not any(contents) and not any(self._survey()):
                return None
            sound, found = _best_of([content for content in contents if content is not None])
            live = self._with_whole_version(found)
            if sound == contents[0] is not None and live == found:
                return None
            content = live.model_dump_json(indent=1).encode()
            if self._remote and not self._remote.replace_pointer(content, there):
                raise Overtaken(f"another machine has just changed what is live of corpus {self.corpus!r}")
            if self.pointer.is_symlink() or self.pointer.is_dir():
                os.replace(self.pointer, self.folder / f".{POINTER}.{time.time_ns()}.damaged")
            self._write_pointer(content)
            return live

    def follow(self) -> None:
        """Take over what the store says is live, with its files; where that cannot be now, what is here answers on.

        Now it cannot be where the store or the disk fails, or while another process changes what is live, which may
        take as long as a version takes to upload.
        """
        if self._remote:
            try:
                with self._locked(wait=not self.pointer.exists()):
                    self._copy(self._remote, with_files=True)
            except BlockingIOError:
                _LOGGER.info("%s is just being changed; what is live is taken from the copy here", self.folder)
            except (MachineFault, StaleFile, OSError) as error:
                if not self.pointer.exists():
                    raise
                _LOGGER.warning("what is live is taken from the copy in %s: %s", self.folder, error)

    def follow_from(self, tag: str) -> str:
        """Do the same where the store's pointer no longer has this tag; return the tag it has.

        Raises:
            PipelineError, OSError: it cannot be done now.
        """
        if self._remote and (now := self._remote.pointer_tag()) != tag:
            with self._locked():
                self._copy(self._remote, with_files=True)
            return now
        return tag

    # --- what Update does, under the lock

    def _replace_pointer(self, live: Live, expected: bytes | None) -> bytes:
        """Write the pointer where it still is `expected`: in the store, if there is one, then here."""
        content = live.model_dump_json(indent=1).encode()
        changed = self._read_pointer() != expected
        if changed or (self._remote and not self._remote.replace_pointer(content, expected)):
            raise Overtaken(f"another one has just changed what is live of corpus {self.corpus!r}")
        if self._remote:
            for version in {live.version, live.pending} - {None}:
                if manifest := read_if_there(self.folder / str(version) / MANIFEST):
                    self._remote.restore(str(version), manifest)
        self._write_pointer(content)
        return content

    def _write_pointer(self, content: bytes) -> None:
        write_atomically(self.pointer, content)
        write_atomically(self.folder / _BACKUP, content)

    def _free_name(self, name: str, taken: Set[str]) -> str:
        """Return a name that no version has or had: one that is pruned may still be loaded by somebody."""
        number, free = 1, name
        while free in taken or os.path.lexists(self.folder / free) or (self._remote and not self._remote.claim(free)):
            number += 1
            free = f"{name}-{number}"
        return free

    def _share(self, manifest: VersionManifest) -> None:
        sync_folder(self.folder)
        if self._remote:
            self._remote.push(self.folder / manifest.version, manifest)

    def _delete(self, versions: list[str]) -> None:
        for version in versions:
            if self._remote:
                self._remote.forget(version)
            doomed = self.folder / f".{version}.deleted"
            os.replace(self.folder / version, doomed)  # no longer a version, whatever happens next
            shutil.rmtree(doomed)
        if self._remote:
            self._remote.sweep()

    def _sweep(self) -> None:
        """Delete what a killed process left."""
        for left in [*self.folder.glob(".*.partial"), *self.folder.glob(".*.deleted")]:
            clear(left)

    # --- the folder

    @contextmanager
    def _locked(self, wait: bool = True) -> Iterator[None]:
        if self._holder == threading.get_ident():
            raise RuntimeError("the registry is being updated by this very thread: use the Update it lent")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise MachineFault(f"{error.filename} is in the way of the folder {self.folder}: move it away") from error
        with locked(self.folder / ".lock", wait):
            self._holder = threading.get_ident()
            try:
                yield
            finally:
                self._holder = None

    def _refresh(self) -> None:
        """Make the pointer and the manifests here those of the store; an update has just done so."""
        if self._remote and self._holder != threading.get_ident():
            with self._locked():
                self._copy(self._remote, with_files=False)

    def _read_pointer(self) -> bytes | None:
        try:
            return read_file(self.pointer)
        except FileNotFoundError:
            if self.pointer.is_symlink():
                raise self._damaged_pointer(str(self.pointer), "a link to nothing") from None
            return None
        except IsADirectoryError as error:
            raise self._damaged_pointer(str(self.pointer), "a folder") from error
        except OSError as error:
            raise MachineFault(
                f"cannot read {self.pointer}: {error.strerror}; which version answers is not known"
            ) from error

    def _parse_pointer(self, content: bytes | None, where: str) -> Live:
        if content is None:
            lost = (self.folder / _BACKUP).exists() and any(self.folder.glob(f"[!.]*/{MANIFEST}"))
            if lost and not self.pointer.exists():  # else it has come just now
                raise self._damaged_pointer(where, "gone")
            return Live()
        try:
            return Live.parse(content)
        except ValueError as error:
            raise self._damaged_pointer(where, str(error)) from error

    def _damaged_pointer(self, where: str, why: str) -> StaleFile:
        return StaleFile(
            f"{where} is damaged ({why}): which version answers, and what was live before, is not known. "
            f"Rebuild it: dssm models {self.corpus} --repair"
        )

    def _read_manifest(self, folder: Path) -> VersionManifest:
        file = join_inside(folder, MANIFEST)
        try:
            manifest = parse_model(VersionManifest, read_file(file))
            if manifest.version != folder.name:
                raise ValueError(f"it is that of version {manifest.version}")
            if manifest.corpus != self.corpus:
                raise ValueError(f"it is that of corpus {manifest.corpus!r}, whose versions never answer for another")
        except OSError as error:
            raise StaleFile(f"{file} cannot be read ({error.strerror}); {self._way_out()}") from error
        except ValueError as error:
            raise StaleFile(f"{file} is damaged ({error}); {self._way_out()}") from error
        return manifest

    def _find_harmed(self, version: str, only: tuple[str, ...]) -> dict[str, str]:
        """Return what is wrong with the files of a version (or `only` some), by path."""
        folder, files = join_inside(self.folder, version), self.manifest(version).files
        if unknown := sorted(set(only) - files.keys()):
            raise StaleFile(f"version {version} of corpus {self.corpus!r} has no {unknown[0]}; {self._way_out()}")
        found = {path: find_harm(join_inside(folder, path), files[path]) for path in only or files}
        return {path: why for path, why in found.items() if why}

    def _survey(self) -> tuple[list[VersionManifest], dict[str, str]]:
        """Return the manifests that are whole, and what is wrong with the others; a folder of a person's is none."""
        sound, damaged = [], {}
        for folder in sorted(self.folder.glob("[!.]*/")):
            if not _VERSION.match(folder.name) and not os.path.lexists(folder / MANIFEST):
                continue
            try:
                sound.append(self._read_manifest(join_inside(self.folder, folder.name)))
            except StaleFile as error:
                damaged[folder.name] = str(error)
        return sound, damaged

    def _with_whole_version(self, live: Live) -> Live:
        """Return the pointer at a version that is whole: the live one, one that was, or else the newest."""
        withdrawn = {one.version for one in live.withdrawn} - {live.version}
        ordered = [m.version for m in live.in_order(self._survey()[0]) if m.version != live.pending]
        names = [live.version, *(entry.version for entry in reversed(live.history)), *reversed(ordered)]
        whole = (name for name in names if name and name not in withdrawn and self.is_whole(name))
        version = next(whole, live.version)
        pending = live.pending if live.pending and self.is_whole(live.pending) else None
        history = live.history
        if version and (not history or history[-1].version != version):
            entry = WentLive(version=version, at=now(), why="repaired", run=self._run_of(version))
            history = [*history, entry]
        return live.model_copy(update={"version": version, "pending": pending, "history": history})

    def _run_of(self, version: str) -> str | None:
        """Return the run that made a version; None: its manifest is lost."""
        return next((manifest.run for manifest in self._survey()[0] if manifest.version == version), None)

    def _way_out(self) -> str:
        return f"take another version (dssm rollback {self.corpus}), or make a new one (dssm run {self.corpus})"

    # --- the copy of a store

    def _copy(self, remote: Remote, with_files: bool) -> None:
        """Make the folder a copy of the store's."""
        pointer = remote.read_pointer()  # before the versions: each that it names was there before it
        live = self._parse_pointer(pointer, remote.where(POINTER)) if pointer is not None else None
        there = self._copy_manifests(remote)
        if pointer is None:
            clear(self.pointer)
        elif pointer != read_if_there(self.pointer):
            if with_files and live and live.version:
                self.fetch(live.version)
            if self.pointer.is_dir():
                clear(self.pointer)
            self._write_pointer(pointer)
        self._drop_others(there)  # last: until the pointer is another one, somebody may begin to load what it names

    def _copy_manifests(self, remote: Remote) -> set[str]:
        """Get the manifests that are missing or damaged here; return the names of the versions that the store has."""
        there = {version for version in remote.versions() if _is_name(version)}
        for version in sorted(there):
            try:
                self._read_manifest(join_inside(self.folder, version))
            except StaleFile:
                self._get_manifest(remote, version)
        return there

    def _drop_others(self, there: set[str]) -> None:
        for folder in self.folder.glob("[!.]*/"):  # also one without a manifest: whoever was to fill it was killed
            if folder.name not in there:
                clear(folder)
        for folder in self.folder.glob(f"{_FETCHING}*/"):  # who fetches holds no lock: a killed one is known by its age
            if time.time() - folder.stat().st_mtime > LEFT_OVER.total_seconds():
                shutil.rmtree(folder, ignore_errors=True)

    def _get_manifest(self, remote: Remote, version: str) -> bool:
        """Get a version's manifest from the store; say whether there is one."""
        if (content := remote.read_manifest(version)) is None:
            return False
        folder = self.folder / check_name(version)
        if folder.is_symlink():
            clear(folder)
        folder.mkdir(exist_ok=True)
        if content != read_if_there(folder / MANIFEST):
            clear(folder / MANIFEST)
            write_atomically(folder / MANIFEST, content)
        return True

    def _get(self, remote: Remote, manifest: VersionManifest, paths: list[str]) -> None:
        """Get files of a version from the store; StaleFile where they are not what was published."""
        with TemporaryDirectory(prefix=_FETCHING, dir=self.folder) as partial:
            remote.pull(manifest.version, Path(partial), paths)
            for path in paths:
                if find_harm(Path(partial, path), manifest.files[path]):
                    where = remote.where(manifest.version, path)
                    raise StaleFile(f"{where} was altered since it was published; {self._way_out()}")
            for path in paths:
                target = join_inside(self.folder / manifest.version, path)
                target.parent.mkdir(parents=True, exist_ok=True)
                clear(target)
                os.replace(Path(partial, path), target)


class Follower:
    """Looks for a new pointer in the background while somebody asks; who asks never waits for the network."""

    def __init__(self, registry: ModelRegistry) -> None:
        self._registry, self._next = registry, time.monotonic() + _POLL_SECONDS
        self._tag, self._warned = "", ""
        self._looking = threading.Lock()

    def poll(self) -> None:
        """Start to look, unless somebody looks or has just looked."""
        if time.monotonic() > self._next and self._looking.acquire(blocking=False):
            self._next = time.monotonic() + _POLL_SECONDS
            threading.Thread(target=self._look, name=f"follow-{self._registry.corpus}", daemon=True).start()

    def _look(self) -> None:
        try:
            self._tag = self._registry.follow_from(self._tag)
            self._warned = ""
        except (PipelineError, OSError, ValueError) as error:
            if isinstance(error, StaleFile):  # a harmed version may be large: it is not got again every few seconds
                self._next += 12 * _POLL_SECONDS
            if type(error).__name__ != self._warned:  # once
                _LOGGER.warning("%s: what was live answers on: %s", self._registry.corpus, error)
            self._warned = type(error).__name__
        finally:
            self._looking.release()


def list_corpora(home: Path) -> list[str]:
    """Return the names of all corpora of which something was published."""
    if store := open_store():
        return [name for name in store.children("models") if _is_name(name)]
    return sorted(pointer.parent.name for pointer in models_root(home).glob(f"*/{POINTER}"))


def _best_of(contents: list[bytes]) -> tuple[bytes | None, Live]:
    """Return the first pointer that is whole, and what it says; else the longest history that can be read."""
    for content in contents:
        try:
            return content, Live.parse(content)
        except ValueError:
            continue
    return None, max(map(Live.salvage, contents), key=lambda live: len(live.history), default=Live())


def _is_name(name: str) -> bool:
    try:
        check_name(name)
    except ValueError:
        _LOGGER.warning("%r in the store is no name of a folder and is passed over", name)
        return False
    return True
