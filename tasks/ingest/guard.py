"""The one guard of ingest: whatever a library raises over somebody's bytes becomes one message.

Faults of the network are told as such, and those of this machine pass: the same bytes may be read a moment later.
"""

import errno
import gzip
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from schemas.addresses import redact
from schemas.errors import PipelineError, SourceError, Unreachable

_TORN = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
# What the system says of a name or of bytes. Any other number is one of the machine or of the network.
_OF_THE_FILE = {
    *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG),
    *(errno.EINVAL, errno.EILSEQ, errno.ENXIO, errno.EOVERFLOW),
}
# Libraries that only ever fail because of what they are given to read.
_PARSERS = {"builtins", "binascii", "csv", "json", "zipfile", "xml", "pyarrow", "openpyxl", "python_calamine", "struct"}


@contextmanager
def guarded(name: str, kind: str = "", *, remote: bool = False) -> Iterator[None]:
    """Turn what goes wrong with the bytes of the source `name` into a SourceError, or Unreachable.

    Args:
        name: as the settings name it.
        kind: what it was taken for, e.g. "Parquet file"; empty: not known yet.
        remote: it lies behind a network, whose faults may pass.
    """
    try:
        yield
    except (PipelineError, MemoryError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # the readers of a dozen formats raise almost anything, those in Rust even panic
        if _may_pass(error, remote):
            if not remote or not isinstance(error, Exception):
                raise
            raise Unreachable(
                f"{name} cannot be reached ({type(error).__name__}: {first_line(error)}). Is the address right, "
                "and does its server answer? The same command may work later"
            ) from error
        raise SourceError(_describe(error, name, kind)) from error


@contextmanager
def without_secrets() -> Iterator[None]:
    """Take the secrets of addresses out of what passes the guard: Prefect keeps it in the run's state."""
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:
        if redact(str(error)) == str(error):
            raise
        raise ConnectionError(f"{type(error).__name__}: {redact(str(error))}") from None


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, else its name."""
    lines = str(error).strip().splitlines()
    return (lines[0][:200] if lines else type(error).__name__).rstrip(".")


def _may_pass(error: BaseException, remote: bool) -> bool:
    if not isinstance(error, Exception):
        return type(error).__name__ != "PanicException"
    if isinstance(error, (FileNotFoundError, PermissionError, *_TORN)):
        return False
    if isinstance(error, (ConnectionError, TimeoutError)):
        return True
    if isinstance(error, OSError) and error.errno is not None and error.errno not in _OF_THE_FILE:
        return True
    return remote and (isinstance(error, OSError) or type(error).__module__.split(".")[0] not in _PARSERS)


def _describe(error: BaseException, name: str, kind: str) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{name} is gone; it was there a moment ago. Run again when it is back"
    if isinstance(error, PermissionError):
        return f"{name} may not be read by this user; change its permissions"
    if kind:
        other = ", or save it as .xlsx" if "(." in kind else ""
        return f"{name} is a torn {kind} ({first_line(error)}); copy or export it again{other}"
    if isinstance(error, _TORN) or "Invalid data stream" in str(error):  # the second is what bzip2 says
        return f"{name} is compressed, and torn: {first_line(error).lower()}. Copy or export it again"
    return (
        f"{name} cannot be read ({type(error).__name__}: {first_line(error)}). "
        "It is damaged, or not what its name says; copy or export it again"
    )
