"""What to do with runs that an outage or a deletion left behind: make up for the newest, skip others, end the dead."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Crashed

from flows.deployments import TAG
from flows.messages import send_message
from schemas.errors import MachineFault
from schemas.workspace import HEARTBEAT_FILE, Workspace

_PENDING = timedelta(minutes=3)  # a process that is started says so within seconds
_SILENCE = timedelta(minutes=2)  # a run gives a sign of life every 15 seconds
_DEAD = "its process is gone before it began; start it again"
_LOST = "its process is gone, and so is its deployment; dssm deploy or dssm serve makes it anew, if its TOML is there"
DELETED = "the Prefect server has no such run any more: somebody has deleted it; nothing was published"


def skip_late_runs(deployments: Sequence[UUID]) -> int:
    """Skip all runs of each deployment that are overdue, but the newest; return how many that were."""
    skipped = 0
    with get_client(sync_client=True) as client:
        for deployment in deployments:
            due = _read_due(client, deployment)
            for run in due[:-1]:
                client.set_flow_run_state(run.id, as_skipped(due[-1]), force=True)
            skipped += len(due[:-1])
    return skipped


def mark_dead_runs(deployments: Sequence[UUID]) -> list[FlowRun]:
    """Mark those runs as crashed whose process died before it began; send a message, and return them.

    Such a run is Pending: it has no heartbeat yet that could fall silent, and holds its deployment's only place.
    """
    pending = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=list(deployments)),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PENDING])),
    )
    dead = []
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=pending):
            if run.state and datetime.now(UTC) - run.state.timestamp > _PENDING:
                client.set_flow_run_state(run.id, Crashed(message=_DEAD), force=True)
                dead.append(run)
    for run in dead:
        send_message(f"{run.name}: Crashed", _DEAD)
    return dead


def mark_lost_runs() -> list[FlowRun]:
    """Mark runs of this machine as crashed whose process died after somebody deleted their deployment; return them.

    The server could not: it refuses an end until the place is given back (`free_lost_place`).
    """
    begun = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[TAG]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.CANCELLING])),
    )
    lost = []
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=begun):
            if run.deployment_id and not _exists(client, run.deployment_id) and _is_silent(run):
                _free_place(client, run)
                client.set_flow_run_state(run.id, Crashed(message=_LOST), force=True)
                lost.append(run)
    for run in lost:
        send_message(f"{run.name}: Crashed", _LOST)
    return lost


def _is_silent(run: FlowRun) -> bool:
    """Say whether a run has its folder here, and neither that nor the sign of life of its corpus is young."""
    for corpus in set(run.tags) - {TAG}:
        runs = Workspace.of(corpus, "any").runs
        if begun := list(runs.glob(f"*-{str(run.id)[-6:]}")):
            signs = [file.stat().st_mtime for file in (runs / HEARTBEAT_FILE, *begun) if file.exists()]
            return time.time() - max(signs, default=0.0) > _SILENCE.total_seconds()
    return False


def report_crashed_runs(deployments: Sequence[UUID], since: datetime, message: str) -> list[FlowRun]:
    """Send a message about each run that was marked as crashed with `message` since then; return them.

    An automation of the server marks a run whose heartbeat fell silent, and no process of the run is left to say so.
    """
    crashed = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=list(deployments)),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CRASHED])),
    )
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_run_filter=crashed, sort=FlowRunSort.EXPECTED_START_TIME_DESC)
    new = [one for one in found if one.state and one.state.message == message and one.state.timestamp > since]
    for run in new:
        send_message(f"{run.name}: Crashed", message)
    return new


def end_if_deleted() -> None:
    """End this run, if somebody has deleted it in the UI: nothing of it is wanted any more.

    Raises:
        MachineFault: it was.
    """
    context = FlowRunContext.get()
    if not context or not context.flow_run:
        return
    with get_client(sync_client=True) as client:
        try:
            client.read_flow_run(context.flow_run.id)
        except ObjectNotFound as error:
            raise MachineFault(DELETED) from error


def is_deployed() -> bool:
    """Say whether this run belongs to a deployment that the server still has: else nobody would resume it."""
    context = FlowRunContext.get()
    if not context or not context.flow_run or not context.flow_run.deployment_id:
        return False
    with get_client(sync_client=True) as client:
        return _exists(client, context.flow_run.deployment_id)


def free_lost_place() -> None:
    """Give back the place of this run, which is about to end, if somebody has deleted its deployment.

    Prefect deletes the limit with the deployment, cannot give the place back any more, and so would refuse the run's
    last state and show it as Running for ever. A run without a place ends as any other.
    """
    context = FlowRunContext.get()
    if not context or not context.flow_run or not context.flow_run.deployment_id:
        return
    try:
        with get_client(sync_client=True) as client:
            if not _exists(client, context.flow_run.deployment_id):
                _free_place(client, client.read_flow_run(context.flow_run.id))
    except (httpx.HTTPError, ObjectNotFound):
        return  # no server, or no such run: nobody asks for its last state


def _exists(client: SyncPrefectClient, deployment: UUID) -> bool:
    try:
        client.read_deployment(deployment)
    except ObjectNotFound:
        return False
    return True


def _free_place(client: SyncPrefectClient, run: FlowRun) -> None:
    if run.state and (lease := run.state.state_details.deployment_concurrency_lease_id):
        client.release_concurrency_slots_with_lease(lease)


def find_newer_due() -> FlowRun | None:
    """Return a scheduled run of this run's deployment that is newer and due as well; a person's run has none."""
    context = FlowRunContext.get()
    this = context.flow_run if context else None
    if not this or not this.auto_scheduled or not this.deployment_id or not this.expected_start_time:
        return None
    with get_client(sync_client=True) as client:
        due = _read_due(client, this.deployment_id)
    newer = [run for run in due if run.expected_start_time and run.expected_start_time > this.expected_start_time]
    return newer[-1] if newer else None


def as_skipped(newer: FlowRun) -> State[None]:
    """Return the state of a run that another one replaces."""
    return Cancelled(
        name="Skipped", message=f"late: the run of {newer.expected_start_time:%Y-%m-%d %H:%M %Z} replaces it"
    )


def _read_due(client: SyncPrefectClient, deployment: UUID) -> list[FlowRun]:
    """Return the runs that a schedule made, that are due and have not started, oldest first."""
    runs = client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
            expected_start_time=FlowRunFilterExpectedStartTime(before_=datetime.now(UTC)),
        ),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,  # one answer holds 200: the newest
    )
    scheduled = [(run.expected_start_time, run) for run in runs if run.auto_scheduled and run.expected_start_time]
    return [run for _, run in sorted(scheduled, key=lambda pair: pair[0])]
