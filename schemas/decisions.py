"""What a query is answered with: the first answer, a choice, or a person; and what a model stores to decide it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

Decision = Literal["answer", "clarify", "handover"]
DECISIONS: tuple[Decision, ...] = ("answer", "clarify", "handover")
FORMAT = 1
FEWEST_OFFERED, MOST_OFFERED = 2, 4  # standard questions of a choice


class Right(BaseModel):
    """The probability that the first answer is right: 1 / (1 + e^-(bias + score * score + margin * margin))."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bias: FiniteFloat
    score: FiniteFloat
    margin: FiniteFloat  # of the first answer's score over the second's


class Ours(BaseModel):
    """How much a query is like those of the corpus: bias + score * score + known * known; 0 is the usual one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bias: FiniteFloat
    score: FiniteFloat
    known: FiniteFloat  # share of the query's n-grams that the model knows


class Decisions(BaseModel):
    """decisions.json: fitted on queries of the corpus that the model had not seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    held_out: int  # queries it was fitted on
    right: Right
    ours: Ours
    answer_from: float | None = Field(ge=0, le=1)  # probability; None: no bound was kept, nothing is answered directly
    handover_below: FiniteFloat | None  # of `ours`; None: too few queries, nothing is handed over
    offer_within: FiniteFloat = Field(ge=0)  # of the first score: what a choice holds
    max_wrong: float  # the promise: share of direct answers
    max_handed_over: float  # and of answerable queries
