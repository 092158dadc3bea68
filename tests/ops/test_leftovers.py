"""What Prefect leaves of runs whose process died before it began, and of runs and deployments that somebody deleted."""

import json
import os
import signal
import sqlite3
import subprocess
import sys

from prefect.client.schemas.objects import FlowRun
from prefect.states import Pending

from tests.conftest import DSSM
from tests.ops.conftest import Machine
from tests.ops.test_endings import LONG, cancel, of_runs, training

SLOW = "training.epochs = 400\ntraining.checkpoint_seconds = 0\ntraining.choose = false"  # some ten seconds


def age(machine: Machine, run: str, minutes: int) -> None:
    """Let the last state of a run be of some minutes ago: nobody waits that long here."""
    with sqlite3.connect(machine.folder / "prefect" / "prefect.db", timeout=30) as database:
        for table, column, key in (
            ("flow_run_state", "timestamp", "flow_run_id"),
            ("flow_run", "state_timestamp", "id"),
        ):
            done = database.execute(
                f"update {table} set {column} = datetime({column}, ?) || substr({column}, 20) where {key} = ?",
                (f"-{minutes} minutes", run),
            )
            assert done.rowcount > 0


def test_a_run_that_died_while_pending_is_told_of_and_its_corpus_trains(machine, tmp_path):
    """It holds the only place of its corpus, and no heartbeat can fall silent: the first look of dssm serve ends it."""
    machine.write_toml("bank")
    with machine.server():
        assert machine.dssm("deploy").code == 0
        with machine.client() as client:
            deployment = client.read_deployment_by_name("train-corpus/bank")
            dead = client.create_flow_run_from_deployment(deployment.id, parameters=deployment.parameters)
            client.set_flow_run_state(dead.id, Pending(), force=True)
        age(machine, str(dead.id), 10)
        with machine.serving():
            crashed = machine.ended(dead)
            assert (crashed.state_name, "before it began" in crashed.state.message) == ("Crashed", True)
            assert machine.ended(machine.run_now("train-corpus/bank")).state_name == "Published"


def published(machine: Machine) -> int:
    """Return how often the server was told that a model went live."""
    with sqlite3.connect(machine.folder / "prefect" / "prefect.db", timeout=30) as database:
        (count,) = database.execute("select count(*) from events where event = 'model.published'").fetchone()
    return int(count)


def test_what_a_run_could_not_tell_before_it_was_killed_is_told_by_the_next(machine):
    """A model went live, and the process was killed before it said so."""
    machine.write_toml("bank")
    with machine.server():
        words = [sys.executable, "-m", "tests.ops.killed", "file untold", "2", "run", "bank"]
        killed = subprocess.run(words, env=machine.environment, cwd=machine.folder, capture_output=True)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        live = (machine.home / "models" / "bank" / "live.json").read_bytes()
        for _ in range(2):  # the second has nothing left to tell
            again = machine.dssm("run", "bank", "--json")
            assert (again.code, json.loads(again.out)["status"]) == (0, "unchanged"), again.err
        machine.wait(lambda: published(machine) == 1)
        assert (machine.home / "models" / "bank" / "live.json").read_bytes() == live


def test_a_run_that_is_deleted_in_the_middle_publishes_nothing(machine):
    """Of dssm serve and of a person: it notices before it publishes, says so, and no process stays."""
    machine.write_toml("bank", SLOW)
    machine.write_toml("other", SLOW)
    with machine.serving():
        run = machine.run_now("train-corpus/bank")
        machine.wait(lambda: training(machine))
        with machine.client() as client:
            client.delete_flow_run(run.id)
        machine.wait(lambda: not of_runs(machine))
        words = [*DSSM, "run", "other", "--json"]
        by_hand = subprocess.Popen(words, env=machine.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        machine.wait(lambda: training(machine, "other"))
        with machine.client() as client:
            client.delete_flow_run(machine.runs("other")[-1].id)
        out, err = by_hand.communicate(timeout=400)
        said = machine.said()
    assert not list(machine.home.glob("models/*/live.json"))
    assert "Traceback" not in said
    (left,) = machine.home.glob("runs/bank/*/run.json")
    assert "somebody has deleted it" in json.loads(left.read_bytes())["error"]
    assert (by_hand.returncode, "Traceback" in err.decode()) == (3, False), err.decode()
    assert "somebody has deleted it" in json.loads(out)["error"]


def test_a_deployment_that_is_deleted_in_the_middle_does_not_undo_its_run(machine):
    """The run publishes; the service goes on with the others."""
    machine.write_toml("bank", SLOW)
    machine.write_toml("other")
    with machine.serving() as process:
        run = machine.run_now("train-corpus/bank")
        machine.wait(lambda: training(machine))
        with machine.client() as client:
            client.delete_deployment(run.deployment_id)
        assert machine.ended(run).state_name == "Published"
        assert machine.ended(machine.run_now("train-corpus/other")).state_name == "Published"
        assert process.poll() is None
    assert "Traceback" not in machine.said()


def test_a_run_that_dies_after_its_deployment_was_deleted_ends_all_the_same(machine):
    """Cancelled by a person, killed by the system: Prefect alone would show both as at work for ever."""
    machine.write_toml("bank", LONG)
    machine.write_toml("other", LONG)
    with machine.serving() as process:
        for name, end in (("bank", cancel), ("other", kill)):
            run = machine.run_now(f"train-corpus/{name}")
            machine.wait(lambda name=name: training(machine, name))
            with machine.client() as client:
                client.delete_deployment(run.deployment_id)
            end(machine, run)
            state = machine.ended(run).state
            assert state.name == ("Cancelled" if end is cancel else "Crashed")
        assert "and so is its deployment" in state.message
        machine.wait(lambda: not of_runs(machine))
        assert process.poll() is None
    assert "Traceback" not in machine.said()


def kill(machine: Machine, run: FlowRun) -> None:
    """Kill the processes of the runs of a machine."""
    for line in of_runs(machine):
        os.kill(int(line.split()[0]), signal.SIGKILL)
