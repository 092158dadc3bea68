"""Runs that died before they began, and runs that somebody has deleted."""

from datetime import timedelta

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Pending

from flows import late_runs
from flows.late_runs import end_if_deleted, mark_dead_runs
from schemas.errors import MachineFault


def test_a_run_that_stays_pending_has_crashed_once_it_has_had_its_time(prefect_server, monkeypatch):
    """It holds its deployment's only place, and has no heartbeat yet that could fall silent."""
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(client.create_flow_from_name("train-corpus"), "pending", entrypoint="a.b")
        run = client.create_flow_run_from_deployment(deployment)
        client.set_flow_run_state(run.id, Pending(), force=True)
        assert mark_dead_runs([deployment]) == [], "a process that has just been started"

        monkeypatch.setattr(late_runs, "_PENDING", timedelta(0))
        assert [one.id for one in mark_dead_runs([deployment])] == [run.id]
        state = client.read_flow_run(run.id).state
    assert (state.name, "before it began" in state.message) == ("Crashed", True)
    assert mark_dead_runs([deployment]) == []


def test_a_run_that_was_deleted_in_the_ui_goes_no_further(prefect_server):
    """It would publish what nobody wants any more."""
    went_on = []

    @flow
    def deleted_midway(delete: bool) -> None:
        if delete:
            with get_client(sync_client=True) as client:
                client.delete_flow_run(flow_run.get_id())
        try:
            end_if_deleted()
        except MachineFault as fault:
            went_on.append(str(fault))
        else:
            went_on.append("yes")

    deleted_midway(False)
    with pytest.raises(ObjectNotFound):  # Prefect cannot say how it ended
        deleted_midway(True)
    assert went_on[0] == "yes"
    assert "somebody has deleted it" in went_on[1]
