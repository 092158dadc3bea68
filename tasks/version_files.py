"""The files of a version: their hashes, and what is wrong with them."""

import os
import shutil
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from schemas.manifest import hash_file, hash_json
from schemas.paths import read_file

MANIFEST = "manifest.json"


def hash_candidate(candidate: Path) -> str:
    """Return one sha256 over all files of a candidate."""
    return hash_json({path: hash_file(candidate / path) for path in list_files(candidate)})


def list_files(folder: Path) -> list[str]:
    """Return the paths of all files below a folder but its manifest, sorted."""
    return [f.relative_to(folder).as_posix() for f in sorted(folder.rglob("*")) if f.is_file() and f.name != MANIFEST]


def find_harm(file: Path, digest: str) -> str:
    """Return what is wrong with a file; empty: it is the one with this sha256."""
    try:
        if not file.is_file():
            return "is a folder" if file.is_dir() else "is no file" if file.exists() else "is gone"
        status = file.stat()
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return "" if _hash_known(file, stamp) == digest else "was altered after it was published"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


@lru_cache(maxsize=4096)  # a file that has not changed since is not read again
def _hash_known(file: Path, stamp: tuple[int, ...]) -> str:
    return hash_file(file)


def clear(path: Path) -> None:
    """Remove whatever is there: a link, a file, a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def read_if_there(file: Path) -> bytes | None:
    """Return the bytes of a file; None: it is gone, or cannot be read."""
    try:
        return read_file(file)
    except OSError:
        return None


def sync_file(file: Path) -> None:
    """Make a file survive a power cut."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def now() -> str:
    """Return the time, ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
