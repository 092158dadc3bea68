"""The results of validate."""

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


class Found(BaseModel):
    """The findings of a check against bounds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    findings: list[Finding]

    def warnings(self) -> list[str]:
        """Return one line per warning, for the report and `dssm run --json`."""
        return [f"{f.rule}: {f.statement} -> {f.remedy}" for f in self.findings if f.severity == "warning"]


class Verdict(Found):
    """The outcome of validate (passed, passed with warnings, or failed) and the statistics behind it."""

    outcome: Literal["pass", "warn", "fail"]
    statistics: dict[str, float | None]  # None: not applicable, e.g. ordering of one class
    class_sizes: dict[str, int]  # rows per standard question, largest first
    sampled_rows: int | None = None  # custom expectations saw so many rows; None: all


class Drift(Found):
    """How the corpus differs from the one that the live version was trained on."""

    version: str  # the live one
    statistics: dict[str, float | None]
    added: list[str] = Field(max_length=10)  # examples: standard questions with the most rows first
    removed: list[str] = Field(max_length=10)
    renamed: list[str] = Field(max_length=10)  # "old → new"
    new_words: list[str] = Field(max_length=10)  # most frequent first

    def summary(self) -> str:
        """Return the changes in one sentence, with examples."""
        s = {name: value or 0 for name, value in self.statistics.items()}
        before, now = s["rows_before"], s["rows_now"]
        rows = f"rows {before:,.0f} → {now:,.0f}" + (f" ({now / before - 1:+.1%})" if before else "")
        parts = [
            f"+{s['classes_added']:,.0f} standard questions{_such_as(self.added)}",
            f"−{s['classes_removed']:,.0f}{_such_as(self.removed)}",
            f"{s['classes_renamed']:,.0f} renamed{_such_as(self.renamed)}",
            f"{s['rows_moved_share']:.1%} of the rows moved to other standard questions",
            f"{s['new_word_share']:.1%} of the words new{_such_as(self.new_words)}",
        ]
        return f"Since live version {self.version}: {rows}, {', '.join(parts)}"


def _such_as(examples: list[str]) -> str:
    return f" ({', '.join(f'“{one}”' for one in examples[:3])}{', …' if len(examples) > 3 else ''})" if examples else ""
