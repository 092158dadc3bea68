"""The store: an S3 bucket that workers share instead of a disk.

`DSSM_STORE=s3://bucket/prefix` names it; without it nothing here asks anybody. An object appears whole or not at all,
so whatever consists of several is put with the one that makes the others count last; and `replace` puts one only where
nobody else has replaced it since, which is all the locking that machines need among each other.
"""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from schemas.addresses import names_bucket
from schemas.errors import MachineFault, PipelineError, SettingsError, StaleFile
from schemas.paths import join_inside
from schemas.workspace import store_address, store_server

_SCHEMES = ("s3://", "s3a://")
_IMPOSSIBLE_TAG = f'"{"0" * 32}"'
_CONFLICTS = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
_AT_ONCE = 4  # files, and parts of 50 MB of each that is larger than 100 MB: they pass through memory
_CONNECTION = {"connect_timeout": 5, "read_timeout": 60, "retries": {"max_attempts": 2}}


@dataclass(frozen=True)
class Listed:
    """An object as a listing shows it."""

    size: int
    modified: datetime
    tag: str

    def is_older(self, than: timedelta) -> bool:
        """Say whether it was put longer ago."""
        return datetime.now(UTC) - self.modified > than


def open_store() -> "Store | None":
    """Return the store of this machine; None: $DSSM_STORE names none.

    Raises:
        SettingsError: it is no address of a bucket, or what reads it is not installed.
    """
    address = store_address()
    return Store(address) if address else None


class Store:
    """Objects below one address, by path with forward slashes. Every fault of it is an error a person can act on."""

    def __init__(self, address: str) -> None:
        if not address.startswith(_SCHEMES) or not names_bucket(address):
            raise SettingsError(
                f"DSSM_STORE={address}: give s3://bucket/prefix. Other stores have no write that fails where another "
                "machine was faster, and two publishing at once could lose a version; a shared disk is DSSM_HOME"
            )
        self.address = address
        self._root = address.partition("://")[2]

    def where(self, path: str) -> str:
        """Return the address of an object or folder, for messages."""
        return f"{self.address}/{path}"

    def read(self, path: str) -> bytes | None:
        """Return an object's bytes; None: there is none."""
        with self._asking() as files:
            try:
                content: bytes = files.cat_file(self._full(path))
            except FileNotFoundError as error:
                _refuse_missing_bucket(error)
                return None
        return content

    def tag(self, path: str) -> str | None:
        """Return the tag of an object, which changes with its content; None: there is none."""
        with self._asking() as files:
            try:
                tag: str = files.info(self._full(path))["ETag"]
            except FileNotFoundError as error:
                _refuse_missing_bucket(error)
                return None
        return tag

    def write(self, path: str, content: bytes) -> None:
        """Put an object, whatever is there."""
        with self._asking() as files:
            files.pipe_file(self._full(path), content)

    def replace(self, path: str, content: bytes, tag: str | None) -> bool:
        """Put an object where it still has this tag (None: is not there yet); say whether it was put.

        Raises:
            MachineFault: the server has no such conditional write.
        """
        _check_conditional_writes(self)
        # A write whose answer was lost is tried again by the client, and then refused because of itself.
        return self._put_if(path, content, tag) or self.read(path) == content

    def objects(self, path: str) -> dict[str, Listed]:
        """Return every object below a folder by its path from there."""
        with self._asking() as files:
            found = files.find(self._full(path), detail=True)
        start = len(self._full(path)) + 1
        return {
            name[start:]: Listed(entry["size"], entry["LastModified"], entry["ETag"])
            for name, entry in found.items()
            if len(name) > start
        }

    def children(self, path: str) -> list[str]:
        """Return the names directly below a folder, sorted."""
        with self._asking() as files:
            try:
                found = files.ls(self._full(path), detail=False)
            except FileNotFoundError as error:
                _refuse_missing_bucket(error)
                return []
        return sorted(name.rstrip("/").rpartition("/")[2] for name in found)

    def push(self, folder: Path, path: str, files: Sequence[str]) -> None:
        """Put files of a local folder below `path`, in any order."""
        with self._asking() as remote:
            here, there = self._pairs(folder, path, files)
            remote.put(here, there, batch_size=_AT_ONCE)

    def pull(self, path: str, folder: Path, files: Sequence[str]) -> None:
        """Get objects below `path` into a local folder.

        Raises:
            StaleFile: one is gone, or has a path that leads out of the folder.
        """
        with self._asking() as remote:
            here, there = self._pairs(folder, path, files)
            try:
                remote.get(there, here, batch_size=_AT_ONCE)
            except FileNotFoundError as error:
                if _is_local(error):
                    raise
                _refuse_missing_bucket(error)
                raise StaleFile(f"an object below {self.where(path)} is gone: {error}") from error

    def delete(self, paths: Sequence[str]) -> None:
        """Delete objects; those that are gone already count as deleted."""
        if paths:
            with self._asking() as files:
                files.rm([self._full(path) for path in paths])

    def has_conditional_writes(self) -> bool:
        """Try whether the server refuses a conditional write whose condition does not hold; some take no notice."""
        probe = ".conditional-write"
        self.write(probe, b"")
        return not self._put_if(probe, b"", None) and not self._put_if(probe, b"", _IMPOSSIBLE_TAG)

    def _put_if(self, path: str, content: bytes, tag: str | None) -> bool:
        condition = {"IfMatch": tag} if tag else {"mode": "create"}
        with self._asking() as files:
            try:
                files.pipe_file(self._full(path), content, **condition)
            except FileNotFoundError as error:  # of an object that was there when its tag was read
                _refuse_missing_bucket(error)
                return False
            except OSError as error:
                if _code_of(error) in _CONFLICTS:
                    return False
                raise
        return True

    def _pairs(self, folder: Path, path: str, files: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return where files lie here and there."""
        return [str(join_inside(folder, file)) for file in files], [self._full(f"{path}/{file}") for file in files]

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        """Lend the file system; what goes wrong is said so that a person can act on it."""
        try:
            yield self._filesystem()
        except Exception as error:
            if isinstance(error, PipelineError) or _is_local(error):
                raise
            if isinstance(error, FileNotFoundError):
                _refuse_missing_bucket(error)
                raise StaleFile(f"an object of the store {self.address} is gone: {error}") from error
            if isinstance(error, PermissionError) or "Credentials" in type(error).__name__:
                raise MachineFault(
                    f"the store {self.address} refuses this machine ({error}). Give it AWS_ACCESS_KEY_ID and "
                    "AWS_SECRET_ACCESS_KEY (or a role) that may list, read, write and delete there, then run the same "
                    "command again: finished steps are not repeated"
                ) from error
            if not (isinstance(error, OSError) or type(error).__module__.startswith(("botocore", "aiohttp", "fsspec"))):
                raise
            raise MachineFault(
                f"the store {self.address} does not answer as it should ({type(error).__name__}: {error}). Check the "
                "network and AWS_ENDPOINT_URL, then run the same command again: finished steps are not repeated"
            ) from error

    def _filesystem(self) -> Any:  # noqa: ANN401 - fsspec has no types
        import fsspec  # here, because most machines have no store

        try:  # fsspec keeps one per process, and makes another one after a fork
            server = {"endpoint_url": address} if (address := store_server()) else {}
            return fsspec.filesystem(
                "s3", use_listings_cache=False, max_concurrency=_AT_ONCE, config_kwargs=_CONNECTION, **server
            )
        except ImportError as error:
            raise SettingsError(
                f"DSSM_STORE={self.address} needs s3fs, which is not installed: "
                "pip install --constraint constraints.txt --editable '.[s3]'"
            ) from error


@lru_cache(maxsize=4)
def _conditional_writes_of(address: str) -> bool:
    return Store(address).has_conditional_writes()


def _check_conditional_writes(store: Store) -> None:
    if not _conditional_writes_of(store.address):
        raise MachineFault(
            f"the server of the store {store.address} takes no notice of If-Match and If-None-Match: two machines that "
            "publish at once could lose a version, so nothing was published. Amazon S3 and current S3-compatible "
            "servers honour them"
        )


def _is_local(error: Exception) -> bool:
    """Say whether an error is of this machine's disk: s3fs gives those of the store no file, and never these numbers.

    A write that finds the disk full has no file, either.
    """
    full = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    return isinstance(error, OSError) and (error.filename is not None or error.errno in full)


def _code_of(error: BaseException) -> str:
    """Return the code of S3 behind an error; empty: there is none."""
    response = getattr(error.__cause__, "response", None) or {}
    code: str = response.get("Error", {}).get("Code", "")
    return code


def _refuse_missing_bucket(error: FileNotFoundError) -> None:
    if _code_of(error) == "NoSuchBucket":
        raise SettingsError(
            f"DSSM_STORE={store_address()}: there is no such bucket; create it, or correct the address"
        ) from error
