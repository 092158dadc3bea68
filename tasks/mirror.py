"""What is live of a corpus, changed by one at a time; with a store, its folder is a copy of what that store holds.

On one machine a lock keeps writers apart. Among machines no lock is needed: the pointer is replaced by one conditional
write that fails where another machine was faster, and the deed is then done again from what is there now. A version
counts once its manifest.json is there, and that is put last; one that is deleted loses it first, and its files a day
later, so that a machine that goes back to it at that very moment can still put it back. Pure but for disk and network.
"""

import fcntl
import logging
import os
import random
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from schemas.errors import MachineFault, PipelineError, StaleFile
from schemas.live import Live, VersionManifest
from schemas.manifest import hash_file, write_atomically
from schemas.workspace import models_root
from tasks.store import Store, open_store

POINTER = "live.json"
MANIFEST = "manifest.json"
_LOGGER = logging.getLogger("dssm.mirror")
_Result = TypeVar("_Result")
_TRIES = 20  # of a deed that others keep overtaking
_LEFT_OVER = timedelta(days=1)  # what is no version for so long is deleted, from the store and from here
_FETCHING = ".fetch-"
_POLL_SECONDS = 5.0


class Overtaken(MachineFault):
    """Another machine has changed what is live since it was read."""


@contextmanager
def locked(models: Path, wait: bool = True) -> Iterator[None]:
    """Let one process of this machine at a time change what is live; the system frees a dead one's lock.

    Raises:
        BlockingIOError: another one has the lock, and this one does not wait for it.
    """
    models.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(models / ".lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def change(models: Path, deed: Callable[[], _Result]) -> _Result:
    """Return what `deed` returns, which reads and changes what is live; done again where another machine was faster.

    Args:
        models: folder of the corpus's versions.
        deed: points at most once, and may be repeated until then.
    """
    with locked(models):
        if (store := store_of(models)) is None:
            return deed()
        for _ in range(_TRIES):
            _copy(store, models, with_files=False)
            try:
                return deed()
            except Overtaken as error:
                _LOGGER.info("%s; looking again", error)
                time.sleep(random.uniform(0.05, 0.5))
    raise MachineFault(f"corpus {models.name!r}: {_TRIES} times others were faster to change what is live; try again")


def store_of(models: Path) -> Store | None:
    """Return the store that a folder of versions is a copy of; None: the folder itself is the truth."""
    store = open_store()
    return store if store and len(models.parents) > 3 and models.parent == models_root(models.parents[3]) else None


def refresh(models: Path) -> None:
    """Make the pointer and the manifests here those of the store."""
    if store := store_of(models):
        with locked(models):
            _copy(store, models, with_files=False)


def follow(models: Path) -> None:
    """Do the same, with the live version's files; where that cannot be now, what is here answers on.

    Now it cannot be where the store or the disk fails, or while another process changes what is live, which may take as
    long as a version takes to upload.
    """
    if store := store_of(models):
        try:
            with locked(models, wait=not (models / POINTER).exists()):
                _copy(store, models, with_files=True)
        except BlockingIOError:
            _LOGGER.info("%s: is just being changed; what is live is taken from the copy in %s", models.name, models)
        except (MachineFault, StaleFile, OSError) as error:
            if not (models / POINTER).exists():
                raise
            _LOGGER.warning("%s: what is live is taken from the copy in %s: %s", models.name, models, error)


def fetch(models: Path, version: str) -> Path:
    """Return the folder of a version, with every file that was missing or altered here got from the store.

    Raises:
        StaleFile: the store has it no more, or not as it was published.
    """
    folder = models / version
    if (store := store_of(models)) is None:
        return folder
    if not (folder / MANIFEST).exists():
        raise StaleFile(f"{store.where(f'models/{models.name}/{version}')} is no whole version; take another one")
    manifest = VersionManifest.model_validate_json((folder / MANIFEST).read_bytes())
    missing = {path: digest for path, digest in manifest.files.items() if not _is(folder / path, digest)}
    if not missing:  # also where the store cannot be asked
        return folder
    with TemporaryDirectory(prefix=_FETCHING, dir=models) as partial:
        store.pull(_path(models, version), Path(partial), list(missing))
        for path, digest in missing.items():
            if not _is(Path(partial, path), digest):
                where = store.where(_path(models, version, path))
                raise StaleFile(f"{where} was altered since it was published; take another version")
        for path in missing:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(Path(partial, path), folder / path)
    return folder


def check_stored(models: Path, manifest: VersionManifest) -> None:
    """Check that the store has every file of a version that is whole here.

    Raises:
        StaleFile: one is gone, or has another size.
    """
    if store := store_of(models):
        there = store.objects(_path(models, manifest.version))
        for path in manifest.files:
            if path not in there or there[path].size != (models / manifest.version / path).stat().st_size:
                where = store.where(_path(models, manifest.version, path))
                raise StaleFile(f"{where} is gone or was altered since it was published; take another version")


def claim(models: Path, version: str) -> bool:
    """Say whether a new version may have this name: nobody has taken it, nor ever will."""
    if (models / version).exists():
        return False
    store = store_of(models)
    return store is None or store.replace(_path(models, version, "claim"), uuid.uuid4().hex.encode(), None)


def share(models: Path, manifest: VersionManifest) -> None:
    """Put a version that is complete here into the store, its manifest last."""
    if store := store_of(models):
        folder = models / manifest.version
        store.push(folder, _path(models, manifest.version), list(manifest.files))
        store.write(_path(models, manifest.version, MANIFEST), (folder / MANIFEST).read_bytes())


def point(models: Path, live: Live) -> Live:
    """Replace the pointer: of the store, if there is one, then here.

    Raises:
        Overtaken: the store's is no longer the one that was read; nothing was changed.
    """
    content = live.model_dump_json(indent=1).encode()
    if store := store_of(models):
        path = _path(models, POINTER)
        tag = store.tag(path)
        there = store.read(path) if tag else None
        if there != _read(models / POINTER) or not store.replace(path, content, tag):
            raise Overtaken(f"another machine has just changed what is live of corpus {models.name!r}")
        for version in {live.version, live.pending} - {None}:  # retention of another machine may have hit it just now
            manifest = _path(models, str(version), MANIFEST)
            if store.tag(manifest) is None and (here := _read(models / str(version) / MANIFEST)):
                store.write(manifest, here)
    write_atomically(models / POINTER, content)
    return live


def forget(models: Path, version: str) -> None:
    """Let a version be none any more in the store; `sweep` deletes its files when a day has passed."""
    if store := store_of(models):
        store.write(_path(models, version, "forgotten"), b"")  # the day begins
        store.delete([_path(models, version, MANIFEST)])


def sweep(models: Path) -> None:
    """Delete from the store what has been no version for a day: forgotten, or left by a machine that died."""
    if store := store_of(models):
        there = store.objects(_path(models))
        versions = {name.partition("/")[0] for name in there if "/" in name}
        for version in sorted(versions):
            names = [name for name in there if name.startswith(f"{version}/")]
            if f"{version}/{MANIFEST}" not in names and all(there[name].is_older(_LEFT_OVER) for name in names):
                store.delete([_path(models, name) for name in names])


def list_corpora(home: Path) -> list[str]:
    """Return the names of all corpora of which something was published."""
    if store := open_store():
        return store.children("models")
    return sorted(pointer.parent.name for pointer in models_root(home).glob(f"*/{POINTER}"))


class Follower:
    """Looks for a new pointer in the background while somebody asks; who asks never waits for the network."""

    def __init__(self, models: Path) -> None:
        self._models, self._next = models, time.monotonic() + _POLL_SECONDS
        self._tag, self._told = "", ""
        self._looking = threading.Lock()

    def poll(self) -> None:
        """Start to look, unless somebody looks or has just looked."""
        if time.monotonic() > self._next and self._looking.acquire(blocking=False):
            self._next = time.monotonic() + _POLL_SECONDS
            threading.Thread(target=self._look, name=f"follow-{self._models.name}", daemon=True).start()

    def _look(self) -> None:
        tag = self._tag
        try:
            store = store_of(self._models)
            if store and (tag := store.tag(_path(self._models, POINTER)) or "") != self._tag:
                with locked(self._models):
                    _copy(store, self._models, with_files=True)
                self._tag = tag
            self._told = ""
        except (PipelineError, OSError, ValueError) as error:
            if isinstance(error, StaleFile):  # a harmed version stays one: not got again before the pointer changes
                self._tag = tag
            if type(error).__name__ != self._told:  # once, not every few seconds
                _LOGGER.warning("%s: what was live answers on: %s", self._models.name, error)
            self._told = type(error).__name__
        finally:
            self._looking.release()


def _copy(store: Store, models: Path, with_files: bool) -> None:
    """Make the folder a copy of the store's; call it under the lock."""
    pointer = store.read(_path(models, POINTER))  # before the versions: each that it names was there before it
    names = [name.split("/") for name in store.objects(_path(models))]
    there = {parts[0] for parts in names if parts[1:] == [MANIFEST]}
    for version in sorted(there):
        if not (models / version / MANIFEST).exists() and (manifest := store.read(_path(models, version, MANIFEST))):
            (models / version).mkdir(exist_ok=True)
            write_atomically(models / version / MANIFEST, manifest)
    for folder in models.glob("[!.]*/"):  # also one without a manifest: whoever was about to fill it was killed
        if folder.name not in there:
            shutil.rmtree(folder)
    for folder in models.glob(f"{_FETCHING}*/"):  # who fetches holds no lock: only age tells a killed one
        if time.time() - folder.stat().st_mtime > _LEFT_OVER.total_seconds():
            shutil.rmtree(folder, ignore_errors=True)
    if pointer is None:
        (models / POINTER).unlink(missing_ok=True)
    elif pointer != _read(models / POINTER):
        live = Live.model_validate_json(pointer)
        if with_files and live.version:
            fetch(models, live.version)
        write_atomically(models / POINTER, pointer)


def _path(models: Path, *names: str) -> str:
    return "/".join(["models", models.name, *names])


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def _is(file: Path, digest: str) -> bool:
    return file.is_file() and hash_file(file) == digest
