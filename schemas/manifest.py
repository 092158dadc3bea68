"""Manifests: the files that a step left, with their hashes, so that the next step can verify them."""

import errno
import hashlib
import json
import logging
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from schemas.errors import StaleFile
from schemas.paths import RelativePath, join_inside, read_file

SCHEMA_VERSION = 1
_LOGGER = logging.getLogger("dssm.manifest")
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}  # of some network disks


class FileEntry(BaseModel):
    """One file of a step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: RelativePath  # to the manifest's folder, with forward slashes
    sha256: str
    bytes: int
    rows: int | None = None  # of a Parquet file


class StepManifest(BaseModel):
    """The files of one step of one run, and its counts (`facts`), which depend on the inputs alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    key: str  # hash of inputs, settings and code: equal keys mean equal files
    schema_version: int = SCHEMA_VERSION
    files: list[FileEntry]
    facts: dict[str, Any] = {}
    warnings: list[str] = []

    def verify(self, folder: Path) -> None:
        """Check every file against its hash.

        Raises:
            StaleFile: a file is gone or altered.
        """
        for entry in self.files:
            file = join_inside(folder, entry.path)
            if not file.is_file():
                raise StaleFile(f"{file} is gone, though {folder / 'manifest.json'} names it; run the step again")
            if file.stat().st_size != entry.bytes or hash_file(file) != entry.sha256:
                raise StaleFile(f"{file} was altered after it was written; run the step again")

    def write(self, folder: Path) -> None:
        """Write manifest.json. It is the last file of a step: where it exists, the step is complete."""
        write_atomically(folder / "manifest.json", self.model_dump_json(indent=1).encode())

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the manifest of `folder`."""
        return cls.model_validate_json(read_file(folder / "manifest.json"))


def hash_file(file: Path) -> str:
    """Return the sha256 of a file's bytes, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_json(value: Mapping[str, Any] | list[Any]) -> str:
    """Return the sha256 of a JSON value in its canonical form, in hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def canonical_json(value: Mapping[str, Any] | list[Any]) -> bytes:
    """Return JSON with sorted keys and fixed white space. Equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def list_files(folder: Path) -> list[FileEntry]:
    """Describe every file below `folder` except manifest.json, sorted by path. Parquet files have a number of rows."""
    import pyarrow.parquet as pq  # here, because `dssm models` and `dssm rollback` need no tables

    return [
        FileEntry(
            path=file.relative_to(folder).as_posix(),
            sha256=hash_file(file),
            bytes=file.stat().st_size,
            rows=pq.read_metadata(file).num_rows if file.suffix == ".parquet" else None,
        )
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file != folder / "manifest.json"
    ]


def write_atomically(file: Path, content: bytes) -> None:
    """Replace `file` by `content`. A reader, or a crash, sees the old bytes or the new ones, never a part."""
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    with partial.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(partial, file)
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut; some network disks cannot, which is warned about once."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
        _warn_without_sync()
    finally:
        os.close(descriptor)


@cache
def _warn_without_sync() -> None:
    _LOGGER.warning("this disk cannot sync folders: after a power cut the newest files may be missing")
