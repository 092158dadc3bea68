"""The door of publish: gates, an immutable version, the live pointer last."""

import time
from collections.abc import Mapping
from pathlib import Path

from prefect import task
from prefect.logging import get_run_logger

from schemas.evaluation import Comparison, Evaluation
from schemas.manifest import write_atomically
from schemas.run import RunResult, Status
from schemas.settings import CorpusSettings
from schemas.training import TrainingReport
from schemas.validation import Verdict
from schemas.workspace import Workspace
from tasks.mirror import change
from tasks.publish.card import write_card
from tasks.publish.gates import find_objections
from tasks.publish.result import summarise_run
from tasks.publish.retention import prune_runs
from tasks.publish.versions import (
    add_version,
    find_named,
    go_live,
    hash_candidate,
    is_whole,
    prune_versions,
    read_live,
    read_versions,
    wait_for_approval,
)
from tasks.shelf import keep_files, prune
from tasks.steps import StepRun


@task(task_run_name="publish-{corpus.name}")
def publish(corpus: CorpusSettings, workspace: Workspace, steps: Mapping[str, StepRun]) -> RunResult:
    """Decide, and change what is live only after everything else is on disk; write run.json."""
    began = time.monotonic()
    candidate = steps["train"].folder / "candidate"
    evaluation = Evaluation.model_validate_json((steps["evaluate"].folder / "evaluation.json").read_bytes())
    training = TrainingReport.model_validate_json((steps["train"].folder / "training.json").read_bytes())
    verdict = Verdict.model_validate_json((steps["validate"].folder / "verdict.json").read_bytes())

    def decide_and_publish() -> tuple[Status, str | None, list[str]]:
        status, version, reasons = _decide(corpus, workspace, candidate, evaluation, training)
        if version is None and status in ("published", "awaiting_approval"):
            manifest = find_named(workspace.models, candidate, workspace.run)
            if manifest is None:
                extra = {
                    "README.md": write_card(corpus, evaluation, training, verdict, workspace.run).encode(),
                    "evaluation.json": (steps["evaluate"].folder / "evaluation.json").read_bytes(),
                    "settings.json": corpus.model_dump_json(indent=1).encode(),
                }
                recall = (evaluation.model.recall_at_1.value, evaluation.model.recall_at_10.value, evaluation.test_rows)
                manifest = add_version(workspace.models, candidate, extra, corpus.name, workspace.run, recall)
            version = manifest.version
            if status == "published":
                go_live(workspace.models, manifest, "published")
            else:
                wait_for_approval(workspace.models, manifest)
            prune_versions(workspace.models, corpus.publish.keep_versions)
        prune_runs(workspace, corpus.publish.keep_runs)
        return status, version, reasons

    status, version, reasons = change(workspace.models, decide_and_publish)
    seconds = {name: step.seconds for name, step in steps.items()} | {"publish": time.monotonic() - began}
    result = summarise_run(corpus, workspace, steps, evaluation, status, version, reasons, seconds)
    write_atomically(workspace.root / "settings.json", corpus.model_dump_json(indent=1).encode())
    write_atomically(workspace.root / "run.json", result.model_dump_json(indent=1).encode())
    keep_files(workspace, ["settings.json", "comparison.json", "report.html", "run.json"])
    prune(workspace, corpus.publish.keep_runs)
    say = get_run_logger().warning if status == "held" else get_run_logger().info
    say("%s: %s %s%s", corpus.name, status, version or "", "".join(f"\n  {reason}" for reason in reasons))
    return result


def _decide(
    corpus: CorpusSettings, workspace: Workspace, candidate: Path, evaluation: Evaluation, training: TrainingReport
) -> tuple[Status, str | None, list[str]]:
    """Return the status, the version it is about, and the reasons of a hold-back."""
    digest = hash_candidate(candidate)
    live = read_live(workspace.models)
    same = [m.version for m in read_versions(workspace.models) if m.candidate == digest]
    if live.version in same and is_whole(workspace.models, live.version):
        return "unchanged", live.version, []
    taken_back = [one.version for one in live.withdrawn if one.candidate == digest]
    if taken_back:
        return (
            "held",
            None,
            [f"this very model was declined or rolled back as version {taken_back[-1]}; change data or settings"],
        )
    if corpus.publish.approval and live.pending in same:
        return "awaiting_approval", live.pending, []
    comparison_file = workspace.root / "comparison.json"
    comparison = Comparison.model_validate_json(comparison_file.read_bytes()) if comparison_file.exists() else None
    reasons = find_objections(evaluation, training, comparison, corpus.publish)
    if reasons:
        return "held", None, reasons
    return ("awaiting_approval" if corpus.publish.approval else "published"), None, []
