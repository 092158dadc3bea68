"""`dssm serve`, `dssm deploy` and `dssm server` beside other programs, other homes, and servers that go and come."""

import os
import signal
import socket
import time

from tests.conftest import CHECKOUT, DSSM


def test_a_port_that_another_program_has_is_one_message(machine):
    machine.write_toml("bank")
    with socket.create_server(("127.0.0.1", machine.port)):
        ended = machine.dssm("serve", http_proxy="http://127.0.0.1:9")
    assert (ended.code, ended.err.count("\n")) == (3, 1), ended.err
    assert f"port {machine.port} of 127.0.0.1 is taken" in ended.err


def test_a_pool_is_made_once_and_two_homes_do_not_take_each_other_over(machine):
    """Unless one says so: else each would train from the other's folders."""
    machine.write_toml("bank")
    other = machine.folder / "other"
    (other / "corpora").mkdir(parents=True)
    with machine.server():
        for _ in range(2):
            deployed = machine.dssm("deploy", "--pool", "nightly")
            assert deployed.code == 0, deployed.err
        with machine.client() as client:
            pool = client.read_work_pool("nightly")
        assert (pool.type, "env" in str(pool.base_job_template)) == ("process", True)

        refused = machine.dssm("deploy", DSSM_HOME=str(other))
        assert (refused.code, refused.err.count("\n")) == (2, 1), refused.err
        assert f"belong to DSSM_HOME = {machine.home}" in refused.err
        assert machine.dssm("deploy", "--take-over", DSSM_HOME=str(other)).code == 0


def test_a_service_started_with_nohup_survives_the_hang_up_and_an_outage_is_told_once(machine):
    """What is due starts when the server is there again; meanwhile a second service of this home is refused."""
    machine.write_toml("bank")
    with machine.server():
        serving = machine.start("nohup", *DSSM, "serve")
        machine.wait(lambda: "Ctrl-C ends it" in machine.said(), serving)
        os.kill(serving.pid, signal.SIGHUP)
        time.sleep(2)
        assert serving.poll() is None
        second = machine.dssm("serve")
        assert (second.code, second.err.count("\n")) == (2, 1), second.err
        assert f"another dssm serve works for DSSM_HOME = {machine.home}" in second.err
    try:
        machine.wait(lambda: "does not answer" in machine.said(), serving)
        time.sleep(30)
        with machine.server():
            machine.wait(lambda: "answers again" in machine.said(), serving)
            assert machine.ended(machine.run_now("train-corpus/bank")).state_name == "Published"
            said = machine.said()  # before this server ends, too
        outage = said[said.index("does not answer;") : said.index("answers again")]
        assert (said.count("does not answer;"), "Traceback" in outage) == (1, False), said
    finally:
        os.kill(serving.pid, signal.SIGINT)
        assert serving.wait(60) in (0, 130)


RESOLVER = """
import os, socket
_real = socket.getaddrinfo
def getaddrinfo(host, *words, **named):
    with open(os.environ["NAMES"], "a") as names:
        names.write(f"{host.decode() if isinstance(host, bytes) else host}\\n")
    return _real(host, *words, **named)
socket.getaddrinfo = getaddrinfo
"""


def test_nothing_we_start_or_print_asks_for_a_foreign_name(machine):
    """A server, a service and runs, each of whose processes writes down the names it looks up."""
    shim, names = machine.folder / "shim", machine.folder / "names"
    shim.mkdir()
    (shim / "sitecustomize.py").write_text(RESOLVER)
    del machine.environment["PREFECT_SERVER_ANALYTICS_ENABLED"], machine.environment["DO_NOT_TRACK"]
    machine.environment |= {"PYTHONPATH": f"{shim}{os.pathsep}{CHECKOUT}", "NAMES": str(names)}
    machine.write_toml("bank")
    server = machine.start(*DSSM, "server", "--port", str(machine.port))
    try:
        from flows.server import answers

        machine.wait(lambda: answers(machine.api), server)
        with machine.serving():
            assert machine.ended(machine.run_now("train-corpus/bank")).state_name == "Published"
        alone = machine.dssm("run", "bank", PREFECT_API_URL="")
        assert alone.code == 0, alone.err
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0
    looked_up = set(names.read_text().split()) - {"None"}
    assert looked_up - {"127.0.0.1", "::1", "localhost", socket.gethostname()} == set()
    assert "127.0.0.1" in looked_up, "the names were written down"
    printed = [*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/*.md"), *CHECKOUT.glob("flows/*.py")]
    assert [file.name for file in printed if "prefect server start" in file.read_text()] == []
