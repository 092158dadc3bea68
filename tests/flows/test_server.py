"""Addresses of the Prefect server, proxies, and the reason it gives for not starting; tests/ops starts some."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from flows.environment import set_environment
from flows.server import answers, configured_address, find_reason, run_server, server_address, use_server
from schemas.errors import MachineFault, SettingsError
from tests.conftest import clean_environment, free_port


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("", None),
        ("  ", None),
        ("http://127.0.0.1:4200/api", "http://127.0.0.1:4200/api"),
        ("http://127.0.0.1:4200/api/", "http://127.0.0.1:4200/api"),
        ("HTTP://LocalHost:4200/API", "http://localhost:4200/api"),
        ("http://localhost:4200", "http://localhost:4200/api"),
        ("http://[::1]:4200/api", "http://[::1]:4200/api"),
        ("https://prefect.example/behind/Proxy/api", "https://prefect.example/behind/Proxy/api"),
    ],
)
def test_an_address_is_brought_into_its_plain_form(given, plain):
    with temporary_settings({PREFECT_API_URL: given}):
        assert configured_address() == plain


@pytest.mark.parametrize("given", ["localhost:4200", "http://", "http://localhost:x/api", "ftp://a/api"])
def test_what_is_no_address_is_refused_with_where_it_was_set(given, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", given)
    with (
        temporary_settings({PREFECT_API_URL: given}),
        pytest.raises(SettingsError, match=r"PREFECT_API_URL.*http://HOST"),
    ):
        configured_address()


def test_the_last_error_is_the_reason():
    """Of 70 lines of a traceback, whose last ones say nothing."""
    said = """INFO: starting
Traceback (most recent call last):
  File "x.py", line 3, in <module>
ValueError: an inner one
sqlalchemy.exc.DatabaseError: (sqlite3.DatabaseError) file is not a database
[SQL: PRAGMA journal_mode]
ERROR:    Application startup failed. Exiting.
"""
    assert find_reason(said) == "sqlalchemy.exc.DatabaseError: (sqlite3.DatabaseError) file is not a database"
    assert find_reason("Killed\n") == "Killed"
    assert find_reason("a Prefect server begins\n", "it ended with -9") == "it ended with -9"


def test_a_home_of_prefect_s_that_takes_no_log_is_said_at_once(tmp_path):
    """As on a full disk: the server itself could not even say why it ends."""
    (tmp_path / "file").touch()
    settings = {PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api", PREFECT_HOME: tmp_path / "file" / "home"}
    with (
        temporary_settings(settings),
        pytest.raises(MachineFault, match=r"dssm-server\.log cannot be written \(Not a directory\).* PREFECT_HOME"),
        use_server(start=True),
    ):
        pass


PROXIES = {
    "dead": {
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
        "all_proxy": "http://127.0.0.1:9",
    },
    "upper case, others excepted": {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "example.org, *.example.net"},
    "socks": {"all_proxy": "socks4://127.0.0.1:9"},
    "no number": {"http_proxy": "http://proxy:port"},
}


@pytest.mark.parametrize("proxies", PROXIES.values(), ids=PROXIES)
def test_no_proxy_stands_between_us_and_this_machine(proxies, tmp_path, prefect_server):
    """A company's proxy knows nothing of 127.0.0.1; and what the user excepted stays excepted."""
    code = "from flows.environment import set_environment; set_environment(); import os, httpx, sys;"
    code += "print(os.environ['NO_PROXY']); print(httpx.get(sys.argv[1] + '/health').status_code)"
    environment = {k: v for k, v in clean_environment(tmp_path).items() if k.lower() != "no_proxy"} | proxies
    words = [sys.executable, "-c", code, PREFECT_API_URL.value()]
    done = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True)
    excepted, status = done.stdout.split("\n")[:2]
    assert status == "200", done.stderr
    assert excepted.startswith("example.org,*.example.net,") == ("NO_PROXY" in proxies)


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_certificates_that_cannot_be_read_are_done_without(content, tmp_path, monkeypatch, capsys):
    """Httpx would raise for every address, our own server's, too."""
    if content:
        (tmp_path / "ca.pem").write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(OSError, match=r"No such file|NO_CERTIFICATE"):
        answers("http://127.0.0.1:9/api")
    set_environment()
    assert not answers("http://127.0.0.1:9/api")
    assert f"SSL_CERT_FILE = {tmp_path / 'ca.pem'} cannot be used" in capsys.readouterr().err


def test_a_folder_with_our_names_in_it_shadows_nothing(tmp_path):
    """Every Celery project has a tasks.py; what we start finds ours, wherever one starts it."""
    for name in ("tasks", "schemas", "flows"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not ours')")
    code = "import subprocess, sys; from flows.environment import set_environment; set_environment();"
    code += "sys.exit(subprocess.run([sys.executable, '-m', 'flows.server_process', '--help']).returncode)"
    environment = clean_environment(tmp_path) | {"PYTHONSAFEPATH": "1"}  # as the installed command starts
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, "--parent" in done.stdout) == (0, True), done.stderr


def test_a_path_from_the_folder_one_starts_in_is_not_kept(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", ".", "lib", "/somewhere"]))
    set_environment()
    paths = os.environ["PYTHONPATH"].split(os.pathsep)
    assert all(Path(path).is_absolute() for path in paths)
    assert "/somewhere" in paths


def test_nothing_answers_at_an_address_without_a_server():
    assert not answers("http://127.0.0.1:9/api")
    with pytest.raises(httpx.HTTPError):
        httpx.get("http://127.0.0.1:9/api")


def test_a_port_that_is_taken_says_by_what_and_how_to_take_another(prefect_server):
    """A Prefect server is one to use."""
    port = urlsplit(server_address()).port
    with pytest.raises(MachineFault, match=rf"a Prefect server answers at http://127\.0\.0\.1:{port} already: .*"):
        run_server("127.0.0.1", port)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(MachineFault, match=rf"no Prefect server.* another port: dssm server --port {port + 1}$"):
            run_server("127.0.0.1", port)
