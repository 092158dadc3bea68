"""All that was found out about a candidate, read back from the files of its run; and the report of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from schemas.evaluation import Comparison, Evaluation, Gate, Golden
from schemas.manifest import write_atomically
from schemas.run import Status
from schemas.settings import CorpusSettings
from schemas.training import TrainingReport
from schemas.validation import Drift, Verdict
from schemas.workspace import Workspace
from tasks.evaluate.candidate import locate
from tasks.evaluate.report import render_report
from tasks.steps import StepRun
from tasks.validate.drift import read_drift

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class Findings:
    """What the steps said."""

    verdict: Verdict
    drift: Drift | None  # None: nothing was live to compare with
    training: TrainingReport
    evaluation: Evaluation
    comparison: Comparison | None  # None: nothing is live, or it cannot be read
    golden: Golden | None  # None: there are no golden queries


def read_findings(workspace: Workspace, steps: Mapping[str, StepRun]) -> Findings:
    """Return what the steps of a run said of its candidate."""
    evaluated = steps["evaluate"].folder
    return Findings(
        verdict=Verdict.model_validate_json((steps["validate"].folder / "verdict.json").read_bytes()),
        drift=read_drift(workspace.step("drift")),
        training=TrainingReport.model_validate_json((steps["train"].folder / "training.json").read_bytes()),
        evaluation=Evaluation.model_validate_json((evaluated / "evaluation.json").read_bytes()),
        comparison=_read_if_there(Comparison, workspace.root / "comparison.json"),
        golden=_read_if_there(Golden, evaluated / "golden.json"),
    )


def write_report(
    corpus: CorpusSettings,
    workspace: Workspace,
    steps: Mapping[str, StepRun],
    found: Findings,
    gates: list[Gate],
    status: Status,
) -> None:
    """Write report.html of a run that was decided about, but not yet published."""
    context = {
        "run": workspace.run,
        "finished": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "seconds": {name: step.seconds for name, step in steps.items()},
    }
    suspects = [suspect.row_id for suspect in found.evaluation.suspects]
    locations = locate(steps["ingest"].folder / "questions.parquet", suspects)
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
    write_atomically(workspace.root / "report.html", page.encode())


def _read_if_there(kind: type[_Model], file: Path) -> _Model | None:
    return kind.model_validate_json(file.read_bytes()) if file.exists() else None
