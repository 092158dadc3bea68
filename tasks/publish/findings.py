"""All that was found out about a candidate, read back from the files of its run; and the report of it. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime

from schemas.evaluation import Comparison, Evaluation, Gate, Golden
from schemas.manifest import write_atomically
from schemas.outputs import DriftOutput
from schemas.run import Status
from schemas.settings import CorpusSettings
from schemas.training import TrainingReport
from schemas.validation import Drift, Verdict
from schemas.workspace import COMPARISON_FILE, REPORT_FILE, Workspace
from tasks.evaluate.candidate import locate
from tasks.evaluate.report import render_report
from tasks.steps import Steps


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
    steps: Steps,
    found: Findings,
    gates: list[Gate],
    status: Status,
) -> None:
    """Write report.html of a run that was decided about, but not yet published."""
    context = {
        "run": workspace.run,
        "finished": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "seconds": {name: step.seconds for name, step in steps.named().items()},
    }
    suspects = [suspect.row_id for suspect in found.evaluation.suspects]
    locations = locate(steps.ingest.output.questions, suspects)
    page = render_report(
        found.evaluation,
        found.training,
        found.verdict,
        corpus,
        found.comparison,
        context,
        locations,
        gates=gates,
        status=status,
        drift=found.drift,
    )
    write_atomically(workspace.root / REPORT_FILE, page.encode())
