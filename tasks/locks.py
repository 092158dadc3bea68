"""The file lock: one process at a time.

The kernel's `flock`, which queues those who wait and frees a killed process's lock; the file itself is never deleted
but with its whole folder. Not the library filelock: it asks again every 50 ms instead of queueing, and on a disk
without `flock` it raises (ENOLCK, EOPNOTSUPP), or (ENOSYS) falls back to a file that a machine which dies leaves to
all others.
"""

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_LOGGER = logging.getLogger("dssm.locks")
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}  # of some network disks


def take_lock(file: Path, wait: bool) -> int | None:
    """Return the descriptor of a lock; closing it frees the lock. None: another one has it, and we do not wait.

    Raises:
        FileNotFoundError: the folder of `file` is gone.
    """
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not _lock(descriptor, file, wait):
                os.close(descriptor)
                return None
            if os.fstat(descriptor).st_ino == file.stat().st_ino:
                return descriptor
        except FileNotFoundError:
            pass  # deleted, with its folder, by the one that had the lock
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


@contextmanager
def locked(file: Path, wait: bool = True) -> Iterator[None]:
    """Let one process at a time do what follows.

    Raises:
        BlockingIOError: another one has the lock, and this one does not wait for it.
    """
    descriptor = take_lock(file, wait)
    if descriptor is None:
        raise BlockingIOError(errno.EWOULDBLOCK, "another process has the lock", str(file))
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, file: Path, wait: bool) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        _warn_without_locks(file.parent)
    return True


@cache  # once for each folder
def _warn_without_locks(folder: Path) -> None:
    _LOGGER.warning(
        "the disk of %s has no locks (flock): two runs of one corpus at once may disturb each other; run one at a time",
        folder,
    )
