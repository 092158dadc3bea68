"""What the HTTP service takes and gives. The names of fields are a contract: some are added, none is renamed."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from schemas.decisions import Decision
from schemas.edits import Edit, Expected, Value
from schemas.explanations import Explanation
from schemas.filters import check_filters, parse_valid_at

_EXPLAINED = 16  # queries of a request
QUERY_ID = r"^[0-9a-f]{16}$"


class Limits(BaseModel):
    """How much one request, and all of them together, may ask of a process of the service."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    body_bytes: int = Field(default=1 << 20, ge=1, description="most bytes of a request's body")
    batch: int = Field(default=128, ge=1, description="most queries of a request")
    characters: int = Field(default=1000, ge=1, description="most characters of a query")
    top: int = Field(default=100, ge=1, description="most standard questions per query")
    concurrency: int = Field(default=64, ge=1, description="most requests at a time")
    body_seconds: float = Field(default=10, gt=0, description="longest wait for a whole body")


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError(f"holds a NUL character at place {text.index(chr(0))}; leave it out")
    return text


Text = Annotated[str, AfterValidator(_without_nul)]


def _check_queries(query: Any) -> Any:  # noqa: ANN401 - whatever a caller gives
    """Return a text or a list of texts; a union of the two would complain of the one that does not apply, too."""
    if isinstance(query, str):
        return _without_nul(query)
    if not isinstance(query, list):
        raise ValueError("give a text or a list of texts")
    if not query:
        raise ValueError("the list is empty")
    for place, text in enumerate(query):
        if not isinstance(text, str):
            raise ValueError(f"give texts; what stands at place {place} is none")
        if "\0" in text:
            raise ValueError(f"the text at place {place} holds a NUL character; leave it out")
    return query


def _check_filters(filters: Any) -> Any:  # noqa: ANN401 - as above
    return check_filters(filters)


def _check_valid_at(moment: Any) -> Any:  # noqa: ANN401 - as above
    if not isinstance(moment, str):
        raise ValueError("give a text: a moment, now, or any")
    return parse_valid_at(moment)


_VALUE = {"anyOf": [{"type": kind} for kind in ("string", "number", "boolean", "null")]}
_FILTERS_SCHEMA = {
    "type": "object",
    "additionalProperties": {
        "anyOf": [
            *_VALUE["anyOf"],
            {"type": "array", "items": _VALUE},
            {"type": "object", "properties": {"min": _VALUE, "max": _VALUE}, "additionalProperties": False},
        ]
    },
}
FilterValues = Annotated[Any, PlainValidator(_check_filters), WithJsonSchema(_FILTERS_SCHEMA)]
Moment = Annotated[Any, PlainValidator(_check_valid_at), WithJsonSchema({"type": "string"})]

Queries = Annotated[
    str | list[str],
    PlainValidator(_check_queries, json_schema_input_type=str | Annotated[list[str], Field(min_length=1)]),
]


class _Asked(BaseModel):
    """Of a caller: nothing is guessed, and what is not known is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SearchRequest(_Asked):
    """One query, or several."""

    query: Queries = Field(description="What a customer typed; or a list of such texts.", examples=["怎么提前还款"])
    top: int = Field(default=10, ge=1, description="How many standard questions to return per query.")
    filters: FilterValues = Field(
        default={},
        description="By field of the payload: a value, a list of which one is enough, or a range with min and max; "
        "null: the field is empty. All fields have to hold. Only what they leave is ranked.",
        examples=[{"category": "贷款", "channel": ["App", "微信"]}],
    )
    explain: bool = Field(
        default=False, description="Say why the first three were found: of at most 16 queries in a request."
    )
    valid_at: Moment = Field(
        default="now",
        description="When standard questions have to be valid: now, any (whether or not), or a moment, ISO 8601.",
    )

    @model_validator(mode="after")
    def _within_limits(self, info: ValidationInfo) -> Self:
        limits: Limits = (info.context or {}).get("limits", Limits())
        if len(self.queries) > limits.batch:
            raise ValueError(f"query holds {len(self.queries)} texts, at most {limits.batch} go in one request")
        if self.top > limits.top:
            raise ValueError(f"top is {str(self.top)[:20]}, at most {limits.top} are returned")
        if self.explain and len(self.queries) > _EXPLAINED:
            raise ValueError(f"explain: of at most {_EXPLAINED} queries in a request, not {len(self.queries)}")
        for place, text in enumerate(self.queries):
            if len(text) > limits.characters:
                where = "query" if isinstance(self.query, str) else f"query: the text at place {place}"
                raise ValueError(f"{where} has {len(text)} characters, at most {limits.characters} are read")
        return self

    @property
    def queries(self) -> list[str]:
        """All texts, in order."""
        return [self.query] if isinstance(self.query, str) else self.query


class FeedbackRequest(_Asked):
    """Which standard question would have been right."""

    query_id: str = Field(pattern=QUERY_ID, description="From the answer to the query.", examples=["9f86d081884c7d65"])
    standard_question: Text | None = Field(
        description="Text of the right standard question; null: none of them is.", examples=["如何提前还款"]
    )


class EditRequest(_Asked):
    """A standard question to add, edit or remove, or an edit to drop; live within seconds, without training."""

    action: Literal["add", "edit", "remove", "drop"] = Field(
        description="drop: forget an earlier edit; the next run goes by the export alone."
    )
    standard_question: Text = Field(
        description="Its text, as the live version has it, or its id.", examples=["如何提前还款"]
    )
    text: Text | None = Field(
        default=None,
        description="edit: what it is called from now on; the text of before is kept as a similar query.",
    )
    id: Text | None = Field(default=None, description="add: its id; its text otherwise.")
    similar_queries: list[Text] = Field(default=[], description="What customers type; added to those it has.")
    payload: dict[str, Value] = Field(
        default={}, description="Values by field; null: none. `answer` is the field of answers, whatever its name."
    )


class EditAnswer(BaseModel):
    """What came of an edit; it answers within a second or two."""

    model_config = ConfigDict(extra="forbid")

    corpus: str
    version: str = Field(description="The version made.")
    standard_questions: int
    expected: Expected | None = Field(description="How often it may be found; null: not measured for as many queries.")
    warnings: list[str] = Field(description="What may be a mistake, such as a field that no other one has.")
    elsewhere: list[str] = Field(description="Its similar queries that another standard question has, and where.")
    edits: list[Edit] = Field(description="All edits that the export does not have.")


class EditsAnswer(BaseModel):
    """All edits that the export does not have; every run makes them again until it has them."""

    model_config = ConfigDict(extra="forbid")

    corpus: str
    version: str
    edits: list[Edit]


class Result(BaseModel):
    """One standard question found."""

    model_config = ConfigDict(extra="forbid")

    standard_question: str
    id: str
    score: float = Field(description="At most 1; comparable within one version.")
    why: Explanation | None = Field(default=None, description="Only where it was asked for.")
    payload: dict[str, Any] = Field(
        description="What the list of standard questions says of it besides: answer, category, validity, anything."
    )


class Answer(BaseModel):
    """What was found for one query; nothing for an empty one."""

    model_config = ConfigDict(extra="forbid")

    query_id: str = Field(pattern=QUERY_ID, description="Names this query in feedback and in the query log.")
    query: str
    results: list[Result] = Field(description="Best first.")
    decision: Decision | None = Field(
        description="Answer with the first result, let the customer choose (clarify), or hand over to a person; null: "
        "the version was made without held-out queries to decide by."
    )
    probability: float | None = Field(description="That the first result is right; null as above.")
    offers: list[Result] = Field(description="To clarify: the 2 to 4 standard questions to choose from, best first.")


class SearchAnswer(Answer):
    """The answer to one query."""

    corpus: str
    version: str = Field(description="The model that answered.")


class BatchAnswer(BaseModel):
    """The answers to a list of queries, in its order, all from one version."""

    model_config = ConfigDict(extra="forbid")

    corpus: str
    version: str
    answers: list[Answer]


class CorpusState(BaseModel):
    """What answers for a corpus."""

    model_config = ConfigDict(extra="forbid")

    corpus: str
    version: str
    made: str = Field(description="When the version was made, ISO 8601, UTC.")
    live_since: str | None = Field(description="When it went live, ISO 8601, UTC.")
    standard_questions: int
    fields: dict[str, str] = Field(description="Of the payload, by name: text, number, date, moment or list.")
    recall_at_1: float = Field(description="On its test rows, before it was published.")
    recall_at_10: float
    test_rows: int
    run: str = Field(description="The run that made it.")


class CorporaAnswer(BaseModel):
    """All corpora that are answered for."""

    model_config = ConfigDict(extra="forbid")

    corpora: list[CorpusState]
    not_loaded: dict[str, str] = Field(description="Corpora that cannot be answered for yet, and why.")


class FeedbackAnswer(BaseModel):
    """Feedback was noted."""

    model_config = ConfigDict(extra="forbid")

    query_id: str
    recorded: bool


class Health(BaseModel):
    """Whether the process lives, or is ready."""

    model_config = ConfigDict(extra="forbid")

    status: str


class Problem(BaseModel):
    """What is wrong with a request."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(description="For programs: a word that does not change.", examples=["not_found"])
    message: str = Field(description="For people: what, where, and what to do.")
    request_id: str


class ErrorAnswer(BaseModel):
    """The one shape of every error."""

    model_config = ConfigDict(extra="forbid")

    error: Problem


def explain(problems: list[Any]) -> str:
    """Say in one line what pydantic found wrong with a request's body: the first three problems, each with its place.

    Args:
        problems: `ValidationError.errors()`.
    """
    said = list(dict.fromkeys(_say(one) for one in problems))
    more = f"; and {len(said) - 3} more" if len(said) > 3 else ""
    return "; ".join(said[:3]) + more


def _say(problem: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    where = ".".join(str(part)[:50] for part in problem["loc"])
    why = _WORDS.get(problem["type"], problem["msg"].removeprefix("Value error, "))
    if problem["type"] == "json_invalid":
        return f"the body is no JSON: {problem['ctx']['error']}"
    return f"{where}: {why}" if where else why


_WORDS = {
    "extra_forbidden": "is not known",
    "missing": "is missing",
    "string_type": "give a text",
    "int_type": "give a whole number",
    "greater_than_equal": "must be at least 1",
    "string_pattern_mismatch": "give the query_id of an answer, 16 characters from 0 to 9 and a to f",
    "model_type": "give a JSON object",
}
