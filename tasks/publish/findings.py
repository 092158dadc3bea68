"""All that was found out about a candidate, read back from the files of its run; and the report of it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.evaluation import Comparison, Evaluation, Gate, Golden
from schemas.language import Words, read_words
from schemas.manifest import write_atomically
from schemas.outputs import DriftOutput
from schemas.run import Status
from schemas.settings import TUNED_ROWS, CorpusSettings
from schemas.training import TrainingReport
from schemas.validation import Drift, Verdict
from schemas.workspace import COMPARISON_FILE, REPORT_FILE, Workspace
from tasks.evaluate.candidate import locate
from tasks.evaluate.failing import find_failing
from tasks.evaluate.measure import LISTED, TOP
from tasks.evaluate.next_steps import Counts, list_next_steps
from tasks.evaluate.report import RowList, RunFacts, render_report
from tasks.evaluate.spreadsheets import XLSX_ROWS, write_lists
from tasks.publish.history import read_history
from tasks.registry import ModelRegistry
from tasks.steps import Steps

_HEADERS = {
    "failing": ("file", "line", "query", "right", "first", "place"),
    "suspects": ("file", "line", "query", "labelled", "suggested", "margin"),
    "quarantine": ("file", "line", "role", "reason", "query", "standard_question"),
}
LISTS = tuple(f"{name}.{ending}" for name in _HEADERS for ending in ("csv", "xlsx"))  # beside the report


@dataclass(frozen=True)
class Findings:
    """What the steps said."""

    verdict: Verdict
    drift: Drift | None  # None: nothing was live to compare with
    training: TrainingReport
    evaluation: Evaluation
    comparison: Comparison | None  # None: nothing is live, or it cannot be read
    golden: Golden | None  # None: there are no golden queries


def read_findings(workspace: Workspace, steps: Steps) -> Findings:
    """Return what the steps of a run said of its candidate."""
    comparison = workspace.root / COMPARISON_FILE
    return Findings(
        verdict=steps.validate.output.read_verdict(),
        drift=DriftOutput.of(workspace).read_drift(),
        training=steps.train.output.read_report(),
        evaluation=steps.evaluate.output.read_evaluation(),
        comparison=Comparison.model_validate_json(comparison.read_bytes()) if comparison.exists() else None,
        golden=steps.evaluate.output.read_golden(),
    )


def write_report(
    corpus: CorpusSettings,
    workspace: Workspace,
    registry: ModelRegistry,
    steps: Steps,
    found: Findings,
    gates: list[Gate],
    status: Status,
    version: str | None,
) -> None:
    """Write report.html, and the lists beside it, of a run that was decided about, but not yet published."""
    words = read_words(corpus.language)
    ingested, evaluated = steps.ingest.output, steps.evaluate.output
    failing = find_failing(steps.prepare.output, evaluated.ranked, ingested.asked())
    suspects, quarantine = (pq.read_table(file) for file in (evaluated.suspects, ingested.quarantine))
    places = locate(ingested.questions, suspects["row_id"].to_pylist())
    lists = _write_lists(workspace.root, failing, suspects, quarantine, places, words)
    drawn = Counter(failing["first"].to_pylist()).most_common(3)
    counts = Counts(
        failing=len(failing),
        missed=sum(place is None or place > TOP for place in failing["place"].to_pylist()),
        suspects=len(suspects),
        quarantine=len(quarantine),
        edits=[edit.describe() for edit in ingested.read_taken().left],
        rows_a_class=_few_rows_a_class(corpus, found.training),
        draws=drawn,
    )
    facts = RunFacts(
        run=workspace.run,
        version=version,
        finished=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        seconds={name: step.seconds for name, step in steps.named().items()},
        places={suspect.row_id: places[suspect.row_id] for suspect in found.evaluation.suspects},
        **lists,
        history=read_history(workspace, registry, found.evaluation, status),
        corrections=ingested.read_facts().corrections,
        next_steps=list_next_steps(status, version, found.evaluation, found.verdict, found.drift, gates, counts, words),
    )
    page = render_report(
        found.evaluation,
        found.training,
        found.verdict,
        corpus,
        found.comparison,
        facts,
        gates=gates,
        status=status,
        drift=found.drift,
    )
    write_atomically(workspace.root / REPORT_FILE, page.encode())


def _few_rows_a_class(corpus: CorpusSettings, training: TrainingReport) -> float | None:
    """Return the training rows to a standard question; None: enough, or an encoder stands beside already."""
    rows = training.rows / max(1, training.classes)
    return rows if rows < TUNED_ROWS and not corpus.model.encoder else None


def _write_lists(
    folder: Path,
    failing: pa.Table,
    suspects: pa.Table,
    quarantine: pa.Table,
    places: Mapping[int, tuple[str, int]],
    words: Words,
) -> dict[str, RowList]:
    """Write failing, suspects and quarantine as CSV and XLSX; return what the report shows of each."""
    where = [places[row] for row in suspects["row_id"].to_pylist()]
    asked = _columns(failing, "source", "line", "query", "standard_question", "first", "place")
    labelled: list[list[Any]] = [
        [source for source, _ in where],
        [line for _, line in where],
        *_columns(suspects, "query", "standard_question", "suggested", "margin"),
    ]
    return {
        "failing": _write_list(folder, "failing", failing, asked, words),
        "suspects": _write_list(folder, "suspects", suspects, labelled, words),
        "quarantine": write_quarantine(folder, quarantine, words),
    }


def write_quarantine(folder: Path, quarantine: pa.Table, words: Words) -> RowList:
    """Write the rows set aside as CSV and XLSX; return what a report shows of them."""
    columns: list[list[Any]] = [
        *_columns(quarantine, "source", "line"),
        [words.name("list", role) for role in quarantine["role"].to_pylist()],
        [words.name("reason", reason) for reason in quarantine["reason"].to_pylist()],
        *_columns(quarantine, "query", "standard_question"),
    ]
    return _write_list(folder, "quarantine", quarantine, columns, words)


def _write_list(folder: Path, name: str, table: pa.Table, columns: list[list[Any]], words: Words) -> RowList:
    files: list[str] = []
    for file in (f"{name}.csv", f"{name}.xlsx"):
        (folder / file).unlink(missing_ok=True)  # of a decision that was taken a moment ago
    if len(table):
        header = [words(f"list.{key}") for key in _HEADERS[name]]
        files = write_lists(folder, name, header, zip(*columns, strict=True))
    return RowList(table.slice(0, LISTED).to_pylist(), len(table), files, min(len(table), XLSX_ROWS))


def _columns(table: pa.Table, *names: str) -> list[list[Any]]:
    return [table[name].to_pylist() for name in names]
