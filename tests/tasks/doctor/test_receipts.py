"""Forecast beside outcome, and what the doctor learns from it."""

import os

import numpy as np
import pytest

from schemas.corrections import Correction
from schemas.doctor import DoctorState, Outcome, Promise, Receipt
from schemas.errors import MachineFault, StaleFile
from schemas.manifest import StepManifest, list_files
from schemas.workspace import Workspace
from tasks.doctor.memory import change_state, latest_run, read_state
from tasks.doctor.receipts import open_receipt, settle
from tests.tasks.doctor.test_advice import make_case

FED = Promise(kind="feed", standard_question="question 0", gain=30.0)


def test_every_action_carries_its_forecast_once():
    """Three corrections, two actions."""
    made = [
        Correction(batch="b", do="add", standard_question="A", query="x", action="feed", gain=0.4),
        Correction(batch="b", do="add", standard_question="A", query="y", action="feed"),
        Correction(batch="b", do="rename", standard_question="B", to="C", action="merge", gain=0.1),
    ]
    receipt = open_receipt("b", "r1", made)

    assert [(one.kind, one.standard_question, one.to) for one in receipt.promises] == [
        ("feed", "A", ""),
        ("merge", "B", "C"),
    ]
    assert receipt.forecast == pytest.approx(0.5)


def test_what_came_of_it_is_measured_on_rows_that_both_runs_have():
    """Four common rows: one of two of the fed is won, another is lost; a new test row is left out."""
    before = make_case([2, 9], [0, 0, 1, 1], [20, 20, 0, 3], [[1, 0]] * 4, asked=["a", "b", "c", "d"])
    after = make_case([7, 9], [1, 0, 0, 1, 0], [0, 4, 20, 15, 0], [[1, 0]] * 5, asked=["c", "a", "b", "d", "new"])
    outcome = settle(Receipt(batch="b", run="r1", promises=[FED]), "r2", before, after).outcome

    assert (outcome.run, outcome.rows, outcome.before, outcome.after) == ("r2", 4, 0.5, 0.5)
    (kept,) = outcome.kept
    assert (kept.rows, kept.before, kept.after, kept.points) == (2, 0.0, 0.5, 25.0)


def test_rows_that_repeat_a_query_are_paired_in_their_order():
    """Not each with each."""
    case = make_case([2, 9], [0, 0, 1], [20, 0, 0], [[1, 0]] * 3, asked=["a", "a", "b"])

    assert settle(Receipt(batch="b", run="r", promises=[]), "s", case, case).outcome.rows == 3


@pytest.mark.parametrize(
    ("won", "low", "high"),
    [(10.0, 0.99, 1.01), (5.0, 0.5, 0.7), (0.0, 0.24, 0.26), (-50.0, 0.24, 0.26), (90.0, 1.99, 2.01)],
)
def test_forecasts_learn_from_what_came_of_them(won, low, high):
    """Ten points were forecast; what came of them, more or less, is what the next ten are worth, within bounds."""
    outcome = Outcome(run="r2", rows=100, before=0.1, after=0.1 + won / 100, kept=[])
    promise = FED.model_copy(update={"gain": 10.0})
    state = DoctorState(receipts=[Receipt(batch="b", run="r", promises=[promise], outcome=outcome)])

    assert low < state.trust < high


def test_a_forecast_that_was_scaled_down_is_not_scaled_down_twice():
    """Half of each raw point came true, both times: the second forecast said so, and the trust stays a half."""
    outcome = Outcome(run="r2", rows=100, before=0.1, after=0.6, kept=[])
    first = Receipt(batch="b", run="r", promises=[FED.model_copy(update={"gain": 100.0})], outcome=outcome)
    second = Receipt(batch="c", run="s", promises=[FED.model_copy(update={"gain": 50.0})], trust=0.5, outcome=outcome)

    assert DoctorState(receipts=[first, second]).trust == pytest.approx(0.5, abs=0.01)


def test_nothing_known_leaves_forecasts_as_they_are():
    """And so does what no night has answered yet."""
    assert DoctorState().trust == 1
    assert DoctorState(receipts=[Receipt(batch="b", run="r", promises=[FED])]).trust == 1
    assert np.isclose(DoctorState().trust, 1)


def test_a_damaged_run_is_passed_over_and_told_where_there_is_no_other(tmp_path, caplog):
    """Nothing is said about files that are not those of the run; one that was never evaluated is none."""
    workspace = Workspace.of("bank", "run-9", tmp_path)
    assert latest_run(workspace) is None
    for name in ("20260101-000000-aaaaaa", "20260102-000000-bbbbbb", "20260103-000000-cccccc"):
        for step in ("prepare", "evaluate"):
            folder = tmp_path / "runs" / "bank" / name / step
            folder.mkdir(parents=True)
            (folder / "file").write_text(name)
            StepManifest(step=step, key="k", files=list_files(folder)).write(folder)
    old, new, begun = sorted((tmp_path / "runs" / "bank").iterdir())
    (begun / "evaluate" / "manifest.json").unlink()
    assert latest_run(workspace).run == new.name

    (new / "prepare" / "file").write_text("another")
    assert latest_run(workspace).run == old.name
    assert f"run {new.name} is damaged and is passed over" in caplog.text
    (old / "evaluate" / "manifest.json").write_text("{")
    with pytest.raises(StaleFile, match=rf"run {new.name} is damaged .*make another one: dssm run bank"):
        latest_run(workspace)


def test_a_pipe_in_the_place_of_the_memory_is_not_waited_for(tmp_path):
    (tmp_path / "corrections").mkdir()
    os.mkfifo(tmp_path / "corrections" / "bank.doctor.json")
    with pytest.raises(MachineFault, match=r"cannot read .*bank\.doctor\.json: a pipe or a device"):
        read_state(Workspace.of("bank", "run-1", tmp_path))


def test_a_damaged_memory_is_set_aside_and_named(tmp_path, caplog):
    """Its receipts are not lost for whoever can read them."""
    workspace = Workspace.of("bank", "run-1", tmp_path)
    change_state(
        workspace, lambda state: state.model_copy(update={"receipts": [Receipt(batch="b", run="r", promises=[FED])]})
    )
    (file,) = tmp_path.rglob("bank.doctor.json")
    file.write_bytes(torn := file.read_bytes()[:-20])

    assert read_state(workspace) == DoctorState()
    assert file.with_suffix(".damaged").read_bytes() == torn
    assert caplog.text.count("is damaged and was set aside") == 1
