"""Bad requests: each is told what is wrong with it, in one shape, and none is a fault of ours."""

import json
import socket
import time
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
import pytest

from schemas.service import ErrorAnswer
from tests.flows.api.conftest import serving

JSON = {"Content-Type": "application/json"}
SEARCH = "/v1/toy/search"
DEEP = b'{"query": ' + b"[" * 5000 + b"]" * 5000 + b"}"


def text(query: str) -> bytes:
    """Return the body of a search."""
    return json.dumps({"query": query}, ensure_ascii=False).encode()


BODIES = {
    "nothing": (b"", 422),
    "white space": (b"  \n", 422),
    "no JSON": (b"query=abc", 422),
    "half of it": (b'{"query": "a', 422),
    "two values": (b'{"query": "a"} {}', 422),
    "a comma too many": (b'{"query": "a",}', 422),
    "no UTF-8": (b'{"query": "\xff\xfe"}', 422),
    "UTF-16": ('{"query": "a"}'.encode("utf-16"), 422),
    "null": (b"null", 422),
    "a list": (b'["a"]', 422),
    "a text": (b'"a"', 422),
    "a number": (b"7", 422),
    "NaN": (b"NaN", 422),
    "no query": (b"{}", 422),
    "query null": (b'{"query": null}', 422),
    "query a number": (b'{"query": 7}', 422),
    "query an object": (b'{"query": {"text": "a"}}', 422),
    "query true": (b'{"query": true}', 422),
    "empty list": (b'{"query": []}', 422),
    "list of numbers": (b'{"query": ["a", 7]}', 422),
    "list of lists": (b'{"query": [["a"]]}', 422),
    "list with null": (b'{"query": ["a", null]}', 422),
    "NUL": (b'{"query": "a\\u0000b"}', 422),
    "bare NUL": (b'{"query": "a\x00b"}', 422),
    "NUL in a list": (b'{"query": ["a", "\\u0000"]}', 422),
    "lone surrogate": (b'{"query": "a\\ud83d"}', 422),
    "lone low surrogate": (b'{"query": "\\ude00a"}', 422),
    "encoded surrogate": (b'{"query": "\xed\xa0\xbd"}', 422),
    "too long a query": (text("退" * 1001), 422),
    "too many queries": (json.dumps({"query": ["a"] * 21}).encode(), 422),
    "top 0": (b'{"query": "a", "top": 0}', 422),
    "top below 0": (b'{"query": "a", "top": -1}', 422),
    "top too many": (b'{"query": "a", "top": 101}', 422),
    "top a text": (b'{"query": "a", "top": "5"}', 422),
    "top broken": (b'{"query": "a", "top": 5.5}', 422),
    "top true": (b'{"query": "a", "top": true}', 422),
    "top null": (b'{"query": "a", "top": null}', 422),
    "top huge": (b'{"query": "a", "top": ' + b"9" * 4000 + b"}", 422),
    "top without end": (b'{"query": "a", "top": 1e999}', 422),
    "a key we do not know": (b'{"query": "a", "filter": {}}', 422),
    "deep": (DEEP, 422),
    "10 MB": (text("a" * 10_000_000), 413),
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_bad_body_is_explained(api, kind):
    """With a status, a word for programs and a message for people; the next request is answered."""
    body, status = BODIES[kind]
    response = api.http.post(SEARCH, content=body, headers=JSON)

    said = ErrorAnswer.model_validate_json(response.content).error
    assert response.status_code == status
    assert said.kind == ("too_large" if status == 413 else "invalid")
    assert said.message
    assert len(said.message) < 400
    assert "pydantic" not in said.message
    assert "function-" not in said.message
    assert api.search("退票").status_code == 200


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (BODIES["NUL in a list"][0], "query: the text at place 1 holds a NUL character; leave it out"),
        (BODIES["too long a query"][0], "query has 1001 characters, at most 1000 are read"),
        (BODIES["too many queries"][0], "query holds 21 texts, at most 20 go in one request"),
        (BODIES["top too many"][0], "top is 101, at most 100 are returned"),
        (BODIES["no query"][0], "query: is missing"),
        (BODIES["a key we do not know"][0], "filter: is not known"),
        (BODIES["no JSON"][0], "the body is no JSON: expected value at line 1 column 1"),
        (BODIES["query a number"][0], "query: give a text or a list of texts"),
        (BODIES["list of numbers"][0], "query: give texts; what stands at place 1 is none"),
    ],
)
def test_a_message_says_what_and_where(api, body, says):
    """Word for word."""
    assert api.http.post(SEARCH, content=body, headers=JSON).json()["error"]["message"] == says


ADDRESSES = {
    ("GET", "/nothing"): (404, "not_found"),
    ("GET", "/v1"): (404, "not_found"),
    ("GET", "/v1/toy/"): (404, "not_found"),
    ("POST", "/v1/toy/search/"): (404, "not_found"),
    ("GET", "/v1/nosuch"): (404, "unknown_corpus"),
    ("GET", "/v1/%2e%2e%2fetc"): (404, "not_found"),
    ("GET", "/v1/%00"): (404, "unknown_corpus"),
    ("GET", "/v1/%ff%fe"): (404, "unknown_corpus"),
    ("GET", "/v1/%F0%9F%99%82"): (404, "unknown_corpus"),
    ("GET", "/v1/" + "a" * 5000): (404, "unknown_corpus"),
    ("GET", "/docs"): (404, "not_found"),
    ("GET", "/v1/toy/search"): (405, "method_not_allowed"),
    ("DELETE", "/v1/toy"): (405, "method_not_allowed"),
    ("POST", "/healthz"): (405, "method_not_allowed"),
    ("BREW", "/v1/toy"): (405, "method_not_allowed"),
}


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
def test_a_wrong_address_is_explained(api, method, path):
    """Unknown, or of another method."""
    response = api.http.request(method, path)

    said = ErrorAnswer.model_validate_json(response.content).error
    assert (response.status_code, said.kind) == ADDRESSES[method, path]
    assert (response.headers.get("Allow") is not None) == (response.status_code == 405)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_only_json_is_read(api, kind):
    """A page of another origin cannot send it without asking the service first, which does not allow it."""
    request = httpx.Request(
        "POST", api.url + SEARCH, content=text("退票"), headers={"Content-Type": kind} if kind else {}
    )
    response = api.http.send(request)

    assert response.status_code == 415
    assert "Content-Type: application/json" in ErrorAnswer.model_validate_json(response.content).error.message


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON"])
def test_json_has_more_than_one_name(api, kind):
    """As clients send it."""
    assert api.http.post(SEARCH, content=text("退票"), headers={"Content-Type": kind}).status_code == 200


def raw(api, *parts: bytes, wait: float = 0.05) -> bytes:
    """Send bytes as they are; return what comes back until the service hangs up, or says no more."""
    with socket.create_connection((urlsplit(api.url).hostname, urlsplit(api.url).port), timeout=10) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):  # it has heard enough
            for part in parts:
                connection.sendall(part)
                time.sleep(wait)
        connection.settimeout(3)
        said = b""
        try:
            while part := connection.recv(65536):
                said += part
        except (TimeoutError, ConnectionResetError):
            pass
    return said


POST = b"POST /v1/toy/search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
BYTES = {
    "no HTTP": ([b"hello\r\n\r\n"], 400),
    "a greeting of TLS": ([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 80], 400),
    "a chunk without a size": ([CHUNKED, b"zz\r\n{}\r\n0\r\n\r\n"], 400),
    "a chunk of more than it says": ([CHUNKED, b"2\r\n{}more\r\n0\r\n\r\n"], 400),
    "two lengths": ([POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"], 400),
    "a length below 0": ([POST + b"Content-Length: -1\r\n\r\n{}"], 400),
    "a length that is no number": ([POST + b"Content-Length: two\r\n\r\n{}"], 400),
    "a length without end": ([POST + b"Content-Length: " + b"9" * 3000 + b"\r\n\r\n{}"], 400),
    "a length and chunks": ([POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"], 422),
    "headers without end": ([b"GET / HTTP/1.1\r\n", *[b"X-A: " + b"a" * 8000 + b"\r\n"] * 10], 400),
    "an address without end": ([b"GET /", *[b"a" * 8000] * 10], 400),
    "an address that is no ASCII": ([b"GET /v1/\xe9\x80\x80 HTTP/1.1\r\nHost: x\r\n\r\n"], 400),
    "less than it says": ([POST + b"Content-Length: 100\r\n\r\n{}"], 408),
    "chunks that never end": ([CHUNKED, b"2\r\n{}\r\n"], 408),
    "chunks of more than we read": ([CHUNKED, *[b"1000\r\n" + b"a" * 4096 + b"\r\n"] * 6], 413),
    "a length of more than we read": ([POST + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n"], 413),
    "an upgrade": ([b"GET /v1/nosuch HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"], 404),
}


@pytest.mark.parametrize("kind", BYTES)
def test_what_is_no_good_http_is_explained(api, kind):
    """In the same shape, and the next connection is answered."""
    parts, status = BYTES[kind]
    said = raw(api, *parts)

    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()), said[:300]
    assert ErrorAnswer.model_validate_json(body).error.message
    assert api.search("退票").status_code == 200


def test_an_offer_of_http_2_is_passed_over(api):
    """As Java's client makes it by default: the body is read all the same."""
    body = text("退票")
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"
    said = raw(api, POST + offer + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)

    assert said.startswith(b"HTTP/1.1 200 ")
    assert "Upgrade" not in api.said()


def test_who_hangs_up_costs_nothing(api):
    """In the middle of a body: nobody is there to be told, and nothing is said in the log."""
    before = api.said()
    with socket.create_connection((urlsplit(api.url).hostname, urlsplit(api.url).port)) as connection:
        connection.sendall(POST + b"Content-Length: 100\r\n\r\n{")
    time.sleep(0.2)

    assert api.search("退票").status_code == 200
    assert api.said() == before


def test_nothing_of_all_this_was_a_fault(api):
    """No traceback."""
    for body, _ in BODIES.values():
        api.http.post(SEARCH, content=body, headers=JSON)
    assert "Traceback" not in api.said()
    assert 'status="500"' not in api.http.get("/metrics").text


def test_more_at_a_time_than_allowed_are_sent_away(home):
    """429, and when to come again; whether it lives can still be asked."""
    with serving(home, "--concurrency", "1") as api:
        slow = socket.create_connection((urlsplit(api.url).hostname, urlsplit(api.url).port))
        slow.sendall(POST + b"Content-Length: 100\r\n\r\n{")
        refused = api.wait(lambda: (r := api.search("退票")).status_code == 429 and r)
        healthy = api.http.get("/healthz").status_code, api.http.get("/readyz").status_code
        slow.close()

        assert refused.headers["Retry-After"] == "1"
        assert ErrorAnswer.model_validate_json(refused.content).error.kind == "too_many_requests"
        assert healthy == (200, 200)
        api.wait(lambda: api.search("退票").status_code == 200)


def test_keys_close_the_service_and_are_never_told(home):
    """Any of them opens it, in either header; what watches the process needs none."""
    with serving(home, DSSM_API_KEYS="first-key-1, 第二个") as api:
        for headers in (
            {},
            {"X-API-Key": "first-key-2"},
            {"X-API-Key": ""},
            {"Authorization": "Bearer first-key"},
            {"Authorization": "Basic first-key-1"},
            {"Authorization": "first-key-1"},
        ):
            response = api.http.post(SEARCH, json={"query": "退票"}, headers=headers)
            assert response.status_code == 401, headers
            assert response.headers["WWW-Authenticate"] == "Bearer"
            assert ErrorAnswer.model_validate_json(response.content).error.kind == "no_key"
            assert "first-key" not in response.text
        for headers in (
            {"X-API-Key": "first-key-1"},
            {"Authorization": "bearer first-key-1"},
            {b"X-API-Key": "第二个".encode()},
        ):
            assert api.http.post(SEARCH, json={"query": "退票"}, headers=headers).status_code == 200
        assert api.http.get("/v1/nosuch").status_code == 401, "nor can names be guessed"
        assert [api.http.get(path).status_code for path in ("/healthz", "/readyz", "/metrics", "/")] == [200] * 4
        assert "first-key" not in api.said()
