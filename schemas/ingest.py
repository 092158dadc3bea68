"""What ingest says of the files it read."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Role = Literal["train", "test", "questions"]


class SourceFile(BaseModel):
    """One file that was read, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str  # as the settings name it
    role: Role
    format: Literal["csv", "jsonl", "json", "yaml", "parquet", "excel", "bundled", "imported"]
    kind: str | None = None  # of another platform's export
    encoding: str | None = None  # None: not a text file
    delimiter: str | None = None  # None: not a CSV or TSV file
    columns: list[str]  # the two that were read: query and standard question; of a list: id (if any) and text
    rows: int  # usable
    quarantined: int


class IngestFacts(BaseModel):
    """Counts of one ingest. They depend on nothing but the sources, the settings and the seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int  # usable training rows
    test_rows: int  # usable rows of the official test source; 0 without one
    classes: int  # standard questions, with those that only the list names
    quarantined: int  # training rows set aside
    quarantined_test: int
    reasons: dict[str, int]  # rows set aside, of both roles, by reason; most frequent first
    unlisted_rows: int = 0  # training rows whose standard question is not in the owner's list
    files: list[SourceFile]
    warnings: list[str]
