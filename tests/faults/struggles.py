"""Processes that are killed, and processes that race; what is live afterwards."""

import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from schemas.errors import PipelineError
from schemas.live import Live
from tasks.registry import ModelRegistry
from tasks.retrieval.retriever import Retriever
from tests.faults.trying import Verdict
from tests.tasks.conftest import put

Outcome = tuple[str, str, Verdict, str]  # kind, name, verdict, why


def everything(published: Path, candidate: Path, base: Path) -> Iterator[Outcome]:
    """Yield how each ended; `published` is a folder of models, `candidate` what is published anew."""
    yield from kills(published, candidate, base / "kills")
    yield from full_disks(published, candidate, base / "full")
    yield races(published, candidate, base / "races")


def change(models: Path, candidate: Path, drawn: random.Random) -> None:
    """Publish, or take back."""
    registry = ModelRegistry(models / "toy")
    if drawn.random() < 0.6:
        with registry.update() as update:
            update.go_live(put(update, candidate), "published")
            update.prune(3)
    else:
        with suppress(PipelineError):  # nothing is left to go back to
            registry.change(lambda update: update.roll_back())


def in_fork(work: Callable[[], object]) -> int:
    """Start `work` in a process of its own; return its number. It ends with 0, or 1 where anything is raised."""
    if child := os.fork():
        return child
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def look(models: Path) -> str:
    """Return what is wrong with what is live; empty: nothing."""
    try:
        found = Retriever(models / "toy").search(["怎么退票"], 1)
        ModelRegistry(models / "toy").change(lambda update: None)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "" if found[0] else "no answer"


def kills(published: Path, candidate: Path, base: Path, count: int = 40) -> Iterator[Outcome]:
    """Kill a process that publishes and takes back, after some milliseconds."""
    models, drawn = shutil.copytree(published, base / "models"), random.Random(7)

    def work() -> None:
        mine = random.Random(os.getpid())
        while True:
            change(models, candidate, mine)

    for number in range(count):
        child, after = in_fork(work), drawn.uniform(0.001, 0.25)
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        wrong = look(models)
        yield "kills", f"{number}: after {after * 1000:.0f} ms", "traceback" if wrong else "right", wrong


def full_disks(published: Path, candidate: Path, base: Path) -> Iterator[Outcome]:
    """Publish where no file may be above a size: the old version stays live, and answers."""
    for size in (0, 1, 200, 1000, 5000, 20_000, 100_000):
        models = shutil.copytree(published, base / str(size) / "models")
        before = ModelRegistry(models / "toy").live().version

        def work(models: Path = models, size: int = size) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            with ModelRegistry(models / "toy").update() as update:
                update.go_live(put(update, candidate), "published")

        _, status = os.waitpid(in_fork(work), 0)
        wrong = look(models)
        after = ModelRegistry(models / "toy").live().version
        if not wrong and (after != before) != (status == 0):
            wrong = f"ended with {status}, and live went from {before} to {after}"
        yield "full disks", f"publish, no file above {size} bytes", "traceback" if wrong else "right", wrong


def races(published: Path, candidate: Path, base: Path, changes: int = 15) -> Outcome:
    """Three processes change what is live, two read it all the while."""
    models = shutil.copytree(published, base / "models")
    began = len(ModelRegistry(models / "toy").live().history)

    def write() -> None:
        registry = ModelRegistry(models / "toy")
        for _ in range(changes):
            with registry.update() as update:
                update.go_live(put(update, candidate), "published")
                update.prune(4)

    def read() -> None:
        until = time.monotonic() + 1
        while time.monotonic() < until or not (base / "done").exists():
            assert Retriever(models / "toy").search(["怎么退票"], 1)[0]

    readers, writers = [in_fork(read) for _ in range(2)], [in_fork(write) for _ in range(3)]
    ends = [os.waitpid(child, 0)[1] for child in writers]
    (base / "done").touch()
    ends += [os.waitpid(child, 0)[1] for child in readers]
    history = Live.parse((models / "toy" / "live.json").read_bytes()).history
    wrong = look(models) or f"{ends} {len(history)}" * (any(ends) or len(history) - began != 3 * changes)
    return "races", f"{3 * changes} publications, 2 readers", "traceback" if wrong else "right", wrong
