"""What a person reads before she answers the form; the form itself is filled in among the tests of operation."""

import prefect
import pytest
from prefect.client.orchestration import get_client

from flows.approval import Approval, carry_out, describe_candidate
from schemas.run import RunResult
from schemas.workspace import Workspace
from tasks.publish.task import leave_answered
from tasks.registry import ModelRegistry
from tests.conftest import make_settings
from tests.tasks.conftest import add
from tests.tasks.publish.measured import comparison

RESULT = RunResult(
    status="awaiting_approval", corpus="toy", version="v2", recall_at_1=0.6, recall_at_10=0.82, rows=900, test_rows=200
)


@pytest.fixture
def workspace(tmp_path):
    """A run that has ended."""
    workspace = Workspace(home=tmp_path, corpus="toy", run="run-1")
    workspace.root.mkdir(parents=True)
    return workspace


def test_the_form_tells_the_difference_on_rows_that_are_new_to_both(workspace):
    """The live version's own recall is on all rows, and flattered by those it knows by heart."""
    told = comparison(won=14, lost=4, rows=100, seen=100)
    (workspace.root / "comparison.json").write_text(told.model_dump_json())
    text, gain = describe_candidate(workspace, RESULT), told.difference.recall_at_10

    assert "| live now | 0.800 | 0.800 |" in text
    assert f"Against live version {told.version}, on the 100 test rows that neither of the two was trained on" in text
    assert f"recall@10 **+0.100** (95 % interval {gain.low:+.3f} to {gain.high:+.3f}), 14 won, 4 lost" in text


def test_the_form_says_where_no_row_can_tell(workspace):
    """And nothing of a live version where there is none."""
    assert "live" not in describe_candidate(workspace, RESULT)
    (workspace.root / "comparison.json").write_text(comparison(0, 0, rows=0, seen=200).model_dump_json())

    assert "one of the two was trained on every test row" in describe_candidate(workspace, RESULT)


def test_a_form_that_is_answered_after_dssm_decline_changes_nothing_and_says_so(workspace, candidate):
    """The first version of all, too: there is nothing that could have taken its place."""
    registry = ModelRegistry.of(workspace.corpus, workspace.home)
    waiting = add(registry, candidate)
    registry.change(lambda update: update.wait_for_approval(waiting))
    registry.change(lambda update: update.decline())

    status, (reason,) = carry_out(Approval(answer="go live"), workspace, waiting.version)
    assert (status, registry.live().version) == ("held", None)
    assert reason.startswith(f"version {waiting.version} was declined before")
    assert f"dssm rollback toy --to {waiting.version}" in reason
    assert carry_out(Approval(answer="decline", remark="too early"), workspace, waiting.version) == (
        "held",
        [f"declined: too early; dssm rollback toy --to {waiting.version} makes it live all the same"],
    )


def test_a_form_that_is_answered_after_dssm_approve_and_an_edit_holds_nothing_back(workspace, candidate):
    """The version went live; that an edited copy of it answers by now is no reason to call it replaced."""
    registry = ModelRegistry.of(workspace.corpus, workspace.home)
    waiting, edited = add(registry, candidate), add(registry, candidate)
    registry.change(lambda update: update.wait_for_approval(waiting))
    registry.change(lambda update: update.approve())
    registry.change(lambda update: update.go_live(edited, "edited"))

    assert carry_out(Approval(answer="go live"), workspace, waiting.version) == ("published", [])
    status, (reason,) = carry_out(Approval(answer="decline"), workspace, waiting.version)
    assert (status, registry.live().version) == ("held", edited.version)
    assert "live since; take it back with dssm rollback toy" in reason


@pytest.mark.parametrize(("status", "said"), [("published", "approved"), ("held", "declined: too early")])
def test_what_a_run_leaves_follows_the_answer(flow, toy_csv, status, said):
    """Report, run.json and the gates of the UI: whoever looks the next day is not asked once more."""
    waiting = flow(make_settings(toy_csv, publish__approval=True))
    folder = flow.run_folder(waiting)
    assert "dssm approve toy" in (folder / "report.html").read_text("utf-8")

    @prefect.flow
    def answered():
        reasons = [said] if status == "held" else []
        return leave_answered(
            Workspace.of("toy", waiting.run), waiting.model_copy(update={"status": status, "reasons": reasons})
        )

    result = answered()
    report = (folder / "report.html").read_text("utf-8")
    with get_client(sync_client=True) as client:
        gates = max((a for a in client.read_artifacts() if a.key == "toy-gates"), key=lambda a: a.created)

    assert RunResult.model_validate_json((folder / "run.json").read_bytes()) == result
    assert "dssm approve toy" not in report
    assert said in report
    assert gates.description.startswith(f"toy: **{status}**")
    assert said in gates.data + gates.description
