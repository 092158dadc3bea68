"""Requests to `dssm api` that nobody means: each gets an answer of one shape, and none is a fault of ours."""

# ruff: noqa: E501 - a case a line

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from pydantic import ValidationError

from schemas.service import ErrorAnswer
from tests.conftest import TOY
from tests.faults.struggles import Outcome
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
