"""How fast the HTTP service answers, and whether a new live version costs a request: on loopback alone.

    python -m tests.benchmarks.service CORPUS [--home FOLDER] [--queries FILE] [--seconds 5] [--swaps 20] [--workers 1]

Works on a copy of the corpus's live version. Starts the service on one core and asks from the others: as fast as eight
connections can; at a fixed rate; and while versions go live one after the other. With the memory before and after.
"""

import argparse
import asyncio
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from schemas.workspace import CHECKOUT, default_home
from tasks.registry import ModelRegistry
from tests.benchmarks.latency import read_queries

_CONNECTIONS = 8


def main() -> None:
    """Print a JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("--home", type=Path, default=default_home(), help="folder that holds models/ and runs/")
    parser.add_argument("--queries", type=Path, help="one a line")
    parser.add_argument("--seconds", type=float, default=5, help="of each load")
    parser.add_argument("--rate", type=float, default=500, help="requests a second of the second load")
    parser.add_argument("--swaps", type=int, default=20, help="times that another version goes live")
    parser.add_argument(
        "--batch", type=int, default=0, help="queries of a request while versions go live, without pause"
    )
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    texts = read_queries(arguments.queries, arguments.home / "runs" / arguments.corpus)
    with tempfile.TemporaryDirectory() as folder:
        registry = _copy(ModelRegistry.of(arguments.corpus, arguments.home), Path(folder))
        with serving(Path(folder), arguments.workers) as (url, process):
            bodies = requests(url, arguments.corpus, texts)
            batches = requests(url, arguments.corpus, _cut(texts, arguments.batch)) if arguments.batch else None
            asyncio.run(_measure(url, process, bodies, batches, registry, arguments))


def _cut(texts: Sequence[str], size: int) -> list[Sequence[str]]:
    """Return batches of so many texts."""
    return [texts[start : start + size] for start in range(0, len(texts), size)]


async def _measure(
    url: str,
    process: int,
    bodies: Iterator[bytes],
    batches: Iterator[bytes] | None,
    registry: ModelRegistry,
    arguments: argparse.Namespace,
) -> None:
    await load(url, bodies, 1, None)
    before = processor(process)
    found = await load(url, bodies, arguments.seconds, None)
    each = round(1000 * (processor(process) - before) / found["n"], 3)
    _say("as fast as can be", found | {"processor ms each": each})
    _say(f"{arguments.rate:g} a second", await load(url, bodies, arguments.seconds, arguments.rate))
    await load(url, batches or bodies, 1, None)
    _swap(registry, 0)
    await asyncio.sleep(2)
    before, seconds = memory(process), 1.0 * arguments.swaps
    load_task = asyncio.create_task(load(url, batches or bodies, seconds, None if batches else arguments.rate / 5))
    tenths = []
    for number in range(arguments.swaps):
        await asyncio.to_thread(_swap, registry, number)
        await asyncio.sleep(0.7)
        if (number + 1) * 10 // arguments.swaps > number * 10 // arguments.swaps:
            tenths.append(memory(process))
    found = await load_task
    _say(f"{arguments.swaps} versions go live", found | {"queries": found["n"] * max(1, arguments.batch)})
    await asyncio.sleep(2)
    _say("memory", {"MB before": before, "MB after each tenth of the versions": tenths, "MB after": memory(process)})


async def load(url: str, bodies: Iterator[bytes], seconds: float, rate: float | None) -> dict[str, float]:
    """Ask for some seconds over eight connections; with a rate, at fixed times, late answers included.

    Returns:
        Answers a second, percentiles in milliseconds, and how many failed.
    """
    began, took, failures = time.perf_counter(), list[float](), 0
    due = itertools.count()

    async def ask() -> None:
        nonlocal failures
        where = urlsplit(url)
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        while (start := time.perf_counter()) < began + seconds:
            if rate:
                start = began + next(due) / rate  # when it should be asked: a queue counts
                await asyncio.sleep(max(0.0, start - time.perf_counter()))
            writer.write(next(bodies))
            failures += not await _is_answered(reader)
            took.append(1000 * (time.perf_counter() - start))
        writer.close()

    await asyncio.gather(*(ask() for _ in range(_CONNECTIONS)))
    p50, p99 = np.percentile(took, [50, 99])
    passed = time.perf_counter() - began
    figures = {"answers a second": len(took) / passed, "p50 ms": p50, "p99 ms": p99, "max ms": max(took)}
    return {name: round(float(value), 2) for name, value in figures.items()} | {"failed": failures, "n": len(took)}


async def _is_answered(reader: asyncio.StreamReader) -> bool:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    body = await reader.readexactly(length)
    return head.startswith(b"HTTP/1.1 200 ") and b'"results":[{' in body and b'"decision":' in body


def requests(url: str, corpus: str, texts: Sequence[str | Sequence[str]]) -> Iterator[bytes]:
    """Yield requests for each text, or each batch of them, in turn, over and over."""
    made = []
    for text in texts:
        body = json.dumps({"query": text}, ensure_ascii=False).encode()
        head = (
            f"POST /v1/{corpus}/search HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nContent-Type: application/json\r\n"
        )
        made.append(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return itertools.cycle(made)


@contextmanager
def serving(home: Path, workers: int = 1) -> Iterator[tuple[str, int]]:
    """The service on one core (all, with several workers) until the block ends; yields its address and process id."""
    words = [sys.executable, "-m", "flows.cli", "api", "--port", "0", "--workers", str(workers)]
    environment = os.environ | {"DSSM_HOME": str(home), "PYTHONPATH": str(CHECKOUT)}
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        if workers == 1:
            os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
        assert process.stdout
        url = process.stdout.readline().removeprefix("open ").partition("/;")[0]
        _wait_ready(url)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(40)


def _wait_ready(url: str) -> None:
    import httpx

    for _ in range(600):
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"{url} did not become ready")


def processor(process: int) -> float:
    """Return the processor seconds that a process and its children have used: what a busy machine does not blur."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    fields = [Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in [process, *children]]
    return sum(int(one[11]) + int(one[12]) for one in fields) / os.sysconf("SC_CLK_TCK")


def memory(process: int) -> float:
    """Return the megabytes that a process and its children hold, pages they share counted once."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    total = 0
    for one in [process, *children]:
        lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return round(total / 1024, 1)


def _copy(live: ModelRegistry, home: Path) -> ModelRegistry:
    """Publish the live version twice below `home`, the second time with other ids."""
    version = live.live().version
    if version is None:
        sys.exit(f"skipped: nothing is live of {live.corpus}")
    registry = ModelRegistry.of(live.corpus, home)
    shutil.copytree(live.folder, registry.folder)
    with registry.update() as update:
        update.add(_marked(live.fetch(version), home / "other"), {}, "other", (0.5, 0.5, 1))
    return registry


def _marked(folder: Path, target: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("manifest.json", "settings.json"))
    file = target / "standard_questions.parquet"
    table = pq.read_table(file)
    pq.write_table(table.set_column(0, "id", pa.array([f"other-{n}" for n in range(len(table))])), file)
    return target


def _swap(registry: ModelRegistry, number: int) -> None:
    versions = registry.versions()
    live = registry.live().version
    other = next(one for one in versions if one.version != live)
    registry.change(lambda update: update.go_live(other, "published"))


def _say(what: str, figures: dict[str, Any]) -> None:
    print(json.dumps({"what": what} | figures), flush=True)  # noqa: T201 - the output of a script


if __name__ == "__main__":
    main()
