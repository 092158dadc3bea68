"""What train says of a candidate: how the loss went, what was chosen, and whether it converged."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Cause = Literal["none", "ordered data", "unreachable target", "collapse", "too few steps", "noisy labels"]


class Epoch(BaseModel):
    """One epoch of one phase."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phase: Literal["choose", "refit"]
    epoch: int  # from 1
    loss: float  # mean over rows
    batch_loss_spread: float  # standard deviation of batch losses over their mean: the oscillation
    recall_at_10: float | None = None  # on the validation cut, while choosing
    validation_scores: list[float] | None = None  # of each row there; only until the choice is made


class Reachability(BaseModel):
    """What the loss can reach at best, from its settings alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    floor: float  # lowest loss any placement of the vectors can have
    first: float  # loss of a fresh model: all cosines equal
    reachable_fall: float  # (first - floor) / (first - what an unbounded gap would give)
    advice: str  # empty when the target can be reached


class Convergence(BaseModel):
    """The verdict on a finished training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    converged: bool
    cause: Cause
    sentence: str  # one line for a person
    loss_fall: float  # (first - last) / first
    reducible_fall: float  # (first - last) / (first - floor): 0.9 works, 0.95 is good (the article)
    oscillation: float  # batch_loss_spread of the last epoch
    effective_rank: float  # of the class vectors: exp of the entropy of their singular values
    tail_cosine: float | None  # mean cosine between small classes' vectors; None: fewer than two


class TrainingReport(BaseModel):
    """All that train says. Holds no times, so that equal inputs give equal bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    classes: int
    parameters: int
    epochs: list[Epoch]
    chosen: dict[str, float | int | str]  # what the validation cut decided, e.g. {"epochs": 14}
    validation_recall_at_10: float | None
    negatives_used: bool  # False: exact softmax; the negatives file is written and proven all the same
    reachability: Reachability
    convergence: Convergence
