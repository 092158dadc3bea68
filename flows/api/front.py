"""What holds for every request: its id, its key, how many at a time; errors of one shape; what is counted."""

import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.api.metrics import Metrics
from flows.api.refusals import Refusal, as_response
from flows.faults import as_fault
from schemas.errors import MachineFault
from schemas.service import Limits

_LOGGER = logging.getLogger("dssm.api")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_GUARDED = "/v1/"


class Gone(Exception):
    """The caller hung up."""


class Keys:
    """The keys that open the service; none: it is open."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]

    def check(self, headers: dict[bytes, bytes]) -> None:
        """Refuse a request without one of the keys, in the same time wherever a wrong one differs from a right one."""
        if not self._digests:
            return
        given = headers.get(b"x-api-key", b"")
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer":
            given = token.strip()
        digest = hashlib.sha256(given).digest()
        if not sum([hmac.compare_digest(digest, one) for one in self._digests]):
            raise Refusal(
                401,
                "no_key",
                "this needs a key: send the header Authorization: Bearer KEY, or X-API-Key: KEY",
                {"WWW-Authenticate": "Bearer"},
            )


class Front:
    """ASGI: what every request passes first."""

    def __init__(self, app: ASGIApp, limits: Limits, keys: Keys, metrics: Metrics) -> None:
        self._app, self._limits, self._keys, self._metrics = app, limits, keys, metrics
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8).encode()
        scope["request_id"], scope["header"] = request_id.decode(), headers
        scope["app"] = self  # with one, Starlette's router raises what it does not find

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
            await send(message)

        try:
            await self._answer(scope, receive, send_with_id)
        except Gone:
            status = status or 499
        except Exception as error:
            refusal = _as_refusal(error, scope)
            self._metrics.rejections.labels(refusal.kind).inc()
            if status:  # its answer has begun
                raise
            await as_response(refusal, scope["request_id"])(scope, receive, send_with_id)
        finally:
            endpoint = getattr(scope.get("endpoint"), "__name__", "other")
            self._metrics.requests.labels(endpoint, str(status)).inc()
            self._metrics.seconds.labels(endpoint).observe(time.perf_counter() - began)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith(_GUARDED):
            await self._app(scope, receive, send)
            return
        self._keys.check(scope["header"])
        if self._in_flight >= self._limits.concurrency:
            raise Refusal(
                429,
                "too_many_requests",
                f"{self._limits.concurrency} requests are being answered already; try again in a second",
                {"Retry-After": "1"},
            )
        self._in_flight += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._in_flight -= 1


def _as_refusal(error: Exception, scope: Scope) -> Refusal:
    if isinstance(error, Refusal):
        return error
    if isinstance(error, HTTPException) and error.status_code == 404:
        return Refusal(
            404, "not_found", f"there is nothing at {scope['path'][:100]!r}; /openapi.json lists what there is"
        )
    if isinstance(error, HTTPException) and error.status_code == 405:
        headers = dict(error.headers or {})
        message = f"{scope['method'][:20]} is not for {scope['path'][:100]!r}; use {headers.get('Allow', 'another')}"
        return Refusal(405, "method_not_allowed", message, headers)
    fault = as_fault(error)
    if fault and fault.exit_code == MachineFault.exit_code:  # a full disk, a damaged file: the next try may do
        _LOGGER.error("request %s failed: %s", scope["request_id"], fault)
        return Refusal(503, "machine", str(fault), {"Retry-After": "5"})
    _LOGGER.error("request %s failed", scope["request_id"], exc_info=error)
    return Refusal(500, "fault", f"a fault of ours; the service's log says more of request {scope['request_id']}")
