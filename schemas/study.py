"""What `dssm study` runs and says: the article's experiments, and ours beside its figures."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from schemas.evaluation import Interval

Tower = Literal["bag", "lstm"]
Verdict = Literal["reproduces", "does not reproduce", "not distinguishable", "holds", "does not hold"]


class Experiment(BaseModel):
    """One training of the study. Its role says what it is compared with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: str  # e.g. "first-n"; "recipe" is the article's, "default" the pipeline's own settings
    title: str  # for a table
    question: str  # what it answers
    corpus: str
    overrides: dict[str, Any]  # of the corpus's settings
    article: str = ""  # what the article found; empty: it does not say
    article_recall_at_10: float | None = None

    @property
    def tower(self) -> Tower:
        """The tower that is trained; the pipeline's default is a bag."""
        tower: Tower = self.overrides.get("model", {}).get("tower", "bag")
        return tower

    @property
    def name(self) -> str:
        """Unique in a study."""
        return f"{self.corpus}-{self.role}" + ("" if self.role == "default" else f"-{self.tower}")


class Measured(BaseModel):
    """What came of one experiment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    experiment: Experiment
    train_rows: int
    test_rows: int
    classes: int
    parameters: int
    recall_at_10: Interval
    recall_at_1: Interval
    small_recall_at_10: Interval | None  # of classes with one to three training rows; None: none was tested
    small_test_rows: int
    losses: list[float]  # mean of each epoch
    spreads: list[float]  # deviation of the batch losses of each epoch over their mean
    first_loss: float  # of a fresh model
    floor: float  # lowest loss that geometry allows
    reachable_fall: float  # (first - floor) / first
    loss_fall: float  # (first - last) / first
    reducible_fall: float  # (first - last) / (first - floor)
    oscillation: float  # spread of the last epoch
    effective_rank: float
    tail_cosine: float | None
    sentence: str  # the verdict of training
    seconds: float  # of this study; little where the steps were re-used
    reused: bool

    @property
    def early_share(self) -> float:
        """Share of the whole fall of the loss that the first three epochs brought."""
        whole = self.first_loss - min(self.losses)
        return (self.first_loss - min(self.losses[:3])) / whole if whole > 0 else 0.0

    @property
    def reached_share(self) -> float:
        """Share of the reachable fall of the loss that was reached."""
        return self.loss_fall / self.reachable_fall if self.reachable_fall else 0.0

    def epochs_until(self, share: float) -> int | None:
        """Return after how many epochs the reducible loss had fallen by `share`; None: never."""
        whole = self.first_loss - self.floor
        fallen = (number for number, loss in enumerate(self.losses, 1) if self.first_loss - loss >= share * whole)
        return next(fallen, None)


class Difference(BaseModel):
    """Recall@10 of one experiment minus that of another; paired over rows where both have the same test rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: str  # name of an experiment
    against: str
    recall_at_10: Interval
    paired: bool


class Finding(BaseModel):
    """One finding of the article beside ours. The words are made from the numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str
    article: str  # empty: the article does not say
    ours: str
    verdict: Verdict


class Study(BaseModel):
    """study.json: everything that was measured, and what follows from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    experiments: list[Measured]
    differences: list[Difference]
    findings: list[Finding]
    seconds: float
