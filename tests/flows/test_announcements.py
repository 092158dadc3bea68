"""Messages to people: what is sent, and that nothing of it can fail a run."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from flows.announcements import send_message
from tests.conftest import make_settings


@contextmanager
def web_hook() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Receive messages at an address of Apprise."""
    received: list[dict[str, str]] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"json://127.0.0.1:{httpd.server_port}", received
    httpd.shutdown()


def test_a_message_reaches_every_address(monkeypatch):
    """Any that Apprise knows; here a web hook."""
    with web_hook() as (address, received):
        monkeypatch.setenv("DSSM_NOTIFY", f"{address} {address}/two")
        send_message("bank: HeldBack", "recall@10 0.61 is below 0.72")

    assert [(one["title"], one["message"]) for one in received] == [
        ("bank: HeldBack", "recall@10 0.61 is below 0.72")
    ] * 2


def test_an_address_that_takes_no_message_is_logged_without_its_password(monkeypatch, caplog):
    """The run goes on; the log names what to mend, and no secret."""
    monkeypatch.setenv("DSSM_NOTIFY", "json://me:secret@127.0.0.1:9 nosuch://secret")
    send_message("bank: Published", "")

    assert "address 2 is none that Apprise knows" in caplog.text
    assert "DSSM_NOTIFY" in caplog.text
    assert "secret" not in "".join(record.getMessage() for record in caplog.records if record.name.startswith("dssm"))


def test_no_address_is_no_message(monkeypatch, caplog):
    """And no complaint."""
    monkeypatch.delenv("DSSM_NOTIFY", raising=False)
    send_message("bank: Published", "")
    assert not caplog.records


@pytest.mark.slow
def test_a_deployment_that_is_not_there_does_not_undo_a_publication(flow, toy_csv, caplog):
    """publish.on_published names nothing: the model is live, the log says what was not started."""
    result = flow(make_settings(toy_csv, publish__on_published="reload-bot/nosuch"))

    assert result.status == "published"
    assert "'reload-bot/nosuch' was not started" in caplog.text
    assert "The model is live all the same" in caplog.text


@pytest.mark.slow
def test_what_a_killed_run_could_not_tell_is_told_by_the_next(flow, toy_csv, caplog):
    """It died between going live and telling others; the same is told once, and of the live version only."""
    settings = make_settings(toy_csv, publish__on_published="reload-bot/nosuch")
    result = flow(settings)
    untold = flow.run_folder(result) / "untold"
    assert not untold.exists(), "others were told"

    untold.touch()  # as the kill leaves it
    caplog.clear()
    assert flow(settings).status == "unchanged"
    assert caplog.text.count("'reload-bot/nosuch' was not started") == 1, "whoever follows a publication is started"
    assert not untold.exists()
    caplog.clear()
    flow(settings)
    assert "was not started" not in caplog.text
