"""live.json: the version that answers now, the history of live versions, and the withdrawn ones."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class WentLive(BaseModel):
    """One change of the live version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    at: str  # ISO 8601, UTC
    why: Literal["published", "approved", "rolled back"]
    run: str | None = None  # that made the version


class Withdrawn(BaseModel):
    """A version that a person declined or rolled back. The same candidate is never published again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    candidate: str  # sha256 over the candidate's files


class Live(BaseModel):
    """The pointer of one corpus."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str | None = None
    history: list[WentLive] = []  # oldest first
    withdrawn: list[Withdrawn] = []
    pending: str | None = None  # version that waits for a person

    def periods(self) -> list["LivePeriod"]:
        """Return what was live when, oldest first."""
        ends = [*(entry.at for entry in self.history[1:]), None]
        return [
            LivePeriod(version=entry.version, since=entry.at, until=end, why=entry.why, run=entry.run)
            for entry, end in zip(self.history, ends, strict=False)
        ]


class LivePeriod(BaseModel):
    """The time during which a version answered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    since: str  # ISO 8601, UTC
    until: str | None  # None: it is live
    why: str  # it went live
    run: str | None


class VersionManifest(BaseModel):
    """manifest.json of a version: every file's hash, and where it came from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    corpus: str
    run: str
    made: str  # ISO 8601, UTC
    candidate: str  # sha256 over the candidate's files: equal candidates have equal ones
    files: dict[str, str]  # path -> sha256
    recall_at_1: float
    recall_at_10: float
    test_rows: int
