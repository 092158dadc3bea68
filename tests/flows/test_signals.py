"""What ends a process that nobody can talk to any more."""

import subprocess
import sys

import pytest

from schemas.workspace import CHECKOUT

MAIN = """
import sys, threading
from flows import signals
signals._PATIENCE = 1
signals.end_without_memory("last words")
def work():
    raise MemoryError
thread = threading.Thread(target=work)
try:
    thread.start()
    threading.Event().wait()
except MemoryError as error:
    print(error)
    if sys.argv[1] == "stubborn":
        threading.Event().wait()
    try:
        sys.exit(3)
    except SystemExit as end:
        threading.Thread(target=threading.Event().wait).start()  # Python would wait for it
        signals.leave_without_memory(end.code)
"""


@pytest.mark.parametrize(("how", "out"), [("sensible", ""), ("stubborn", "last words")])
def test_a_thread_without_memory_ends_the_process(how, out):
    """Whoever waits for it is told; and where that is of no use, the process ends all the same."""
    done = subprocess.run(
        [sys.executable, "-u", "-c", MAIN, how], cwd=CHECKOUT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout.splitlines()[1:]) == (3, [out] if out else [])
    assert done.stdout.startswith("out of memory: a thread could not be started")
