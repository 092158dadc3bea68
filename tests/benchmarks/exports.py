"""How every export of a folder of cases is read: one line a case, with what `dssm check` says of it.

    python -m tests.benchmarks.exports                        the cases of ../shared/cases/ingest
    python -m tests.benchmarks.exports --folder exports       yours: a file or a folder of files per case

Each case is checked by the command itself, in a process of its own and a folder of its own.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "shared" / "cases" / "ingest"
_TOGETHER = ("dir_per_intent", "dir_per_intent_nested")  # folders that are one export
_SHOWN = 100  # characters of what was said
_SECONDS = 300  # most of one case


def find_cases(folder: Path) -> list[Path]:
    """Return the files to check, and the folders that are one export."""
    cases = []
    for case in sorted(one for one in folder.iterdir() if one.is_dir()):
        cases += [case] if case.name in _TOGETHER else sorted(one for one in case.iterdir() if one.is_file())
    return cases


def check(case: Path) -> dict[str, object]:
    """Check one case; return exit code, rows, classes and what was said."""
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"DSSM_HOME": home, "PREFECT_HOME": home}
        command = [sys.executable, "-m", "flows.cli", "check", "--source", str(case), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=_SECONDS, check=False)
    lines = done.stdout.strip().splitlines()
    said = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    notes = [note for file in said.get("files", []) for note in file["notes"]]
    words = said.get("error") or "; ".join([*notes, *_about_reading(said.get("warnings", []))])
    if not said:
        words = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else ""
    traceback = "Traceback" in done.stderr
    return {
        "exit": done.returncode,
        "rows": said.get("rows"),
        "classes": said.get("classes"),
        "said": ("TRACEBACK " if traceback else "") + words.replace(f"{case}", case.name),
    }


def _about_reading(warnings: list[str]) -> list[str]:
    """Return the warnings of ingest: those of validate begin with the name of a rule."""
    return [warning for warning in warnings if not warning.split(": ")[0].replace("_", "").isalpha()]


def main() -> None:
    """Check and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--only", default="", help="cases whose path has this in it")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--wide", action="store_true", help="all that was said")
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        print(f"skipped: there are no cases in {arguments.folder}; give --folder")  # noqa: T201
        return
    cases = [case for case in find_cases(arguments.folder) if arguments.only in str(case)]
    print(f"{'case':48} exit   rows classes  said")  # noqa: T201
    with ThreadPoolExecutor(arguments.processes) as pool:
        for case, found in zip(cases, pool.map(check, cases), strict=True):
            name = str(case.relative_to(arguments.folder))
            said = str(found["said"]) if arguments.wide else str(found["said"])[:_SHOWN]
            numbers = [("" if found[key] is None else str(found[key])) for key in ("exit", "rows", "classes")]
            print(f"{name:48} {numbers[0]:>4} {numbers[1]:>6} {numbers[2]:>7}  {said}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
