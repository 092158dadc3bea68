"""The results of evaluate: evaluation.json, which holds no times, paths, run ids or figures of the live version."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from schemas.changes import Changes
from schemas.decisions import Decision


class Interval(BaseModel):
    """A measured share, or a difference of two, with its 95 % interval over test rows (macro: over classes)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float
    high: float


class Metrics(BaseModel):
    """Retrieval quality on some rows. Each query has one right answer, so recall@k equals the hit rate@k."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    recall_at_1: Interval
    recall_at_5: Interval
    recall_at_10: Interval
    mrr: Interval
    macro_recall_at_10: Interval


class Beside(BaseModel):
    """A figure of the candidate minus that of a baseline, on the same rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    won: int  # where the candidate is ahead
    lost: int
    gain: Interval
    chance: float  # of so low a gain, were each row as likely to be won as lost


class ClassResult(BaseModel):
    """The results of one standard question in the test rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    standard_question: str
    train_rows: int
    test_rows: int
    recall_at_1: float
    recall_at_10: float
    confused_with: list[str]  # standard questions ranked first instead, most frequent first


class ConfusedPair(BaseModel):
    """Two standard questions, and how often one is ranked first where the other is right."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    standard_question: str  # the right one
    ranked_first: str
    rows: int  # test rows
    near_duplicate: bool  # the two texts are hardly different: a fault of the corpus, not of the model


class SuspectRow(BaseModel):
    """A training row that the model places elsewhere although it was trained on it: probably mislabelled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row_id: int
    query: str
    standard_question: str
    suggested: str
    margin: float  # score of the suggested minus that of the label, > 0


class Zone(BaseModel):
    """Test rows with one decision."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    right: int  # whose first answer is right
    offered_right: int  # of a choice: that hold the right one


class RiskPoint(BaseModel):
    """What share of answers would be wrong if the surest were given to this share of all queries."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answered: float
    wrong: float
    probability: float  # from which on


class Foreign(BaseModel):
    """How queries that are not of the corpus are told from its test rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    auroc: float
    rejected: float  # share, where 95 % of the test rows are kept
    handed_over: float  # share, as the model decides
    answered: float  # share that gets a direct answer, and a wrong one


class Decided(BaseModel):
    """How the test rows are decided."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    held_out: int  # queries that it was calibrated on
    max_wrong: float  # the promises
    max_handed_over: float
    answer_from: float | None  # probability; None: nothing is answered directly
    rows: int
    zones: dict[Decision, Zone]
    wrong: Interval  # share of direct answers
    handed_over: Interval  # share of the test rows
    curve: list[RiskPoint]
    by_class_size: dict[str, Zone]  # direct answers by training rows of the right standard question
    left_out: Foreign | None  # the test rows, each without its own standard question; None: there are too few
    foreign: Foreign | None  # None: none are given


class Evaluation(BaseModel):
    """Everything measured of one candidate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    corpus: str
    test_rows: int
    classes: int
    untested_classes: int
    unknown_test_rows: int  # their standard question is not in the corpus: counted as misses
    overlap_rows: int  # test rows whose query also stands in train
    model: Metrics
    # any standard question with the same answer counts as found; None: the owner has grouped none
    grouped: Metrics | None = None
    without_overlap: Metrics | None  # None: no overlap
    by_class_size: dict[str, Metrics]  # "1-3", "4-10", "11-50", ">50" training rows
    baselines: dict[str, Metrics]  # "bm25", "tfidf"
    baselines_by_class_size: dict[str, dict[str, Metrics]]
    against: dict[str, dict[str, Beside]] = {}  # by baseline; "recall@10", "recall@1" and "MRR"
    classes_worst: list[ClassResult]  # most misses among the first ten, most first
    confused: list[ConfusedPair] = []  # most rows first
    suspects: list[SuspectRow]  # the widest margins first; all stand in suspects.parquet
    decided: Decided | None = None  # None: too few queries were held out to decide by

    @property
    def measured(self) -> bool:
        """Whether any test row has a standard question of the corpus; if not, a recall of 0 means nothing."""
        return self.test_rows > self.unknown_test_rows


class Paired(BaseModel):
    """A figure of the candidate minus that of the live version, on the same rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gain: Interval
    at_most: float  # as that of `Difference`


class Difference(BaseModel):
    """recall@10 of the candidate minus that of the live version, on the same rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    won: int  # rows that only the candidate finds
    lost: int  # rows that only the live version finds
    recall_at_10: Interval  # paired over rows
    at_most: float  # one-sided upper bound; publish.confidence holds for all comparisons of one night together
    places: dict[str, Paired] = {}  # "recall@1" and "MRR", on all rows: where there are ten answers, all are found


class ComparedDecisions(BaseModel):
    """The direct answers of the candidate and of the live version, on the same rows; shares are of all these rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    live_answered: float
    live_wrong: float  # share of its direct answers
    more_right: Paired  # right direct answers
    fewer_wrong: Paired  # wrong direct answers


class Comparison(BaseModel):
    """The candidate beside the live version on the same test rows. Kept out of evaluation.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str  # the live one
    live: Metrics  # on all test rows, those seen in a training included
    live_by_class_size: dict[str, Metrics] = {}
    seen_rows: int = 0  # test rows whose query one of the two was trained on: left out below
    difference: Difference
    by_class_size: dict[str, Difference] = {}
    decided: ComparedDecisions | None = None  # None: one of the two decides nothing, or they promise different things
    changed: Changes | None = None  # of what customers asked; None: publish.changes_log is empty, or cannot be read
    golden: "Golden | None" = None  # how the live version answers the golden queries; None: there are none


class GoldenMiss(BaseModel):
    """A golden query whose standard question is not among the first `golden_top` answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    query: str
    standard_question: str
    instead: str  # ranked first
    place: int | None  # where the right one stands, from 1; None: not among the first max(top, 10)
    where: str  # file and line


class Golden(BaseModel):
    """How the candidate answers the golden queries."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    queries: int
    top: int  # right is among the first so many
    misses: list[GoldenMiss]


Passing = Literal["passed", "warned", "held", "not asked"]


class Gate(BaseModel):
    """One question that a candidate must answer before it goes live."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    outcome: Passing
    measured: str
    bound: str  # with the setting that changes it
    reason: str = ""  # of a warning or a hold-back: one finished sentence, with what to do
    override: str = ""  # as --set takes it: what lets the same candidate pass; empty: nothing should
