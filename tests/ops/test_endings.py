"""Runs that are killed, cancelled, held back, or wait for each other."""

import json
import os
import signal
import time
from pathlib import Path

from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelling

from tests.conftest import DSSM, PAIRS, write_table
from tests.ops.conftest import Machine

SHORT = "training.checkpoint_seconds = 0"  # a checkpoint after every epoch
LONG = f"training.epochs = 10000\n{SHORT}"


def training(machine: Machine, corpus: str = "bank") -> bool:
    """Say whether a training has begun: its folder is there while it waits for its turn, a checkpoint is not."""
    return bool(list(machine.home.glob(f"partial/{corpus}/train-*/*.safetensors")))


def cancel(machine: Machine, run: FlowRun) -> FlowRun:
    """Cancel a run as the UI does, and return it when it has ended."""
    with machine.client() as client:
        client.set_flow_run_state(run.id, Cancelling())
    return machine.ended(run)


def of_runs(machine: Machine) -> list[str]:
    """Return the processes of runs: those of the server and of `dssm serve` aside."""
    return [line for line in machine.processes() if "prefect.engine" in line or "flows.cli run" in line]


def test_cancelling_ends_every_process_and_the_next_in_turn_trains(machine):
    """One training at a time; the flow of all corpora takes its children with it, and a killed one frees its place."""
    machine.write_toml("bank", LONG)
    machine.write_toml("other", SHORT)
    with machine.serving():
        first = machine.run_now("train-corpus/bank")
        machine.wait(lambda: training(machine))
        second = machine.run_now("train-corpus/other")
        machine.wait(lambda: list(machine.home.glob("partial/other/train-*")))
        time.sleep(5)
        assert not training(machine, "other"), "one at a time"
        assert cancel(machine, first).state_name == "Cancelled"
        assert machine.ended(second).state_name == "Published", "it waited, and then trained"
        machine.wait(lambda: not of_runs(machine))

        machine.write_toml("other", LONG)
        with machine.client() as client:
            every = client.read_deployment_by_name("train-all/all")
            parameters = every.parameters | {"corpora": ["other"]}
            parent = client.create_flow_run_from_deployment(every.id, parameters=parameters)
        machine.wait(lambda: training(machine, "other"))
        assert len(of_runs(machine)) == 2, "the flow of all, and the corpus in a process of its own"
        assert cancel(machine, parent).state_name == "Cancelled"
        machine.wait(lambda: not of_runs(machine))
        machine.wait(lambda: all(run.state.is_final() for run in machine.runs("other")))


def test_after_a_power_cut_what_was_killed_has_crashed_and_the_corpus_trains_again(machine):
    """Server, runs and all: the silence of their heartbeats tells, and no place stays taken by a run that is gone."""
    machine.write_toml("bank", LONG)
    machine.write_toml("other", LONG)
    with machine.serving() as serving:
        served = machine.run_now("train-corpus/bank")
        machine.start(*DSSM, "run", "other")
        machine.wait(lambda: training(machine) and training(machine, "other"))
        (by_hand,) = machine.runs("other")
        assert by_hand.state_name == "Running"
        time.sleep(5)
        for line in machine.processes():
            os.kill(int(line.split()[0]), signal.SIGKILL)
        serving.wait()

    machine.write_toml("bank")
    with machine.serving():
        again = machine.run_now("train-corpus/bank")
        for run in (served, by_hand):
            crashed = machine.ended(run)
            assert crashed.state_name == "Crashed"
            assert "what is finished is not repeated" in crashed.state.message
        assert machine.ended(again).state_name == "Published"


def logged(machine: Machine, run: FlowRun) -> list[str]:
    """Return what the UI's log of a run says, warnings and worse in front of their level."""
    with machine.client() as client:
        of_run = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id]))
        return [f"{log.level} {log.message}" for log in client.read_logs(log_filter=of_run)]


def test_a_bad_night_is_one_line_in_the_log(machine):
    """Held back, rejected: the reason once, no traceback, and in the terminal of dssm serve no more than that."""
    golden = write_table(machine.folder / "golden.csv", [(PAIRS[9][0], PAIRS[0][1])])
    machine.write_toml("bank", f'publish.golden_path = "{golden}"')
    machine.write_toml("bad")
    with machine.serving():
        held = machine.ended(machine.run_now("train-corpus/bank"))
        rejected = machine.ended(machine.run_now("train-corpus/bad", validate__min_rows={"warn": 9999, "stop": 9999}))
        missing = machine.ended(machine.run_now("train-corpus/bad", source__path=str(machine.folder / "nosuch.csv")))
        every = machine.ended(machine.run_now("train-all/all"))
        said = machine.said()
        logs = [machine.wait(lambda run=run: logged(machine, run)) for run in (held, rejected)]
    for run, name, reason, lines in zip(
        (held, rejected), ("HeldBack", "Rejected"), ("golden", "rows"), logs, strict=True
    ):
        assert (run.state_name, run.state.type.value) == (name, "FAILED")
        assert reason in run.state.message
        assert sum(run.state.message[:60] in line for line in lines) == 1, lines
        assert "Traceback" not in "".join(lines)
    assert (missing.state_name, "nosuch.csv" in missing.state.message) == ("Rejected", True)
    assert every.state.type.value == "FAILED"
    assert "Traceback" not in said
    for word in ("bank: Finished in state HeldBack(", "bad: Finished in state Rejected(", "12 standard questions"):
        assert word in said, said
    for word in ("great_expectations", "Running hook", "| INFO "):
        assert word not in said.replace("| INFO    | Flow run", ""), said  # Prefect's, before our flow begins


def test_what_is_held_back_ends_the_command_with_1_and_the_run_in_a_state_that_says_so(machine):
    """The reason is in the answer, in the state and in the report; what was live stays."""
    machine.write_toml("bank")
    golden = machine.folder / "golden.csv"
    with machine.server():
        published = machine.dssm("run", "bank", "--json")
        assert published.code == 0, published.err
        live = (machine.home / "models" / "bank" / "live.json").read_bytes()
        write_table(golden, [(PAIRS[9][0], PAIRS[0][1])])
        machine.write_toml("bank", f'publish.golden_path = "{golden}"\nseed = 7')
        held = machine.dssm("run", "bank", "--json")
        last = machine.runs("bank")[-1]
    assert held.code == 1, held.err
    result = json.loads(held.out.splitlines()[-1])
    assert result["status"] == "held"
    assert f"“{PAIRS[9][0]}”" in result["reasons"][0]
    assert (last.state_name, last.state.type.value) == ("HeldBack", "FAILED")
    assert result["reasons"][0][:60] in last.state.message
    assert "golden" in Path(result["report"]).read_text("utf-8")
    assert (machine.home / "models" / "bank" / "live.json").read_bytes() == live
