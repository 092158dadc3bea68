"""Requests to `dssm api` that nobody means: each gets an answer of one shape, and none is a fault of ours."""

# ruff: noqa: E501 - a case a line

import gzip
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError

from schemas.service import ErrorAnswer
from tests.conftest import TOY
from tests.faults.struggles import Outcome
from tests.faults.trying import Verdict
from tests.flows.api.conftest import Api, serving

KEY = "a-key-of-nobody"
KNOWN = next(iter(TOY))
Said = bytes | dict[str, Any] | str
DEEP = b"[" * 50_000 + b"]" * 50_000


def asking(**more: Any) -> bytes:
    """A search."""
    return json.dumps({"query": "怎么退票"} | more).encode()


def adding(**more: Any) -> bytes:
    """An edit."""
    return json.dumps(
        {"action": "add", "standard_question": "飞机餐怎么订", "similar_queries": ["能订飞机餐吗"]} | more
    ).encode()


# body, and the status that is right
SEARCHES: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "filters a list": (asking(filters=["a"]), (422,)),
    "filters of a field that is not there": (asking(filters={"x" * 100_000: 1}), (422,)),
    "filters nested deep": (b'{"query": "a", "filters": ' + DEEP + b"}", (422,)),
    "a range of NaN": (b'{"query": "a", "filters": {"a": {"min": NaN}}}', (422,)),
    "a range without end": (b'{"query": "a", "filters": {"a": {"max": 1e999}}}', (422,)),
    "a range upside down": (asking(filters={"a": {"min": 5, "max": 1}}), (422,)),
    "a filter of 50,000 values": (asking(filters={"a": ["x"] * 50_000}), (422,)),
    "a filter of 4,000 digits": (b'{"query": "a", "filters": {"a": ' + b"9" * 4000 + b"}}", (422,)),
    "a moment before time": (asking(valid_at="0000-00-00"), (422,)),
    "a moment after time": (asking(valid_at="99999-01-01T00:00:00Z"), (422,)),
    "a moment at the end of time": (asking(valid_at="9999-12-31T23:59:59-23:59"), (200, 422)),
    "a moment at the beginning of time": (asking(valid_at="0001-01-01T00:00:00+23:59"), (200, 422)),
    "a zone that is none": (asking(valid_at="2026-01-01T00:00:00+99:99"), (422,)),
    "a moment that is a number": (asking(valid_at=3), (422,)),
    "a moment of 100,000 characters": (asking(valid_at="2" * 100_000), (422,)),
    "explain a number": (asking(explain=3), (422,)),
    "top 1e2": (b'{"query": "a", "top": 1e2}', (422,)),
    "a query twice": (b'{"query": "a", "query": ["b"]}', (200, 422)),
    "controls in a query": (b'{"query": "\\u001b[2J\\u0007\\u202e"}', (200,)),
    "nothing that is seen": (b'{"query": "\\u200b\\u2060\\ufeff"}', (200,)),
    "a key of half a character": (b'{"query": "a", "\\ud800": 1}', (422,)),
    "a key of 100,000 characters": (b'{"query": "a", "' + b"k" * 100_000 + b'": 1}', (422,)),
    "100,000 keys": (b'{"query": "a"' + b"".join(b', "k%d": 1' % n for n in range(80_000)) + b"}", (422,)),
    "JSON with a remark": (b'{"query": "a"} // b', (422,)),
    "JSON behind a mark": (b'\xef\xbb\xbf{"query": "a"}', (200, 422)),
}  # fmt: skip
EDITS: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "no action": (b'{"standard_question": "a"}', (422,)),
    "an action that is none": (adding(action="explode"), (422,)),
    "an empty text": (adding(standard_question=" "), (422,)),
    "nothing that is seen": (adding(standard_question="\u200b"), (422,)),
    "half a character": (b'{"action": "add", "standard_question": "a\\ud800"}', (422,)),
    "a text of 100,000 characters": (adding(standard_question="x" * 100_000), (422,)),
    "one that is there": (adding(standard_question=KNOWN), (422,)),
    "an id of 100,000 characters": (adding(id="x" * 100_000), (422,)),
    "2,000 similar queries": (adding(similar_queries=[f"第{n}份飞机餐" for n in range(2000)]), (422,)),
    "a similar query that is a list": (adding(similar_queries=[["a"]]), (422,)),
    "a number of 4,000 digits": (b'{"action": "add", "standard_question": "a", "payload": {"a": ' + b"9" * 4000 + b"}}", (422,)),
    "NaN": (b'{"action": "add", "standard_question": "a", "payload": {"a": NaN}}', (422,)),
    "a number beyond floats": (b'{"action": "add", "standard_question": "a", "payload": {"a": 1e999}}', (422,)),
    "a value of 500,000 characters": (adding(payload={"a": "x" * 500_000}), (422,)),
    "a value with half a character": (b'{"action": "add", "standard_question": "a", "payload": {"a": "\\ud800"}}', (422,)),
    "a field with NUL": (adding(payload={"a\0b": "x"}), (422,)),
    "a field of ours": (adding(payload={"\0begin": "x"}), (422,)),
    "a field without a name": (adding(payload={"": "x"}), (422,)),
    "an object as a value": (adding(payload={"a": {"b": 1}}), (422,)),
    "a value nested deep": (b'{"action": "add", "standard_question": "a", "payload": {"a": ' + DEEP + b"}}", (422,)),
    "a list nested deep in a text": (adding(payload={"a": "[" * 30_000}), (200,)),
    "a day that is none": (adding(standard_question="飞机餐几点发", payload={"valid_until": "2026-02-30"}), (422,)),
    "an edit of nothing": (adding(action="edit", standard_question=KNOWN, similar_queries=[]), (422,)),
    "the removal of nobody": (adding(action="remove", standard_question="nobody"), (422,)),
    "the drop of nothing": (adding(action="drop", standard_question="nothing"), (422,)),
}  # fmt: skip
FEEDBACK: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "no id": (b'{"standard_question": null}', (422,)),
    "an id of capitals": (b'{"query_id": "ABCDEF0123456789", "standard_question": null}', (422,)),
    "an id with a line end": (b'{"query_id": "0123456789abcdef\\n", "standard_question": null}', (422,)),
    "a number": (b'{"query_id": "0123456789abcdef", "standard_question": 3}', (422,)),
    "half a character": (b'{"query_id": "0123456789abcdef", "standard_question": "\\ud800"}', (422,)),
    "of nobody": (b'{"query_id": "0123456789abcdef", "standard_question": "nobody"}', (422,)),
}
HEADERS: dict[str, tuple[dict[str, str], tuple[int, ...]]] = {
    "an id with line ends": ({"X-Request-Id": "a" * 5000}, (200,)),
    "a key that is no ASCII": ({"Authorization": "Bearer \u00e9"}, (401,)),
    "two hosts": ({"Host": "a,b"}, (200,)),
    "packed": ({"Content-Encoding": "gzip"}, (200, 415, 422)),
    "another charset": ({"Content-Type": "application/json; charset=utf-16"}, (200, 415)),
    "a range": ({"Range": "bytes=0-1"}, (200,)),
    "a path of a proxy": ({"X-Forwarded-For": "x" * 7000, "X-Forwarded-Host": "../.."}, (200,)),
}


def _raw(*headers: bytes, body: bytes = b"", line: bytes = b"POST /v1/toy/search HTTP/1.1") -> bytes:
    """A request as it stands on the wire; of a body whose length nobody says, its own."""
    said = b"".join(headers).lower()
    length = [] if b"content-length" in said or b"chunked" in said or not body else [b"Content-Length: %d" % len(body)]
    lines = [line, b"Host: x", b"X-API-Key: " + KEY.encode(), b"Content-Type: application/json", b"Connection: close"]
    return b"\r\n".join([*lines, *length, *headers]) + b"\r\n\r\n" + body


def _in_chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


CHUNKED, BODY = b"Transfer-Encoding: chunked", asking()
# what stands on the wire, and the status that is right; 0: the connection is closed without one
WIRE: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "chunks": (_raw(CHUNKED, body=_in_chunks(BODY[:5], BODY[5:])), (200,)),
    "chunks of a byte": (_raw(CHUNKED, body=_in_chunks(*(BODY[at : at + 1] for at in range(len(BODY))))), (200,)),
    "a chunk of no size": (_raw(CHUNKED, body=b"zz\r\n" + BODY), (400,)),
    "a chunk of any size": (_raw(CHUNKED, body=b"f" * 17 + b"\r\n" + BODY), (400, 408, 413)),
    "20 MB in chunks": (_raw(CHUNKED, body=_in_chunks(*[b"x" * 65536] * 320)), (413,)),
    "two lengths": (_raw(b"Content-Length: 3", b"Content-Length: 9", body=BODY), (400,)),
    "a length below nothing": (_raw(b"Content-Length: -1", body=BODY), (400,)),
    "a length of 30 digits": (_raw(b"Content-Length: " + b"9" * 30, body=BODY), (400, 413)),
    "a length of 2 GB": (_raw(b"Content-Length: 2147483648", body=BODY), (413,)),
    "gzip that unpacks to 50 MB": (_raw(b"Content-Encoding: gzip", body=gzip.compress(b" " * 50_000_000)), (415, 422)),
    "a body in GBK": (_raw(body='{"query": "退票"}'.encode("gbk")), (422,)),
    "a body in UTF-16": (_raw(body=BODY.decode().encode("utf-16")), (415, 422)),
    "another method": (_raw(line=b"TRACE /v1/toy/search HTTP/1.1"), (405,)),
    "a path of NUL": (_raw(line=b"POST /v1/to%00y/search HTTP/1.1", body=BODY), (404, 422)),
    "a path that leads out": (_raw(line=b"POST /v1/..%2f..%2fetc/search HTTP/1.1", body=BODY), (404, 422)),
    "a path of 100,000 characters": (_raw(line=b"POST /v1/" + b"a" * 100_000 + b" HTTP/1.1", body=BODY), (400, 404, 405, 414)),
    "a header without a colon": (_raw(b"nonsense", body=BODY), (400,)),
    "a header of NUL": (_raw(b"X-A: a\0b", body=BODY), (400,)),
    "1,000 headers": (_raw(*(b"X-%d: a" % at for at in range(1000)), body=BODY), (200, 400, 431)),
    "TLS": (bytes.fromhex("16030100c8010000c40303") + bytes(200), (400,)),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), (400, 404, 405, 505)),
    "noise": (bytes(range(256)) * 4, (400,)),
}  # fmt: skip


def requests(models: Path, base: Path) -> Iterator[Outcome]:
    """Ask a real service; `models` is a folder of models."""
    import shutil

    shutil.copytree(models, base / "home" / "models", symlinks=True)
    words = ("--query-log", str(base / "q.jsonl"))
    with serving(base / "home", *words, DSSM_API_KEYS=KEY) as api:
        for path, bodies in (("search", SEARCHES), ("edits", EDITS), ("feedback", FEEDBACK)):
            for name, (body, right) in bodies.items():
                yield _judge(api, f"{path}: {name}", path, body, {}, right)
        for name, (headers, right) in HEADERS.items():
            yield _judge(api, f"header: {name}", "search", asking(), headers, right)
        for name, (sent, right) in WIRE.items():
            yield _judge_wire(api, name, sent, right)


def _judge_wire(api: Api, name: str, sent: bytes, right: tuple[int, ...]) -> Outcome:
    """Send bytes; the service answers as it should, says nothing of a fault, and goes on."""
    before, address = len(api.said()), urlsplit(api.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=20) as line:
        with suppress(OSError):  # it may have closed before all was sent
            line.sendall(sent)
        answer = b""
        with suppress(OSError):
            while part := line.recv(1 << 16):
                answer += part
    first = answer.split(b"\r\n")[0].split()
    status = int(first[1]) if answer.startswith(b"HTTP/") else 0
    well = api.http.post(
        "/v1/toy/search", content=asking(), headers={"X-API-Key": KEY, "Content-Type": "application/json"}
    )
    said = api.said()[before:]
    if "Traceback" in said or status == 500 or well.status_code != 200:
        return "requests", f"wire: {name}", "traceback", f"{status}, then {well.status_code}: {said[-300:]}"
    if status not in right:
        verdict: Verdict = "silent" if status == 200 else "unclear"
        return "requests", f"wire: {name}", verdict, f"{status}: {answer[-200:]!r}"
    return "requests", f"wire: {name}", "right", ""


def _judge(api: Api, name: str, path: str, body: bytes, headers: dict[str, str], right: tuple[int, ...]) -> Outcome:
    before = len(api.said())
    given = {"Content-Type": "application/json", "X-API-Key": KEY} | headers
    if "Authorization" in headers:
        del given["X-API-Key"]
    raw = [(key.encode(), value.encode()) for key, value in given.items()]
    try:
        answer = api.http.post(f"/v1/toy/{path}", content=body, headers=raw)
    except httpx.HTTPError as error:
        return "requests", name, "traceback", f"{type(error).__name__}: {error}"
    said = api.said()[before:]
    if answer.status_code >= 500 or "Traceback" in said:
        return "requests", name, "traceback", f"{answer.status_code}: {answer.text[:200]} {said[-300:]}"
    if answer.status_code not in right:
        return (
            "requests",
            name,
            "silent" if answer.status_code == 200 else "unclear",
            f"{answer.status_code}: {answer.text[:200]}",
        )
    if answer.status_code != 200:
        try:
            message = ErrorAnswer.model_validate_json(answer.content).error.message
        except ValidationError as error:
            return "requests", name, "unclear", str(error)
        if not 5 < len(message) < 400:
            return "requests", name, "unclear", f"{len(message)} characters: {message[:200]}"
    if KEY in answer.text + said:
        return "requests", name, "leak", "the key was told"
    return "requests", name, "right", ""
