"""Drafts of a language model, against a server of OpenAI's kind on this machine."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pyarrow.parquet as pq
import pytest

from schemas.corrections import Correction
from schemas.doctor import Action
from schemas.errors import MachineFault, SettingsError
from schemas.language import read_words
from schemas.outputs import PrepareOutput
from tasks.doctor.drafts import Writer, choose, draft
from tasks.ingest.corpus import ingest_corpus
from tasks.prepare.corpus import prepare_corpus
from tasks.retrieval.retriever import Model
from tests.conftest import TOY, make_settings

ASKED = list[dict[str, object]]()


class Server(BaseHTTPRequestHandler):
    """Drafts four lines: one good, one known, one of another standard question, one good with a bullet."""

    said = "我想退票怎么操作\n怎么退票\n小孩坐飞机多少钱一张票\n- 票买错了想退票\n"

    def do_POST(self):
        """Answer as OpenAI's chat completions do."""
        ASKED.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        body = json.dumps({"choices": [{"message": {"content": self.said}}]}).encode()
        if "broken" in self.path:
            body = b"<html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a running server."""
    server = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()


FEED = Action(kind="feed", standard_question="如何办理退票", why="few", effort=3, gain=0.6)


def test_only_drafts_that_the_model_places_right_reach_the_owner(address, candidate, monkeypatch):
    """What is known, and what lands elsewhere, does not; what is left is marked, with its share of the gain."""
    monkeypatch.setenv("DSSM_LLM_URL", address)
    examples = {question: queries.split() for question, queries in TOY.items()}
    (made,) = draft([FEED], examples, Writer.from_environment(), Model(candidate), read_words("zh"))

    assert made.new_queries == ["我想退票怎么操作", "票买错了想退票"]
    assert (made.drafted, made.effort, made.gain) == (True, 2, pytest.approx(0.4))
    prompt = ASKED[-1]["messages"][0]["content"]
    assert "如何办理退票" in prompt
    assert "儿童票怎么买" not in prompt  # nothing of the rest of the corpus is sent


def test_nothing_is_sent_without_an_address(monkeypatch):
    """Off by default."""
    monkeypatch.delenv("DSSM_LLM_URL", raising=False)

    with pytest.raises(SettingsError, match="DSSM_LLM_URL"):
        Writer.from_environment()


@pytest.mark.parametrize("path", ["/broken", "nowhere"])
def test_a_server_that_does_not_answer_is_told_in_one_sentence(address, path):
    """It speaks otherwise, or is not there."""
    url = f"{address}{path}" if path != "nowhere" else "http://127.0.0.1:9/v1"

    with pytest.raises(MachineFault, match="do without --drafts"):
        Writer(url, "", "m").write("hello")


def test_a_long_or_empty_draft_is_none(candidate):
    """Nor is one that says what another has said."""
    assert choose(["", "票" * 500, "我想退票", " 我想退票"], "如何办理退票", [], Model(candidate)) == ["我想退票"]


def test_a_draft_is_never_tested_on(tmp_path, toy_csv):
    """Half of all rows are held out, and no drafted one is among them; accepted rows of the owner's may be."""
    added = [
        Correction(batch="b", do="add", standard_question="如何改签", query=f"帮我改签第{n}次", drafted=drafted)
        for n, drafted in [*((n, True) for n in range(20)), *((n, False) for n in range(20, 40))]
    ]
    settings = make_settings(toy_csv, split__test_share=0.5)
    for name in ("ingest", "prepare"):
        (tmp_path / name).mkdir()
    ingest_corpus(settings.source, tmp_path / "ingest", tmp_path, 1, corrections=added)
    prepare_corpus(tmp_path / "ingest", tmp_path / "prepare", settings)

    tested = pq.read_table(PrepareOutput(tmp_path / "prepare").test)["query"].to_pylist()
    numbers = np.array([int(query[5:-1]) for query in tested if query.startswith("帮我改签第")])
    assert len(numbers) > 0
    assert numbers.min() >= 20
