"""`dssm run` without a server, on machines where a temporary one has its difficulties."""

import os
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from flows.server import answers
from tests.conftest import DSSM, PAIRS, Command, clean_environment, fast_words, write_table


@pytest.fixture
def dssm(tmp_path) -> Command:
    """`dssm` with homes of its own, Prefect's not yet made, and no server."""
    for name in ("home", "work", "prefect"):
        (tmp_path / name).mkdir()
    write_table(tmp_path / "work" / "toy.csv", PAIRS)
    environment = clean_environment(tmp_path) | {"DSSM_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    return Command(tmp_path / "home", tmp_path / "work", environment)


WORDS = ("run", "toy", "--source", "toy.csv", *fast_words())


def torn(file: Path) -> None:
    file.write_bytes(b"SQLite format 3\0" + os.urandom(5000))


def of_a_newer_prefect(file: Path) -> None:
    with sqlite3.connect(file) as database:
        database.execute("create table alembic_version (version_num varchar(32) not null)")
        database.execute("insert into alembic_version values ('deadbeef')")


def a_folder(file: Path) -> None:
    file.mkdir()


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [(torn, "not a database"), (of_a_newer_prefect, "deadbeef"), (a_folder, "unable to open database file")],
)
def test_a_history_that_cannot_be_used_costs_the_run_nothing_but_itself(break_it, reason, dssm, tmp_path):
    """One message, with the server's own reason, the file and the way out; the night's model is published."""
    file = tmp_path / "prefect" / "prefect.db"
    break_it(file)
    ended = dssm(*WORDS, "-q")
    assert ended.code == 0, ended.err
    (line,) = [line for line in ended.err.splitlines() if "Prefect" in line]
    assert (str(file) in line, reason in line, "PREFECT_HOME" in line) == (True, True, True), line
    assert "Traceback" not in ended.err


def test_a_locked_history_is_waited_for_and_then_done_without(dssm, tmp_path):
    file = tmp_path / "prefect" / "prefect.db"
    database = sqlite3.connect(file, isolation_level=None)
    database.execute("create table other (one)")
    database.execute("begin exclusive")
    ended = dssm(*WORDS, "-q")
    database.close()
    assert ended.code == 0, ended.err
    assert ended.err.count("database is locked") == 1
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    "environment",
    [
        {"http_proxy": "http://127.0.0.1:9", "all_proxy": "http://127.0.0.1:9"},
        {"all_proxy": "socks5://127.0.0.1:9"},
        {"PREFECT_API_URL": ""},
    ],
    ids=str,
)
def test_a_company_s_proxy_or_an_empty_address_is_no_hindrance(environment, dssm):
    ended = dssm(*WORDS, "-q", **environment)
    assert ended.code == 0, ended.err


def test_an_empty_address_costs_no_event_and_prefect_says_nothing_after_the_end(dssm, tmp_path):
    """What others wait for is in the history; -v shows all that Prefect says."""
    ended = dssm(*WORDS, "-v", PREFECT_API_URL="")
    assert ended.code == 0, ended.err
    assert "stopped service" not in ended.err + ended.out
    with sqlite3.connect(tmp_path / "prefect" / "prefect.db") as database:
        found = database.execute("select count(*) from events where event = 'model.published'").fetchone()
    assert found == (1,)


def test_a_server_of_ipv6_is_started_and_found(dssm):
    """Its address has brackets."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as free:
            port = free.getsockname()[1]
    except OSError:
        pytest.skip("no IPv6 here")
    server = dssm.start("server", "--host", "::1", "--port", str(port))
    try:
        until = time.monotonic() + 60
        while not answers(f"http://[::1]:{port}/api"):
            assert time.monotonic() < until
            assert server.poll() is None, server.communicate()
            time.sleep(0.2)
        ended = dssm(*WORDS, "-q", PREFECT_API_URL=f"http://[::1]:{port}/api/")
        assert ended.code == 0, ended.err
    finally:
        server.terminate()
        _, said = server.communicate(timeout=60)
    assert server.returncode == 0, said


def test_a_user_whom_the_system_does_not_know_can_run(dssm):
    """As in many containers: a number without a name, and without HOME."""
    if os.geteuid() != 0:
        pytest.skip("needs the right to become somebody else")
    stranger = ["setpriv", "--reuid=54321", "--clear-groups"]
    starts = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    if subprocess.run([*stranger, sys.executable, "-c", starts]).returncode:
        pytest.skip("nobody else may start this Python")
    with TemporaryDirectory() as name:  # nobody else may enter that of pytest
        folder = Path(name)
        write_table(folder / "toy.csv", PAIRS)
        for path in (folder, folder / "toy.csv"):
            os.chown(path, 54321, -1)
        kept = {key: value for key, value in dssm.environment.items() if key not in ("HOME", "PREFECT_HOME")}
        environment = kept | {"DSSM_HOME": str(folder / "home")}
        words = [*stranger, *DSSM, *WORDS]
        done = subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false"}, "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE is off"),
        ({"PREFECT_LOGGING_LEVEL": "LOUD"}, "(got 'LOUD')"),
        ({"PREFECT_API_URL": "localhost:4200"}, "http://HOST:4200/api"),
    ],
    ids=str,
)
def test_settings_of_prefect_s_that_cannot_be_meant_are_one_message(environment, message, dssm):
    began = time.monotonic()
    ended = dssm(*WORDS, **environment)
    assert (ended.code, ended.err.count("\n"), message in ended.err) == (2, 1, True), ended.err
    assert time.monotonic() - began < 15 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def test_a_server_that_a_profile_names_is_said_to_be_the_profile_s(dssm, tmp_path):
    profiles = 'active = "far"\n[profiles.far]\nPREFECT_API_URL = "http://127.0.0.1:9/api"\n'
    (tmp_path / "prefect" / "profiles.toml").write_text(profiles)
    ended = dssm(*WORDS)
    assert (ended.code, ended.err.count("\n")) == (3, 1), ended.err
    assert "profile 'far'" in ended.err
