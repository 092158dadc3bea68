"""The counts of ingest."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from schemas.display import Shown

Role = Literal["train", "test", "questions"]


class SourceFile(BaseModel):
    """One file that was read, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Shown  # as the settings name it; of a workbook with several tables, the sheet in brackets
    role: Role
    format: Literal["csv", "jsonl", "json", "yaml", "parquet", "excel", "html", "bundled", "imported"]
    kind: Shown | None = None  # of another platform's export
    encoding: str | None = None  # None: not a text file
    delimiter: Shown | None = None  # None: not a CSV or TSV file
    sheet: Shown | None = None
    header_line: int | None = None  # from 1; 0: names that stand in no line; None: it has no header
    columns: list[Shown]  # of the queries, then of the standard question; of a list: id (if any), then text
    why_query: Shown | None = None  # how these columns were found; None: there was no choice
    why_question: Shown | None = None
    payload_columns: list[Shown] = []  # kept beside the standard question
    unused_columns: list[Shown] = []
    rows: int  # usable
    quarantined: int
    reasons: dict[str, int] = {}  # rows set aside, by reason; most frequent first
    samples: list[tuple[str, str]] = []  # the first three: query and standard question
    notes: list[Shown] = []  # what was done to the rows

    def describe(self) -> str:
        """Return the lines that describe how this file was read, for a terminal."""
        how = [self.kind or self.format, self.encoding, self.delimiter and f"delimiter {self.delimiter!r}"]
        how += [
            self.sheet and f"sheet {self.sheet!r}",
            f"header in line {self.header_line}" if self.header_line else None,
        ]
        lines = [f"{self.name} ({self.role}): {', '.join(part for part in how if part)}"]
        if self.columns and self.why_question:
            queries, more = self.columns[:-1][:3], len(self.columns) - 4
            names = (", ".join(map(repr, queries)) or "none") + (f" and {more} more" if more > 0 else "")
            lines.append(f"{'ids' if self.role == 'questions' else 'queries'}: {names} ({self.why_query})")
            lines.append(f"standard questions: {self.columns[-1]!r} ({self.why_question})")
        aside = ", ".join(f"{count} × {reason}" for reason, count in self.reasons.items())
        lines.append(f"{self.rows} rows" + (f", {self.quarantined} set aside ({aside})" if aside else ""))
        lines += [f"kept beside: {', '.join(self.payload_columns)}"] if self.payload_columns else []
        lines += [f"not used: {_few(self.unused_columns)}"] if self.unused_columns else []
        lines += self.notes
        lines += [f"e.g. {_cut(query)} → {_cut(question)}" for query, question in self.samples]
        return "\n    ".join(lines)


def _few(names: list[str]) -> str:
    return ", ".join(map(_cut, names[:8])) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _cut(text: str) -> str:
    line = " ".join("".join(one if one.isprintable() else " " for one in text).split())  # no escape sequence either
    return line if len(line) <= 40 else line[:39] + "…"


class IngestFacts(BaseModel):
    """Counts of one ingest. They depend on the sources, the settings and the seed alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int  # usable training rows
    test_rows: int  # usable rows of the official test source; 0 without one
    classes: int  # standard questions, with those that only the list names
    quarantined: int  # training rows set aside
    quarantined_test: int
    reasons: dict[str, int]  # rows set aside, of both roles, by reason; most frequent first
    without_query: int = 0  # standard questions of rows without a query: classes that are retrievable by their text
    unlisted_rows: int = 0  # training rows whose standard question is not in the owner's list
    corrections: dict[str, int] = {}  # the owner's: how many ("all"), and how many of each kind were made
    files: list[SourceFile]
    warnings: list[Shown]
