"""`dssm`, killed at the n-th point of a step. Run as a module, as `dssm` is run: a process of its own.

`python -m tests.ops.killed STEP N WORDS…` is `dssm WORDS…` until then. A point is whatever can change a file below
DSSM_HOME: opening one for writing, making, linking, renaming or removing one, syncing; the process is killed before
it happens. With N = 0 it is left alive, and at its end writes how many points each step has to the file STEP.
The variable FUSE names another signal than SIGKILL. STEP may be `file NAME`: what happens to files of that name.
"""

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

_EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "shutil.copyfile", "shutil.rmtree"}
STEPS = ("ingest", "validate", "prepare", "train: choose", "train: refit", "evaluate", "publish")


class Fuse:
    """Counts the points of every step; kills this process at one of them."""

    def __init__(self, step: str, number: int) -> None:
        self.home, self.target, self.points = Path(os.environ["DSSM_HOME"]), (step, number), Counter[str]()
        self.now = ""  # the step that is under way
        sync = os.fsync

        def fsync(descriptor: int) -> None:
            self.burn(os.readlink(f"/proc/self/fd/{descriptor}"))
            sync(descriptor)

        os.fsync = fsync
        sys.addaudithook(self.audit)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """See what can change a file."""
        if event in _EVENTS or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            if isinstance(arguments[0], (str, bytes, os.PathLike)):
                self.burn(os.fsdecode(arguments[0]))

    def burn(self, path: str) -> None:
        """Get one point shorter, if the path is ours; a relative one is of a tree that is being removed."""
        if os.path.isabs(path):
            if not Path(path).is_relative_to(self.home) or Path(path) == self.home:
                return
            self.now = step_of(Path(path).relative_to(self.home).parts, self.now)
        for one in (self.now, f"file {Path(path).name}"):
            self.points[one] += 1
        if self.target[0] in (self.now, f"file {Path(path).name}") and self.points[self.target[0]] == self.target[1]:
            os.kill(os.getpid(), signal.Signals[os.environ.get("FUSE", "SIGKILL")])


def step_of(parts: tuple[str, ...], now: str) -> str:
    """Return the step that works on this path below DSSM_HOME, or the one `now` under way if the path is anybody's."""
    name = parts[-1].lstrip(".")
    if parts[0] == "models" or name.startswith(("run.json", "settings.json")):
        return "publish"
    if name.startswith(("comparison.json", "report.html")):
        return "evaluate"
    if parts[0] != "partial" or len(parts) < 3:
        return now
    step = parts[2].split("-")[0]
    if step != "train":
        return step
    if name.startswith("refit"):
        return "train: refit"
    return now if now.startswith(step) else "train: choose"


if __name__ == "__main__":
    (step, number), sys.argv[1:] = sys.argv[1:3], sys.argv[3:]
    fuse = Fuse(step, int(number))
    from flows.cli import main

    try:
        main()
    finally:
        if number == "0":
            Path(step).write_text(json.dumps(fuse.points))
