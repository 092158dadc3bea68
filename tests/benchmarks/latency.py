"""How long one query takes: distinct queries, tokenising included, through the `Retriever`, on one core.

    python -m tests.benchmarks.latency CORPUS [--home FOLDER] [--queries FILE]

Asks the live version of the corpus, by default with the test rows of its newest run; then, reading the query and the
search alone, among 100,000 vectors mixed from those of its standard questions. Pins itself to one core and one thread.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # before numpy reads them

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas.workspace import default_home
from tasks.retrieval.nearest import Nearest
from tasks.retrieval.normalise import normalise
from tasks.retrieval.retriever import Model, Retriever

_MANY = 100_000
_WARM_UP, _MOST = 50, 2000  # queries


def main() -> None:
    """Print a line of percentiles in milliseconds per number of standard questions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("--home", type=Path, default=default_home(), help="folder that holds models/ and runs/")
    parser.add_argument("--queries", type=Path, help="one a line")
    parser.add_argument("--json", action="store_true", help="a JSON object a line")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    texts = read_queries(arguments.queries, arguments.home / "runs" / arguments.corpus)[:_MOST]
    if len(texts) <= _WARM_UP:
        sys.exit(f"skipped: {len(texts)} queries, of which {_WARM_UP} are for warming up")
    retriever = Retriever.live(arguments.corpus, arguments.home)
    for count, ask in (
        (len(retriever.model.ids), lambda text: retriever.search([text])),
        (_MANY, among_many(retriever.model)),
    ):
        figures = np.percentile(measure(ask, texts), [50, 90, 99, 100])
        said = dict(zip(("p50", "p90", "p99", "max"), (round(float(one), 2) for one in figures), strict=True))
        line = {"corpus": arguments.corpus, "standard questions": count, "queries": len(texts) - _WARM_UP} | said
        print(json.dumps(line) if arguments.json else ", ".join(f"{key} {value}" for key, value in line.items()))  # noqa: T201 - the output of a script


def measure(ask: Callable[[str], object], texts: list[str]) -> NDArray[np.float64]:
    """Return the milliseconds of each query after the first few."""
    milliseconds = []
    for text in texts:
        began = time.perf_counter()
        ask(text)
        milliseconds.append(1000 * (time.perf_counter() - began))
    return np.array(milliseconds[_WARM_UP:])


def among_many(model: Model) -> Callable[[str], object]:
    """Return what finds the nearest of 100,000 vectors, each mixed from two of the model's."""
    random = np.random.default_rng(0)
    mixed = model.class_vectors[random.integers(len(model.ids), size=(2, _MANY))].mean(axis=0)
    mixed += 0.3 * random.standard_normal(mixed.shape) * np.abs(mixed).mean()
    index = Nearest((mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32))
    return lambda text: index.search(model.vectors_of(model.encoder.read([normalise(text)]))[0], 10)


def read_queries(file: Path | None, runs: Path) -> list[str]:
    """Return distinct queries of a file, or of the test rows of the newest run."""
    if file:
        return list(dict.fromkeys(file.read_text("utf-8").splitlines()))
    tests = sorted(runs.glob("*/prepare/test.parquet"))
    if not tests:
        sys.exit(f"skipped: no run below {runs}")
    return list(dict.fromkeys(pq.read_table(tests[-1])["query"].to_pylist()))


if __name__ == "__main__":
    main()
