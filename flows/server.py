"""A Prefect server found, or started here. One that is started here ends with this process."""

import atexit
import errno
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import httpx
from prefect.context import SettingsContext, refresh_global_settings_context
from prefect.settings import get_current_settings

from flows.environment import say
from schemas.errors import MachineFault, SettingsError

_STARTUP_SECONDS = 120
_GRACE_SECONDS = 5  # for a server to end
_TEMPORARY: list[subprocess.Popen[bytes]] = []  # of this process
_BEGINS = "a Prefect server begins"  # first line of its log
_REASON = re.compile(r"^(?:[\w.]+\.)?(\w*(?:Error|Exception))\b:? *(.*)")


@dataclass(frozen=True)
class Server:
    """A Prefect server that answers."""

    api: str  # its address, ends in /api
    log: Path | None = None  # of one that was started here

    @property
    def ui(self) -> str:
        """The address to open."""
        return self.api.removesuffix("/api")


def server_address() -> str:
    """Return the API's address: the one that is set, else Prefect's default place on this machine."""
    place = get_current_settings().server.api
    return configured_address() or f"http://{_in_address(place.host)}:{place.port}/api"


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def configured_address() -> str | None:
    """Return the API's address that PREFECT_API_URL or a profile sets, in its plain form; None: none is set.

    Raises:
        SettingsError: it is no address of a server.
    """
    given = (get_current_settings().api.url or "").strip()
    if not given:
        return None
    try:
        parts = urlsplit(given)
        sound = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port)
    except ValueError:  # a port that is no number, half an IPv6 address
        sound = False
    if not sound:
        raise SettingsError(f"{given!r} is no address of a server (set by {_setter()}); write http://HOST:4200/api")
    path = parts.path.rstrip("/")
    plain = path.lower() if path.lower() in ("", "/api") else path
    return f"{parts.scheme}://{parts.netloc.lower()}{plain or '/api'}"


def _setter() -> str:
    """Return what sets the server's address: the variable, or a profile or file of Prefect's."""
    if os.environ.get("PREFECT_API_URL", "").strip():
        return "PREFECT_API_URL"
    context = SettingsContext.get()
    name = context.profile.name if context else ""
    return f"Prefect's profile {name!r}; prefect config view shows it"


def connect(api: str) -> None:
    """Make this process, its threads and its children use the server at `api`."""
    os.environ["PREFECT_API_URL"] = api
    refresh_global_settings_context()


@contextmanager
def use_server(start: bool) -> Iterator[Server]:
    """Lend the Prefect server; one that is started here ends with the block, one that answered before stays.

    Raises:
        MachineFault: none answers, and none could be started there.
    """
    api = server_address()
    if answers(api):
        connect(api)
        yield Server(api)
        return
    host, port = urlsplit(api).hostname or "", urlsplit(api).port or 80
    if not start or not _is_here(host):
        raise MachineFault(_no_answer(api))
    file = get_current_settings().home / "dssm-server.log"
    with _open_log(file) as log, _listen(host, port) as listening:
        process = _launch(listening, api, log)
        try:
            listening.close()
            _wait_for(process, api, log)
            connect(api)
            yield Server(api, file)
        finally:
            _stop(process)


def _open_log(file: Path) -> BinaryIO:
    """Open the log of a server; the disk below PREFECT_HOME must take a first line, else nothing says what is wrong.

    Raises:
        MachineFault: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        log = file.open("w+b", buffering=0)
        log.write(f"{_BEGINS}\n".encode())
    except OSError as error:
        raise MachineFault(
            f"the Prefect server cannot start: {file} cannot be written ({error.strerror}). Free space there, or set "
            "PREFECT_HOME to another folder"
        ) from error
    return log


def run_server(host: str | None, port: int | None) -> None:
    """Run a Prefect server in this process, as `dssm serve` starts one, until it is interrupted.

    Raises:
        MachineFault: another program listens there, or it cannot start.
    """
    from flows.server_process import serve

    place = get_current_settings().server.api
    host, port = host or place.host, port or place.port
    listening = _listen(host, port, "dssm server")
    api = f"http://{_in_address(host)}:{port}/api"
    connect(api)
    say(f"Prefect server: open {Server(api).ui}; dssm and workers use PREFECT_API_URL={api}; Ctrl-C ends it")
    startup = _Startup()
    logging.getLogger("uvicorn.error").addFilter(startup)
    if not serve(listening, temporary=False):
        raise _cannot_start(startup.said)


class _Startup(logging.Filter):
    """Keeps what uvicorn logs of a server that cannot start: hundreds of lines, of which a message has the reason."""

    said = ""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if not message.startswith(("Traceback", "Application startup failed")):
            return True
        self.said += f"{message}\n"
        return False


def _cannot_start(said: str, ended: str = "") -> MachineFault:
    return MachineFault(
        f"the Prefect server cannot start: {find_reason(said, ended)}. Its history is {_describe_history()}: move that "
        "away or mend it, or set PREFECT_HOME to another folder"
    )


def use_server_for_runs() -> None:
    """Give the runs of this process a server: the one that is set, else one that lasts as long as this process.

    Where that one cannot be started with Prefect's own history, it is started with an empty one: a run needs none.

    Raises:
        MachineFault: the one that is set does not answer, or none can be started here.
        SettingsError: none is set, and a temporary one is forbidden.
    """
    if _TEMPORARY:
        return
    if api := configured_address():
        if not answers(api):
            raise MachineFault(_no_answer(api))
        connect(api)
        return
    if not get_current_settings().server.ephemeral.enabled:
        raise SettingsError(
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE is off and PREFECT_API_URL names no server: start one (dssm server) "
            "and set PREFECT_API_URL=http://127.0.0.1:4200/api, or allow the temporary one"
        )
    try:
        connect(_start_temporary())
    except MachineFault as fault:
        say(f"warning: {fault}. This run goes on without that history: what it adds is forgotten when it ends")
        folder = tempfile.mkdtemp(prefix="dssm-prefect-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ.pop("PREFECT_API_DATABASE_CONNECTION_URL", None)  # the older name of the same
        own = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder}/prefect.db"}
        os.environ |= own | {"PREFECT_HOME": folder}
        refresh_global_settings_context()
        connect(_start_temporary())


def _start_temporary() -> str:
    """Start a server on a free port, which ends with this process; return its address."""
    with tempfile.TemporaryFile() as log, _listen("127.0.0.1", 0) as listening:
        api = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
        process = _launch(listening, api, log, "--temporary")
        listening.close()  # it ends with the server
        _TEMPORARY.append(process)
        atexit.register(_stop, process)  # Prefect sends what it still has before anything registered here runs
        _wait_for(process, api, log)
    return api


def _listen(host: str, port: int, alone: str = "") -> socket.socket:
    """Return a listening socket; a server gets it as it is, so that nobody can take its port in between.

    Args:
        host: name or address of this machine.
        port: 0 is a free one.
        alone: the command that is to run a server alone; empty: one is started beside a command's own work.

    Raises:
        MachineFault: another program listens there, or this machine has no such address.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return socket.create_server((host, port), family=found[0][0], backlog=2048)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise MachineFault(f"no server can listen at {host}, port {port}: {error.strerror}") from error
        here = f"http://{_in_address(host)}"
        other = f"{alone} --port {port + 1}" if alone else f"PREFECT_API_URL={here}:{port + 1}/api dssm serve"
        if answers(f"{here}:{port}/api"):
            raise MachineFault(
                f"a Prefect server answers at {here}:{port} already: dssm serve and dssm deploy use it. For another "
                f"one take another port: {other}"
            ) from error
        raise MachineFault(
            f"port {port} of {host} is taken by something that is no Prefect server. End it, or take another port: "
            f"{other}"
        ) from error


def _launch(listening: socket.socket, api: str, log: BinaryIO, *words: str) -> subprocess.Popen[bytes]:
    """Start the server's process in a session of its own: Ctrl-C reaches the runs first, and they still find it."""
    number = listening.fileno()
    command = [sys.executable, "-m", "flows.server_process", "--parent", str(os.getpid()), "--socket", str(number)]
    return subprocess.Popen(
        [*command, *words],
        pass_fds=[number],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=os.environ | {"PREFECT_API_URL": api},
        start_new_session=True,
    )


def _wait_for(process: subprocess.Popen[bytes], api: str, log: BinaryIO) -> None:
    """Return when the server answers; MachineFault with its own reason if it ends first, or takes too long."""
    until = time.monotonic() + _STARTUP_SECONDS
    while not answers(api):
        if process.poll() is not None or time.monotonic() > until:
            ended = f"it ended with {process.returncode}" if process.returncode is not None else ""
            _stop(process)
            log.seek(0)
            raise _cannot_start(log.read().decode("utf-8", "replace"), ended)
        time.sleep(0.1)


def find_reason(said: str, ended: str = "") -> str:
    """Return what an ending server said last of its reason, as one line; `ended` where it said nothing."""
    lines = [line.strip() for line in said.splitlines() if line.strip() not in ("", _BEGINS)]
    errors = [found.group(0) for line in lines if (found := _REASON.match(line))]
    return (errors or lines or [ended or f"it did not answer within {_STARTUP_SECONDS} s"])[-1][:300].rstrip(".")


def _describe_history() -> str:
    """Return where a server started here keeps its history: a file, or the database's address without its password."""
    settings = get_current_settings()
    address = settings.server.database.connection_url
    url = urlsplit(address.get_secret_value() if address else "")
    if url.hostname:
        return f"{url.scheme}://{url.hostname}{url.path}"
    return url.path.removeprefix("/") or str(settings.home / "prefect.db")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def answers(api: str) -> bool:
    """Say whether a Prefect server answers at this address."""
    try:
        health = httpx.get(f"{api}/health", timeout=5)
    except httpx.HTTPError:
        return False
    return health.status_code == 200 and health.text.strip() == "true"


def _no_answer(api: str) -> str:
    start = "Start one (dssm serve, or dssm server), or name another: PREFECT_API_URL=http://HOST:4200/api"
    if not configured_address():
        return f"no Prefect server answers at {api}. {start}"
    return f"no Prefect server answers at {api} (set by {_setter()}). {start}; dssm run needs none: unset it"


def _is_here(host: str) -> bool:
    return host in ("localhost", "0.0.0.0", "::", "::1") or host.startswith("127.")
