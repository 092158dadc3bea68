"""Every corpus, each in a process of its own, and one league table at the end."""

import os
import signal
import subprocess
import sys
from typing import Annotated

from prefect import State, flow, task
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import get_client
from prefect.futures import PrefectFuture, as_completed
from prefect.logging import get_run_logger
from prefect.states import Completed
from pydantic import Field, ValidationError

from flows.announcements import message_end
from flows.corpora import find_tomls
from flows.endings import fail, tell_once
from flows.late_runs import free_lost_place
from schemas.display import as_markdown_table
from schemas.run import EXIT_CODES, RunResult
from tasks.train.task import in_turn

_GRACE_SECONDS = 15  # less than a runner or worker gives this process
_PROCESSES: set[subprocess.Popen[bytes]] = set()


@flow(name="train-all", on_failure=[message_end], on_crashed=[message_end])
def train_all(
    corpora: Annotated[list[str], Field(description="Names; empty: every TOML of data/corpora.")] = [],  # noqa: B006 - the form shows it; never changed
    processes: Annotated[int, Field(ge=1, le=64, description="Corpora trained at a time.")] = 1,
    settings: Annotated[list[str], Field(description="Changes for all of them, e.g. training.epochs=2.")] = [],  # noqa: B006
) -> State[list[RunResult]]:
    """Run each corpus to its end, whatever becomes of the others."""
    tell_once()
    running: list[PrefectFuture[RunResult]] = []
    futures = []
    try:
        with in_turn():  # its own limit counts, not that of the corpora's deployments
            for name in corpora or list(find_tomls()):
                if len(running) == processes:
                    running.remove(next(as_completed(running)))
                futures.append(train_one.with_options(task_run_name=name).submit(name, settings))
                running.append(futures[-1])
            results = [future.result() for future in futures]
    finally:
        _end_processes()  # there are some only where this run is cancelled
        free_lost_place()
    league = rank(results)
    create_table_artifact(
        as_markdown_table(make_table(league)), key="league", description="Every corpus, best recall@10 first"
    )
    bad = [f"{one.corpus}: {one.status}" for one in league if EXIT_CODES[one.status]]
    if bad:
        return fail("Failed", ", ".join(bad), results)
    return Completed(message=f"{len(results)} corpora", data=results)


@task
def train_one(corpus: str, settings: list[str]) -> RunResult:
    """Return what `dssm run CORPUS --json` ends with; what it says goes to this run's standard error."""
    changes = [word for pair in settings for word in ("--set", pair)]
    with get_client(sync_client=True) as client:
        own = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT__")}  # of this very run
        environment = own | {"PREFECT_API_URL": str(client.api_url)}
    words = [sys.executable, "-m", "flows.cli", "run", corpus, "--json", *changes]
    # In a session of its own: Ctrl-C comes from here, and once.
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=environment, start_new_session=True) as process:
        _PROCESSES.add(process)
        try:
            out, _ = process.communicate()
        finally:
            _PROCESSES.discard(process)
    try:
        result = RunResult.model_validate_json(out)
    except ValidationError:
        result = RunResult(status="failed", corpus=corpus, error=f"its process ended with {process.returncode}")
    log = get_run_logger().warning if EXIT_CODES[result.status] else get_run_logger().info
    log("%s: %s %s", corpus, result.status, result.error or "; ".join(result.reasons))
    return result


def _end_processes() -> None:
    """Interrupt what still runs, as Ctrl-C would: its run on the server then ends as well."""
    processes = list(_PROCESSES)
    for process in processes:
        process.send_signal(signal.SIGINT)
    for process in processes:
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def rank(results: list[RunResult]) -> list[RunResult]:
    """Return the best recall@10 first; those without one last, by name."""
    return sorted(results, key=lambda one: (-(one.recall_at_10 or 0), one.corpus))


def make_table(league: list[RunResult]) -> list[dict[str, str | float | None]]:
    """Return one row per corpus, for the UI."""
    return [
        {
            "corpus": one.corpus,
            "status": one.status,
            "recall@1": one.recall_at_1,
            "recall@10": one.recall_at_10,
            "best baseline": max((b["recall_at_10"] for b in one.baselines.values()), default=None),
            "rows": one.rows,
            "standard questions": one.classes,
            "seconds": round(sum(one.seconds.values()), 1),
            "version": one.version,
            "why": one.error or "; ".join(one.reasons),
        }
        for one in league
    ]
