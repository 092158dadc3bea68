"""`make faults`: everything that is tried, in one table. Exit 1 where anything ends worse than right."""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import import_module
from pathlib import Path

from tests.faults import upkeep
from tests.faults.trying import MOST_MEMORY, Case, Verdict, try_case

FAST = ("settings", "TOMLs", "command lines", "homes", "secrets", "damaged pointers", "queries")
_EACH = 10  # of a thousand settings, the fast part tries every tenth
HEAVY = (
    *("flows.check", "flows.init", "flows.commands.runs", "tasks.ingest.document_tables", "tasks.ingest.importers"),
    *("tasks.ingest.workbooks", "tasks.retrieval.retriever", "tasks.validate.expectations", "great_expectations"),
    *("flows.doctor", "tasks.retrieval.edits", "tasks.evaluate.experiments", "tasks.evaluate.changes"),
)
COLUMNS = ("right", "unclear", "traceback", "silent", "memory", "leak")


def main() -> None:
    """Try all cases, or those whose kind or name holds a word."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("only", nargs="*", help="parts of KIND: NAME; all otherwise")
    words.add_argument("--fast", action="store_true", help="what takes seconds, as make test does")
    words.add_argument("-v", "--verbose", action="store_true", help="every case")
    given = words.parse_args()
    prepare()
    table, began = Table(given.verbose), time.monotonic()

    def is_wanted(kind: str, name: str) -> bool:
        chosen = not given.only or any(word in f"{kind}: {name}" for word in given.only)
        return chosen and not (given.fast and kind not in FAST)

    with tempfile.TemporaryDirectory(prefix="dssm-faults-") as folder:
        base = Path(folder)
        published = publish_toy(base / "published")
        trained = lru_cache(lambda: upkeep.train_home(base / "trained"))
        for number, case in enumerate(all_cases(published, trained)):
            if is_wanted(case.kind, case.name) and not (given.fast and case.kind == "settings" and number % _EACH):
                end = try_case(case, base / str(number), run_command)
                if end.code == -signal.SIGKILL and not end.memory > MOST_MEMORY:  # a busy machine, or does it hang?
                    end = try_case(case, base / f"{number}-again", run_command)
                table.add(case.kind, case.name, end.verdict, end.why or end.err.strip()[:200])
        if not given.fast and any(is_wanted(kind, "") for kind in ("kills", "full disks", "races")):
            from tests.faults.struggles import everything

            for outcome in everything(published, base / "published" / "two", base):
                table.add(*outcome)
        if not given.fast and is_wanted("requests", ""):
            from tests.faults.requests import requests

            for outcome in requests(published, base / "requests"):
                table.add(*outcome)
    table.show(time.monotonic() - began)
    sys.exit(1 if table.worse else 0)


class Table:
    """What came of all."""

    def __init__(self, verbose: bool) -> None:
        self._verbose, self.worse = verbose, 0
        self._counts: dict[str, Counter[str]] = {}

    def add(self, kind: str, name: str, verdict: Verdict, why: str) -> None:
        """Count one, and tell it where it is worse than right."""
        self._counts.setdefault(kind, Counter())[verdict] += 1
        self.worse += verdict != "right"
        if verdict != "right" or self._verbose:
            say(f"{verdict:9} {kind}: {name}: {why}")

    def show(self, seconds: float) -> None:
        """Print it."""
        say(f"\n{'':22}{'tried':>10}" + "".join(f"{name:>11}" for name in COLUMNS))
        for kind, found in [*self._counts.items(), ("all", sum(self._counts.values(), Counter()))]:
            say(f"{kind:22}{sum(found.values()):>10}" + "".join(f"{found[name] or '':>11}" for name in COLUMNS))
        say(f"{seconds:.0f} s")


def prepare() -> None:
    """Import what the command needs, once, so that its forks need not."""
    os.environ |= {"OMP_NUM_THREADS": "1", "PREFECT_HOME": tempfile.mkdtemp(prefix="dssm-faults-prefect-")}
    from flows.environment import start_prefect
    from flows.terminal import take_over

    start_prefect()
    take_over()
    for name in HEAVY:
        import_module(name)


def run_command(words: list[str]) -> None:
    """Be `dssm`."""
    import io

    from flows.cli import main as dssm

    encoding = os.environ.get("PYTHONIOENCODING", "utf-8")
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(os.fdopen(n, "wb", closefd=False), encoding, line_buffering=True) for n in (1, 2)
    )
    dssm(words)


def all_cases(published: Path, trained: Callable[[], Path]) -> Iterator[Case]:
    """Yield every case of a command; `published` is a folder of models, `trained` makes a home with a run."""
    from tests.faults import machines, models, settings, sources

    for make in (*sources.ALL, *settings.ALL, *machines.ALL):
        yield from make()
    yield from models.cases(published)
    yield from upkeep.cases(trained)


def publish_toy(folder: Path) -> Path:
    """Publish two versions of the toy corpus; return the folder of models."""
    from tasks.registry import ModelRegistry
    from tests.conftest import PAIRS, train_toy, write_table
    from tests.tasks.conftest import copy_candidate, publish

    folder.mkdir(parents=True)
    if not os.fork():  # torch's threads stay in a process of their own
        candidate = train_toy(write_table(folder / "toy.csv", PAIRS), folder)
        registry = ModelRegistry(folder / "models" / "toy")
        for mark in ("one", "two"):
            publish(registry, copy_candidate(candidate, folder / mark, mark))
        os._exit(0)
    os.wait()
    return folder / "models"


def say(line: str) -> None:
    """Print a line, whatever it holds."""
    print(line.encode("utf-8", "backslashreplace").decode(), flush=True)  # noqa: T201 - the output of a script


if __name__ == "__main__":
    main()
