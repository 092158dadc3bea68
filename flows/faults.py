"""Errors that others raise, said so that a person can act on them."""

import errno
import os

from schemas.errors import MachineFault, PipelineError

_NO_MEMORY = {"OutOfMemoryError", "BrokenProcessPool"}  # of torch, and a worker the system killed: slow to import
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


def as_fault(error: BaseException) -> PipelineError | None:
    """Return the error as one a person can act on; None: nobody foresaw it."""
    if isinstance(error, PipelineError):
        return error
    number = _number_of(error)
    if number in _NO_ROOM:
        where = f" {error.filename}" if isinstance(error, OSError) and error.filename else ""
        return MachineFault(
            f"cannot write{where}: {os.strerror(number)}. Free or open up space below "
            "DSSM_HOME (old runs: runs/<corpus>/) and run the same command again: finished steps are not repeated"
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
    if isinstance(error, MemoryError) or type(error).__name__ in _NO_MEMORY:
        return MachineFault(
            f"out of memory ({type(error).__name__}); close other programs, lower model.ensemble or "
            "training.batch_size, or, if it was a GPU's, set training.device = 'cpu'"
        )
    return None


def _number_of(error: BaseException) -> int:
    """Return the operating system's number of an error; 0: it is none of its."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    # safetensors (an exception from Rust) and shutil.copytree (a list of texts) hide it
    return errno.ENOSPC if "No space left on device" in str(error) else 0
