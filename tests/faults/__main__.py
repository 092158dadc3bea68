"""`make faults`: everything that is tried, in one table. Exit 1 where anything ends worse than right."""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.faults.trying import Case, try_case

COLUMNS = ("right", "unclear", "traceback", "silent", "memory", "leak")


def main() -> None:
    """Try all cases, or those whose kind or name holds a word."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("only", nargs="*", help="kinds or names; all otherwise")
    words.add_argument("-v", "--verbose", action="store_true", help="every case")
    given = words.parse_args()
    prepare()
    counts: dict[str, Counter[str]] = {}
    worse, began = 0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dssm-faults-") as base:
        for number, case in enumerate(all_cases(Path(base))):
            if given.only and not any(word in f"{case.kind}: {case.name}" for word in given.only):
                continue
            start = time.monotonic()
            end = try_case(case, Path(base) / str(number), run_command)
            counts.setdefault(case.kind, Counter())[end.verdict] += 1
            if end.verdict != "right" or given.verbose:
                worse += end.verdict != "right"
                took = f"({time.monotonic() - start:.1f} s, exit {end.code})"
                say(f"{end.verdict:9} {case.kind}: {case.name} {took} {end.why or end.err.strip()[:200]}")
    show(counts, time.monotonic() - began)
    sys.exit(1 if worse else 0)


def prepare() -> None:
    """Import what the command needs, once, so that its forks need not."""
    os.environ |= {"OMP_NUM_THREADS": "1", "PREFECT_HOME": tempfile.mkdtemp(prefix="dssm-faults-prefect-")}
    from flows.environment import start_prefect
    from flows.terminal import take_over

    start_prefect()
    take_over()


def run_command(words: list[str]) -> None:
    """Be `dssm`."""
    import io

    from flows.cli import main as dssm

    encoding = os.environ.get("PYTHONIOENCODING", "utf-8")
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(os.fdopen(n, "wb", closefd=False), encoding, line_buffering=True) for n in (1, 2)
    )
    dssm(words)


def all_cases(base: Path) -> Iterator[Case]:
    """Yield every case."""
    from tests.faults import models, settings, sources

    for make in (
        sources.damaged,
        sources.misnamed,
        sources.places,
        sources.texts,
        sources.parquets,
        sources.workbooks,
        settings.words,
        settings.tomls,
        settings.command_lines,
    ):
        yield from make()
    yield from models.cases(publish_toy(base / "published"))


def publish_toy(folder: Path) -> Path:
    """Publish two versions of the toy corpus; return the folder of models."""
    from tasks.ingest.corpus import ingest_corpus
    from tasks.prepare.corpus import prepare_corpus
    from tasks.registry import ModelRegistry
    from tasks.train.training import train_candidate
    from tests.conftest import PAIRS, make_settings, write_table
    from tests.tasks.conftest import copy_candidate, publish

    folder.mkdir(parents=True)
    if not os.fork():  # torch's threads stay in a process of their own
        settings = make_settings(write_table(folder / "toy.csv", PAIRS))
        ingested, prepared, trained, partial = (folder / name for name in ("ingest", "prepare", "train", "partial"))
        for step in (ingested, prepared, trained, partial):
            step.mkdir()
        ingest_corpus(settings.source, ingested, folder, settings.seed)
        prepare_corpus(ingested, prepared, settings)
        train_candidate(prepared, trained, partial, settings, lambda epoch, most: None)
        registry = ModelRegistry(folder / "models" / "toy")
        for mark in ("one", "two"):
            publish(registry, copy_candidate(trained / "candidate", folder / mark, mark))
        os._exit(0)
    os.wait()
    return folder / "models"


def show(counts: dict[str, Counter[str]], seconds: float) -> None:
    """Print the table."""
    say(f"\n{'':22}{'tried':>10}" + "".join(f"{name:>11}" for name in COLUMNS))
    for kind, found in [*counts.items(), ("all", sum(counts.values(), Counter()))]:
        say(f"{kind:22}{sum(found.values()):>10}" + "".join(f"{found[name] or '':>11}" for name in COLUMNS))
    say(f"{seconds:.0f} s")


def say(line: str) -> None:
    """Print a line, whatever it holds."""
    print(line.encode("utf-8", "backslashreplace").decode(), flush=True)  # noqa: T201 - the output of a script


if __name__ == "__main__":
    main()
