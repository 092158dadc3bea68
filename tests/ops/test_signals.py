"""SIGTERM, SIGHUP and Ctrl-C at every step of a run, and in every other command that works for a while."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import DSSM
from tests.ops.conftest import Machine, processes_of
from tests.ops.killed import STEPS

SIGNALS = ("SIGTERM", "SIGHUP", "SIGINT")
_POINTS = {"ingest": 3, "validate": 3, "prepare": 9, "train: choose": 5, "train: refit": 3, "evaluate": 3, "publish": 5}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with a server; what a run has finished is re-used by the next one."""
    machine = Machine(tmp_path_factory.mktemp("signals"))
    home, machine.home = machine.home, machine.folder / "of the server"
    machine.environment["DSSM_HOME"] = str(machine.home)  # so that processes of `home` are those of commands alone
    with machine.server():
        machine.home, machine.environment["DSSM_HOME"] = home, str(home)
        machine.write_toml("bank", "training.checkpoint_seconds = 0")
        yield machine


def end_of(process: subprocess.Popen[bytes], home: Path, name: str) -> tuple[int, str, str]:
    """Send a signal; return exit code and both streams, when nothing of the home is at work any more."""
    process.send_signal(signal.Signals[name])
    out, err = process.communicate(timeout=200)
    until = time.monotonic() + 5
    while (left := processes_of(home)) and time.monotonic() < until:
        time.sleep(0.05)
    assert left == []
    assert "Traceback" not in err.decode()
    return process.returncode, out.decode(), err.decode()


def begin(machine: Machine, *words: str, **environment: str) -> subprocess.Popen[bytes]:
    """Start a command whose streams are read."""
    return subprocess.Popen(
        [*DSSM, *words],
        env=machine.environment | environment,
        cwd=machine.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait(process: subprocess.Popen[bytes], what: Callable[[], object]) -> None:
    """Return as soon as it is true."""
    until = time.monotonic() + 400
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("step", STEPS)
def test_a_run_ends_with_its_json_at_every_step(step, name, served):
    """In the middle of it: what the process itself does to a file there sends it the signal."""
    # another seed: what is finished of another night is not re-used, and every step has its turn
    seed = str(100 * SIGNALS.index(name) + STEPS.index(step))
    words = [sys.executable, "-m", "tests.ops.killed", step, str(_POINTS[step])]
    words += ["run", "bank", "--set", f"seed={seed}", "--json"]
    live = served.home / "models" / "bank" / "live.json"
    before = live.read_bytes() if live.exists() else None
    done = subprocess.run(
        words, env=served.environment | {"FUSE": name}, cwd=served.folder, capture_output=True, timeout=400
    )
    said = done.stderr.decode()
    assert (done.returncode, "Traceback" in said) == (130, False), said
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["status"], result["corpus"], result["error"]) == ("failed", "bank", "interrupted")
    assert processes_of(served.home) == []
    if step != "publish":
        assert (live.read_bytes() if live.exists() else None) == before
    elif name == SIGNALS[-1]:
        again = served.dssm("run", "bank", "--set", f"seed={seed}", "--json")
        assert again.code == 0, again.err
        mine = served.home / "runs" / "bank" / json.loads(again.out.splitlines()[-1])["run"] / "train" / "manifest.json"
        trained = [file.read_bytes() for file in served.home.glob("runs/bank/*/train/manifest.json")]
        assert trained.count(mine.read_bytes()) >= 2  # what was interrupted had been trained


@pytest.mark.parametrize("name", SIGNALS)
def test_a_check_ends_with_its_json(name, served):
    """While it validates."""
    folder = served.home / "runs" / "checked"
    before = set(folder.glob("*"))
    process = begin(served, "check", "--source", str(served.rows), "--json")
    wait(process, lambda: [one for one in set(folder.glob("*")) - before if (one / "ingest").exists()])
    code, out, err = end_of(process, served.home, name)
    assert code == 130, err
    assert json.loads(out.splitlines()[-1])["error"] == "interrupted"


@pytest.mark.parametrize("name", SIGNALS)
def test_the_doctor_and_mining_end_and_leave_their_last_word(name, served):
    """While models are trained, and while a log is read that does not end."""
    if not (served.home / "models" / "bank" / "live.json").exists():
        assert served.dssm("run", "bank").code == 0
    pages = {file: file.read_bytes() for file in served.home.glob("runs/bank/*/health.html")}
    process = begin(served, "doctor", "bank")
    assert process.stderr
    assert b"seven small models" in process.stderr.readline()
    code, _, err = end_of(process, served.home, name)
    assert code == 130, err
    assert {file: file.read_bytes() for file in served.home.glob("runs/bank/*/health.html")} == pages

    log = served.folder / f"log of {name}"
    os.mkfifo(log)
    process = begin(served, "mine", "bank", "--log", str(log))
    with log.open("w") as stream:  # opened: it reads
        stream.write("怎么退票\n")
        stream.flush()
        code, _, err = end_of(process, served.home, name)
    assert code == 130, err


@pytest.mark.parametrize("name", SIGNALS)
def test_a_study_ends_and_the_next_one_goes_on(name, served):
    """In the middle of its first experiments."""
    words = ("study", "--corpus", "bank", "--set", "training.epochs=2")
    before = set(served.home.glob("runs/*/*/prepare"))
    process = begin(served, *words)
    wait(process, lambda: set(served.home.glob("runs/*/*/prepare")) - before)
    code, _, err = end_of(process, served.home, name)
    assert code == 130, err


@pytest.mark.parametrize("name", SIGNALS)
def test_a_service_of_answers_ends_with_all_its_workers(name, served):
    """Which is no failure."""
    process = begin(served, "api", "--port", "0", "--workers", "2")
    assert process.stdout
    assert process.stdout.readline().startswith(b"open http://")
    wait(process, lambda: len(processes_of(served.home)) >= 3)
    time.sleep(2)  # until they serve
    code, _, err = end_of(process, served.home, name)
    assert code == 0, err


@pytest.mark.parametrize("name", SIGNALS)
def test_dssm_serve_ends_its_runs_and_its_server(name, machine):
    """While one trains; the corpus trains again afterwards."""
    machine.write_toml("bank", "training.epochs = 10000\ntraining.checkpoint_seconds = 0")
    process = machine.start()
    machine.wait(lambda: "Ctrl-C ends it" in machine.said(), process)
    machine.run_now("train-corpus/bank")
    machine.wait(lambda: list(machine.home.glob("partial/bank/train-*/*.safetensors")), process)
    process.send_signal(signal.Signals[name])
    assert process.wait(60) in (0, 130)
    machine.wait(lambda: not machine.processes())
    assert "Traceback" not in machine.said()
    machine.write_toml("bank")
    again = machine.dssm("run", "bank", PREFECT_API_URL="")
    assert again.code == 0, again.err
