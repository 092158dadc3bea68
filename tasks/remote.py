"""The versions of one corpus in the store.

A version counts once its manifest.json is there, and that is put last; one that is deleted loses it first, and its
files a day later, so that a machine that goes back to it at that very moment can still put it back.
"""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from schemas.errors import StaleFile
from schemas.live import VersionManifest
from tasks.store import Store
from tasks.version_files import MANIFEST

POINTER = "live.json"
LEFT_OVER = timedelta(days=1)  # what is no version for so long is deleted


class Remote:
    """models/<corpus> of a store."""

    def __init__(self, store: Store, corpus: str) -> None:
        self._store, self._root = store, f"models/{corpus}"

    def where(self, *names: str) -> str:
        """Return the address of an object, for messages."""
        return self._store.where(self._path(*names))

    def read_pointer(self) -> bytes | None:
        """Return live.json; None: there is none."""
        return self._store.read(self._path(POINTER))

    def pointer_tag(self) -> str:
        """Return what changes whenever live.json does; empty: there is none."""
        return self._store.tag(self._path(POINTER)) or ""

    def replace_pointer(self, content: bytes, expected: bytes | None) -> bool:
        """Put live.json where it still is `expected`; say whether it was put."""
        tag = self.pointer_tag() or None
        there = self.read_pointer() if tag else None
        return there == expected and self._store.replace(self._path(POINTER), content, tag)

    def versions(self) -> set[str]:
        """Return the names of the versions that are complete."""
        names = [name.split("/") for name in self._store.objects(self._root)]
        return {parts[0] for parts in names if parts[1:] == [MANIFEST]}

    def read_manifest(self, version: str) -> bytes | None:
        """Return a version's manifest.json; None: it is no version any more."""
        return self._store.read(self._path(version, MANIFEST))

    def pull(self, version: str, folder: Path, paths: Sequence[str]) -> None:
        """Get files of a version into a folder; StaleFile where one is gone."""
        self._store.pull(self._path(version), folder, paths)

    def push(self, folder: Path, manifest: VersionManifest) -> None:
        """Put a version that is complete in `folder`, its manifest last."""
        self._store.push(folder, self._path(manifest.version), list(manifest.files))
        self._store.write(self._path(manifest.version, MANIFEST), (folder / MANIFEST).read_bytes())

    def restore(self, version: str, manifest: bytes) -> None:
        """Put a version's manifest back where retention of another machine has just deleted it."""
        if self._store.tag(self._path(version, MANIFEST)) is None:
            self._store.write(self._path(version, MANIFEST), manifest)

    def check(self, manifest: VersionManifest, folder: Path) -> None:
        """Check that every file of a version that is whole in `folder` is there.

        Raises:
            StaleFile: one is gone, or has another size.
        """
        there = self._store.objects(self._path(manifest.version))
        for path in manifest.files:
            if path not in there or there[path].size != (folder / path).stat().st_size:
                where = self.where(manifest.version, path)
                raise StaleFile(f"{where} is gone or was altered since it was published; take another version")

    def claim(self, version: str) -> bool:
        """Say whether a new version may have this name: nobody has taken it, nor ever will."""
        return self._store.replace(self._path(version, "claim"), uuid.uuid4().hex.encode(), None)

    def forget(self, version: str) -> None:
        """Let a version be none any more; `sweep` deletes its files when a day has passed."""
        self._store.write(self._path(version, "forgotten"), b"")  # the day begins
        self._store.delete([self._path(version, MANIFEST)])

    def sweep(self) -> None:
        """Delete what has been no version for a day: forgotten, or left by a machine that died."""
        there = self._store.objects(self._root)
        for version in sorted({name.partition("/")[0] for name in there if "/" in name}):
            names = [name for name in there if name.startswith(f"{version}/")]
            if f"{version}/{MANIFEST}" not in names and all(there[name].is_older(LEFT_OVER) for name in names):
                self._store.delete([self._path(name) for name in names])

    def _path(self, *names: str) -> str:
        return "/".join([self._root, *names])
