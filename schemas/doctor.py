"""What the data doctor says of a corpus, and what was made of it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

ActionKind = Literal["feed", "merge", "group", "split", "fix", "rewrite", "new", "add"]


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


class Action(_Frozen):
    """One thing that the owner can do to her rows, with what it is forecast to bring."""

    kind: ActionKind
    standard_question: str
    why: str  # one sentence, in the language of the corpus
    query: str = ""  # of "fix"; of "split" those of the smaller part, a line each
    to: str = ""  # the standard question, or its new text, that is proposed
    new_queries: list[str] = []  # proposed ones, to be accepted
    effort: int = 1  # queries to write, or rows to decide about
    gain: float = 0.0  # points of recall@10, over all queries
    gain_at_1: float = 0.0
    drafted: bool = False  # a language model wrote the new queries

    @property
    def per_query(self) -> float:
        """Points of recall@10 won per query written or row decided about."""
        return self.gain / max(1, self.effort)


class Confusion(_Frozen):
    """Two standard questions that the model cannot tell apart, with queries that show it."""

    one: str
    other: str
    rows: int  # asked for the one and answered with the other, both ways
    examples: list[str]
    alike: bool  # hardly different in wording


class Plan(_Frozen):
    """What n more queries for each of the m neediest standard questions bring."""

    classes: int
    queries: int  # for each
    gain: Gain


class Week(_Frozen):
    """What was asked in one week."""

    start: str  # its Monday, ISO 8601
    queries: int
    unanswered: int


class Traffic(_Frozen):
    """How what customers ask differs from what the corpus has."""

    queries: int
    unanswered_share: float
    new_word_share: float  # of the words of the queries, those that the corpus does not have
    weeks: list[Week]  # empty: the log has no dates
    new_words: list[tuple[str, int]]  # most frequent first
    growing: list[tuple[str, int, int]]  # standard question, times in the earlier half of the log, and in the later
    dying: list[tuple[str, int, int]]  # the same
    never_asked: int  # standard questions that nobody asked for
    never_examples: list[str]  # with the most rows first


class Diagnosis(_Frozen):
    """All that the doctor says of one run."""

    corpus: str
    run: str
    deep: bool  # by models that have not seen the training rows; else from the held-out rows alone
    rows: int
    classes: int
    tested: int  # rows that recall was measured on
    recall_at_1: float
    recall_at_10: float
    held: bool = False  # a gate held its candidate back
    by_size: dict[str, tuple[int, float, float]]  # class size: standard questions, recall@1, recall@10
    curve: Curve
    trust: float = 1.0  # what forecasts are multiplied by: what came of earlier ones
    plans: list[Plan]
    actions: list[Action]  # most won per query first
    confusions: list[Confusion]
    traffic: Traffic | None = None  # None: no query log is known
    warnings: list[str] = []


class Promise(_Frozen):
    """One applied action, with what it was forecast to bring."""

    kind: ActionKind
    standard_question: str
    to: str = ""
    gain: float  # points of recall@10


class Kept(_Frozen):
    """What came of one promise: on the held-out rows of its standard questions that both runs have."""

    rows: int
    before: float  # recall@10
    after: float
    points: float  # of recall@10 over all rows


class Outcome(_Frozen):
    """What came of one application of the to-do list, in the first night after it."""

    run: str
    rows: int  # held-out rows that both runs have
    before: float  # recall@10
    after: float
    kept: list[Kept]  # one a promise

    @property
    def points(self) -> float:
        """Points of recall@10 won."""
        return 100 * (self.after - self.before)


class Receipt(_Frozen):
    """One application of the to-do list: forecast, and what came of it."""

    batch: str
    run: str  # that the list was made from
    promises: list[Promise]
    trust: float = 1.0  # that the forecasts were multiplied by
    outcome: Outcome | None = None  # None: no night has passed since

    @property
    def forecast(self) -> float:
        """Points of recall@10 that all its actions were forecast to win."""
        return sum(promise.gain for promise in self.promises)


class DoctorState(_Frozen):
    """What the doctor remembers of a corpus from run to run."""

    curve: Curve | None = None  # measured by dssm doctor
    receipts: list[Receipt] = []  # oldest first

    @property
    def trust(self) -> float:
        """What a forecast point was worth so far; near 1 while little is known."""
        settled = [one for one in self.receipts if one.outcome and one.forecast > 0]
        won = sum(one.outcome.points for one in settled if one.outcome)
        trust = (won + 2.0) / (sum(one.forecast / one.trust for one in settled) + 2.0)
        return min(2.0, max(0.25, trust))
