"""Announce how a run ended: Prefect events, the next deployment, a message to people. None of it fails the run."""

import logging
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import run_deployment
from prefect.events import emit_event
from prefect.settings import PREFECT_UI_URL

from flows.messages import send_message
from schemas.run import RunResult
from schemas.settings import CorpusSettings
from schemas.workspace import Workspace
from tasks.registry import ModelRegistry

_LOGGER = logging.getLogger("dssm.announcements")
_EVENTS = {"published": "model.published", "held": "candidate.held"}
_UNTOLD = "untold"  # in the folder of a run that may have published without an announcement
_WORTH_A_MESSAGE = {"Published", "HeldBack", "AwaitingApproval"}


def expect_announcement(workspace: Workspace) -> None:
    """Note that this run may publish: should it die before its announcement, the next run makes it."""
    workspace.root.mkdir(parents=True, exist_ok=True)
    (workspace.root / _UNTOLD).touch()


def announce_missed(corpus: CorpusSettings, workspace: Workspace) -> None:
    """Announce the live version, if the run that published it died before it could."""
    registry = ModelRegistry.of(corpus.name, workspace.home)
    for mark in workspace.runs.glob(f"*/{_UNTOLD}"):
        made = [manifest for manifest in registry.versions() if manifest.run == mark.parent.name]
        if made and made[-1].version == registry.live().version and mark.parent != workspace.root:
            figures = made[-1].model_dump(
                include={"corpus", "version", "run", "recall_at_1", "recall_at_10", "test_rows"}
            )
            missed = Workspace.of(corpus.name, mark.parent.name, workspace.home)
            announce(RunResult(status="published", **figures), corpus.publish.on_published, missed)


def announce(result: RunResult, on_published: str | None, workspace: Workspace | None = None) -> None:
    """Emit the event `model.published` or `candidate.held`, and start the deployment that `on_published` names.

    Args:
        result: of the run.
        on_published: the deployment; None: none.
        workspace: of the run, where it is noted that this was done.
    """
    _emit(result, on_published)
    if workspace:
        (workspace.root / _UNTOLD).unlink(missing_ok=True)


def _emit(result: RunResult, on_published: str | None) -> None:
    if result.status not in _EVENTS:
        return
    resource = {"prefect.resource.id": f"dssm.corpus.{result.corpus}", "prefect.resource.name": result.corpus}
    emit_event(_EVENTS[result.status], resource=resource, payload=result.model_dump(mode="json"))
    if result.status == "published" and on_published:
        _start(on_published, f"{result.corpus}-{result.version}-{result.run}")


def _start(deployment: str, once: str) -> None:
    """Start a deployment without waiting for it; a second call with the same `once` starts nothing."""
    try:
        run_deployment(deployment, timeout=0, as_subflow=False, idempotency_key=once)
    except Exception as error:  # whatever is wrong with a deployment of others: the model is live
        _LOGGER.error(
            "publish.on_published = %r was not started: %s. The model is live all the same; prefect deployment ls "
            "lists what can be named",
            deployment,
            error,
        )


def message_end(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Hook of a flow's end: a message where it failed, crashed, held back, published or waits for a person."""
    if state.is_failed() or state.is_crashed() or state.name in _WORTH_A_MESSAGE:
        link = f"\n{PREFECT_UI_URL.value()}/runs/flow-run/{flow_run.id}" if PREFECT_UI_URL.value() else ""
        send_message(f"{flow_run.name}: {state.name}", f"{state.message or ''}{link}")
