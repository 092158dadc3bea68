"""A version that waits for a person: a deployment's run suspends, with the report in the form that resumes it."""

import logging
from collections.abc import Callable
from typing import Literal

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterTags,
)
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from pydantic import Field, ValidationError

from flows.deployments import TAG
from flows.late_runs import is_deployed
from flows.messages import send_message
from flows.reports import link_report
from schemas.display import as_markdown
from schemas.evaluation import Comparison
from schemas.live import VersionManifest
from schemas.run import RunResult, Status
from schemas.settings import CorpusSettings
from schemas.workspace import COMPARISON_FILE, RESULT_FILE, Workspace
from tasks.publish.task import leave_answered
from tasks.registry import ModelRegistry
from tasks.retrieval.edits import approve
from tasks.update import Update

_LOGGER = logging.getLogger("dssm.approval")
_SUFFIX = 6  # characters of the id of Prefect's run, with which the name of a run's folder ends


class Approval(RunInput):
    """The form."""

    answer: Literal["go live", "decline"] = Field(  # no switch: one that nobody touches would decline
        description="go live: this version answers from now on. decline: it is withdrawn, and the same data and "
        "settings do not ask again."
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

    A run of the command line, or one whose deployment was deleted meanwhile, waits for `dssm approve`, and returns at
    once; so does a run whose very version an earlier run has asked about.
    """
    registry = ModelRegistry.of(corpus.name, workspace.home)
    made_by = {manifest.version: manifest.run for manifest in registry.versions()}
    if not is_deployed() or made_by.get(result.version or "") != workspace.run:
        return result
    if not asked:
        if registry.live().pending != result.version:  # approved or declined on the command line within these seconds
            return result
        own = workspace.run[-_SUFFIX:]
        answer_runs(corpus.name, lambda run: run != own, Approval(answer="decline"))  # this version took its place
        send_message(f"{corpus.name}: awaits approval", f"version {result.version}; report: {result.report}")
    report = describe_candidate(workspace, result)
    answer = suspend_flow_run(wait_for_input=Approval.with_initial_data(description=report))
    status, reasons = carry_out(answer, workspace, result.version or "")
    return leave_answered(workspace, result.model_copy(update={"status": status, "reasons": reasons}))


def answer_runs(corpus: str, concerned: Callable[[str], bool], answer: Approval) -> int:
    """Let runs that wait in the UI go on, and return how many: their version was approved, declined or replaced.

    Args:
        corpus: whose runs.
        concerned: of the end of a run's id, as the name of its folder has it, whether it is one of them.
        answer: to the form.
    """
    suspended = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[TAG, corpus]),
        state=FlowRunFilterState(name=FlowRunFilterStateName(any_=["Suspended"])),
    )
    resumed = 0
    try:
        with get_client(sync_client=True) as client:
            for run in client.read_flow_runs(flow_run_filter=suspended):
                if concerned(str(run.id)[-_SUFFIX:]):
                    client.resume_flow_run(run.id, run_input=answer.model_dump())
                    resumed += 1
    except httpx.HTTPError as error:  # what counts stands in the registry
        _LOGGER.warning("%s: a run that waits in the UI was not told of it: %s; answer it there", corpus, error)
    return resumed


def answer_elsewhere(manifest: VersionManifest, go_live: bool) -> bool:
    """Let the run that asks about a version know what was answered on the command line; say whether there is one."""
    answer = Approval(answer="go live" if go_live else "decline", remark="on the command line")
    return answer_runs(manifest.corpus, lambda run: run == manifest.run[-_SUFFIX:], answer) > 0


def carry_out(answer: Approval, workspace: Workspace, version: str) -> tuple[Status, list[str]]:
    """Do what the person said, if it can still be done: nights may have passed."""
    declined = f"declined{f': {answer.remark}' if answer.remark else ''}"
    way_back = f"dssm rollback {workspace.corpus} --to {version} makes it live all the same"

    def action(update: Update) -> tuple[Status, list[str]]:
        live, yes = update.live, answer.answer == "go live"
        withdrawn = version in {one.version for one in live.withdrawn}
        went_live = not withdrawn and version in {entry.version for entry in live.history}
        if went_live and yes:  # approved on the command line, which leaves it to this run to say so
            return "published", []
        if went_live:
            return "held", [f"{declined}, but live since; take it back with dssm rollback {workspace.corpus}"]
        if withdrawn:  # on the command line meanwhile
            return "held", [f"{f'version {version} was declined before' if yes else declined}; {way_back}"]
        if live.pending != version:
            return "held", [f"version {version} no longer waits: {live.pending or live.version} took its place"]
        if yes:
            approve(update)
            return "published", []
        update.decline()
        return "held", [f"{declined}; {way_back}"]

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
    ) + "\n\n".join(link_report(result))


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
