"""One file of a source: its bytes, wherever it lies and however it is compressed."""

import bz2
import gzip
import lzma
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from tasks.ingest.guard import guarded

_MOST_TIMES = 2
_COMPRESSED = (".gz", ".bz2", ".xz")
_DECOMPRESSORS: tuple[tuple[bytes, Any], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)


@dataclass(frozen=True)
class InputFile:
    """One file of a source. `filesystem` is None for a bundled corpus, which lies nowhere."""

    name: str  # as the settings name it, for messages and the column `source`
    path: str
    filesystem: fsspec.AbstractFileSystem
    direct: bool = True  # named itself, not found in a folder or by a glob
    parts: tuple["InputFile", ...] = ()  # of a folder that one importer reads as a whole: its files
    left_out: tuple[str, ...] = ()  # of the first table of a folder: files beside it that are called like none

    @property
    def suffix(self) -> str:
        """The last suffix in lower case, that of a compression left out."""
        suffixes = [suffix.lower() for suffix in PurePosixPath(self.path).suffixes]
        if suffixes and suffixes[-1] in _COMPRESSED:
            suffixes.pop()
        return suffixes[-1] if suffixes else ""

    @property
    def bundled(self) -> bool:
        """Whether the rows come from our own generator."""
        return self.filesystem is None

    @property
    def remote(self) -> bool:
        """Whether a network lies between us and the bytes."""
        return not isinstance(self.filesystem, (LocalFileSystem, MemoryFileSystem))

    def open_raw(self) -> IO[bytes]:
        """Open the bytes as they lie there."""
        stream: IO[bytes] = self.filesystem.open(self.path, "rb")
        return stream

    def open(self) -> IO[bytes]:
        """Open the bytes, decompressed if they are gzip, bzip2 or xz, whatever the name says, also twice."""
        stream = self.open_raw()
        for _ in range(_MOST_TIMES):
            magic = stream.read(6)
            stream.seek(0)
            decompress = next((opener for prefix, opener in _DECOMPRESSORS if magic.startswith(prefix)), None)
            if decompress is None:
                break
            stream = decompress(stream, "rb")
        return stream


def reading(file: InputFile, kind: str = "") -> AbstractContextManager[None]:
    """Return the guard over what is done with the bytes of `file`."""
    return guarded(file.name, kind, remote=file.remote)
