"""Seconds and memory of every step at 0.1, 1 and 10 million rows, and the exponent at which they grow.

    python -m tests.benchmarks.scale --rows 100_000 1_000_000 10_000_000 \
        --set training.epochs=1 training.choose=false model.ensemble=4

Each step is a process of its own over the files that the step before it left; trained and evaluated are a million rows
at most (--trained). Memory is the most that the process and its children held at a time (proportional set size, so
that what they share counts once).
"""

import argparse
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

from schemas.settings import CorpusSettings
from tests.benchmarks.large_corpus import CLASSES, write_corpus

STEPS = ("ingest", "validate", "prepare", "prove", "train", "evaluate")
_EVERY = 0.25  # seconds between two looks at memory


def settings_of(file: Path, changes: list[str]) -> CorpusSettings:
    """Return default settings, changed by NAME=JSON."""
    raw: dict = {"name": "scale", "source": {"path": str(file)}}
    for change in changes:
        name, value = change.split("=", 1)
        section, key = name.split(".")
        raw.setdefault(section, {})[key] = json.loads(value)
    return CorpusSettings.model_validate(raw, context={"fill_defaults": True})


def run_step(step: str, home: Path, settings: CorpusSettings) -> None:
    """Run one step on what lies below `home`."""
    folder = home / step
    if step != "prove":
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    if step == "ingest":
        from tasks.ingest.corpus import ingest_corpus

        ingest_corpus(settings.source, folder, home, settings.seed)
    elif step == "validate":
        from tasks.validate.corpus import validate_corpus

        validate_corpus(home / "ingest", folder, settings.validation, settings.name, settings.seed)
    elif step == "prepare":
        from tasks.prepare.corpus import prepare_corpus

        prepare_corpus(home / "ingest", folder, settings, settings.training.threads)
    elif step == "prove":
        from tasks.prepare.proof import prove

        prove(home / "ingest", home / "prepare", settings)
    elif step == "train":
        from tasks.train.training import train_candidate

        partial = home / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        train_candidate(home / "prepare", folder, partial, settings, lambda epoch, most: None)
    else:
        from tasks.evaluate.candidate import evaluate_files

        evaluate_files(home / "prepare", home / "train" / "candidate", folder, settings)


def measure_step(step: str, home: Path, file: Path, changes: list[str]) -> dict[str, float]:
    """Run one step in a process of its own; return its seconds, CPU seconds and peak memory in MB."""
    command = [sys.executable, "-m", "tests.benchmarks.scale", "--step", step, "--home", str(home), "--file", str(file)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began, peak = time.monotonic(), 0
    process = subprocess.Popen([*command, "--set", *changes])
    while process.poll() is None:
        peak = max(peak, sum(map(_held, _family(process.pid))))
        time.sleep(_EVERY)
    if process.returncode:
        raise SystemExit(f"{step} of {file} ended with {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    size = sum(one.stat().st_size for one in (home / step).rglob("*") if one.is_file()) if step != "prove" else 0
    return {
        "seconds": round(time.monotonic() - began, 1),
        "cpu": round(cpu, 1),
        "peak_mb": round(peak / 1024),
        "disk_mb": round(size / 1e6),
    }


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        others = [c for task in Path(f"/proc/{pid}/task").iterdir() for c in (task / "children").read_text().split()]
    except OSError:
        return [pid]
    return [pid, *(member for child in {*children, *others} for member in _family(int(child)))]


def _held(pid: int) -> int:
    """Return the proportional set size of a process in KiB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def exponent(lines: list[dict[str, float]]) -> float:
    """Return b of CPU seconds = a * rows^b between the two largest, where starting the interpreter counts least."""
    (few, short), (many, long) = [(line["rows"], line["cpu"]) for line in lines[-2:]]
    return math.log(long / short) / math.log(many / few)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--classes", type=int, default=CLASSES)
    parser.add_argument("--steps", nargs="+", default=STEPS, choices=STEPS)
    parser.add_argument("--trained", type=int, default=1_000_000, help="most rows that train and evaluate are given")
    parser.add_argument("--set", nargs="*", default=[], metavar="SECTION.KEY=JSON")
    parser.add_argument("--folder", type=Path, default=Path("data/bench/scale"))
    parser.add_argument("--format", choices=["csv", "parquet"], default="csv")
    parser.add_argument("--keep", action="store_true", help="leave the files for the next call")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        run_step(arguments.step, arguments.home, settings_of(arguments.file, arguments.set))
        return
    found: dict[str, list[dict[str, float]]] = {step: [] for step in arguments.steps}
    for rows in sorted(arguments.rows):
        home = (arguments.folder / str(rows)).resolve()
        home.mkdir(parents=True, exist_ok=True)
        file = home / f"log.{arguments.format}"
        if not file.exists():
            write_corpus(file, rows, arguments.classes)
        for step in arguments.steps:
            if step in ("train", "evaluate") and rows > arguments.trained:
                continue
            one = {"rows": rows, "classes": arguments.classes, "step": step, "cores": os.cpu_count() or 0}
            one |= measure_step(step, home, file, arguments.set)
            found[step].append(one)
            print(json.dumps(one), flush=True)  # noqa: T201 - the output of a script
            with (arguments.folder / "scale.jsonl").open("a") as stream:
                stream.write(json.dumps(one) + "\n")
        if not arguments.keep:
            shutil.rmtree(home)
    print("\nCPU seconds of all cores, peak memory, files left")  # noqa: T201 - the output of a script
    print(f"{'step':10s} " + " ".join(f"{rows:>26,}" for rows in sorted(arguments.rows)) + "   grows as rows^")  # noqa: T201 - the output of a script
    for step, lines in found.items():
        cells = [f"{one['cpu']:7.0f} s {one['peak_mb']:6.0f} MB {one['disk_mb']:6.0f} MB" for one in lines]
        cells += [""] * (len(arguments.rows) - len(cells))
        print(f"{step:10s} " + " ".join(f"{cell:>26s}" for cell in cells), end="")  # noqa: T201 - the output of a script
        print(f"   {exponent(lines):.2f}" if len(lines) > 1 else "")  # noqa: T201 - the output of a script


if __name__ == "__main__":
    main()
