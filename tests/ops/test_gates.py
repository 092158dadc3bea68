"""Approval by a form, events, the next deployment and messages, through a served deployment."""

import http.server
import json
import threading
from collections.abc import Iterator

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.events.actions import RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from tests.ops.conftest import Machine


@pytest.fixture
def messages() -> Iterator[tuple[str, list[str]]]:
    """An Apprise address of this machine, and the titles of the messages that came."""
    titles: list[str] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            titles.append(f"{said['title']} | {said['message']}")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"json://127.0.0.1:{httpd.server_port}", titles
    httpd.shutdown()


def add_followers(machine: Machine) -> None:
    """Two deployments of others: one that on_published names, one that the event starts."""
    with machine.client() as client:
        flow = client.create_flow_from_name("reload-bot")
        client.create_deployment(flow, "named", entrypoint="nowhere.reload")
        by_event = client.create_deployment(flow, "by-event", entrypoint="nowhere.reload")
        trigger = EventTrigger(
            expect={"model.published"},
            match={"prefect.resource.id": "dssm.corpus.bank"},
            posture=Posture.Reactive,
            threshold=1,
        )
        action = RunDeployment(source="selected", deployment_id=by_event)
        client.create_automation(AutomationCore(name="reload the bot", trigger=trigger, actions=[action]))


def followed(machine: Machine) -> list[str]:
    """Return the deployments of others that were started, by name."""
    with machine.client() as client:
        names = {one.id: one.name for one in client.read_deployments()}
    return sorted(n for run in machine.runs() if (n := names[run.deployment_id]) in ("named", "by-event"))


def events(machine: Machine, name: str) -> list[dict]:
    """Return the events of one name."""
    with machine.client() as client:
        answer = client.request("POST", "/events/filter", json={"filter": {"event": {"name": [name]}}})
    return answer.json()["events"]


def suspended(machine: Machine, run: FlowRun) -> bool:
    with machine.client() as client:
        return client.read_flow_run(run.id).state_name == "Suspended"


def question(machine: Machine, run: FlowRun) -> str:
    """Return what the form says."""
    with machine.client() as client:
        keys = client.read_flow_run(run.id).state.state_details.run_input_keyset
        return client.read_flow_run_input(run.id, keys["description"])


def resume(machine: Machine, run: FlowRun, **form: object) -> dict:
    """Submit the form; return what the server says to it."""
    with machine.client() as client:
        return client.request("POST", f"/flow_runs/{run.id}/resume", json={"run_input": form}).json()


def answer(machine: Machine, run: FlowRun, **form: object) -> FlowRun:
    """Fill in the form, and return the run when it has ended."""
    resume(machine, run, **form)
    return machine.ended(run)


def live(machine: Machine) -> dict:
    return json.loads((machine.home / "models" / "bank" / "live.json").read_text())


def test_a_person_decides_in_the_form_and_others_are_told(machine, messages):
    """Approved: live, event, next deployment. Declined: held, and never asked again. Each with a message."""
    address, titles = messages
    machine.write_toml(
        "bank", 'publish.approval = true\npublish.on_published = "reload-bot/named"\npublish.max_drop_vs_live = 1'
    )
    with machine.serving(DSSM_NOTIFY=address):
        add_followers(machine)
        first = machine.run_now("train-corpus/bank")
        machine.wait(lambda: suspended(machine, first))
        version = live(machine)["pending"]
        report = question(machine, first)
        assert "| this version | " in report
        assert "| tfidf | " in report
        assert version in report
        assert "[Open the report](/reports/bank/" in report
        untouched = resume(machine, first)
        assert (untouched["status"], suspended(machine, first)) == ("REJECT", True), "it takes an answer"
        assert titles == [t for t in titles if t.startswith("bank: awaits approval | ")]
        again = machine.ended(machine.run_now("train-corpus/bank"))
        assert again.state_name == "AwaitingApproval", "one question at a time about one version"

        published = answer(machine, first, answer="go live")
        assert (published.state_name, live(machine)["version"]) == ("Published", version)
        assert len(list((machine.home / "runs" / "bank").glob("*/"))) == 2, "a resumed run goes on in its folder"
        machine.wait(lambda: followed(machine) == ["by-event", "named"])
        # the server hands an event on before it can be read back
        machine.wait(lambda: [e["payload"]["version"] for e in events(machine, "model.published")] == [version])

        second = machine.run_now("train-corpus/bank", seed=8)
        machine.wait(lambda: suspended(machine, second))
        assert f"Against live version {version}, on the " in question(machine, second)
        declined = answer(machine, second, answer="decline", remark="not on a Friday")
        assert (declined.state_name, declined.state.type.value) == ("HeldBack", "FAILED")
        assert "declined: not on a Friday" in declined.state.message
        assert live(machine)["version"] == version
        same = machine.ended(machine.run_now("train-corpus/bank", seed=8))
        assert "declined or rolled back" in same.state.message, "the same inputs do not ask again"
        assert same.run_count == 1, "nothing retries a hold-back"
        machine.wait(lambda: len(events(machine, "candidate.held")) == 2)

        third = machine.run_now("train-corpus/bank", seed=9)
        machine.wait(lambda: suspended(machine, third))
        approved = machine.dssm("approve", "bank", DSSM_NOTIFY=address)
        assert approved.code == 0, approved.err
        machine.wait(lambda: followed(machine) == ["by-event", "by-event", "named", "named"])
        assert machine.ended(third).state_name == "Published", "it follows what was answered elsewhere"

        fourth = machine.run_now("train-corpus/bank", seed=10)
        machine.wait(lambda: suspended(machine, fourth))
        declined = machine.dssm("decline", "bank")
        assert declined.code == 0, declined.err
        held = machine.ended(fourth)
        assert (held.state_name, "declined: on the command line" in held.state.message) == ("HeldBack", True)

        fifth = machine.run_now("train-corpus/bank", seed=11)
        machine.wait(lambda: suspended(machine, fifth))
        sixth = machine.run_now("train-corpus/bank", seed=12)
        machine.wait(lambda: suspended(machine, sixth))
        assert f"no longer waits: {live(machine)['pending']} took its place" in machine.ended(fifth).state.message
        assert suspended(machine, sixth), "the newest alone still asks"

        gone = machine.ended(machine.run_now("train-corpus/bank", source__path=str(machine.folder / "nosuch.csv")))
        assert gone.state_name == "Rejected"
        expected = ["awaits approval", "AwaitingApproval", "Published", "awaits approval", "HeldBack", "HeldBack"]
        expected += ["awaits approval", "Published", "awaits approval", "HeldBack"]
        expected += ["awaits approval", "awaits approval", "HeldBack", "Rejected"]
        machine.wait(lambda: len(titles) >= len(expected))
        assert [title.split(" | ")[0] for title in titles] == [f"bank: {end}" for end in expected]
        assert "nosuch.csv" in titles[-1]
