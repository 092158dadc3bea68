"""HTTP itself: what is no HTTP is answered in the shape of every other error."""

import secrets

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from flows.api.refusals import Refusal, as_response


class Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's, but for its plain-text 400."""

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed, and hang up; an answer that has begun is not written into."""
        if self.cycle is None or not self.cycle.response_started:
            request_id = secrets.token_hex(8)
            body = bytes(as_response(Refusal(400, "no_http", f"{msg} Send HTTP/1.1 with UTF-8 JSON."), request_id).body)
            head = (
                "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
                f"x-request-id: {request_id}\r\ncontent-length: {len(body)}\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()
