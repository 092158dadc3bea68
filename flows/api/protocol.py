"""HTTP itself: what is no HTTP is answered in the shape of every other error."""

import secrets

from uvicorn.protocols.http.h11_impl import H11Protocol

from flows.api.refusals import Refusal, as_response


class Protocol(H11Protocol):
    """uvicorn's, but for its plain-text 400.

    Not the one on httptools, a tenth faster: it drops the body of a request that offers an upgrade, as Java's client
    does by default (h2c), and reads headers without end.
    """

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
