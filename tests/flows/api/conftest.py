"""A real service: a process of its own, asked over loopback."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks.registry import ModelRegistry
from tests.conftest import DSSM, clean_environment
from tests.tasks.conftest import copy_candidate, publish

_PATIENCE = 60  # seconds


class Api:
    """A running service."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, home: Path, log: Path) -> None:
        self.process, self.url, self.home, self._log = process, url, home, log
        self.http = httpx.Client(base_url=url, timeout=30)

    def search(self, query: Any, corpus: str = "toy", **more: Any) -> httpx.Response:
        """Ask."""
        return self.http.post(f"/v1/{corpus}/search", json={"query": query} | more)

    def said(self) -> str:
        """What it has said on standard error."""
        return self._log.read_text("utf-8", "replace")

    def wait(self, what: Callable[[], Any]) -> Any:
        """Return the first true answer; the machine may be busy."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            assert self.process.poll() is None, self.said()
            if found := what():
                return found
            time.sleep(0.05)
        raise AssertionError(f"not within {_PATIENCE} s:\n{self.said()}")

    def wait_ready(self) -> None:
        """Wait until it is ready."""
        self.wait(self._is_ready)

    def _is_ready(self) -> bool:
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:  # of a worker that was killed
            return False

    def stop(self) -> int:
        """End it as a service manager does; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_PATIENCE)


@contextmanager
def serving(home: Path, *words: str, ready: bool = True, **environment: str) -> Iterator[Api]:
    """`dssm api` below a home until the block ends."""
    log = home.parent / f"{home.name}-api.log"
    given = clean_environment(home.parent) | {"DSSM_HOME": str(home), "OMP_NUM_THREADS": "1"} | environment
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [*DSSM, "api", "--port", "0", *words],
            env=given,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    try:
        assert process.stdout
        said = process.stdout.readline().decode()
        assert said.startswith("open http://"), log.read_text()
        api = Api(process, said.split()[1].rstrip("/;"), home, log)
        if ready:
            api.wait_ready()
        yield api
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def publish_as(home: Path, corpus: str, candidate: Path) -> str:
    """Make a candidate the live version of a corpus below a home."""
    return publish(ModelRegistry.of(corpus, home), candidate).version


@pytest.fixture(scope="session")
def other(candidate: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A candidate that answers the same under other ids."""
    return copy_candidate(candidate, tmp_path_factory.mktemp("other") / "candidate", "other")


@pytest.fixture(scope="session")
def api(candidate: Path, other: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A service of two corpora, for tests that change nothing."""
    home = tmp_path_factory.mktemp("api") / "home"
    publish_as(home, "toy", candidate)
    publish_as(home, "second-one", other)
    with serving(home, "--max-batch", "20", "--max-body", "20000", "--body-timeout", "1") as one:
        yield one


@pytest.fixture
def home(tmp_path: Path, candidate: Path) -> Path:
    """A DSSM_HOME with one live corpus."""
    folder = tmp_path / "home"
    publish_as(folder, "toy", candidate)
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder starts a service."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.service)
