"""What the data doctor says of a corpus, and what was made of it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

ActionKind = Literal["feed", "merge", "split", "fix", "rewrite", "new", "add"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Slope(_Frozen):
    """How fast misses fall as a class grows: twice the rows leave 2 to the power of -exponent of them."""

    exponent: float
    misses: int  # that it was measured on; 0: the usual one


class Curve(_Frozen):
    """The learning curves of a corpus: for recall@1 and recall@10 (by k), one per class size."""

    slopes: dict[int, dict[str, Slope]]
    measured: bool = False  # by models that have not seen the rows; else the usual ones


class Gain(_Frozen):
    """Recall as it is and as it will be, over all queries."""

    recall_at_1: float
    recall_at_10: float
    recall_at_1_after: float
    recall_at_10_after: float

    @property
    def points(self) -> float:
        """What recall@10 wins, in points."""
        return 100 * (self.recall_at_10_after - self.recall_at_10)
