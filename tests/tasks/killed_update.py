"""Change what is live again and again, killed at a later point each time. Run as a module, in a process of its own.

`python -m tests.tasks.killed_update BASE CANDIDATE ACTION`: below BASE lies start/, the state before; the state
after being killed at the n-th point is left in BASE/n. A point is whatever can change a file: opening one for
writing, making or removing one, renaming, syncing. Killing there is before it happens. The last state, BASE/n
with the highest n, is of the action that was not killed.
"""

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from schemas.edits import Edit
from tasks.registry import ModelRegistry
from tasks.retrieval.edits import edit_live
from tasks.retrieval.retriever import Model
from tests.tasks.conftest import put

_EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "shutil.copyfile", "shutil.rmtree"}


class Fuse:
    """Kills this process at the n-th point."""

    def __init__(self, n: int) -> None:
        self.left = n
        sync = os.fsync

        def fsync(descriptor: int) -> None:
            self.burn()
            sync(descriptor)

        os.fsync = fsync
        sys.addaudithook(self.audit)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Count what can change a file."""
        if event in _EVENTS or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            self.burn()

    def burn(self) -> None:
        """Get one point shorter."""
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def do(action: str, models: Path, candidate: Path) -> None:
    """Change what is live, as the task and the command line do."""
    if action == "edit":
        edit = Edit(action="add", standard_question="飞机上有网吗", payload={"answer": "有"})
        edit_live(ModelRegistry(models), edit)
        return
    with ModelRegistry(models).update() as update:
        if action == "publish":
            update.go_live(put(update, candidate), "published")
            update.prune(2)
        elif action == "approve":
            update.approve()
        else:
            update.roll_back()


def main(base: Path, candidate: Path, action: str) -> None:
    """Kill the action at every point."""
    n, killed = 0, True
    Model(candidate)  # its dictionary is loaded once, not in every process
    while killed:
        n += 1
        models = base / str(n) / "toy"
        shutil.copytree(base / "start", models.parent)
        if not (child := os.fork()):
            Fuse(n)
            do(action, models, candidate)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        killed = os.WIFSIGNALED(status)
        if not killed and os.waitstatus_to_exitcode(status):
            sys.exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
