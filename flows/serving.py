"""Deployments carried out: a Prefect server found or started, given the deployments, their runs started on time."""

import asyncio
import os
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, GlobalConcurrencyLimitCreate, WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.context import refresh_global_settings_context
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.runner import Runner
from prefect.utilities.callables import parameter_schema

from flows.deployments import TAG, Change, Deployment, compare
from flows.environment import DEFAULTS, say
from flows.form import fold
from flows.heartbeat import beat
from flows.late_runs import mark_dead_runs, mark_lost_runs, report_crashed_runs, skip_late_runs
from flows.server import answers
from flows.terminal import verbosity
from schemas.errors import SettingsError
from schemas.workspace import CHECKOUT, HEARTBEAT_FILE, default_home
from tasks.locks import take_lock

_CRASHED_AUTOMATION = "dssm: a run without a heartbeat has crashed"
_SILENCE = timedelta(seconds=120)
_LOOK_SECONDS, _SWEEP_SECONDS = 5, 60
_OUTAGE = "the Prefect server at {api} does not answer; what is due starts when it does"
_CRASHED = "its process is gone; start it again: what is finished is not repeated"
_FLOWS = ["train-corpus", "train-all", "study"]


def read_deployments() -> list[Deployment]:
    """Return what the server has of ours."""
    with get_client(sync_client=True) as client:
        return [_as_description(client, found) for found in _read_ours(client)]


def apply(wanted: Sequence[Deployment], broken: dict[str, str], take_over: bool = False) -> list[Change]:
    """Make the server's deployments those that are wanted; return what was done.

    What a person paused in the UI stays paused; so does the number of trainings at a time, once it is there.

    Args:
        wanted: of every sound TOML.
        broken: message by corpus whose TOML is not.
        take_over: deployments of another DSSM_HOME, too.

    Raises:
        SettingsError: a deployment of another DSSM_HOME has the name of one that is wanted.
    """
    from tasks.train.task import TRAINING_LIMIT  # here, because `dssm plan` and `dssm approve` need no torch

    with get_client(sync_client=True) as client:
        found = {one.key: (one, raw) for raw in _read_ours(client) for one in [_as_description(client, raw)]}
        changes = compare(wanted, [one for one, _ in found.values()], broken)
        if not take_over:
            _refuse_others(wanted, [one for one, _ in found.values()])
        for pool in {one.pool for one in wanted if one.pool}:
            _make_pool(client, pool)
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
        description=f"No sign of life for {_SILENCE.seconds} s (a run gives one every 30 s): its process is gone.",
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
                message=_CRASHED,
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
    client.create_deployment(
        flow_id=client.create_flow_from_name(one.flow),
        name=one.name,
        entrypoint=one.entrypoint,
        schedules=[DeploymentScheduleCreate(schedule=_as_schedule(cron), active=active) for cron in one.crons],
        concurrency_limit=1,
        parameters=one.parameters,
        parameter_openapi_schema=fold(parameter_schema(flow).model_dump(exclude_unset=True)),
        enforce_parameter_schema=True,
        description=one.description,
        tags=one.tags,
        work_pool_name=one.pool,
        job_variables={"env": DEFAULTS | {"DSSM_HOME": one.home} | store},
    )


def _refuse_others(wanted: Sequence[Deployment], found: Sequence[Deployment]) -> None:
    """Two services that take each other's deployments over would each train from the other's folders."""
    homes = {one.key: one.home for one in wanted}
    foreign = [one for one in found if one.home and homes.get(one.key, one.home) != one.home]
    if foreign:
        raise SettingsError(
            f"{len(foreign)} deployment(s) of this server belong to DSSM_HOME = {foreign[0].home}, here it is "
            f"{homes[foreign[0].key]}: {', '.join(one.key for one in foreign[:3])}{' …' * (len(foreign) > 3)}. Use a "
            "server of its own (PREFECT_API_URL=http://127.0.0.1:4201/api dssm serve), or give --take-over if that "
            "folder is given up"
        )


def _make_pool(client: SyncPrefectClient, name: str) -> None:
    """Make a work pool of type process, unless there is one of this name; a race with another maker is no harm."""
    try:
        client.read_work_pool(name)
    except ObjectNotFound:
        from prefect.workers.process import ProcessWorker

        template = ProcessWorker.get_default_base_job_template()
        with suppress(ObjectAlreadyExists):
            client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template))


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


@contextmanager
def only_service(home: Path) -> Iterator[None]:
    """Keep a second service of one DSSM_HOME away: each would start the runs of the other once more.

    Raises:
        SettingsError: there is one.
    """
    descriptor = take_lock(home / ".serve.lock", wait=False)
    if descriptor is None:
        raise SettingsError(
            f"another dssm serve works for DSSM_HOME = {home} already, and starts every run. For a changed TOML, end "
            "it and start it again; or give this one a DSSM_HOME of its own"
        )
    try:
        yield
    finally:
        os.close(descriptor)


def leave_folder() -> None:
    """Go where no foreign modules lie, with homes that mean the same there as here.

    Prefect puts the current folder first on the path while it loads a flow: a tasks.py there would be taken for ours.
    """
    os.environ["DSSM_HOME"] = str(default_home())
    if given := os.environ.get("PREFECT_HOME"):
        os.environ["PREFECT_HOME"] = str(Path(given).expanduser().absolute())
    os.chdir(CHECKOUT)
    refresh_global_settings_context()


def serve(deployments: Sequence[Deployment], api: str) -> None:
    """Start the runs of these deployments when they are due, each in a process of its own, until interrupted.

    An outage of the server at `api` is said once, and waited out.
    """
    # Prefect's handler of SIGTERM forgets to wait for its own end; the process ends all the same.
    warnings.filterwarnings("ignore", "coroutine 'Runner.astop' was never awaited", RuntimeWarning)
    with get_client(sync_client=True) as client:
        ids = {client.read_deployment_by_name(one.key).id: one.name for one in deployments}
    skip_late_runs(list(ids))
    ended = threading.Event()
    threading.Thread(target=_watch, args=(list(ids), api, ended), daemon=True).start()
    try:
        _serve(ids, api)
    finally:
        ended.set()  # before the server ends, of which nobody is to hear that it does not answer
        say("stopped; what is due starts when dssm serve is started again")


def _serve(ids: Mapping[UUID, str], api: str) -> None:
    while True:
        runner = Runner(name="dssm", pause_on_shutdown=False)
        for deployment, name in ids.items():
            # `add_deployment` would register it once more, in its own way: schedules merged, a paused one set going.
            runner._deployment_registry.register_deployment(deployment, name)
        try:
            with _quiet_output():
                asyncio.run(runner.start())
            return
        except Exception:
            if answers(api):
                raise
        while not answers(api):
            time.sleep(_LOOK_SECONDS)


@contextmanager
def _quiet_output() -> Iterator[None]:
    """Drop what Prefect prints, unless it is asked for: in an outage a traceback a try."""
    if verbosity() == "verbose":
        yield
        return
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        yield


def _watch(deployments: Sequence[UUID], api: str, ended: threading.Event) -> None:
    """Report an outage of the server and runs that died, and give signs of life, until the service has ended."""
    looks, there, reported, failed = 0, True, datetime.now(UTC), ""
    while True:
        now_there = answers(api)
        if ended.is_set():
            return
        if now_there != there:
            there = not there
            say(f"the Prefect server at {api} answers again" if there else _OUTAGE.format(api=api))
        if there and looks % (_SWEEP_SECONDS // _LOOK_SECONDS) == 0:
            now = datetime.now(UTC)
            try:
                report_crashed_runs(deployments, reported, _CRASHED)
                reported = now
                mark_dead_runs(deployments)
                mark_lost_runs()
            except Exception as error:  # in an outage, too, which is said elsewhere; the next look comes
                if answers(api) and (why := f"{type(error).__name__}: {error}") != failed:
                    failed = why
                    say(f"runs that died were not looked for ({why}); they are at the next look")
        beat(default_home() / HEARTBEAT_FILE, api=api, server=there)
        looks += 1
        ended.wait(_LOOK_SECONDS)
