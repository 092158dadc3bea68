"""How long one query takes: distinct queries, tokenising included, through the `Retriever`, on one core.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 taskset -c 0 python -m tests.benchmarks.latency c

Asks the live version of the corpus with the test rows of its newest run.
"""

import sys
import time

import numpy as np
import pyarrow.parquet as pq

from schemas.workspace import default_home
from tasks.evaluate.retriever import Retriever

_WARM_UP = 50


def main() -> None:
    """Print the percentiles."""
    corpus = sys.argv[1]
    tests = sorted((default_home() / "runs" / corpus).glob("*/prepare/test.parquet"))
    if not tests:
        sys.exit(f"skipped: no run of {corpus!r} below {default_home()}")
    queries = list(dict.fromkeys(pq.read_table(tests[-1])["query"].to_pylist()))
    retriever = Retriever.live(corpus)
    retriever.search(queries[:_WARM_UP])
    milliseconds = []
    for query in queries[_WARM_UP:]:
        began = time.perf_counter()
        retriever.search([query])
        milliseconds.append(1000 * (time.perf_counter() - began))
    figures = np.percentile(milliseconds, [50, 90, 99, 100])
    print(  # noqa: T201 - the output of a script
        f"{corpus}, {len(retriever.model.ids)} standard questions, {len(milliseconds)} queries: "
        "p50 {:.2f}, p90 {:.2f}, p99 {:.2f}, max {:.2f} ms".format(*figures)
    )


if __name__ == "__main__":
    main()
