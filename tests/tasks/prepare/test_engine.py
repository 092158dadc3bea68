"""Where jobs run: in order, and never longer than who asked for them."""

import os
import signal
import subprocess
import sys
import time

from schemas.workspace import CHECKOUT
from tasks.prepare.engine import open_local

LONG = """
import time
from tasks.prepare.engine import open_local
from tests.tasks.prepare.test_engine import tell
if __name__ == "__main__":
    with open_local(2) as engine:
        for pid in engine.run(tell, [(0,), (0,)] * 4):
            print(pid, flush=True)
        time.sleep(600)
"""


def tell(seconds: float) -> int:
    """Return the process it runs in, after a while."""
    time.sleep(seconds)
    return os.getpid()


def test_results_come_in_the_order_of_the_jobs_and_not_from_here():
    """The first job takes longest; two processes share four jobs, of which never more than four wait."""
    asked = []

    def jobs():
        for number in (3, 0, 0, 0, 0, 0, 0):
            asked.append(number)
            yield (number / 10,)

    with open_local(2) as engine:
        results = engine.run(tell, jobs())
        first = next(results)
        assert len(asked) <= 5
        pids = [first, *results]

    assert len(pids) == 7
    assert os.getpid() not in pids
    with open_local(1) as engine:
        assert list(engine.run(tell, [(0,)])) == [os.getpid()]


def test_a_killed_parent_leaves_no_process_behind():
    """Its pool would wait for work for ever, 400 MB each."""
    process = subprocess.Popen([sys.executable, "-c", LONG], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    workers = {int(process.stdout.readline()) for _ in range(8)}

    process.send_signal(signal.SIGKILL)
    process.wait()

    end = time.monotonic() + 30
    while workers and time.monotonic() < end:
        workers = {pid for pid in workers if os.path.exists(f"/proc/{pid}") and not is_zombie(pid)}
        time.sleep(0.05)
    assert not workers


def is_zombie(pid: int) -> bool:
    """Say whether a process has ended and waits to be reaped."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
