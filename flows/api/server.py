"""The service as processes: one, or several workers that share a port."""

import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from schemas.errors import MachineFault, SettingsError
from schemas.service import Limits

_STOP_SECONDS = 30  # for requests in flight, when the service ends
_SWITCH_SECONDS = 0.001  # threads take turns after this long: a version that is loaded stops no request for longer


@dataclass(frozen=True)
class Options:
    """How the service is started."""

    corpora: Sequence[str] = ()
    limits: Limits = field(default_factory=Limits)
    keys: Sequence[str] = field(default=(), repr=False)
    edit_keys: Sequence[str] = field(default=(), repr=False)  # none: those of `keys` edit, too
    query_log: Path | None = None
    query_log_bytes: int = 100 << 20
    mask_digits: bool = True
    shared: Path | None = None  # through which several workers hold large arrays once


def read_keys(name: str) -> list[str]:
    """Return the keys of DSSM_API_KEYS or DSSM_API_EDIT_KEYS.

    Raises:
        SettingsError: it was set, but holds none; whoever set it wanted the service closed.
    """
    variable = os.environ.get(name)
    keys = [key for part in (variable or "").split(",") if (key := part.strip())]
    if variable and not keys:
        raise SettingsError(f"{name} holds no key: give one or several with commas between them, or unset it")
    return keys


def start_options(
    corpora: Sequence[str],
    keys: tuple[Sequence[str], Sequence[str]],
    query_log: Path | None,
    query_log_bytes: int,
    query_log_digits: bool,
    **limits: Any,  # noqa: ANN401 - of `Limits`
) -> Options:
    """Return options from the words of the command line; `keys`: of callers, and of those who edit.

    Raises:
        SettingsError: the query log cannot be written.
    """
    if query_log:
        try:
            query_log.resolve().parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(query_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))  # customers' words
        except OSError as error:
            raise SettingsError(f"the query log {query_log} cannot be written: {error.strerror}") from error
    return Options(
        corpora=list(corpora),
        limits=Limits(**limits),
        keys=[*keys[0], *keys[1]] if keys[0] else [],
        edit_keys=keys[1],
        query_log=query_log.resolve() if query_log else None,
        query_log_bytes=query_log_bytes,
        mask_digits=not query_log_digits,
    )


def create(options: Options) -> Any:  # noqa: ANN401 - an ASGI application
    """Return the application of one process."""
    from starlette.routing import Router

    from flows.api.endpoints import Service
    from flows.api.front import Front, Keys
    from flows.api.metrics import Metrics
    from tasks.retrieval.corpora import Corpora
    from tasks.retrieval.query_log import QueryLog

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # it warns of every caller that speaks no good HTTP
    metrics = Metrics()
    corpora = Corpora(
        options.corpora, on_failure=lambda name: metrics.failed_reloads.labels(name).inc(), shared=options.shared
    )
    log = None
    if options.query_log:
        log = QueryLog(
            options.query_log,
            options.query_log_bytes,
            mask_digits=options.mask_digits,
            on_loss=lambda lines: metrics.lost_lines.inc(lines),
        )

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        sys.setswitchinterval(_SWITCH_SECONDS)
        corpora.start()
        if log:
            log.start()
        try:
            yield
        finally:
            corpora.stop()
            if log:
                log.stop()

    may_edit = options.edit_keys or options.keys
    service = Service(corpora, options.limits, metrics, log, Keys(may_edit) if may_edit else None)
    router = Router(service.routes(), redirect_slashes=False, lifespan=lifespan)
    return Front(router, options.limits, Keys(options.keys), metrics)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0: whichever is free.

    Raises:
        MachineFault: the port is taken.
        SettingsError: there is no such address here.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        opened = socket.create_server(address[:2], family=family, backlog=2048)
    except socket.gaierror as error:
        raise SettingsError(f"--host {host}: {error.strerror}; give an address of this machine") from error
    except OSError as error:
        if error.errno and "assign" in os.strerror(error.errno):
            raise SettingsError(f"--host {host}: no address of this machine") from error
        raise MachineFault(
            f"cannot listen at port {port} of {host}: {os.strerror(error.errno or 0)}. End what is there, or take "
            "another port: --port"
        ) from error
    # Connections inherit it. asyncio sets it only where a socket names its protocol, which these do not; without it an
    # answer's second packet waits 40 ms for the caller's delayed acknowledgement.
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


def serve(options: Options, sockets: socket.socket, workers: int) -> None:
    """Answer until SIGTERM or Ctrl-C; requests in flight are answered first."""
    from uvicorn import Config, Server
    from uvicorn.supervisors import Multiprocess

    for library in ("OMP", "OPENBLAS", "MKL"):  # a worker is one core: threads of BLAS would take those of the others
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises the signal once more when it has stopped
    with tempfile.TemporaryDirectory(prefix="dssm-api-") as folder:
        if workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
            options = replace(options, shared=Path(folder, "arrays"))
        config = Config(
            partial(create, options),
            factory=True,
            workers=workers,
            http="flows.api.protocol:Protocol",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=75,  # longer than proxies and clients keep an idle connection: they close it, not we
            timeout_graceful_shutdown=_STOP_SECONDS,
            timeout_worker_healthcheck=20,  # a worker imports for seconds on a busy machine; 5 would kill it then
        )
        if workers > 1:
            ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # as under nohup
            supervisor = Multiprocess(config, [sockets])  # which starts its workers anew at a hang-up
            end = signal.SIG_IGN if ignored else lambda *_: supervisor.signal_queue.append(signal.SIGTERM)
            signal.signal(signal.SIGHUP, end)
            supervisor.run()
        else:
            from flows.signals import hang_up_as_terminated

            hang_up_as_terminated()
            Server(config).run([sockets])
