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

# ruff: noqa: E501 - a case a line
from tests.conftest import DSSM, PAIRS
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


def _afresh(*words: str) -> Callable[[], object]:
    """Return what becomes a fresh process: libraries read these variables when they are imported."""
    return lambda: os.execve(DSSM[0], [*DSSM, *words], os.environ)


CHECKED = (*CHECK, "t.csv")
ENVIRONMENTS: dict[str, tuple[dict[str, str], tuple[str, ...], Wanted]] = {
    "certificates that are not there": ({"SSL_CERT_FILE": "/nonexistent", "REQUESTS_CA_BUNDLE": "/nonexistent"}, CHECKED, "read"),
    "a folder of certificates that is none": ({"SSL_CERT_DIR": "/dev/null"}, ("plan",), "any"),
    "certificates, and a server": ({"SSL_CERT_FILE": "/nonexistent"}, ("plan",), "any"),
    "warnings are errors": ({"PYTHONWARNINGS": "error"}, CHECKED, "read"),
    "no docstrings and asserts": ({"PYTHONOPTIMIZE": "2"}, CHECKED, "refused"),
    "Python's development mode": ({"PYTHONDEVMODE": "1"}, CHECKED, "read"),
    "a backend of plots that is none": ({"MPLBACKEND": "nonsense", "MPLCONFIGDIR": "/dev/null/x"}, CHECKED, "read"),
    "threads that are no number": ({"OMP_NUM_THREADS": "many", "OPENBLAS_NUM_THREADS": "-3", "MKL_NUM_THREADS": ""}, CHECKED, "read"),
    "Prefect's home is a file": ({"PREFECT_HOME": "/dev/null"}, CHECKED, "any"),
    "Prefect's home is empty": ({"PREFECT_HOME": ""}, CHECKED, "any"),
    "a profile that is not there": ({"PREFECT_PROFILE": "nope"}, CHECKED, "any"),
    "profiles that are no TOML": ({"PREFECT_PROFILES_PATH": "t.csv"}, CHECKED, "any"),
    "logging settings that are not there": ({"PREFECT_LOGGING_SETTINGS_PATH": "/nonexistent.yml"}, CHECKED, "any"),
    "logging settings that are a table": ({"PREFECT_LOGGING_SETTINGS_PATH": "t.csv"}, CHECKED, "any"),
    "a time that is no number": ({"PREFECT_API_REQUEST_TIMEOUT": "soon"}, CHECKED, "any"),
    "headers that are no JSON": ({"PREFECT_CLIENT_CUSTOM_HEADERS": "{"}, CHECKED, "any"),
    "a database that is none": ({"PREFECT_SERVER_DATABASE_CONNECTION_URL": "nonsense://me:s3cret-pa55@x"}, CHECKED, "any"),
    "a relative home": ({"HOME": "somewhere"}, CHECKED, "read"),
    "a temporary folder that is a file": ({"TMPDIR": "t.csv"}, CHECKED, "read"),
    "a cache that is a device": ({"XDG_CACHE_HOME": "/dev/null", "XDG_CONFIG_HOME": "/dev/null"}, CHECKED, "read"),
    "a terminal that is none": ({"TERM": "nonsense", "COLUMNS": "abc", "LINES": "-1", "FORCE_COLOR": "3"}, CHECKED, "read"),
    "a proxy for all, with a password": ({"ALL_PROXY": "http://me:s3cret-pa55@127.0.0.1:9", "NO_PROXY": "*"}, CHECKED, "read"),
    "nobody to tell": ({"DSSM_NOTIFY": "nonsense://me:s3cret-pa55@x mailto:// ://"}, CHECKED, "read"),
    "a port that is no number": ({"DSSM_API_PORT": "http"}, ("api",), "refused"),
    "workers below nothing": ({"DSSM_API_WORKERS": "-1"}, ("api",), "refused"),
    "bytes with a unit": ({"DSSM_API_BODY_BYTES": "1MB"}, ("api",), "refused"),
    "keys of nothing": ({"DSSM_API_KEYS": " , "}, ("api", "--port", "0"), "refused"),
    "a query log that is a folder": ({"DSSM_QUERY_LOG": "/"}, ("api", "--port", "0"), "refused"),
    "a query log that nobody can write": ({"DSSM_QUERY_LOG": "/proc/nowhere/q"}, ("api", "--port", "0"), "any"),
    "corpora that are none": ({"DSSM_API_CORPORA": "../x ;"}, ("api", "--port", "0"), "refused"),
    "a store and a server that is none": ({"DSSM_STORE": "s3://b/x", "AWS_ENDPOINT_URL": "nonsense", "AWS_SECRET_ACCESS_KEY": "s3cret-pa55"}, ("models", "nix"), "any"),
    "a store in a region that is none": ({"DSSM_STORE": "s3://b/x", "AWS_DEFAULT_REGION": "../..", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, ("models", "nix"), "any"),
    "a store and a profile that is none": ({"DSSM_STORE": "s3://b/x", "AWS_PROFILE": "nope", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, ("models", "nix"), "any"),
    "a writer that is none": ({"DSSM_LLM_URL": "ftp://me:s3cret-pa55@x"}, ("doctor", "nix", "--drafts", "3"), "any"),
    "a verbosity in capitals": ({"DSSM_VERBOSITY": "QUIET"}, CHECKED, "read"),
}  # fmt: skip


def environments() -> Iterator[Case]:
    """Variables that libraries read, in processes of their own."""
    lay = write("t.csv", as_csv())
    for name, (environment, words, wanted) in ENVIRONMENTS.items():
        rows = len(PAIRS) if wanted == "read" else None
        secrets = ("s3cret-pa55",) if "s3cret-pa55" in str(environment) else ()
        yield Case(
            "environments", name, lay, words, wanted, rows=rows, environment=environment, secrets=secrets,
            before=_afresh(*words),
        )  # fmt: skip


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


ALL = (cases, environments)
