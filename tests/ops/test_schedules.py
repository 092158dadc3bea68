"""`dssm serve`, `plan` and `deploy` against a real Prefect server, on a real clock."""

import http.server
import os
import signal
import sys
import threading

from flows.server import answers
from schemas.settings import CorpusSettings
from tasks.train.task import TRAINING_LIMIT


def test_a_corpus_trains_at_its_time_and_everything_ends_with_ctrl_c(machine):
    """A cron makes scheduled runs, one of them starts by itself and publishes; nothing is left running afterwards."""
    machine.write_toml("bank", 'schedule.cron = "* * * * *"')
    (machine.home / "corpora" / "wrong.toml").write_text("[model]\nhiden = [1]\n", "utf-8")
    with machine.serving() as process:
        assert f"started at http://127.0.0.1:{machine.port}" in machine.said()
        assert "created  train-corpus/bank  * * * * *, Asia/Shanghai" in machine.said()
        assert "train-corpus/wrong is left as it was" in machine.said(), "and the others are served"
        with machine.client() as client:
            bank = client.read_deployment_by_name("train-corpus/bank")
            assert (bank.global_concurrency_limit.limit, bank.tags) == (1, ["dssm", "bank"])
            assert client.read_global_concurrency_limit_by_name(TRAINING_LIMIT).limit == 1

        machine.wait(lambda: len([r for r in machine.runs() if r.auto_scheduled]) >= 3)
        done = machine.wait(lambda: [r for r in machine.runs("bank") if r.state_name == "Published"])[0]
        assert done.auto_scheduled
        assert CorpusSettings.model_validate(done.parameters["corpus"]).name == "bank", "the run records all settings"
        assert (machine.home / "models" / "bank" / "live.json").is_file()

        changed = machine.ended(machine.run_now("train-corpus/bank", model__embedding_dim=24))
        assert changed.parameters["corpus"]["model"]["embedding_dim"] == 24
        assert changed.state_name == "Published"

        os.kill(process.pid, signal.SIGINT)  # to it alone: what it started it must end itself
        assert process.wait(60) == 130
    assert not answers(machine.api)
    assert not machine.processes()


def test_after_an_outage_only_the_newest_late_run_is_made_up_for(machine):
    """The others are skipped, and say by which run; what was removed from the TOMLs is gone from the server."""
    machine.write_toml("bank", 'schedule.cron = "* * * * *"')
    with machine.server():
        assert machine.dssm("deploy").code == 0
        machine.wait(lambda: len([r for r in machine.runs() if machine.overdue(r)]) >= 2)
        machine.write_toml("bank", 'schedule.cron = "* * * * *"\nseed = 7')
        late = [run for run in machine.runs() if machine.overdue(run)]
        with machine.serving():
            assert "already answers" in machine.said()
            for run in late[:-1]:
                skipped = machine.ended(run)
                assert (skipped.state_name, skipped.state.type.value) == ("Skipped", "CANCELLED")
                assert "replaces it" in skipped.state.message
            assert machine.ended(late[-1]).state_name in ("Published", "Skipped")
        assert answers(machine.api), "a server that answered before stays"


def test_a_plan_is_what_deploy_then_does(machine):
    """Created, changed, removed, schedules included."""
    nothing = machine.dssm("plan")
    assert nothing.code == 0
    assert "compared with an empty one" in nothing.err
    without = machine.dssm("deploy")
    assert (without.code, "no Prefect server answers" in without.err) == (3, True)

    machine.write_toml("bank", 'schedule.cron = "0 5 * * *"')
    machine.write_toml("gone")
    with machine.server():
        first = machine.dssm("deploy")
        assert (first.code, first.out.count("created")) == (0, 6)
        with machine.client() as client:
            bank = client.read_deployment_by_name("train-corpus/bank")
            client.pause_deployment(bank.id)

        machine.write_toml("bank", 'schedule.cron = "never"\nmodel.hidden = [64]')
        (machine.home / "corpora" / "gone.toml").unlink()
        planned, done = machine.dssm("plan"), machine.dssm("deploy")
        assert "remove  train-corpus/gone" in planned.out
        assert "model.hidden_dims: nothing -> [64]" in planned.out
        assert [line.split()[1:] for line in planned.out.splitlines()] == [
            line.split()[1:] for line in done.out.splitlines()[:-1]
        ]
        with machine.client() as client:
            bank = client.read_deployment_by_name("train-corpus/bank")
            assert (bank.schedules, bank.paused) == ([], True), "what a person paused stays paused"
            assert {one.name for one in client.read_deployments()} == {"a", "all", "b", "bank", "c"}
        assert "change" not in machine.dssm("plan").out.replace("unchanged", "")


def test_a_worker_of_a_pool_runs_a_corpus(machine):
    """In a temporary folder of its own: every path is absolute, DSSM_HOME included."""
    machine.write_toml("bank", 'schedule.cron = "0 5 * * *"')
    with machine.server():
        prefect = [sys.executable, "-m", "prefect"]
        assert machine.dssm("deploy", "--pool", "nightly").code == 0
        elsewhere = {key: value for key, value in machine.environment.items() if key != "DSSM_HOME"}
        machine.environment = elsewhere
        worker = machine.start(*prefect, "worker", "start", "--pool", "nightly")
        try:
            assert machine.ended(machine.run_now("train-corpus/bank")).state_name == "Published"
        finally:
            os.killpg(worker.pid, signal.SIGINT)
            worker.wait(60)
    assert (machine.home / "models" / "bank" / "live.json").is_file()


def test_a_port_that_something_else_holds_is_named(machine):
    """With what to do about it, and nothing is started."""
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", machine.port), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    ended = machine.dssm("serve")
    httpd.shutdown()

    assert ended.code == 3
    assert f"port {machine.port} of 127.0.0.1 is taken by something that is no Prefect server" in ended.err
    assert "PREFECT_API_URL=" in ended.err


def test_no_sound_toml_is_nothing_to_serve(machine):
    """Every message is given; no server is started for nothing."""
    for name in "abc":
        machine.write_toml(name, "model.hiden = [1]", fast=False)
    ended = machine.dssm("serve")

    assert ended.code == 2
    assert ended.err.count("did you mean model.hidden_dims?") == 3
    assert not answers(machine.api)
