"""Every step × kill -9 in the middle of it × the same command again: the same bytes as of an unbroken run.

`python -m tests.ops.crash_matrix [--points N]` (make crash-matrix) prints a table and exits 1 if a cell does not hold.
A version is live before. A cell is one process killed at one of its points (tests/ops/killed.py), and one more that
runs to its end: what was finished is not repeated, live is the old or the new version and answers, and the prepared
files, the model and evaluation.json have the sha256 of the unbroken run.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from schemas.manifest import hash_file
from tasks.registry import ModelRegistry
from tests.conftest import PAIRS, write_table
from tests.ops.conftest import Machine
from tests.ops.killed import STEPS

_SETTINGS = "training.checkpoint_seconds = 0\npublish.max_drop_vs_live = 1"  # a checkpoint after every epoch; no gate
_FOLDERS = ("ingest", "validate", "prepare", "train", "evaluate")
EPOCH = re.compile(r"bank: (choose|refit), .*epoch (\d+) of")


@dataclass(frozen=True)
class Cell:
    """What came of one kill."""

    step: str
    point: str
    live_after_kill: str
    not_repeated: list[str]
    faults: list[str]
    seconds: float


class Matrix:
    """A live version, the unbroken run after it, and any number of broken ones beside that."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.start = machine, machine.home
        machine.write_toml("bank", _SETTINGS)
        write_table(machine.rows, PAIRS[:-1])  # of the night before
        first = machine.dssm("run", "bank")
        assert first.code == 0, first.err
        write_table(machine.rows, PAIRS)
        self.old = ModelRegistry(self.start / "models" / "bank").live().version
        counts, unbroken = machine.folder / "points.json", self._copy("unbroken")
        whole = self._run(unbroken, str(counts), 0)
        assert whole.returncode == 0, whole.stderr
        self.points: dict[str, int] = json.loads(counts.read_text())
        assert set(STEPS) <= set(self.points), self.points
        self.digests = digests(unbroken)

    def _copy(self, name: str) -> Path:
        return Path(shutil.copytree(self.start, self.machine.folder / name))

    def _run(self, home: Path, step: str, number: int) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "tests.ops.killed", step, str(number), "run", "bank", "--json"]
        environment = self.machine.environment | {"DSSM_HOME": str(home)}
        return subprocess.run(words, env=environment, cwd=self.machine.folder, capture_output=True, text=True)

    def break_at(self, step: str, number: int) -> Cell:
        """Kill a run at a point, run again, and compare."""
        began = time.monotonic()
        home = self._copy(f"{step}-{number}".replace(": ", "-"))
        models, before = home / "models" / "bank", set((home / "runs" / "bank").glob("*/"))
        killed = self._run(home, step, number)
        broken = set((home / "runs" / "bank").glob("*/")) - before
        finished = {folder.name: folder for run in broken for folder in run.iterdir() if folder.name in _FOLDERS}
        inodes = {name: (folder / "manifest.json").stat().st_ino for name, folder in finished.items()}
        live = ModelRegistry(models).live().version
        faults = [] if killed.returncode == -9 else [f"not killed: {killed.stderr[-500:]}"]
        faults += [] if live and ModelRegistry(models).is_whole(live) else ["what is live is torn"]
        again = self._run(home, "", -1)
        faults += self._compare(home, again, inodes)
        faults += _repeated_epochs(killed.stderr, again.stderr)
        shutil.rmtree(home)
        return Cell(
            step,
            f"{number} of {self.points[step]}",
            "old" if live == self.old else "new",
            sorted(finished, key=_FOLDERS.index),
            faults,
            time.monotonic() - began,
        )

    def _compare(self, home: Path, again: subprocess.CompletedProcess[str], inodes: dict[str, int]) -> list[str]:
        if again.returncode != 0:
            return [f"the run after it ended with {again.returncode}: {again.stderr[-500:]}"]
        result = json.loads(again.stdout)
        last, found = home / "runs" / "bank" / result["run"], digests(home)
        faults = [f"{name} differs" for name in self.digests if found.get(name) != self.digests[name]]
        faults += [f"{name} is too much" for name in found.keys() - self.digests.keys()]
        faults += [
            f"{name} was repeated"
            for name, inode in inodes.items()
            if (last / name / "manifest.json").stat().st_ino != inode
        ]
        litter = [file.name for file in (home / "models" / "bank").glob(".*partial*")]
        return faults + [f"{name} was left behind" for name in litter]


def digests(home: Path) -> dict[str, str]:
    """Return the sha256 of everything that has to be the same again, in the newest run and in what is live."""
    run = max((home / "runs" / "bank").glob("*/"))
    live = home / "models" / "bank" / str(ModelRegistry(home / "models" / "bank").live().version)
    files = {f"{step}/{f.relative_to(run / step)}": f for step in _FOLDERS[2:] for f in (run / step).rglob("*")}
    candidate = {path for path in files if path.startswith("train/candidate/")}
    files |= {f"live/{Path(path).name}": live / Path(path).name for path in candidate if files[path].is_file()}
    files["live/evaluation.json"] = live / "evaluation.json"
    return {path: hash_file(file) for path, file in files.items() if file.is_file()}


def _repeated_epochs(killed: str, again: str) -> list[str]:
    """Return what is wrong if the second training began before the first one's last epoch."""
    first, second = ([(phase, int(n)) for phase, n in EPOCH.findall(said)] for said in (killed, again))
    if first and second and second[0] < first[-1]:
        return [f"trained again from {second[0]}, though killed after {first[-1]}"]
    return []


def spread(points: int, number: int) -> list[int]:
    """Return so many of the points 1 to `points`: the middle, or the first, the last and those between."""
    if number == 1:
        return [(points + 1) // 2]
    return sorted({1 + round(i * (points - 1) / (number - 1)) for i in range(number)})


def main() -> int:
    """Print the table; return 1 if a cell does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--points", type=int, default=3, help="kills per step")
    number = parser.parse_args().points
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder))
        with machine.server():
            matrix = Matrix(machine)
            print(f"{'killed in':15}{'at point':13}{'live then':11}{'not repeated':44}{'same bytes':12}seconds")  # noqa: T201 - its purpose
            for step in STEPS:
                for point in spread(matrix.points[step], number):
                    cell = matrix.break_at(step, point)
                    wrong += bool(cell.faults)
                    print(  # noqa: T201 - its purpose
                        f"{cell.step:15}{cell.point:13}{cell.live_after_kill:11}{' '.join(cell.not_repeated):44}"
                        f"{'NO: ' + '; '.join(cell.faults) if cell.faults else 'yes':12}{cell.seconds:.0f}",
                        flush=True,
                    )
    print(f"{len(matrix.digests)} files compared in each; {wrong} cell(s) do not hold")  # noqa: T201 - its purpose
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
