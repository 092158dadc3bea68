"""What changes for customers when another version answers."""

from pydantic import BaseModel, ConfigDict

from schemas.decisions import Decision


class Outcome(BaseModel):
    """What a query comes to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Decision | None  # None: a version stores nothing to decide by
    standard_question: str | None  # the first; None: nothing was found, or a person is asked

    def __str__(self) -> str:
        said = self.standard_question or ("nothing" if self.decision != "handover" else "")
        return ": ".join(part for part in (self.decision, said) if part)


class AnswerGroup(BaseModel):
    """Queries whose outcome changes in the same way."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    before: Outcome
    after: Outcome
    asked: int  # times
    queries: int  # different ones
    examples: list[str]  # the most frequent


class Changes(BaseModel):
    """The queries of a log, asked of two versions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    before: str
    after: str
    asked: int  # times
    queries: int  # different ones
    changed: int  # times
    groups: list[AnswerGroup]  # most frequent first

    @property
    def share(self) -> float:
        """The share of what was asked that changes."""
        return self.changed / self.asked if self.asked else 0.0
