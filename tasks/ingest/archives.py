"""ZIP archives: the one table inside is read, and none that unpacks to far more than texts do."""

import zipfile
from pathlib import PurePosixPath
from typing import IO

from fsspec.implementations.zip import ZipFileSystem

from schemas.errors import SourceError
from tasks.ingest.input_file import InputFile, reading

_LARGE = 1 << 24  # bytes of a part of a workbook, beyond which it may not be packed tighter than
_TIGHTEST = 100  # to one; texts pack to a tenth or so
_LARGEST = 1 << 30
_SHOWN = 5
LITTER = ("Thumbs.db", "desktop.ini")  # of Windows
_BESIDE = (".md", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".pdf", ".docx", ".sha256", ".md5", ".html", ".py", ".sql")


def unpack(file: InputFile) -> InputFile:
    """Return the file inside an archive; what a Macintosh or Explorer leaves beside it does not count.

    Raises:
        SourceError: there is none, or there are several.
    """
    with reading(file, "ZIP archive"), file.open() as stream, zipfile.ZipFile(stream) as archive:
        names = [part.filename for part in archive.infolist() if not part.is_dir() and not _is_litter(part.filename)]
        secret = any(part.flag_bits & 1 for part in archive.infolist())
    if secret:
        raise SourceError(f"{file.name} is a ZIP archive with a password; unpack it and give the file to read")
    tables = [name for name in names if not is_beside(name)]
    names = tables if len(tables) == 1 else names
    if len(names) != 1:
        inside = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
        advice = "unpack it and give the one to read" if names else "export it again"
        raise SourceError(f"{file.name} is a ZIP archive of {len(names)} files ({inside or 'none'}); {advice}")
    return InputFile(file.name, names[0], ZipFileSystem(file.open()))


def refuse_bombs(name: str, stream: IO[bytes], *, but: str = "") -> None:
    """Refuse an archive a part of which unpacks to far more than texts do; leave the stream at its beginning.

    Args:
        name: of the file.
        stream: its bytes.
        but: folder of parts that are bounded while they are read.

    Raises:
        SourceError: a part is packed tighter than any text.
    """
    with zipfile.ZipFile(stream) as archive:
        for part in archive.infolist():
            tight = part.file_size > _LARGE and part.file_size > _TIGHTEST * part.compress_size
            if (tight or part.file_size > _LARGEST) and not (but and part.filename.startswith(but)):
                raise SourceError(
                    f"{name}: {part.filename} unpacks from {part.compress_size:,} to {part.file_size:,} bytes, "
                    "which no table of texts does; export it again, or as CSV"
                )
    stream.seek(0)


def is_beside(name: str) -> bool:
    """Whether a file is likely to lie beside a table, and to be none."""
    path = PurePosixPath(name)
    return path.suffix.lower() in _BESIDE or path.stem.lower() in ("readme", "license", "licence", "changelog")


def _is_litter(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or parts[-1].startswith(".") or parts[-1] in LITTER
