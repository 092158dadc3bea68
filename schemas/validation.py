"""The results of validate."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.language import Language, Words, read_words
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

    def summary(self, language: Language = "en") -> str:
        """Return the changes in one sentence, with examples."""
        words, s = read_words(language), {name: value or 0 for name, value in self.statistics.items()}
        before, now = s["rows_before"], s["rows_now"]
        change = {"change": now / before - 1} if before else {}
        shown = {name: _such_as(getattr(self, name), words) for name in ("added", "removed", "renamed", "new_words")}
        return words(
            "drift.summary",
            version=self.version,
            rows=words("drift.rows_change" if change else "drift.rows", before=before, now=now, **change),
            added=words("drift.added", count=s["classes_added"], examples=shown["added"]),
            removed=words("drift.removed", count=s["classes_removed"], examples=shown["removed"]),
            renamed=words("drift.renamed", count=s["classes_renamed"], examples=shown["renamed"]),
            shift=words("drift.shift", share=s["class_shift_share"]),
            words=words("drift.words", share=s["new_word_share"], examples=shown["new_words"]),
        )


def _such_as(examples: list[str], words: Words) -> str:
    shown = ", ".join(f"“{one}”" for one in examples[:3]) + (", …" if len(examples) > 3 else "")
    return words("drift.examples", list=shown) if examples else ""
