"""What must be set before Prefect is imported: no telemetry, quiet imports, our logs in the run's log."""

import io
import logging
import os
import sys
import warnings
from contextlib import redirect_stderr, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

from pydantic import ValidationError

from flows.signals import heeding_interrupts
from schemas.addresses import redact
from schemas.display import printable
from schemas.errors import SettingsError
from schemas.workspace import CHECKOUT, default_home

#: Of every process of ours, and of the runs that a worker starts.
DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_UI_V2_ENABLED": "false",  # one UI for every link: that of the screenshots
    # A server that is started again still knows who held a place, and frees that of a run that is gone; in memory
    # (Prefect's default) it would be taken for ever, and the corpus never run again.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # a command that is no run has no log there
    "RAY_USAGE_STATS_ENABLED": "0",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # seconds; see flows.serving: a run without a heartbeat has crashed
    "PREFECT_LOGGING_EXTRA_LOGGERS": "dssm",
    "PYTHONSAFEPATH": "1",  # a tasks.py in the folder where one starts is not ours
}


class _SafeRecord(logging.LogRecord):
    """A log line of anybody in this process, without secrets: it reaches terminals, files and Prefect's database."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - what logging gives it
        super().__init__(*args, **kwargs)
        with suppress(TypeError, ValueError):  # arguments that do not fit are reported by logging itself
            self.msg, self.args = printable(redact(self.getMessage())), None
        if self.exc_info and self.exc_info[0]:
            self.exc_text = printable(redact(logging.Formatter().formatException(self.exc_info)))


def set_environment() -> None:
    """Set defaults; what the user has set stays. Call it before anything imports Prefect."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    os.environ["MPLBACKEND"] = "agg"  # nothing is shown; matplotlib would refuse to be imported with one that is none
    _keep_loopback_from_proxies()
    _drop_lost_certificates()
    try:
        Path.home()
    except RuntimeError:  # a user whom the system does not know, as in a container
        os.environ["HOME"] = str(default_home())  # Prefect asks for it, whatever PREFECT_HOME says
    given = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if os.path.isabs(path)]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([str(CHECKOUT), *given]))
    logging.setLogRecordFactory(_SafeRecord)
    logging.getLogger("dssm").setLevel(logging.INFO)  # else that of the root holds: warnings
    logging.getLogger("great_expectations").setLevel(logging.WARNING)  # logs every temporary folder
    for worker in ("EventsWorker", "APILogWorker"):  # of Prefect; they warn that a command's end waits for them
        logging.getLogger(worker).setLevel(logging.ERROR)


def let_warnings_be_warnings() -> None:
    """Take back `-W error`, meant for somebody's own tests: libraries warn of each other, and no command would run."""
    if any(option.startswith("error") for option in sys.warnoptions):
        os.environ.pop("PYTHONWARNINGS", None)
        warnings.simplefilter("ignore")


def say(message: str) -> None:
    """Say something to the person at the terminal; the standard output is for results."""
    write_error(f"dssm: {redact(message)}\n")


def write_error(text: str) -> None:
    """Write to standard error; where nobody reads there any more, to nowhere: what is at work goes on."""
    try:
        sys.stderr.write(printable(text))
        sys.stderr.flush()
    except OSError:
        give_up(sys.stderr)


def give_up(stream: TextIO) -> None:
    """Let what is still written to a stream go nowhere; Python would complain of it at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class _HeldStream(io.StringIO):
    """Keeps what is written until it is released; the consoles that are made meanwhile go on using it."""

    def __init__(self, real: TextIO) -> None:
        super().__init__()
        self._real, self._released = real, False

    def write(self, text: str) -> int:
        if not self._released:
            return super().write(text)
        with suppress(OSError):  # nobody reads there any more
            self._real.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._real.flush()

    def isatty(self) -> bool:
        return self._real.isatty()

    def release(self) -> None:
        """Write what was kept, and from now on everything at once."""
        self._released = True
        self.write(self.getvalue())


def start_prefect() -> None:
    """Set the environment and import Prefect.

    Raises:
        SettingsError: its own settings are wrong: a variable, its profile, or a file of this folder; or Python's are.
    """
    set_environment()
    if sys.flags.optimize > 1:
        raise SettingsError(
            "Python runs without docstrings (-OO, or PYTHONOPTIMIZE=2), and libraries that this needs read theirs: "
            "unset PYTHONOPTIMIZE, or set it to 1"
        )
    held = _HeldStream(sys.stderr)  # Prefect's own complaint of the same
    try:
        with heeding_interrupts(), redirect_stderr(held), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a PREFECT_HOME that cannot be made: the server will report it
            import prefect.main  # noqa: F401 - it reads and checks its settings now
    except (ValueError, TypeError, AttributeError) as error:  # of pydantic, of logging's configuration
        names = ", ".join(sorted(name for name in os.environ if name.startswith("PREFECT_") and name not in DEFAULTS))
        raise SettingsError(
            f"Prefect's own settings are wrong: {_explain(error)}. They come from the environment "
            f"({names or 'nothing'}), from its profile, and from .env, prefect.toml or pyproject.toml of this folder"
        ) from error
    held.release()


def _explain(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    wrong = [one for one in error.errors() if one["type"] != "default_factory_not_called"]
    return "; ".join(
        f"{'.'.join(map(str, one['loc']))}: {one['msg']} (got {redact(repr(one['input']))})" for one in wrong
    )


def _keep_loopback_from_proxies() -> None:
    """Let no proxy stand between processes of one machine: a company's proxy knows nothing of them."""
    given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    hosts = [host for host in (one.strip() for one in given.split(",")) if host]
    merged = ",".join(dict.fromkeys([*hosts, "localhost", "127.0.0.1", "::1"]))
    os.environ |= {"no_proxy": merged, "NO_PROXY": merged}
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        if not _is_proxy(os.environ.get(name, "")):  # httpx would refuse to work at all, for any address
            say(f"warning: {name} is no proxy that Python's clients can use; it is not used")
            del os.environ[name]


def _drop_lost_certificates() -> None:
    """Do without certificates that cannot be read: httpx would refuse to work at all, also on this machine."""
    if file := os.environ.get("SSL_CERT_FILE"):
        import ssl

        try:
            ssl.create_default_context(cafile=file)
        except OSError as error:  # SSLError is one
            say(f"warning: SSL_CERT_FILE = {file} cannot be used ({error.strerror or error}); the usual ones are")
            del os.environ["SSL_CERT_FILE"]


def _is_proxy(address: str) -> bool:
    """Say whether httpx takes this value of a proxy's variable; an empty one is none, and no harm."""
    if not address:
        return True
    parts = urlsplit(address if "://" in address else f"http://{address}")
    try:
        sound = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    socks = parts.scheme in ("socks5", "socks5h") and find_spec("socksio") is not None
    return sound and (parts.scheme in ("http", "https") or socks)
