"""A machine of one's own: DSSM_HOME, Prefect's home, a port; `dssm serve` as a person starts it, on a real clock."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.conftest import DSSM, FAST, PAIRS, Ended, clean_environment, free_port, write_table

# What is started from the background of a shell ignores Ctrl-C, and under nohup the hang-up: a CI may do either, and
# so would every process started here.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

T = TypeVar("T")
_PATIENCE = 400  # seconds
FAST_TOML = "\n".join(f"{key} = {value}" for key, value in FAST.items())


class Machine:
    """Where one operator works."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.log = folder, folder / "home", folder / "serve.log"
        (self.home / "corpora").mkdir(parents=True)
        self.rows = write_table(folder / "toy.csv", PAIRS)
        self.port = free_port()
        self.api = f"http://127.0.0.1:{self.port}/api"
        self.environment = clean_environment(folder) | {
            "DSSM_HOME": str(self.home),
            "PREFECT_API_URL": self.api,
            "PREFECT_RUNNER_POLL_FREQUENCY": "1",
            "OMP_NUM_THREADS": "1",
        }
        for bundled in "abc":  # at no hour of the day may they train here
            self.write_toml(bundled, 'schedule.cron = "never"', fast=False)

    def write_toml(self, name: str, text: str = "", fast: bool = True) -> Path:
        """Write the TOML of a toy corpus; dotted keys in `text` replace those of FAST."""
        keys = {line.split(" =")[0]: line for line in [*(FAST_TOML.splitlines() if fast else []), *text.splitlines()]}
        file = self.home / "corpora" / f"{name}.toml"
        file.write_text("\n".join([f'source.path = "{self.rows}"', *keys.values()]) + "\n", "utf-8")
        return file

    def dssm(self, *words: str, **environment: str) -> Ended:
        """Run a command to its end."""
        words = (*DSSM, *words)
        done = subprocess.run(
            words, env=self.environment | environment, cwd=self.folder, capture_output=True, timeout=900
        )
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a command in a process group of its own; what it says is appended to the log."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                words or [*DSSM, "serve"],
                env=self.environment | environment,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @contextmanager
    def serving(self, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """`dssm serve` until the block ends; Ctrl-C then ends it."""
        process = self.start(**environment)
        said = self.said()
        try:
            self.wait(lambda: "Ctrl-C ends it" in self.said()[len(said) :], process)
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    raise

    @contextmanager
    def server(self) -> Iterator[None]:
        """A Prefect server that somebody else started."""
        process = self.start(DSSM[0], "-m", "prefect", "server", "start", "--port", str(self.port))
        try:
            from flows.server import answers

            self.wait(lambda: answers(self.api), process)
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)

    def said(self) -> str:
        """What the commands that were started have said so far."""
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def wait(
        self,
        what: Callable[[], T],
        process: subprocess.Popen[bytes] | None = None,
        every: float = 0.5,
    ) -> T:
        """Return the first true answer, asked for every so many seconds; a busy machine may take minutes."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until and (process is None or process.poll() is None):
            if answer := what():
                return answer
            time.sleep(every)
        raise AssertionError(f"not within {_PATIENCE} s, or the process ended:\n{self.said()[-4000:]}")

    @contextmanager
    def client(self) -> Iterator[SyncPrefectClient]:
        """A client of this machine's server."""
        with temporary_settings({PREFECT_API_URL: self.api}), get_client(sync_client=True) as client:
            yield client

    def runs(self, name: str | None = None) -> list[FlowRun]:
        """The runs that the server has, of one corpus, oldest first; the name of one that ended begins with it."""
        with self.client() as client:
            found = client.read_flow_runs()
        return sorted(
            (run for run in found if name in (None, run.name.split()[0])), key=lambda run: run.expected_start_time
        )

    def run_now(self, key: str, **settings: Any) -> FlowRun:
        """Start a run as the UI's form does: the deployment's parameters, single fields of the corpus changed."""
        with self.client() as client:
            deployment = client.read_deployment_by_name(key)
            parameters = deployment.parameters
            for path, value in settings.items():
                *sections, last = path.split("__")
                inner: Any = parameters["corpus"]
                for section in sections:
                    inner = inner[section]
                inner[last] = value
            return client.create_flow_run_from_deployment(deployment.id, parameters=parameters)

    def ended(self, run: FlowRun) -> FlowRun:
        """Return a run when it has come to an end."""
        with self.client() as client:

            def look() -> FlowRun | None:
                found = client.read_flow_run(run.id)
                return found if found.state and found.state.is_final() else None

            return self.wait(look)

    def processes(self) -> list[str]:
        """The processes that belong to this machine, whoever started them."""
        return processes_of(self.home)

    def overdue(self, run: FlowRun) -> bool:
        """Say whether a run is past its time."""
        return run.expected_start_time is not None and run.expected_start_time < datetime.now(UTC)


def processes_of(home: Path) -> list[str]:
    """Return the processes that have this DSSM_HOME, whoever started them: number and words."""
    mark, found = f"DSSM_HOME={home}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes():
                found.append(f"{process.name} {(process / 'cmdline').read_bytes().decode().replace(chr(0), ' ')}")
        except OSError:
            continue  # it has just ended
    return found


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine where nothing runs yet."""
    return Machine(tmp_path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs real servers."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.ops)
