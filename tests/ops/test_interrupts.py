"""On a terminal: Ctrl-C, hang-up and SIGTERM in `dssm run` at every step; servers that cannot start."""

import json
import os
import pty
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import DSSM, clean_environment, free_port
from tests.ops.conftest import processes_of

SECONDS = 3.0  # from Ctrl-C to the end, on a machine that has nothing else to do
STEPS = ("ingest", "validate", "prepare", "train", "evaluate")


class Terminal:
    """`dssm` on a pseudo-terminal of its own, which sends Ctrl-C to all that runs in its foreground."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.home, self.said = folder / "home", b""
        environment = clean_environment(folder) | {"DSSM_HOME": str(self.home), "OMP_NUM_THREADS": "1"}
        child, self.terminal = pty.fork()
        if child == 0:
            os.chdir(folder)
            os.execvpe(DSSM[0], [*DSSM, *words], environment)
        self.child = child
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                said = os.read(self.terminal, 4096)
            except OSError:  # nobody is left at the other end
                return
            self.said += said

    def wait_for(self, what: Callable[[], object], seconds: float = 120) -> None:
        """Return as soon as `what` is true."""
        until = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < until, self.said.decode()
            assert os.waitpid(self.child, os.WNOHANG) == (0, 0), f"ended too early\n{self.said.decode()}"
            time.sleep(0.005)

    def end(self, how: Callable[[], object]) -> tuple[int, float]:
        """Do what should end it; return its exit code and the seconds that took."""
        began = time.monotonic()
        how()
        while (found := os.waitpid(self.child, os.WNOHANG))[0] == 0:
            if time.monotonic() > began + 60:
                os.kill(self.child, signal.SIGKILL)
            time.sleep(0.01)
        return os.waitstatus_to_exitcode(found[1]), time.monotonic() - began

    def press_ctrl_c(self) -> None:
        """As a person does."""
        os.write(self.terminal, b"\x03")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """One home for all tests here: the steps before the one that is interrupted are re-used."""
    found = tmp_path_factory.mktemp("terminal")
    (found / "home").mkdir()
    return found


def left_behind(home: Path) -> list[str]:
    """Return the processes of a home that are there a second later."""
    until = time.monotonic() + 1
    while (left := processes_of(home)) and time.monotonic() < until:
        time.sleep(0.05)
    return left


def allowed() -> float:
    """Return the seconds it may take to end, on a machine as busy as this one."""
    return SECONDS * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def check_ended(terminal: Terminal, code: int, seconds: float) -> None:
    print(f"{seconds:.1f} s")  # noqa: T201 - with pytest -s
    said = terminal.said.decode()
    assert code == 130, said
    assert seconds < allowed(), said
    assert "Traceback" not in said
    assert left_behind(terminal.home) == []
    for run in terminal.home.glob("runs/c/*/"):
        assert (run / "report.html").exists() == (run / "run.json").exists()


def test_ctrl_c_while_it_starts(folder):
    terminal = Terminal(folder, "run", "c")
    time.sleep(1)
    check_ended(terminal, *terminal.end(terminal.press_ctrl_c))


def test_ctrl_c_while_the_server_starts(folder):
    terminal = Terminal(folder, "run", "c")
    terminal.wait_for(lambda: any("server_process" in line for line in processes_of(terminal.home)))
    check_ended(terminal, *terminal.end(terminal.press_ctrl_c))


@pytest.mark.parametrize("step", STEPS)
def test_ctrl_c_in_a_step(step, folder):
    terminal = Terminal(folder, "run", "c", "--set", "training.checkpoint_seconds=0")
    terminal.wait_for(lambda: list(terminal.home.glob(f"partial/c/{step}-*/out")))
    check_ended(terminal, *terminal.end(terminal.press_ctrl_c))


def test_ctrl_c_while_it_publishes(folder):
    before = set((folder / "home").glob("runs/c/*/"))
    terminal = Terminal(folder, "run", "c", "--set", "training.epochs=2", "--set", "training.choose=false")
    terminal.wait_for(
        lambda: any(
            (run / "evaluate" / "manifest.json").exists() for run in set(terminal.home.glob("runs/c/*/")) - before
        )
    )
    check_ended(terminal, *terminal.end(terminal.press_ctrl_c))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_it_with_its_json_and_no_server_stays(number, folder):
    words = [*DSSM, "run", "c", "--set", "training.epochs=1000", "--json"]
    home = folder / "home"
    environment = clean_environment(folder) | {"DSSM_HOME": str(home), "OMP_NUM_THREADS": "1"}
    begun = set(home.glob("partial/c/train-*/out"))
    with subprocess.Popen(words, env=environment, cwd=folder, stdout=subprocess.PIPE) as process:
        until = time.monotonic() + 120
        while not set(home.glob("partial/c/train-*/out")) - begun and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(number)
        began = time.monotonic()
        try:
            out, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert json.loads(out)["error"] == "interrupted"
    assert (process.returncode, time.monotonic() - began < allowed()) == (130, True)
    assert left_behind(home) == []


@pytest.mark.parametrize("name", ["server", "api"])
def test_a_hang_up_ends_a_server_as_sigterm_does(name, folder):
    """Uvicorn knows no hang-up: it would end with whatever it was at, and a traceback."""
    port = free_port()
    environment = clean_environment(folder) | {"DSSM_HOME": str(folder / "home")}
    words = [*DSSM, name, "--port", str(port)]
    with subprocess.Popen(words, env=environment, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 120
        while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(5)  # until it has begun to serve
        process.send_signal(signal.SIGHUP)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in said) == (0, False), said
    assert left_behind(folder / "home") == []


def test_the_temporary_server_ends_when_its_run_is_killed(folder):
    terminal = Terminal(folder, "run", "c")
    terminal.wait_for(lambda: list(terminal.home.glob("partial/c/train-*/out")))
    code, _ = terminal.end(lambda: os.kill(terminal.child, signal.SIGKILL))
    assert code == -signal.SIGKILL
    until = time.monotonic() + 10
    while processes_of(terminal.home) and time.monotonic() < until:
        time.sleep(0.1)
    assert processes_of(terminal.home) == []


@pytest.mark.parametrize("words", [("serve",), ("server", "--port", "45991")], ids=" ".join)
def test_a_server_that_cannot_start_is_said_within_seconds(words, tmp_path):
    """In one line, with the file that is in its way."""
    for name in ("home", "prefect"):
        (tmp_path / name).mkdir()
    (tmp_path / "prefect" / "prefect.db").write_bytes(b"SQLite format 3\0" + os.urandom(5000))
    terminal = Terminal(tmp_path, *words)
    code, seconds = terminal.end(lambda: None)
    said = terminal.said.decode()
    assert code == 3, said
    assert seconds < 5 * allowed(), said
    (line,) = [line for line in said.splitlines() if "cannot start" in line]
    assert ("prefect.db" in line, "file is not a database" in line) == (True, True)
    assert "Traceback" not in said
    assert left_behind(terminal.home) == []
