"""HTTP itself: what is no HTTP is answered in the shape of every other error."""

import secrets

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from flows.api.refusals import Refusal, as_response

_HEAD_BYTES = 64 << 10  # of a request's first line and headers together


class Protocol(HttpToolsProtocol):
    """uvicorn's, but for its plain-text 400, and with a bound on headers, which it reads without end."""

    _head_bytes: int | None = 0  # so far; None: they are complete

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes is not None and self._head_bytes > _HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"The headers have more than {_HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Count no longer; an address that is no ASCII is refused here."""
        self._head_bytes = None
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed, and hang up; an answer that has begun is not written into."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            request_id = secrets.token_hex(8)
            body = bytes(as_response(Refusal(400, "no_http", f"{msg} Send HTTP/1.1 with JSON."), request_id).body)
            head = (
                "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
                f"x-request-id: {request_id}\r\ncontent-length: {len(body)}\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()
