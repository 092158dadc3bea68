"""Machines as they are: disks that are full, have no locks or no links, terminals and folders that went away."""

import errno
import fcntl
import os
import resource
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.conftest import PAIRS
from tests.faults.sources import CHECK, as_csv, write
from tests.faults.trying import Case, Wanted


def _limited(limit: int, value: int) -> Callable[[], object]:
    return lambda: resource.setrlimit(limit, (value, value))


def _failing(module: Any, name: str, number: int) -> Callable[[], object]:
    """Return what makes a function of the system fail as it does on such a disk."""

    def fail(*_words: object, **_more: object) -> None:
        raise OSError(number, os.strerror(number))

    return lambda: setattr(module, name, fail)


def _no_folder_sync() -> None:
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        sync(descriptor)

    os.fsync = fsync


def _gone() -> None:
    folder = Path.cwd()
    shutil.rmtree(folder)


def _into(number: int, file: str | None) -> Callable[[], object]:
    def turn() -> None:
        os.close(number)
        if file:
            assert os.open(file, os.O_WRONLY) == number

    return turn


def _backwards() -> None:
    began, real = time.time(), time.time
    time.time = lambda: 2 * began - real() - 3600


MACHINES: dict[str, tuple[Callable[[], object], Wanted]] = {
    "no flock (ENOSYS)": (_failing(fcntl, "flock", errno.ENOSYS), "read"),
    "no flock (ENOLCK)": (_failing(fcntl, "flock", errno.ENOLCK), "read"),
    "a lock that breaks (EIO)": (_failing(fcntl, "flock", errno.EIO), "faulted"),
    "no sync of folders": (_no_folder_sync, "read"),
    "no sync (EIO)": (_failing(os, "fsync", errno.EIO), "faulted"),
    "no hard links (EPERM)": (_failing(os, "link", errno.EPERM), "read"),
    "no hard links (EXDEV)": (_failing(os, "link", errno.EXDEV), "read"),
    "renaming fails (EIO)": (_failing(os, "replace", errno.EIO), "faulted"),
    "renaming fails (EACCES)": (_failing(os, "replace", errno.EACCES), "faulted"),
    "a stale handle": (_failing(os, "replace", errno.ESTALE), "faulted"),
    "ten open files": (_limited(resource.RLIMIT_NOFILE, 10), "faulted"),
    "nobody may read what is written": (lambda: os.umask(0o077), "read"),
    "the folder is gone": (_gone, "any"),
    "standard input is closed": (lambda: os.close(0), "read"),
    "standard output is full": (_into(1, "/dev/full"), "any"),
    "standard error is full": (_into(2, "/dev/full"), "any"),
    "a clock that runs backwards": (_backwards, "read"),
}
VARIABLES: dict[str, dict[str, str]] = {
    "no temporary folder": {"TMPDIR": "/nonexistent"},
    "no home": {"HOME": ""},
    "a home that is not there": {"HOME": "/nonexistent"},
    "LANG=C": {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0"},
    "a zone that is none": {"TZ": "Mars/Olympus"},
    "a locale that is none": {"LC_ALL": "xx_XX.gbk"},
    "a narrow terminal": {"COLUMNS": "1"},
    "a terminal of no width": {"COLUMNS": "0", "LINES": "-3"},
    "no colours": {"TERM": "dumb", "NO_COLOR": "1"},
    "a verbosity that is none": {"DSSM_VERBOSITY": "shouting"},
    "a proxy that is none": {"http_proxy": "nonsense://", "all_proxy": "socks9://x"},
}


def cases() -> Iterator[Case]:
    """The same sound file, checked on each of them."""
    lay = write("t.csv", as_csv())
    for name, (before, wanted) in MACHINES.items():
        rows = len(PAIRS) if wanted == "read" else None
        yield Case("machines", name, lay, (*CHECK, "t.csv"), wanted, rows=rows, before=before)
    for name, environment in VARIABLES.items():
        yield Case("machines", name, lay, (*CHECK, "t.csv"), "read", rows=len(PAIRS), environment=environment)
    for size in (0, 1, 100, 1000, 4000):
        full = _limited(resource.RLIMIT_FSIZE, size)
        yield Case(
            "full disks", f"no file above {size} bytes", lay, (*CHECK, "t.csv"), "faulted", "cannot write", before=full
        )


ALL = (cases,)
