"""Runs that died before they began, and runs that somebody has deleted."""

from datetime import UTC, datetime, timedelta

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Crashed, Pending

from flows import late_runs
from flows.late_runs import end_if_deleted, mark_dead_runs, report_crashed_runs
from schemas.errors import MachineFault
from tests.flows.test_announcements import web_hook


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


def test_people_are_told_once_of_a_run_that_the_server_marked_as_crashed(prefect_server, monkeypatch):
    """Its process is gone; who watches over it tells. One that told by itself is not told of again."""
    since = datetime.now(UTC)
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(client.create_flow_from_name("train-corpus"), "silent", entrypoint="a.b")
        for name, message in (("bank", "gone"), ("other", "told by its own process")):
            run = client.create_flow_run_from_deployment(deployment, name=name)
            client.set_flow_run_state(run.id, Crashed(message=message), force=True)
    with web_hook() as (address, received):
        monkeypatch.setenv("DSSM_NOTIFY", address)
        assert [run.name for run in report_crashed_runs([deployment], since, "gone")] == ["bank"]
        assert report_crashed_runs([deployment], datetime.now(UTC), "gone") == []
    assert [(one["title"], one["message"]) for one in received] == [("bank: Crashed", "gone")]
