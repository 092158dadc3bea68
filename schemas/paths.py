"""Names and paths that come from a file or a store: used only where they stay inside the folder they belong to."""

import errno
import os
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator

from schemas.errors import StaleFile


def check_path(path: str) -> str:
    """Return a relative path with forward slashes; ValueError where it could lead out of its folder."""
    parts = path.split("/")
    if PurePosixPath(path).is_absolute() or not path.isprintable() or "\\" in path or {"", ".", ".."} & set(parts):
        raise ValueError(f"{path!r} is no relative path inside a folder")
    return path


def check_name(name: str) -> str:
    """Return the name of a folder; ValueError where it is a path, hidden, or empty."""
    if "/" in check_path(name) or name.startswith("."):
        raise ValueError(f"{name!r} is no name of a folder")
    return name


RelativePath = Annotated[str, AfterValidator(check_path)]
FolderName = Annotated[str, AfterValidator(check_name)]


def join_inside(folder: Path, path: str) -> Path:
    """Return a path below a folder that was read from a file, a listing or a store.

    Raises:
        StaleFile: it is absolute, has a "..", or is a link that leads out of the folder.
    """
    try:
        joined = folder / check_path(path)
        joined.resolve().relative_to(folder.resolve())
    except (ValueError, OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise StaleFile(f"{path!r} leads out of {folder}: it is neither read nor written; {_WAY_OUT}") from error
    return joined


_WAY_OUT = "mend or remove what names it"


def find_closed_folder(path: str | Path) -> Path | None:
    """Return the first folder on the way to `path` that this user may not enter; None: the way is open.

    To whoever may not enter it, nothing in it seems to exist.
    """
    way = reversed(Path(path).absolute().parents)
    return next((folder for folder in way if folder.is_dir() and not os.access(folder, os.X_OK)), None)


def read_file(file: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        OSError: it is gone, cannot be read, or is a pipe or a device, which may never end.
    """
    if file.exists() and not file.is_file() and not file.is_dir():
        raise OSError(errno.EINVAL, "a pipe or a device", str(file))
    return file.read_bytes()
