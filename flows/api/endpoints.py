"""What each address of the service does."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from importlib.resources import files
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from flows.api.front import Gone, Keys
from flows.api.metrics import CONTENT_TYPE, Metrics
from flows.api.openapi import ENDPOINTS, describe
from flows.api.refusals import Json, Refusal
from schemas.edits import Edit, Overlay
from schemas.errors import EditError, FilterError, NothingLive
from schemas.explanations import Explanation
from schemas.service import CorpusState, EditRequest, FeedbackRequest, Limits, SearchRequest, explain
from tasks.registry import ModelRegistry
from tasks.retrieval.corpora import Corpora, Served
from tasks.retrieval.edits import Edited, drop_edit, edit_live, live_overlay
from tasks.retrieval.explain import explain as explain_query
from tasks.retrieval.query_log import QueryLog
from tasks.retrieval.retriever import Answer as Found
from tasks.retrieval.retriever import Hit, Model
from tasks.version_files import now

_Model = TypeVar("_Model", bound=BaseModel)
_AT_ONCE = 300  # characters; more are answered in a thread, since others would wait for milliseconds
_LOGGED, _LOGGED_KEYS = 5, ("standard_question", "id", "score")  # results of a query in the log
_EXPLAINED = 3  # results of a query, where it is asked for


class Service:
    """The endpoints, each a method of the name it has in `ENDPOINTS`."""

    def __init__(
        self, corpora: Corpora, limits: Limits, metrics: Metrics, log: QueryLog | None, edit_keys: Keys | None = None
    ) -> None:
        self._corpora, self._limits, self._metrics, self._log = corpora, limits, metrics, log
        self._edit_keys = edit_keys

    def routes(self) -> list[Route]:
        """Return all of them."""
        return [Route(one.path, getattr(self, one.name), methods=[one.method]) for one in ENDPOINTS]

    async def page(self, _: Request) -> Response:
        """Show the page to try it out; it asks nobody but this service."""
        return HTMLResponse(self._page, headers={"Content-Security-Policy": _POLICY})

    @cached_property
    def _page(self) -> str:
        return files("flows.api").joinpath("page.html").read_text("utf-8")

    async def openapi(self, _: Request) -> Response:
        """Describe the service to programs."""
        return Json(self._openapi)

    @cached_property
    def _openapi(self) -> dict[str, Any]:
        return describe(self._limits)

    async def healthz(self, _: Request) -> Response:
        """Say that the process lives."""
        return Json({"status": "ok"})

    async def readyz(self, _: Request) -> Response:
        """Say whether every corpus is loaded."""
        if not self._corpora.ready:
            raise Refusal(503, "not_ready", _say_missing(self._corpora.missing()), {"Retry-After": "1"})
        return Json({"status": "ready"})

    async def metrics(self, _: Request) -> Response:
        """Return what Prometheus reads."""
        return Response(self._metrics.render(self._corpora), media_type=CONTENT_TYPE)

    async def corpora(self, _: Request) -> Response:
        """List what answers."""
        states = [_describe(served).model_dump() for served in self._corpora.served()]
        return Json({"corpora": states, "not_loaded": self._corpora.missing()})

    async def corpus(self, request: Request) -> Response:
        """Say what answers for one corpus."""
        return Json(_describe(self._find(request)).model_dump())

    async def search(self, request: Request) -> Response:
        """Answer one query or a list of them, from one version."""
        served = self._find(request)
        asked = await self._read(request, SearchRequest)
        queries, model = asked.queries, served.model
        wanted = queries, asked.top, asked.filters, asked.valid_at
        try:
            if sum(map(len, queries)) <= _AT_ONCE:
                found = model.answer(*wanted)
            else:
                found = await asyncio.to_thread(model.answer, *wanted)
        except FilterError as error:
            raise Refusal(422, "unknown_filter", f"filters: {error}") from None
        why = await asyncio.to_thread(_explain, model, asked) if asked.explain else [[]] * len(queries)
        corpus = served.manifest.corpus
        self._metrics.queries.labels(corpus).inc(len(queries))
        for decision, count in Counter(one.decision or "none" for one in found).items():
            self._metrics.decisions.labels(corpus, decision).inc(count)
        answers = [_as_answer(*one) for one in zip(queries, found, why, strict=True)]
        head = {"corpus": corpus, "version": model.version}
        self._note(request, head, answers)
        return Json(head | answers[0] if isinstance(asked.query, str) else head | {"answers": answers})

    async def edits(self, request: Request) -> Response:
        """List what was edited that the export does not have."""
        served = self._find(request)
        corpus = served.manifest.corpus
        version, overlay = await asyncio.to_thread(_read_edits, self._corpora.registry(corpus), served.model.version)
        return Json({"corpus": corpus, "version": version} | overlay.model_dump(mode="json", include={"edits"}))

    async def edit(self, request: Request) -> Response:
        """Add, edit or remove a standard question, or drop an edit."""
        self._check_may_edit(request)
        served = self._find(request)
        asked = await self._read(request, EditRequest)
        corpus, model = served.manifest.corpus, served.model
        try:
            made = await asyncio.to_thread(_make_edit, self._corpora.registry(corpus), asked, model)
        except EditError as error:
            raise Refusal(422, "invalid_edit", str(error)) from None
        except NothingLive as error:
            raise Refusal(409, "nothing_live", str(error)) from None
        facts = {"corpus": corpus, "version": made.version, "standard_questions": made.standard_questions}
        facts["expected"] = made.expected and made.expected.model_dump()
        facts["warnings"] = made.warnings
        facts["elsewhere"] = made.elsewhere
        return Json(facts | made.overlay.model_dump(mode="json", include={"edits"}))

    def _check_may_edit(self, request: Request) -> None:
        if self._edit_keys is None:
            raise Refusal(
                403, "edits_closed", "edits need a key: start the service with DSSM_API_KEYS or DSSM_API_EDIT_KEYS"
            )
        try:
            self._edit_keys.check(request.scope["header"])
        except Refusal:
            raise Refusal(403, "no_edit_key", "edits need another key, one of DSSM_API_EDIT_KEYS") from None

    async def feedback(self, request: Request) -> Response:
        """Note which standard question would have been right."""
        served = self._find(request)
        given = await self._read(request, FeedbackRequest)
        if self._log is None:
            raise Refusal(
                409, "no_query_log", "no query log is kept here: start the service with DSSM_QUERY_LOG=FILE.jsonl"
            )
        if given.standard_question is not None and given.standard_question not in served.model.standard_questions:
            raise Refusal(
                422,
                "unknown_standard_question",
                f"standard_question: {given.standard_question[:100]!r} is none of the {len(served.model.ids)} of "
                f"corpus {served.manifest.corpus!r}; give one just as an answer spells it, or null",
            )
        head = {"corpus": served.manifest.corpus, "version": served.model.version}
        self._log.add({"at": now(), "kind": "feedback", "request_id": request.scope["request_id"]} | head | dict(given))
        return Json({"query_id": given.query_id, "recorded": True})

    def _find(self, request: Request) -> Served:
        name = request.path_params["corpus"]
        if served := self._corpora.get(name):
            return served
        if why := self._corpora.missing().get(name):
            raise Refusal(503, "not_loaded", f"corpus {name!r} cannot be answered for yet: {why}", {"Retry-After": "1"})
        known = ", ".join(one.manifest.corpus for one in self._corpora.served()[:10]) or "none"
        raise Refusal(404, "unknown_corpus", f"there is no corpus {name[:100]!r}; there are: {known}")

    async def _read(self, request: Request, model: type[_Model]) -> _Model:
        """Return the JSON of a request's body as a model; whatever is wrong with it is refused."""
        kind = request.scope["header"].get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != b"application/json":
            raise Refusal(
                415,
                "wrong_content_type",
                f"the body has content type {kind.decode('latin-1')[:100]!r}; send JSON, and the header "
                "Content-Type: application/json",
            )
        body = await self._read_body(request)
        try:
            return model.model_validate_json(body, context={"limits": self._limits})
        except ValidationError as error:
            raise Refusal(422, "invalid", explain(error.errors(include_url=False, include_input=False))) from None

    async def _read_body(self, request: Request) -> bytes:
        """Return the whole body; refused as soon as it is too large, whatever its header says, or too slow."""
        length = request.scope["header"].get(b"content-length", b"0")
        if int(length) > self._limits.body_bytes:
            raise self._too_large(f"{int(length)} bytes")
        body, more = b"", True
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                while more:
                    message = await request.receive()
                    if message["type"] == "http.disconnect":
                        raise Gone
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > self._limits.body_bytes:
                        raise self._too_large("more")
        except TimeoutError:
            seconds = self._limits.body_seconds
            raise Refusal(
                408, "too_slow", f"the body did not arrive within {seconds:g} s", {"Connection": "close"}
            ) from None
        return body

    def _too_large(self, size: str) -> Refusal:
        most = self._limits.body_bytes
        return Refusal(413, "too_large", f"the body has {size}, at most {most} bytes are read; send fewer queries")

    def _note(self, request: Request, head: dict[str, str], answers: Sequence[dict[str, Any]]) -> None:
        if self._log is None:
            return
        start = {"at": now(), "kind": "query", "request_id": request.scope["request_id"]} | head
        for one in answers:
            results = [{key: result[key] for key in _LOGGED_KEYS} for result in one["results"][:_LOGGED]]
            self._log.add(start | one | {"results": results})


def _read_edits(registry: ModelRegistry, loaded: str) -> tuple[str, Overlay]:
    """Return the version that is live, which may not be loaded yet, and its overlay: who has just edited finds it."""
    registry.follow()
    version = registry.cached_live().version or loaded
    return version, live_overlay(registry, version)


def _make_edit(registry: ModelRegistry, asked: EditRequest, model: Model) -> Edited:
    if asked.action == "drop":
        return drop_edit(registry, asked.standard_question)
    given = asked.model_dump() | {"standard_question": asked.standard_question.strip()}
    return edit_live(registry, Edit.model_validate(given), model)


def _explain(model: Model, asked: SearchRequest) -> list[list[Explanation]]:
    """Return why the first results of each query were found."""
    top = min(asked.top, _EXPLAINED)
    return [[one.why for one in explain_query(model, q, top, asked.filters, asked.valid_at)] for q in asked.queries]


def _as_answer(query: str, found: Found, why: Sequence[Explanation]) -> dict[str, Any]:
    """Return an `Answer`."""
    results = _as_results(found.hits)
    for result, explanation in zip(results, why, strict=False):
        result["why"] = explanation.model_dump()
    return {
        "query_id": secrets.token_hex(8),
        "query": query,
        "results": results,
        "decision": found.decision,
        "probability": found.probability and round(found.probability, 4),
        "offers": _as_results(found.offers),
    }


def _as_results(hits: Sequence[Hit]) -> list[dict[str, Any]]:
    return [
        {
            "standard_question": hit.standard_question,
            "id": hit.id,
            "score": round(hit.score, 6),
            "payload": hit.payload,
        }
        for hit in hits
    ]


def _describe(served: Served) -> CorpusState:
    manifest = served.manifest
    return CorpusState(
        corpus=manifest.corpus,
        version=manifest.version,
        made=manifest.made,
        live_since=served.live_since,
        standard_questions=len(served.model.ids),
        fields=dict(served.model.payload.fields) if served.model.payload else {},
        recall_at_1=manifest.recall_at_1,
        recall_at_10=manifest.recall_at_10,
        test_rows=manifest.test_rows,
        run=manifest.run,
    )


def _say_missing(missing: dict[str, str]) -> str:
    some = [why if name == "*" else f"{name}: {why}" for name, why in list(missing.items())[:3]]
    more = f" (and {len(missing) - 3} more)" if len(missing) > 3 else ""
    return "; ".join(some) + more


_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
