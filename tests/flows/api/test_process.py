"""The service as a process: ready when it is, no gap while versions change, a clean end."""

import json
import os
import socket
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from flows.api.server import listen
from schemas.service import ErrorAnswer
from tasks.registry import ModelRegistry
from tests.conftest import DSSM, clean_environment
from tests.flows.api.conftest import publish_as, serving
from tests.tasks.conftest import copy_candidate


def dssm(home: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    given = clean_environment(home.parent) | {"DSSM_HOME": str(home)} | environment
    return subprocess.run([*DSSM, "api", *words], env=given, capture_output=True, text=True, timeout=60)


def test_it_is_ready_when_every_corpus_is_loaded(home, candidate):
    """Before, it says what is missing, and why; a corpus that goes live later is answered for, too."""
    version = publish_as(home, "broken", candidate)
    file = home / "models" / "broken" / version / "standard_questions.parquet"
    content = file.read_bytes()
    file.write_bytes(b"damaged")
    with serving(home, ready=False) as api:
        api.wait(lambda: api.search("退票").status_code == 200)
        ready = api.wait(lambda: "broken" in (r := api.http.get("/readyz")).text and "altered" in r.text and r)
        asked = api.search("退票", corpus="broken")
        assert (ready.status_code, asked.status_code) == (503, 503)
        assert ErrorAnswer.model_validate_json(ready.content).error.kind == "not_ready"
        assert ErrorAnswer.model_validate_json(asked.content).error.kind == "not_loaded"
        assert api.http.get("/healthz").status_code == 200
        assert list(api.http.get("/v1/corpora").json()["not_loaded"]) == ["broken"]

        file.write_bytes(content)
        api.wait_ready()
        assert api.search("退票", corpus="broken").status_code == 200
        publish_as(home, "later", candidate)
        api.wait(lambda: api.search("退票", corpus="later").status_code == 200)

        damaged = home / "models" / "worse" / publish_as(home, "worse", candidate) / "model.json"
        damaged.write_text("{}")
        api.wait(lambda: api.search("退票", corpus="worse").status_code == 503)
        assert api.http.get("/readyz").status_code == 200, "for a corpus that is new, nobody else is turned away"


def test_without_anything_live_it_waits(tmp_path, candidate):
    """A container may start before the first run has ended."""
    home = tmp_path / "home"
    with serving(home, ready=False) as api:
        waiting = api.wait(lambda: "dssm run" in (r := api.http.get("/readyz")).text and r)
        assert waiting.status_code == 503
        publish_as(home, "first", candidate)
        api.wait_ready()


def test_of_named_corpora_no_other_is_answered_for(home, candidate):
    """A name that has no model ends the command before it listens."""
    publish_as(home, "another", candidate)
    with serving(home, "toy") as api:
        assert api.search("退票").status_code == 200
        assert api.search("退票", corpus="another").status_code == 404
    ended = dssm(home, "nosuch")
    assert ended.returncode == 2
    assert "no model of corpus 'nosuch'" in ended.stderr
    assert "there are: another, toy" in ended.stderr


def test_versions_change_without_a_failed_request(home, candidate, other):
    """Threads ask while versions go live, and one is damaged; it stays ready, and each answer is of one version."""
    registry = ModelRegistry.of("toy", home)
    versions = [registry.live().version, publish_as(home, "toy", other)]
    with serving(home) as api:
        ended, statuses, seen = threading.Event(), [], {}

        def ask() -> None:
            with httpx.Client(base_url=api.url) as http:
                while not ended.is_set():
                    answer = http.post("/v1/toy/search", json={"query": ["退票", "改签"]})
                    statuses.extend([answer.status_code, http.get("/readyz").status_code])
                    kinds = {r["id"].startswith("other-") for one in answer.json()["answers"] for r in one["results"]}
                    seen.setdefault(answer.json()["version"], set()).update(kinds)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(6):
            version = versions[number % 2]
            with registry.update() as update:
                update.go_live(registry.manifest(version), "published")
            api.wait(lambda version=version: api.http.get("/v1/toy").json()["version"] == version)
        third = registry.folder / publish_as(home, "toy", copy_candidate(candidate, home.parent / "third", "third"))
        (third / "model.json").write_text("{}")
        api.wait(lambda: 'dssm_failed_reloads_total{corpus="toy"}' in api.http.get("/metrics").text)
        ended.set()
        for thread in threads:
            thread.join()

        assert set(statuses) == {200}
        assert seen.pop(third.name, None) in (None, {False}), "loaded before it was damaged"
        assert seen == {versions[0]: {False}, versions[1]: {True}}


def test_a_stop_answers_what_was_asked(home):
    """Requests in flight are finished, new ones refused, and the exit code is 0."""
    with serving(home) as api:
        body = json.dumps({"query": "怎么退票"}).encode()
        where = urlsplit(api.url)
        with socket.create_connection((where.hostname, where.port), timeout=30) as slow:
            head = "POST /v1/toy/search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            slow.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:5])
            time.sleep(0.3)
            api.process.terminate()
            api.wait(lambda: not is_open(where.port))
            slow.sendall(body[5:])
            answer = b""
            while part := slow.recv(65536):
                answer += part
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b'"results":[{' in answer
        assert api.process.wait(30) == 0
        assert "Traceback" not in api.said()


def is_open(port: int) -> bool:
    """Say whether somebody listens."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_what_it_cannot_start_with_is_said(home, tmp_path):
    """Exit 2 for what was asked for wrongly, 3 for a port that is taken; no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for code, says, words, environment in (
            (3, f"port {port} of 127.0.0.1", ["--port", str(port)], {}),
            (2, "no address of this machine", ["--host", "192.0.2.1"], {}),
            (2, "DSSM_API_KEYS holds no key", [], {"DSSM_API_KEYS": " , "}),
            (2, "--query-log", ["--query-log", str(tmp_path)], {}),
            (2, "the query log", ["--query-log", "/proc/nothing/log"], {}),
            (2, "--workers", ["--workers", "0"], {}),
            (2, "--max-body", [], {"DSSM_API_BODY_BYTES": "many"}),
        ):
            ended = dssm(home, *words, **environment)
            assert ended.returncode == code, ended.stderr
            assert says in ended.stderr
            assert "Traceback" not in ended.stderr


def test_an_answer_does_not_wait_for_an_acknowledgement():
    """Connections inherit it from the socket that listens: else an answer in two packets takes 40 ms."""
    with listen("127.0.0.1", 0) as opened, socket.create_connection(opened.getsockname()):
        connection, _ = opened.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_whoever_opens_it_to_all_is_warned(home):
    """Unless callers need a key."""
    with serving(home, "--host", "0.0.0.0", ready=False) as api:
        assert "DSSM_API_KEYS" in api.said()
    with serving(home, "--host", "0.0.0.0", ready=False, DSSM_API_KEYS="k") as api:
        assert api.said() == ""


def test_the_process_has_neither_torch_nor_prefect(home):
    """What is loaded, as the system sees it."""
    with serving(home) as api:
        api.search("退票")
        maps = Path(f"/proc/{api.process.pid}/maps").read_text()
        code = "import sys, flows.api.server as s; s.create(s.Options()); print(*sys.modules)"
        names = subprocess.run([DSSM[0], "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "/numpy/" in maps
    assert not [line for line in maps.splitlines() if "/torch/" in line]
    assert "flows.api.endpoints" in names
    assert not {"torch", "prefect", "pandas", "great_expectations", "matplotlib", "fastapi"} & set(names)


# --- several workers


def test_workers_answer_at_one_port_and_count_together(home):
    """Figures and the query log are of all of them; a killed one is replaced; the end is clean."""
    log = home / "log" / "q.jsonl"
    with serving(home, "--workers", "2", "--query-log", str(log)) as api:
        first = workers_of(api)
        assert len(first) == 2
        answered = ask_anew(api, 40)
        assert answered >= 20
        api.wait(lambda: len(log.read_text().splitlines()) == answered)
        assert all(json.loads(line)["kind"] == "query" for line in log.read_text().splitlines())
        assert counted(api) == answered
        arrays = {
            line.split()[-1] for pid in first for line in Path(f"/proc/{pid}/maps").open() if ".embeddings." in line
        }
        assert len(arrays) == 1, "one file for both"

        os.kill(first[0], 9)
        api.wait(lambda: len(now := workers_of(api)) == 2 and first[0] not in now)
        api.wait(lambda: ask_anew(api, 10) == 10)
        assert api.stop() == 0
    assert not Path(arrays.pop()).exists(), "the folder they shared is gone"


def workers_of(api) -> list[int]:
    """Return the process ids of the workers."""
    children = Path(f"/proc/{api.process.pid}/task/{api.process.pid}/children").read_text().split()
    return [int(one) for one in children if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


def ask_anew(api, times: int) -> int:
    """Ask over connections of their own, which any worker may get; return how many were answered."""
    found = 0
    for _ in range(times):
        try:
            found += httpx.post(f"{api.url}/v1/toy/search", json={"query": "退票"}).status_code == 200
        except httpx.TransportError:
            continue  # of a worker that was killed
    return found


def counted(api) -> float:
    """Return the searches that all workers answered."""
    lines = httpx.get(f"{api.url}/metrics").text.splitlines()
    name = 'dssm_requests_total{endpoint="search",status="200"}'
    return sum(float(one.split()[-1]) for one in lines if one.startswith(name))


def test_it_listens_within_seconds(home):
    """Before a model is loaded: a check of its health need not wait."""
    began = time.monotonic()
    with serving(home, ready=False) as api:
        assert api.wait(lambda: api.http.get("/healthz").status_code == 200)
        assert time.monotonic() - began < 20, "a busy machine; on a quiet one it takes a second"
