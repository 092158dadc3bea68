"""Errors of a request, each with its HTTP status and the word that programs go by. Pure."""

from typing import Any

from pydantic_core import to_json
from starlette.responses import Response


class Refusal(Exception):
    """A request that is not answered; the message says what, where and what to do."""

    def __init__(self, status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, kind, message, headers)
        self.status, self.kind, self.message, self.headers = status, kind, message, headers or {}


class Json(Response):
    """JSON in UTF-8, whatever the texts hold."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - as Starlette has it
        """Return the bytes."""
        return to_json(content)


def as_response(refusal: Refusal, request_id: str) -> Json:
    """Return the one shape of every error."""
    problem = {"kind": refusal.kind, "message": refusal.message, "request_id": request_id}
    return Json({"error": problem}, refusal.status, refusal.headers)
