"""What ends a process that nobody can talk to any more."""

import os
import signal
import subprocess
import sys

import pytest
from pydantic import BaseModel, model_serializer

from flows.signals import heeding_interrupts
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


DELETED = """
import os, signal, sys, time
from flows import signals
signals.end_without_memory("")
if sys.argv[1] == "exit":
    signals.exit_on_signals()
else:
    signals.interrupt_on_signals()
class Deleted:
    def __del__(self):
        os.kill(os.getpid(), int(sys.argv[2]))
        time.sleep(0.01)
try:
    Deleted()
    time.sleep(30)
except (KeyboardInterrupt, SystemExit) as end:
    print(type(end).__name__)
"""


@pytest.mark.parametrize(
    ("how", "number", "raised"),
    [
        ("interrupt", signal.SIGTERM, "KeyboardInterrupt"),
        ("interrupt", signal.SIGINT, "KeyboardInterrupt"),
        ("exit", signal.SIGTERM, "SystemExit"),
        ("exit", signal.SIGHUP, "SystemExit"),
    ],
)
def test_a_signal_while_an_object_is_deleted_is_not_lost(how, number, raised):
    """Python cannot raise anything there."""
    words = [sys.executable, "-c", DELETED, how, str(int(number))]
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, timeout=20)
    assert (done.stdout, done.stderr) == (f"{raised}\n", "")


class Interrupted(BaseModel):
    """Receives Ctrl-C while pydantic writes it down."""

    @model_serializer
    def send_ctrl_c(self) -> dict[str, str]:
        """Send it to this process."""
        os.kill(os.getpid(), signal.SIGINT)
        return {}


def test_ctrl_c_in_code_that_makes_another_exception_of_it():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="KeyboardInterrupt"):  # what pydantic makes of it
        Interrupted().model_dump()
    with pytest.raises(KeyboardInterrupt), heeding_interrupts():
        Interrupted().model_dump()
    assert signal.getsignal(signal.SIGINT) is before


def test_what_is_no_interrupt_stays_what_it_is():
    with pytest.raises(ValueError, match="wrong"), heeding_interrupts():
        raise ValueError("wrong")
