"""What is finished is not repeated: after kill -9 and the same command again, and after *Retry* in the UI."""

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId, LogFilterTimestamp
from prefect.client.schemas.sorting import LogSort
from prefect.states import AwaitingRetry

from tests.ops.conftest import Machine
from tests.ops.crash_matrix import EPOCH, Matrix, spread


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """An unbroken run to compare with."""
    machine = Machine(tmp_path_factory.mktemp("matrix"))
    with machine.server():
        yield Matrix(machine)


@pytest.mark.parametrize("step", ["train: refit", "publish"])
def test_killed_and_run_again_leaves_the_same_bytes(matrix, step):
    """Here the two steps that have most to lose, in the middle of each; every step is `make crash-matrix`."""
    cell = matrix.break_at(step, *spread(matrix.points[step], 1))

    assert cell.faults == []
    assert cell.live_after_kill == "old"
    assert cell.not_repeated[:3] == ["ingest", "validate", "prepare"]


def test_retry_in_the_ui_goes_on_where_the_run_was_killed(machine):
    """In the run's own folder: finished steps stay as they are, the training goes on after its last checkpoint."""
    machine.write_toml("bank", "training.choose = false\ntraining.epochs = 400\ntraining.checkpoint_seconds = 0")
    training = machine.home / "partial" / "bank"
    with machine.serving():
        run = machine.run_now("train-corpus/bank")
        machine.wait(lambda: list(training.glob("train-*")), every=0.02)
        (process,) = [line for line in machine.processes() if "prefect.engine" in line]
        machine.wait(lambda: list(training.glob("train-*/refit.safetensors")), every=0.02)
        os.kill(int(process.split()[0]), signal.SIGKILL)
        assert machine.ended(run).state_name == "Crashed"
        (folder,) = (machine.home / "runs" / "bank").glob("*/")
        finished = inodes(folder)
        assert finished.keys() == {"ingest", "validate", "prepare"}

        with machine.client() as client:
            client.set_flow_run_state(run.id, AwaitingRetry())  # what the button does
            clicked = datetime.now(UTC)
            assert machine.ended(run).state_name == "Published"
            later = LogFilter(
                flow_run_id=LogFilterFlowRunId(any_=[run.id]), timestamp=LogFilterTimestamp(after_=clicked)
            )

            def trained() -> list[tuple[str, int]]:
                logs = client.read_logs(later, sort=LogSort.TIMESTAMP_ASC)
                return [(match[1], int(match[2])) for log in logs if (match := EPOCH.match(log.message))]

            first = machine.wait(trained)[0]

    assert inodes(folder).items() >= finished.items()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert first > ("refit", 1)


def inodes(run: Path) -> dict[str, int]:
    """Return which files the finished steps of a run are: one that is made again has another."""
    return {file.parent.name: file.stat().st_ino for file in run.glob("*/manifest.json")}
