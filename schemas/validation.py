"""What validate says of a corpus."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.settings import Severity


class Finding(BaseModel):
    """One broken bound or expectation, written for the owner of the corpus."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str  # e.g. "ordering"
    severity: Severity
    statement: str  # what is the case, with the number and the bound
    offenders: int  # rows or classes concerned
    examples: list[str] = Field(max_length=5)
    remedy: str  # what to do


class Verdict(BaseModel):
    """Outcome of validate: passed, passed with warnings, or failed; and the statistics behind it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Literal["pass", "warn", "fail"]
    findings: list[Finding]
    statistics: dict[str, float | None]  # None: not applicable, e.g. ordering of one class
    class_sizes: dict[str, int]  # rows per standard question, largest first
    sampled_rows: int | None = None  # custom expectations saw so many rows; None: all

    def warnings(self) -> list[str]:
        """Return one line per warning, for the report and `dssm run --json`."""
        return [f"{f.rule}: {f.statement} -> {f.remedy}" for f in self.findings if f.severity == "warning"]
