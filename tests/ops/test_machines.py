"""Machines as operators have them: proxies, a full disk below Prefect, foreign modules, clocks, folders that close."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tasks.registry import ModelRegistry
from tests.conftest import DSSM, clean_environment, free_port
from tests.tasks.conftest import publish

SOCKS = {"ALL_PROXY": "socks5://127.0.0.1:9", "all_proxy": "socks5h://127.0.0.1:9"}
PROXIES = {"http_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", **SOCKS}


def test_no_command_sends_this_machine_s_own_server_through_a_proxy(machine):
    """Plan compares with what is there, deploy and serve find their server, a run publishes, the service answers."""
    machine.write_toml("bank")
    with machine.server():
        assert machine.dssm("deploy", **PROXIES).code == 0
        planned = machine.dssm("plan", **PROXIES)
        assert (planned.code, "unchanged  train-corpus/bank" in planned.out) == (0, True), planned.out + planned.err
        assert "compared with an empty one" not in planned.err
        with machine.serving(**PROXIES):
            assert machine.ended(machine.run_now("train-corpus/bank")).state_name == "Published"
        by_hand = machine.dssm("run", "bank", **PROXIES)
        assert by_hand.code == 0, by_hand.err
        assert len(machine.runs("bank")) == 2, "on the server that was named"
    port = free_port()
    service = machine.start(*DSSM, "api", "--port", str(port), **PROXIES)
    try:
        machine.wait(lambda: not socket.socket().connect_ex(("127.0.0.1", port)), service)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        machine.wait(lambda: opener.open(f"http://127.0.0.1:{port}/healthz").status == 200, service)
    finally:
        service.send_signal(signal.SIGTERM)
        assert service.wait(60) == 0


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of its own that is full at once."""
    folder.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]).returncode:
        pytest.skip("needs the right to mount a disk")
    try:
        full = os.open(folder / "full", os.O_CREAT | os.O_WRONLY)
        with suppress(OSError):
            while os.write(full, bytes(4096)):
                pass
        os.close(full)
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_below_prefect_costs_a_run_its_history_and_a_service_one_message(machine):
    """A real disk, of 64 kB."""
    machine.write_toml("bank")
    with small_disk(machine.folder / "disk", "64k") as disk:
        ran = machine.dssm("run", "bank", "-q", PREFECT_API_URL="", PREFECT_HOME=str(disk))
        assert ran.code == 0, ran.err
        assert (ran.err.count("\n"), str(disk) in ran.err, "Traceback" in ran.err) == (1, True, False), ran.err
        for words in (("serve",), ("server", "--port", str(machine.port))):
            began = time.monotonic()
            ended = machine.dssm(*words, PREFECT_HOME=str(disk))
            assert (ended.code, "Traceback" in ended.err) == (3, False), ended.err
            assert str(disk) in ended.err.splitlines()[-1], ended.err
            assert time.monotonic() - began < 15 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


INSTALLED = Path(sys.executable).with_name("dssm")


@pytest.mark.skipif(not INSTALLED.exists(), reason="the command is not installed here")
def test_a_folder_with_modules_of_our_names_disturbs_no_run(machine):
    """As every Celery project is: the installed command, a service and all corpora in processes of their own."""
    for name in ("tasks", "schemas", "flows", "celery"):
        (machine.folder / f"{name}.py").write_text("raise SystemExit('not ours')")
    machine.environment["PYTHONPATH"] += f"{os.pathsep}."  # as a shell may have it
    machine.write_toml("bank")
    for bundled in "abc":
        machine.write_toml(bundled, 'schedule.cron = "never"')
    serving = machine.start(str(INSTALLED), "serve")
    try:
        machine.wait(lambda: "Ctrl-C ends it" in machine.said(), serving)
        assert machine.ended(machine.run_now("train-corpus/bank")).state_name == "Published"
        done = subprocess.run(
            [INSTALLED, "run", "--all", "--json"],
            env=machine.environment,
            cwd=machine.folder,
            capture_output=True,
            timeout=900,
        )
        assert done.returncode == 0, done.stderr.decode()
        statuses = {one["corpus"]: one["status"] for one in json.loads(done.stdout)["runs"]}
        assert statuses == dict.fromkeys("abc", "published") | {"bank": "unchanged"}
    finally:
        serving.send_signal(signal.SIGINT)
        assert serving.wait(60) in (0, 130)


def of_2031(models: Path) -> list[str]:
    """Give every version of a corpus a name and a time of 2031; return the names."""
    pointer = (models / "live.json").read_text()
    made = []
    for folder in sorted(models.glob("2*")):
        later = f"2031{folder.name[4:]}"
        for file in (models / "live.json", folder / "manifest.json"):
            file.write_text(file.read_text().replace(folder.name, later).replace('"2026-', '"2031-'))
        folder.rename(models / later)
        made.append(later)
    assert made
    assert (models / "live.json").read_text() != pointer
    (models / ".live.backup.json").unlink(missing_ok=True)
    return made


def test_versions_of_a_clock_that_stood_in_the_future_are_the_oldest(machine):
    """Nights after it was set right: what is pruned and where rollback leads go by the history, not by names."""
    keep = "publish.keep_versions = 3\npublish.max_drop_vs_live = 1"
    machine.write_toml("bank", keep)
    models = machine.home / "models" / "bank"
    with machine.server():
        for seed in (1, 2):
            assert machine.dssm("run", "bank", "--set", f"seed={seed}").code == 0
        ahead = of_2031(models)
        versions = []
        for seed in (3, 4, 5):
            ran = machine.dssm("run", "bank", "--set", f"seed={seed}", "--json")
            assert ran.code == 0, ran.err
            versions.append(json.loads(ran.out)["version"])
    assert sorted(folder.name for folder in models.glob("2*")) == sorted(versions)
    assert not set(ahead) & {folder.name for folder in models.glob("2*")}
    for expected in (versions[1], versions[0]):
        back = machine.dssm("rollback", "bank")
        assert (back.code, expected in back.out) == (0, True), back.out + back.err


READER = """
import sys
from tasks.retrieval import Retriever
toy = Retriever.live("toy")
for _ in sys.stdin:
    ((hit,),) = toy.search(["怎么退票"], 1)
    print(toy.version, hit.standard_question, flush=True)
"""


def test_a_reader_answers_on_while_the_folder_is_closed_to_it(candidate):
    """Another user's process; it takes up what went live meanwhile as soon as it may."""
    if os.geteuid():
        pytest.skip("needs the right to become somebody else")
    stranger = ["setpriv", "--reuid=54321", "--clear-groups"]
    with TemporaryDirectory() as name:
        home = Path(name)
        home.chmod(0o755)
        registry = ModelRegistry(home / "models" / "toy")
        first = publish(registry, candidate).version
        environment = clean_environment(home) | {"DSSM_HOME": str(home), "PYTHONIOENCODING": "utf-8"}
        with subprocess.Popen(
            [*stranger, sys.executable, "-c", READER], env=environment, cwd=home, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as reader:  # fmt: skip
            assert reader.stdin
            assert reader.stdout

            def ask() -> str:
                reader.stdin.write("\n")
                reader.stdin.flush()
                return reader.stdout.readline()

            if not (answer := ask()):
                pytest.skip("nobody else may start this Python")
            assert answer == f"{first} 如何办理退票\n"
            (home / "models").chmod(0)
            time.sleep(1.1)
            assert [ask() for _ in range(2)] == [answer, answer]
            second = publish(registry, candidate).version
            (home / "models").chmod(0o755)
            time.sleep(1.1)
            assert ask().startswith(second)
            _, said = reader.communicate()
    assert (said.count("Permission denied"), "Traceback" in said) == (1, False), said
