"""Errors that others raise, said so that a person can act on them."""

import errno
import os
import re
import resource
from typing import Literal

from schemas.errors import MachineFault, PipelineError, SettingsError
from schemas.paths import find_closed_folder

_NO_MEMORY = {"OutOfMemoryError", "BrokenProcessPool"}  # of torch, and a worker the system killed: slow to import
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_LEAVE = {errno.EACCES, errno.EPERM}
_FAILING = {
    *(
        errno.EIO,
        errno.ESTALE,
        errno.ENODEV,
        errno.ENXIO,
        errno.EREMOTEIO,
        errno.ENOTCONN,
        errno.ENOTDIR,
        errno.EUCLEAN,
        errno.ELOOP,
    ),
    *(errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN),
}
_TOO_MANY = {errno.EMFILE, errno.ENFILE}
# How torch, numpy, Arrow, OpenBLAS, CUDA, Python's threads, Rust's and C++'s libraries say it, each in a text
_SAYS_NO_MEMORY = re.compile(
    r"can.?t allocate memory|cannot allocate memory|not enough memory|out of memory|unable to allocate|malloc of size"
    r"|bad_alloc|realloc of size|ALLOC_FAILED|can.?t start new thread|os error 12\b|memory allocation of \d+",
    re.IGNORECASE,
)
_SAYS_NO_ROOM = re.compile(
    r"no space left on device|disk quota exceeded|os error (28|122)\b|database or disk is full|file too large",
    re.IGNORECASE,
)
_OURS = ("flows", "tasks", "schemas")
_ADDRESSES = {  # bytes
    "run": 3_600_000_000,  # 3.43 GB on two cores, and OpenBLAS exits with 1 just below
    "check": 1_200_000_000,  # of which libraries in Rust abort the process just below
}
_LIBRARIES_AT_FAULT = (RuntimeError, OSError, SystemError)


def as_fault(error: BaseException) -> PipelineError | None:
    """Return the error as one a person can act on; None: nobody foresaw it."""
    if isinstance(error, PipelineError):
        return error
    for one in (error, error.__cause__):
        if one and (fault := _as_full_disk(one) or _as_no_memory(one)):
            return fault
    if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] not in _OURS:
        return SettingsError(
            f"{error.name} is not installed here: this environment answers queries and does not train (serving/). "
            "For the whole pipeline: pip install --constraint constraints.txt --editable ."
        )
    text = f"{type(error).__name__}: {error}"
    if "401 Unauthorized" in text:
        return MachineFault(
            "the Prefect server wants a password, and not this one: set PREFECT_API_AUTH_STRING to what the server "
            "was started with as PREFECT_SERVER_API_AUTH_STRING (user:password)"
        )
    if type(error).__name__ == "ObjectNotFound":
        return MachineFault(
            "the Prefect server has no such run any more: somebody has deleted it, or the server's database is another "
            "one; nothing more was published"
        )
    if "Failed to reach API" in text or type(error).__module__.startswith(("httpx", "httpcore")):
        return MachineFault(
            f"the Prefect server does not answer ({error}). Start it (dssm server), or unset PREFECT_API_URL "
            "to run without one; finished steps are not repeated"
        )
    return None


def require_address_space(command: Literal["run", "check"]) -> None:
    """Refuse a limit of addresses (ulimit -v) in which a command cannot end: some libraries then end the process.

    Raises:
        MachineFault: it is below what the smallest corpus takes.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    least = _ADDRESSES[command]
    if limit != resource.RLIM_INFINITY and limit < least:
        raise MachineFault(
            f"not enough memory: this shell allows {limit / 1e9:.1f} GB of addresses (ulimit -v), and a {command} of "
            f"the smallest corpus takes {least / 1e9:.1f} GB, most of which are only reserved. Raise it, or limit the "
            "memory itself (systemd's MemoryMax, a container's limit)"
        )


def _as_full_disk(error: BaseException) -> MachineFault | None:
    """Return a full or closed disk; safetensors (from Rust) and shutil.copytree (a list of texts) hide the number."""
    number = (error.errno or 0) if isinstance(error, OSError) else 0
    file = str(error.filename or "") if isinstance(error, OSError) else ""
    where = f" {file}" if file else ""
    again = "and run the same command again: finished steps are not repeated"
    if number in _NO_ROOM or _SAYS_NO_ROOM.search(str(error)):
        why = os.strerror(number) if number in _NO_ROOM else "no space left on the disk"
        return MachineFault(
            f"cannot write{where}: {why}. Free space below DSSM_HOME (old runs: runs/<corpus>/) {again}"
        )
    if number == errno.EROFS:
        return MachineFault(f"cannot write{where}: {os.strerror(number)}. Mount it for writing {again}")
    if number in _NO_LEAVE:
        if file and (closed := find_closed_folder(file)):
            return MachineFault(
                f"this user may not enter the folder {closed}, on the way to {file}: change that {again}"
            )
        action = "write"
        if os.path.exists(file) and not os.access(file, os.R_OK):
            action = "read"
        return MachineFault(
            f"cannot {action}{where}: {os.strerror(number)}. Give this user the right to {action} it {again}"
        )
    if number in _FAILING:
        return MachineFault(
            f"the disk, or the way to it, fails{where}: {os.strerror(number)}. Mend it or mount it anew {again}"
        )
    if number in _TOO_MANY:
        return MachineFault(f"too many open files{where}: raise the limit (ulimit -n 4096) {again}")
    return None


def _as_no_memory(error: BaseException) -> MachineFault | None:
    named = isinstance(error, MemoryError) or type(error).__name__ in _NO_MEMORY
    numbered = isinstance(error, OSError) and error.errno == errno.ENOMEM
    said = isinstance(error, _LIBRARIES_AT_FAULT) or not type(error).__module__.startswith(("builtins", "schemas"))
    if not (named or numbered or (said and _SAYS_NO_MEMORY.search(str(error)))):
        return None
    return MachineFault(
        f"out of memory ({type(error).__name__}); close other programs, raise a limit of this shell or container "
        "(ulimit -v), lower model.ensemble or training.batch_size, or, if it was a GPU's, set training.device = 'cpu'"
    )
