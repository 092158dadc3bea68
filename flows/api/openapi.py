"""The service described for programs: OpenAPI 3.1.

The handlers are Starlette's, and this is made from the models that they check bodies with. FastAPI would make it, too,
but takes time at every request and at the start, and its own pages load scripts from elsewhere.
"""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from schemas.service import (
    BatchAnswer,
    CorporaAnswer,
    CorpusState,
    EditAnswer,
    EditRequest,
    EditsAnswer,
    ErrorAnswer,
    FeedbackAnswer,
    FeedbackRequest,
    Health,
    Limits,
    SearchAnswer,
    SearchRequest,
)


@dataclass(frozen=True)
class Endpoint:
    """One address, and what it takes and gives."""

    method: Literal["GET", "POST"]
    path: str
    name: str  # of the method of `Service`
    summary: str
    answers: tuple[type[BaseModel], ...] = ()  # in JSON; none: `media`
    asked: type[BaseModel] | None = None
    errors: tuple[int, ...] = ()
    media: str = "application/json"


_ASKED_ERRORS = (401, 404, 408, 413, 415, 422, 429, 503)

ENDPOINTS = (
    Endpoint("GET", "/", "page", "A page to try it out", media="text/html"),
    Endpoint("GET", "/openapi.json", "openapi", "This description"),
    Endpoint("GET", "/healthz", "healthz", "Whether the process lives", (Health,)),
    Endpoint("GET", "/readyz", "readyz", "Whether every corpus is loaded", (Health,), errors=(503,)),
    Endpoint("GET", "/metrics", "metrics", "Figures for Prometheus", media="text/plain"),
    Endpoint("GET", "/v1/corpora", "corpora", "All corpora", (CorporaAnswer,), errors=(401, 429)),
    Endpoint("GET", "/v1/{corpus}", "corpus", "What answers", (CorpusState,), errors=(401, 404, 429, 503)),
    Endpoint(
        *("POST", "/v1/{corpus}/search", "search", "The standard questions nearest to one query, or to each of a list"),
        answers=(SearchAnswer, BatchAnswer),
        asked=SearchRequest,
        errors=_ASKED_ERRORS,
    ),
    Endpoint(
        *("GET", "/v1/{corpus}/edits", "edits", "What was edited that the export does not have"),
        answers=(EditsAnswer,),
        errors=(401, 404, 429, 503),
    ),
    Endpoint(
        *("POST", "/v1/{corpus}/edits", "edit", "Add, edit or remove a standard question within seconds"),
        answers=(EditAnswer,),
        asked=EditRequest,
        errors=(*_ASKED_ERRORS, 403, 409),
    ),
    Endpoint(
        *("POST", "/v1/{corpus}/feedback", "feedback", "Which standard question would have been right"),
        answers=(FeedbackAnswer,),
        asked=FeedbackRequest,
        errors=(*_ASKED_ERRORS, 409),
    ),
)

_WHY = {
    401: "No key, or a wrong one",
    403: "Edits need a key, and the service has none for them, or not this one",
    404: "There is no such corpus",
    408: "The body came too slowly",
    409: "No query log is kept, or nothing is live",
    413: "The body is too large",
    415: "The body is not said to be JSON",
    422: "The body is no JSON, or not what is described here",
    429: "Too many requests at a time",
    503: "Not loaded yet, or a fault of the machine",
}
_EXAMPLES: dict[type[BaseModel], dict[str, Any]] = {
    SearchRequest: {
        "one query": {"value": {"query": "怎么提前还款", "top": 3}},
        "valid or not": {"value": {"query": "怎么提前还款", "valid_at": "any"}},
        "with reasons": {"value": {"query": "怎么提前还款", "top": 3, "explain": True}},
        "several": {"value": {"query": ["怎么提前还款", "how do I reset my password"]}},
    },
    EditRequest: {
        "a new one": {
            "value": {
                "action": "add",
                "standard_question": "如何开通数字人民币",
                "similar_queries": ["数字人民币怎么开"],
                "payload": {"answer": "在应用里点钱包"},
            }
        },
        "no longer": {"value": {"action": "remove", "standard_question": "如何办理存折"}},
    },
    FeedbackRequest: {
        "the right one": {"value": {"query_id": "9f86d081884c7d65", "standard_question": "如何提前还款"}},
        "none of them": {"value": {"query_id": "9f86d081884c7d65", "standard_question": None}},
    },
}


def describe(limits: Limits) -> dict[str, Any]:
    """Return the OpenAPI document of a service with these limits."""
    asked = [one.asked for one in ENDPOINTS if one.asked]
    given: list[type[BaseModel]] = [*(model for one in ENDPOINTS for model in one.answers), ErrorAnswer]
    modes: list[tuple[type[BaseModel], Literal["validation", "serialization"]]] = [(one, "validation") for one in asked]
    modes += [(one, "serialization") for one in dict.fromkeys(given)]
    _, schemas = models_json_schema(modes, ref_template="#/components/schemas/{model}")
    paths: dict[str, dict[str, Any]] = {}
    for one in ENDPOINTS:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    said = ", ".join(f"{field.description} {getattr(limits, name):,}" for name, field in Limits.model_fields.items())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "dssm",
            "version": version("dssm-pipeline"),
            "description": f"Finds the standard question for a query. Limits: {said}.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _operation(one: Endpoint) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "The answer"}
    refs = [_ref(model) for model in one.answers]
    schema = {} if not refs else refs[0] if len(refs) == 1 else {"oneOf": refs}
    answer["content"] = {one.media: {"schema": schema}}
    errors = {
        str(status): {"description": _WHY[status], "content": {"application/json": {"schema": _ref(ErrorAnswer)}}}
        for status in sorted(one.errors)
    }
    operation: dict[str, Any] = {"operationId": one.name, "summary": one.summary, "responses": {"200": answer} | errors}
    if "{corpus}" in one.path:
        corpus = {"name": "corpus", "in": "path", "required": True, "schema": {"type": "string"}, "example": "bank"}
        operation["parameters"] = [corpus]
    if one.asked:
        content = {"schema": _ref(one.asked), "examples": _EXAMPLES[one.asked]}
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    if 401 in one.errors:
        operation["security"] = [{}, {"bearer": []}, {"key": []}]
    return operation


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
