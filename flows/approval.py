"""A version that waits for a person: a deployment's run suspends, with the report in the form that resumes it."""

from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment
from pydantic import Field, ValidationError

from flows.announcements import send_message
from schemas.display import as_markdown
from schemas.evaluation import Comparison
from schemas.manifest import write_atomically
from schemas.run import RunResult, Status
from schemas.settings import CorpusSettings
from schemas.workspace import COMPARISON_FILE, RESULT_FILE, Workspace
from tasks.registry import ModelRegistry
from tasks.retrieval.edits import approve
from tasks.step_store import keep_files
from tasks.update import Update


class Approval(RunInput):
    """The form."""

    go_live: bool = Field(
        description="Yes: this version answers from now on. No: it is withdrawn, and the same data and settings "
        "do not ask again."
    )
    remark: str = Field(default="", description="Stands in the run's result.")


def find_waiting(workspace: Workspace) -> RunResult | None:
    """Return the result of a run that is resumed after it was suspended for approval; None of any other run."""
    try:
        result = RunResult.model_validate_json((workspace.root / RESULT_FILE).read_bytes())
    except (OSError, ValidationError):
        return None
    return result if result.status == "awaiting_approval" else None


def ask(corpus: CorpusSettings, workspace: Workspace, result: RunResult, asked: bool) -> RunResult:
    """Suspend a deployment's run until a person answers, and return what came of it.

    A run of the command line waits for `dssm approve`, and returns at once; so does a run whose very version an
    earlier run has asked about.
    """
    registry = ModelRegistry.of(corpus.name, workspace.home)
    made_by = {manifest.version: manifest.run for manifest in registry.versions()}
    if not deployment.get_id() or made_by.get(result.version or "") != workspace.run:
        return result
    if not asked:
        send_message(f"{corpus.name}: awaits approval", f"version {result.version}; report: {result.report}")
    report = describe_candidate(workspace, result)
    answer = suspend_flow_run(wait_for_input=Approval.with_initial_data(description=report))
    status, reasons = carry_out(answer, workspace, result.version or "")
    result = result.model_copy(update={"status": status, "reasons": reasons})
    write_atomically(workspace.root / RESULT_FILE, result.model_dump_json(indent=1).encode())
    keep_files(workspace, [RESULT_FILE])
    return result


def carry_out(answer: Approval, workspace: Workspace, version: str) -> tuple[Status, list[str]]:
    """Do what the person said, if it can still be done: nights may have passed."""
    remark = f": {answer.remark}" if answer.remark else ""

    def action(update: Update) -> tuple[Status, list[str]]:
        live = update.live
        if live.version == version and answer.go_live:
            return "unchanged", []  # approved on the command line meanwhile
        if live.version == version:
            return "held", [f"declined{remark}, but live since; take it back with dssm rollback {workspace.corpus}"]
        if version in {one.version for one in live.withdrawn}:  # on the command line meanwhile
            again = f"dssm rollback {workspace.corpus} --to {version} makes it live all the same"
            return "held", [
                f"version {version} was declined before; {again}" if answer.go_live else f"declined{remark}"
            ]
        if live.pending != version:
            return "held", [f"version {version} no longer waits: {live.pending or live.version} took its place"]
        if answer.go_live:
            approve(update)
            return "published", []
        update.decline()
        return "held", [f"declined{remark}"]

    return ModelRegistry.of(workspace.corpus, workspace.home).change(action)


def describe_candidate(workspace: Workspace, result: RunResult) -> str:
    """Return what a person should know before she answers, as Markdown."""
    rows, difference = [("this version", result.recall_at_1, result.recall_at_10)], ""
    if (file := workspace.root / COMPARISON_FILE).exists():
        comparison = Comparison.model_validate_json(file.read_bytes())
        rows.append(("live now", comparison.live.recall_at_1.value, comparison.live.recall_at_10.value))
        difference = _describe_difference(comparison)
    rows += [(name, one["recall_at_1"], one["recall_at_10"]) for name, one in result.baselines.items()]
    table = "\n".join(f"| {name} | {first or 0:.3f} | {tenth or 0:.3f} |" for name, first, tenth in rows)
    warnings = "\n".join(f"- {as_markdown(warning)}" for warning in result.warnings) or "- none"
    return (
        f"**Version {result.version} of corpus {result.corpus}**, trained on {result.rows} rows of {result.classes} "
        f"standard questions, measured on {result.test_rows} held-out queries:\n\n"
        f"| | recall@1 | recall@10 |\n|---|---|---|\n{table}\n\n{difference}Warnings:\n{warnings}\n\n"
        f"Report: {as_markdown(str(result.report))}"
    )


def _describe_difference(comparison: Comparison) -> str:
    counted, live = comparison.difference, f"live version {comparison.version}"
    if not counted.rows:
        return f"Not compared with {live} row by row: one of the two was trained on every test row.\n\n"
    gain = counted.recall_at_10
    return (
        f"Against {live}, on the {counted.rows} test rows that neither of the two was trained on: recall@10 "
        f"**{gain.value:+.3f}** (95 % interval {gain.low:+.3f} to {gain.high:+.3f}), {counted.won} won, "
        f"{counted.lost} lost.\n\n"
    )
