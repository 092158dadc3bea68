"""What train reports of a candidate: how the loss went, what was chosen, and whether it converged."""

from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict

from schemas.language import Message

Cause = Literal["none", "unreachable target", "ordered data", "noisy labels", "too few steps", "collapse", "unknown"]


class Epoch(BaseModel):
    """One epoch of one phase."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phase: Literal["choose", "refit"]
    epoch: int  # from 1
    loss: float  # mean over rows
    batch_loss_spread: float  # standard deviation of batch losses over their mean: the oscillation
    recall_at_10: float | None = None  # on the validation cut, while choosing
    validation_scores: list[float] | None = None  # of each row there; only until the choice is made


OnEpoch = Callable[[Epoch, int], None]  # called with the record, and the most epochs the phase can have


class Reachability(BaseModel):
    """What the loss can reach at best, from its settings alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    floor: float  # no placement of the vectors has a lower loss; reached where classes have equally many rows
    first: float  # loss of a fresh model: all cosines equal
    reachable_fall: float  # (first - floor) / (first - what an unbounded gap would give)
    advice: str  # empty when the target can be reached
    message: Message | None = None  # the advice, for any language
    corrected: str = ""  # what loss.unreachable = "auto" changed, and why


class Convergence(BaseModel):
    """The verdict on a finished training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    converged: bool
    cause: Cause
    sentence: str  # one line for a person
    reasons: dict[Cause, Message] = {}  # why it did not, for any language; the cause first
    loss_fall: float  # (first - last) / first
    reducible_fall: float  # (first - last) / (first - floor), at most 1: 0.9 works, 0.95 is good (the article)
    own_fall: float  # (start - last) / (start - floor), start that of the fresh model: what training itself has done
    oscillation: float  # batch_loss_spread of the last epoch
    effective_rank: float  # of the class vectors: exp of the entropy of their singular values
    tail_cosine: float | None  # between small classes' vectors; None: fewer than two
    batch_variety: float  # standard questions in a batch over those in one of shuffled rows: 0 ordered, 1 shuffled
    mislabelled: float | None  # least share of rows labelled at random, from their texts; None: all classes of one row
    training_recall_at_1: float  # of a sample of the training rows


class ShareScore(BaseModel):
    """What one division of a score among towers, encoder and kept queries finds on the validation rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: float  # share of the encoder in a cosine; the towers have the rest
    queries: float  # share of the kept queries in the score of the first standard questions
    fine_tuned: bool = False  # whether the encoder is
    recall_at_1: float
    recall_at_10: float


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
    shares: list[ShareScore] = []  # beside an encoder: what was chosen from

    def ablation(self) -> dict[str, ShareScore]:
        """Return what the chosen shares find, and what is found without one part: empty without an encoder beside.

        Each part is left out at the best shares of the others.
        """
        if not self.shares:
            return {}
        encoder, queries = (float(self.chosen[name]) for name in ("encoder_share", "exemplar_weight"))
        tuned = bool(self.chosen.get("fine_tuning_steps"))
        parts = {
            "chosen": [s for s in self.shares if (s.encoder, s.queries, s.fine_tuned) == (encoder, queries, tuned)],
            "frozen": [s for s in self.shares if tuned and s.encoder and not s.fine_tuned],
            "without_encoder": [s for s in self.shares if s.encoder == 0],
            "without_towers": [s for s in self.shares if s.encoder == 1],
            "without_queries": [s for s in self.shares if s.queries == 0],
        }
        return {
            name: max(scores, key=lambda score: score.recall_at_1 + score.recall_at_10)
            for name, scores in parts.items()
            if scores
        }
