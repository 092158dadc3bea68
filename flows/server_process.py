"""A Prefect server as a process of ours: it ends when the process that started it does, however that came about."""

import argparse
import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress

_LOOK_SECONDS = 0.5  # between two looks at the parent
_LOCKED_SECONDS = 5  # that a temporary server waits for a history that another program has locked
_GRACE_SECONDS = 3  # for requests under way, when the server ends


def main() -> None:
    """Serve on the socket that the parent has opened, until a signal or the parent is gone."""
    words = argparse.ArgumentParser()
    words.add_argument("--parent", type=int, required=True)
    words.add_argument("--socket", type=int, required=True)
    words.add_argument("--temporary", action="store_true")
    given = words.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the runs end first, and still report to this server
    threading.Thread(target=_end_with, args=(given.parent,), daemon=True).start()
    if given.temporary:
        os.environ["PREFECT_UI_ENABLED"] = "false"
        if "postgresql" not in (os.environ.get("PREFECT_SERVER_DATABASE_CONNECTION_URL") or ""):
            os.environ.setdefault("PREFECT_SERVER_DATABASE_TIMEOUT", str(_LOCKED_SECONDS))
    sys.exit(0 if serve(socket.socket(fileno=given.socket), given.temporary) else 3)


def serve(listening: socket.socket, temporary: bool) -> bool:
    """Serve Prefect's API, and its UI and schedules unless it is `temporary`, until a signal ends it.

    Returns:
        Whether it could start; if not, uvicorn has logged why.
    """
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    from flows.reports import serve_reports
    from flows.signals import hang_up_as_terminated

    level = "error" if temporary else get_current_settings().server.logging_level.lower()
    app = create_app(ephemeral=temporary, final=True)
    if not temporary:
        serve_reports(app)
    config = uvicorn.Config(
        app,
        lifespan="on",
        log_level=level,
        timeout_keep_alive=get_current_settings().server.api.keepalive_timeout,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = uvicorn.Server(config)
    hang_up_as_terminated()
    with suppress(SystemExit):  # uvicorn's own, where it cannot start
        server.run(sockets=[listening])
    return server.started


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(2 * _GRACE_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
