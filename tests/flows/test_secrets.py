"""A secret in an address: how it is passed, and that nothing a run leaves behind holds it."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from schemas.run import RunResult
from tests.conftest import PAIRS, Command, fast_words, make_command, write_table

USER, PASSWORD, TOKEN = "bank-user-x1", "pa55w0rd/of@bank", "t0ken-of-the-bank"
SECRETS = {PASSWORD, TOKEN, quote(PASSWORD, safe=""), "n0tify-pa55"}
ADDRESS = "http://${BANK_USER}:${BANK_PASSWORD}@127.0.0.1:{port}/{file}?token=${BANK_TOKEN}"


@contextmanager
def bank_server(file: Path) -> Iterator[int]:
    """Serve /rows.csv to whoever knows password and token, and break the line of everybody else at /broken.csv."""
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            known = self.headers.get("Authorization") == f"Basic {login}" and parse_qs(url.query) == {"token": [TOKEN]}
            content = file.read_bytes() if known and url.path == "/rows.csv" else b"no"
            self.send_response(200 if content != b"no" else 500 if "broken" in url.path else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()


@pytest.fixture
def dssm(tmp_path) -> Command:
    """`dssm` with a database of its own, whose files are looked through."""
    command = make_command(tmp_path, "")
    secrets = {"BANK_USER": USER, "BANK_PASSWORD": PASSWORD, "BANK_TOKEN": TOKEN}
    notify = {"DSSM_NOTIFY": "json://me:n0tify-pa55@127.0.0.1:9/x"}
    environment = {key: value for key, value in command.environment.items() if key != "PREFECT_API_URL"}
    return Command(command.folder, command.home, environment | secrets | notify)


def leaks(folder: Path, *texts: str) -> list[str]:
    """Return where a secret stands: in files below a folder, or in texts."""
    found = [f"{file}: {secret}" for file in folder.rglob("*") if file.is_file() for secret in SECRETS
             if secret.encode() in file.read_bytes()]  # fmt: skip
    return found + [secret for text in texts for secret in SECRETS if secret in text]


@pytest.mark.slow
def test_nothing_that_a_run_leaves_behind_holds_a_secret(dssm, tmp_path):
    """Files below DSSM_HOME and PREFECT_HOME with its database, and both streams; the secrets were used."""
    write_table(tmp_path / "rows.csv", PAIRS)
    with bank_server(tmp_path / "rows.csv") as port:

        def address(file: str) -> str:
            return ADDRESS.replace("{port}", str(port)).replace("{file}", file)

        published = dssm("run", "bank", "--source", address("rows.csv"), *fast_words(), "--json")
        broken = dssm("check", "--source", address("broken.csv"), "--json")
        literal = address("rows.csv").replace("${BANK_PASSWORD}", quote(PASSWORD, safe=""))
        refused = dssm("run", "bank", "--source", literal, "--json")

    assert published.code == 0, published.err
    assert RunResult.model_validate_json(published.out).status == "published"
    assert (broken.code, refused.code) == (3, 2), broken.err
    assert "write ${NAME}" in refused.err
    assert (Path(dssm.environment["PREFECT_HOME"]) / "prefect.db").is_file()
    assert leaks(tmp_path, *(text for end in (published, broken, refused) for text in (end.out, end.err))) == []


def test_a_variable_that_is_not_set_is_named(dssm):
    """What an operator forgets on the worker."""
    ended = dssm("check", "--source", "https://${NOT_SET_HERE}@127.0.0.1:9/x.csv", "--json")
    assert ended.code == 2
    assert "environment variable 'NOT_SET_HERE', which is not set" in ended.err
