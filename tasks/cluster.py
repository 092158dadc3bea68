"""A Ray cluster to run work on, for those who outgrew one machine (the extra `ray`).

Every node must see the same DSSM_HOME and hold the same checkout: what goes to a worker are names of functions and
files, what comes back is small. Ray's token authentication is left as it is (on), its telemetry is off, unless
RAY_USAGE_STATS_ENABLED says otherwise.
"""

import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from schemas.errors import SettingsError

_CONNECT_SECONDS = 5
_RETRIES = 10  # of a job whose node died: jobs write the same files again
_Running = TypeVar("_Running")  # a job that was submitted
_LOGGER = logging.getLogger("dssm.cluster")


class Cluster:
    """A connected cluster; runs jobs as `tasks.prepare.engine.Engine` wants it."""

    def __init__(self, cores: int) -> None:
        self.cores = cores

    def run(self, function: Callable[..., Any], jobs: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Yield `function(*job)` of each job, in the order of the jobs; a job of a node that died runs elsewhere."""
        import ray

        remote = ray.remote(num_cpus=1, max_retries=_RETRIES)(function)
        return in_order(remote.remote, ray.get, jobs, 2 * self.cores)


def in_order(
    submit: Callable[..., _Running], wait: Callable[[_Running], Any], jobs: Iterable[tuple[Any, ...]], ahead: int
) -> Iterator[Any]:
    """Yield what each job returns, in the order of the jobs, `ahead` of which are submitted before they are waited for.

    No more: the arguments of all of them at once would not be bounded.
    """
    left = iter(jobs)
    running = deque(submit(*job) for job in islice(left, ahead))
    while running:
        yield wait(running.popleft())
        running.extend(submit(*job) for job in islice(left, 1))


@contextmanager
def open_cluster(address: str | None) -> Iterator[Cluster]:
    """Lend the cluster at `address`, at $RAY_ADDRESS, or else one on this machine that ends with the block.

    Raises:
        SettingsError: Ray is not installed, or nothing answers at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise SettingsError(
            "engine = 'ray' needs Ray, which is not installed: pip install --constraint constraints.txt -e '.[ray]'"
        ) from error
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    mine = not ray.is_initialized()
    if mine:
        local: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
        try:
            # Workers find this checkout as the driver does, wherever it was started.
            environment = {"env_vars": {"PYTHONPATH": os.pathsep.join(_paths()), "OMP_NUM_THREADS": "1"}}
            said = "ERROR" if local else "WARNING"  # of one that starts and ends here it only warns how it is set up
            _knock(address)
            ray.init(address, log_to_driver=False, logging_level=said, runtime_env=environment, **local)
        except (OSError, ValueError) as error:  # ValueError: that is no address
            raise SettingsError(
                f"no Ray cluster answers at {address!r} (ray_address, or RAY_ADDRESS): {error}; start one with "
                "'ray start --head', or leave both empty for one on this machine"
            ) from error
    try:
        cores = int(ray.cluster_resources().get("CPU", 1))
        _LOGGER.info("Ray at %s: %d cores on %d node(s)", address, cores, len(ray.nodes()))
        yield Cluster(max(1, cores))
    finally:
        if mine:
            ray.shutdown()


def _knock(address: str) -> None:
    """Raise an OSError where nobody listens at HOST:PORT; Ray itself would ask for a minute."""
    parts = urlsplit(f"//{address.partition('://')[2] or address}")
    if parts.hostname and parts.port:
        with socket.create_connection((parts.hostname, parts.port), timeout=_CONNECT_SECONDS):
            pass


def _paths() -> list[str]:
    given = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return list(dict.fromkeys([str(Path(__file__).resolve().parents[1]), *given]))
