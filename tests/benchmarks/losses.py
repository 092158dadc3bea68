"""Time and memory of a training epoch by loss and number of standard questions: where exact softmax stops paying.

    python -m tests.benchmarks.losses [--classes 1000 20000 100000] [--steps 16]

The corpus is synthetic (texts of 24 n-grams, drawn by Zipf's law from a vocabulary of 100,000): recall has
no meaning here, cost has. Each figure is that of one group of members (4) in a process of its own, one
thread, and seconds are those of the processor.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp
import torch

from schemas.settings import CorpusSettings
from tasks.prepare.negatives import draw_negatives, forbidden_classes
from tasks.retrieval.texts import Texts
from tasks.train.data import Prepared
from tasks.train.towers import Sizes
from tasks.train.trainer import Trainer

_VOCABULARY, _LENGTH = 100_000, 24
LOSSES = {
    "softmax_all": {"loss": {"kind": "softmax_all"}},
    **{f"sampled, k = {k}": {"loss": {"kind": "sampled_softmax"}, "negatives": {"per_row": k}} for k in (4, 16)},
}


def main() -> None:
    """Measure every loss at every size and print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", nargs="+", type=int, default=[1_000, 5_000, 20_000, 50_000, 100_000])
    parser.add_argument("--steps", type=int, default=16, help="of 256 rows; exact softmax repeats itself every 8")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(_measure(arguments.one, arguments.classes[0], arguments.steps)))  # noqa: T201 - for the parent
        return
    lines = [f"| seconds per 100,000 rows · MiB | {' | '.join(LOSSES)} |", "|---|" + "---|" * len(LOSSES)]
    for classes in arguments.classes:
        cells = []
        for name in LOSSES:
            words = [sys.executable, "-m", "tests.benchmarks.losses", "--one", name]
            words += ["--classes", str(classes), "--steps", str(arguments.steps)]
            figures = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
            cells.append(f"{figures['seconds']:.0f} s · {figures['mib']:.0f}")
            print(classes, name, cells[-1], file=sys.stderr, flush=True)  # noqa: T201 - progress
        lines.append(f"| {classes:,} | {' | '.join(cells)} |")
    print("\n".join(lines))  # noqa: T201 - the output of a script


def _measure(name: str, classes: int, steps: int) -> dict[str, float]:
    torch.set_num_threads(1)
    raw = {"name": "synthetic", "source": {"path": "none"}, "model": {"ensemble": 4}, "training": {"own_texts": False}}
    settings = CorpusSettings.model_validate(raw | LOSSES[name], context={"fill_defaults": True})
    with tempfile.TemporaryDirectory() as folder:
        prepared = _prepare(Path(folder), settings, classes, steps * settings.training.batch_size)
        before = _mib()
        fit = Trainer(prepared, np.arange(len(prepared.labels)), settings, "benchmark", 2)
        fit.run_epoch()  # memory is taken, rows of the tables are touched
        began = time.process_time()
        fit.run_epoch()
        seconds = time.process_time() - began
    return {"seconds": seconds / len(prepared.labels) * 100_000, "mib": _mib() - before}


def _mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _prepare(folder: Path, settings: CorpusSettings, classes: int, rows: int) -> Prepared:
    random = np.random.default_rng(1)
    labels = random.integers(classes, size=rows)
    nothing = pa.array([[]] * classes, type=pa.list_(pa.int32()))
    pq.write_table(pa.table({"near_duplicates": nothing}), folder / "classes.parquet")
    per_row = settings.negatives.per_row
    drawn = draw_negatives(np.arange(rows), labels, forbidden_classes([[]] * classes), per_row, 0, 1)
    draws = folder / "negatives" / "epoch-000.parquet"
    draws.mkdir(parents=True)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(drawn.ravel()), per_row)
    pq.write_table(pa.table({"negatives": lists}), draws / "part-00000.parquet")
    held = np.zeros(rows, dtype=bool)
    return Prepared(_texts(rows, random), labels, held, _texts(classes, random), folder, 1, Sizes(_VOCABULARY, 1))


def _texts(count: int, random: np.random.Generator) -> Texts:
    columns = (random.zipf(1.1, size=count * _LENGTH) - 1) % _VOCABULARY
    weights = np.full(count * _LENGTH, _LENGTH**-0.5, dtype=np.float32)
    starts = np.arange(0, count * _LENGTH + 1, _LENGTH)
    bags = sp.csr_array((weights, columns, starts), shape=(count, _VOCABULARY))
    bags.sum_duplicates()
    return Texts(bags, np.zeros(count, dtype=np.int32), np.arange(count + 1))


if __name__ == "__main__":
    main()
