"""The result of a run: the last JSON object of `dssm run --json`, and run.json beside its files."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from schemas.display import Shown
from schemas.ingest import SourceFile

Status = Literal["published", "unchanged", "held", "awaiting_approval", "measured", "checked", "rejected", "failed"]

EXIT_CODES: dict[Status, int] = {
    "published": 0,
    "unchanged": 0,
    "awaiting_approval": 0,
    "measured": 0,  # publish.go_live = false
    "checked": 0,
    "held": 1,
    "rejected": 2,
    "failed": 3,
}


class RunResult(BaseModel):
    """Outcome of one run. What the run did not reach is empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Status
    corpus: str
    run: str | None = None
    version: str | None = None
    reasons: list[Shown] = []  # of a hold-back
    overrides: list[str] = []  # with which the same candidate would not be held back, as --set takes them
    error: Shown | None = None  # of a rejection or failure
    rows: int | None = None  # training rows
    test_rows: int | None = None
    classes: int | None = None
    quarantined: int | None = None
    files: list[SourceFile] = []  # what was read of each
    warnings: list[Shown] = []
    recall_at_1: float | None = None
    recall_at_5: float | None = None
    recall_at_10: float | None = None
    mrr: float | None = None
    macro_recall_at_10: float | None = None
    baselines: dict[str, dict[str, float]] = {}
    seconds: dict[str, float] = {}  # per step
    reused: list[str] = []  # steps taken from earlier runs
    report: str | None = None  # file
