"""Deployments carried out: a Prefect server found or started, told of the deployments, their runs started on time."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from importlib import import_module
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, GlobalConcurrencyLimitCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound, PrefectHTTPStatusError
from prefect.runner import Runner
from prefect.utilities.callables import parameter_schema

from flows.deployments import TAG, Change, Deployment, compare
from flows.environment import DEFAULTS
from flows.late_runs import skip_late_runs
from schemas.errors import SettingsError

_CRASHED_AUTOMATION = "dssm: a run without a heartbeat has crashed"
_SILENCE = timedelta(seconds=120)
_FLOWS = ["train-corpus", "train-all", "study"]


def read_deployments() -> list[Deployment]:
    """Return what the server has of ours."""
    with get_client(sync_client=True) as client:
        return [_as_description(client, found) for found in _read_ours(client)]


def apply(wanted: Sequence[Deployment], broken: dict[str, str]) -> list[Change]:
    """Make the server's deployments those that are wanted; return what was done.

    What a person paused in the UI stays paused; so does the number of trainings at a time, once it is there.

    Raises:
        SettingsError: there is no such work pool.
    """
    from tasks.train.task import TRAINING_LIMIT  # here, because `dssm plan` and `dssm approve` need no torch

    with get_client(sync_client=True) as client:
        found = {one.key: (one, raw) for raw in _read_ours(client) for one in [_as_description(client, raw)]}
        changes = compare(wanted, [one for one, _ in found.values()], broken)
        for one in wanted:
            _register(client, one, *found.get(one.key, (None, None)))
        for change in changes:
            if change.action == "remove":
                client.delete_deployment(found[change.key][1].id)
        try:
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=TRAINING_LIMIT, limit=1))
        except ObjectAlreadyExists:
            pass
        if not client.read_automations_by_name(_CRASHED_AUTOMATION):
            client.create_automation(_mark_crashed())
    return changes


def _mark_crashed() -> AutomationCore:
    """Return the automation that marks a run as crashed when its process was killed and nobody saw it.

    Any event of a run satisfies it, not only a heartbeat: our final states have names of their own (HeldBack).
    """
    return AutomationCore(
        name=_CRASHED_AUTOMATION,
        description=f"No sign of life for {_SILENCE.seconds} s (a run tells it every 30 s): its process is gone.",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.*"},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": _FLOWS},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=_SILENCE,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message="its process is gone; start it again: what is finished is not repeated",
            )
        ],
    )


def _register(
    client: SyncPrefectClient, one: Deployment, old: Deployment | None, raw: DeploymentResponse | None
) -> None:
    """Create or replace one deployment, its schedules included: what is not described any more is gone."""
    if old and raw and old.pool and not one.pool:
        client.delete_deployment(raw.id)  # Prefect cannot take one out of its pool
    module, _, function = one.entrypoint.rpartition(".")
    flow = getattr(import_module(module), function)
    store = {"DSSM_STORE": one.store} if one.store else {}
    active = all(schedule.active for schedule in raw.schedules) if raw else True
    try:
        client.create_deployment(
            flow_id=client.create_flow_from_name(one.flow),
            name=one.name,
            entrypoint=one.entrypoint,
            schedules=[DeploymentScheduleCreate(schedule=_as_schedule(cron), active=active) for cron in one.crons],
            concurrency_limit=1,
            parameters=one.parameters,
            parameter_openapi_schema=parameter_schema(flow).model_dump(exclude_unset=True),
            enforce_parameter_schema=True,
            description=one.description,
            tags=one.tags,
            work_pool_name=one.pool,
            job_variables={"env": DEFAULTS | {"DSSM_HOME": one.home} | store},
        )
    except ObjectNotFound as error:
        raise SettingsError(_no_pool(one.pool)) from error
    except PrefectHTTPStatusError as error:
        if error.response.status_code == 404:
            raise SettingsError(_no_pool(one.pool)) from error
        raise


def _no_pool(pool: str | None) -> str:
    return f"no work pool {pool!r}; create it (prefect work-pool create {pool} --type process); prefect work-pool ls"


def _as_schedule(cron: str) -> CronSchedule:
    expression, _, timezone = cron.rpartition(", ")
    return CronSchedule(cron=expression, timezone=timezone)


def _read_ours(client: SyncPrefectClient) -> list[DeploymentResponse]:
    ours = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG]))
    page = 200
    found: list[DeploymentResponse] = []
    while len(batch := client.read_deployments(deployment_filter=ours, limit=page, offset=len(found))) == page:
        found += batch
    return found + batch


def _as_description(client: SyncPrefectClient, found: DeploymentResponse) -> Deployment:
    crons = [
        f"{one.schedule.cron}, {one.schedule.timezone}" if isinstance(one.schedule, CronSchedule) else str(one.schedule)
        for one in found.schedules
    ]
    environment: dict[str, Any] = (found.job_variables or {}).get("env", {})
    return Deployment(
        flow=client.read_flow(found.flow_id).name,
        name=found.name,
        entrypoint=found.entrypoint or "",
        crons=crons,
        parameters=found.parameters,
        tags=found.tags,
        description=found.description or "",
        home=environment.get("DSSM_HOME", ""),
        store=environment.get("DSSM_STORE"),
        pool=found.work_pool_name,
    )


def serve(deployments: Sequence[Deployment]) -> None:
    """Start the runs of these deployments when they are due, each in a process of its own, until interrupted."""
    with get_client(sync_client=True) as client:
        ids = {client.read_deployment_by_name(one.key).id: one.name for one in deployments}
    skip_late_runs(list(ids))
    runner = Runner(name="dssm", pause_on_shutdown=False)
    for deployment, name in ids.items():
        # `add_deployment` would register it once more, in its own way: schedules merged, a paused one set going.
        runner._deployment_registry.register_deployment(deployment, name)
    asyncio.run(runner.start())
