"""`python -m tests.faults.fuzz ingest|model [SECONDS]`: atheris looks for bytes that end outside the error tree.

atheris belongs to no extra: `pip install atheris` where it is wanted. What it finds is mended, and kept as a small seed
in tests/faults/seeds, which `tests/faults/test_faults.py` reads each time.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path

NAMES = (
    "t.csv",
    "t.tsv",
    "t.jsonl",
    "t.json",
    "t.yml",
    "t.parquet",
    "t.xlsx",
    "t.zip",
    "t.csv.gz",
    "t.csv.bz2",
    "t.txt",
)
MODEL_FILES = ("model.json", "standard_questions.parquet", "vocabulary.parquet", "model.safetensors")
SEEDS = Path(__file__).with_name("seeds")
_LONGEST = 4096


def read_as_source(content: bytes) -> None:
    """Ingest bytes, of which the first chooses the name; only the errors of ours pass."""
    from schemas.errors import PipelineError
    from schemas.settings import Source
    from tasks.ingest.corpus import ingest_corpus

    if not content:
        return
    with tempfile.TemporaryDirectory() as folder:
        base, name = Path(folder), NAMES[content[0] % len(NAMES)]
        (base / name).write_bytes(content[1:])
        (base / "out").mkdir()
        try:
            ingest_corpus(Source(path=name), base / "out", base, 1)
        except PipelineError:
            pass


def read_as_model(candidate: Path, content: bytes) -> None:
    """Query a model in which bytes stand in place of a file, which the first of them chooses; no sha256 tells."""
    from schemas.errors import PipelineError
    from tasks.retrieval.retriever import Model

    if not content:
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(candidate, Path(folder) / "candidate", copy_function=lambda a, b: Path(b).symlink_to(a))
        file = copy / MODEL_FILES[content[0] % len(MODEL_FILES)]
        file.unlink()
        file.write_bytes(content[1:])
        try:
            Model(copy).search(["怎么退票"], 3)
        except PipelineError:
            pass


def _seeds_of_sources() -> Iterator[bytes]:
    from tests.faults.sources import FORMATS, TEXTS

    for name, make in FORMATS.items():
        yield bytes([NAMES.index(name) if name in NAMES else 0]) + make()[:_LONGEST]
    for name, content, *_ in TEXTS.values():
        if isinstance(content, bytes) and len(content) < _LONGEST and name in NAMES:
            yield bytes([NAMES.index(name)]) + content


def _seeds_of_model(candidate: Path) -> Iterator[bytes]:
    for at, name in enumerate(MODEL_FILES):
        yield bytes([at]) + (candidate / name).read_bytes()


def main() -> None:
    """Fuzz for a while; a crash is left in the working folder."""
    import atheris

    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("what", choices=["ingest", "model"])
    words.add_argument("seconds", nargs="?", type=int, default=900)
    words.add_argument("--candidate", type=Path, help="folder of a model, for `model`")
    given = words.parse_args()
    with atheris.instrument_imports(include=["tasks", "schemas"]):  # what is imported later is not looked into
        for module in ("tasks.ingest.corpus", "tasks.retrieval.retriever"):
            import_module(module)

    target: Callable[[bytes], None] = read_as_source
    seeds, longest = _seeds_of_sources(), _LONGEST
    if given.what == "model":
        target, seeds, longest = partial(read_as_model, given.candidate), _seeds_of_model(given.candidate), 1 << 20
    options = [f"-max_total_time={given.seconds}", f"-max_len={longest}", "-timeout=20", "-rss_limit_mb=2000"]
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds):
            (Path(corpus) / str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], *options, "-detect_leaks=0", corpus], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
