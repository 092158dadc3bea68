"""The report of a run that came to nothing: why, what to do, how the files were read, and what was found till then."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq

from schemas.ingest import SourceFile
from schemas.language import read_words
from schemas.manifest import write_atomically
from schemas.outputs import DriftOutput, IngestOutput, ValidateOutput
from schemas.run import RunResult
from schemas.settings import CorpusSettings
from schemas.validation import Finding
from schemas.workspace import REPORT_FILE, Workspace
from tasks.evaluate.report import RowList, list_settings, report_environment
from tasks.publish.findings import write_quarantine


def write_failure_report(corpus: CorpusSettings, workspace: Workspace, result: RunResult) -> Path:
    """Write report.html of a run that was rejected, failed or interrupted, and the rows set aside as CSV and XLSX.

    Raises:
        OSError: it cannot be written.
        ValueError: a file that a step left is damaged.
    """
    words = read_words(corpus.language)
    ingested = _find_ingested(workspace)
    quarantine = RowList()
    if ingested.quarantine.exists():
        quarantine = write_quarantine(workspace.root, pq.read_table(ingested.quarantine), words)
    said, findings = result.error or "", _read_findings(workspace)
    page = (
        report_environment(Path(__file__).parent, words=words)
        .get_template("failure.html.j2")
        .render(
            result=result,
            kind="interrupted" if said == "interrupted" else result.status,
            lines=said.splitlines()[: 1 if findings else None],  # the findings stand below, with more of each
            finished=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            files=[file.describe().splitlines() for file in _read_files(ingested)],
            findings=findings,
            quarantine=quarantine,
            settings=list(list_settings(corpus, words)),
            short={},
            folders=[],
        )
    )
    write_atomically(file := workspace.root / REPORT_FILE, page.encode())
    return file


def _find_ingested(workspace: Workspace) -> IngestOutput:
    """Return what ingest has left: its folder, or that of a source it rejected."""
    finished = IngestOutput.of(workspace)
    return finished if finished.folder.exists() else IngestOutput.rejected(workspace)


def _read_files(ingested: IngestOutput) -> list[SourceFile]:
    try:
        return ingested.read_facts().files
    except FileNotFoundError:  # it was not finished
        return []


def _read_findings(workspace: Workspace) -> list[Finding]:
    """Return what validation has found, and how the corpus differs from the live version's."""
    validated = ValidateOutput.of(workspace)
    findings = validated.read_verdict().findings if validated.verdict.exists() else []
    drifts = [output.read_drift() for output in (DriftOutput.of(workspace), DriftOutput.rejected(workspace))]
    return findings + [finding for drift in drifts if drift for finding in drift.findings]
