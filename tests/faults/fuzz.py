"""`python -m tests.faults.fuzz [SECONDS]`: atheris looks for bytes that end outside the error tree.

atheris belongs to no extra: `pip install atheris` where it is wanted. What it finds is mended, and kept as a small seed
in tests/faults/seeds, which `tests/faults/test_faults.py` reads each time.
"""

import sys
import tempfile
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
SEEDS = Path(__file__).with_name("seeds")


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


def main() -> None:
    """Fuzz for a while; a crash is left in the working folder."""
    import atheris

    with atheris.instrument_imports(include=["tasks", "schemas"]):
        pass

    seconds = sys.argv[1] if len(sys.argv) > 1 else "900"
    options = [f"-max_total_time={seconds}", "-max_len=4096", "-timeout=20", "-rss_limit_mb=2000", "-detect_leaks=0"]
    with tempfile.TemporaryDirectory() as corpus:
        from tests.faults.sources import FORMATS, TEXTS

        for number, (name, make) in enumerate(FORMATS.items()):
            kind = NAMES.index(name) if name in NAMES else 0
            (Path(corpus) / f"format{number}").write_bytes(bytes([kind]) + make()[:4000])
        for number, (name, content, *_) in enumerate(TEXTS.values()):
            if isinstance(content, bytes) and len(content) < 4000 and name in NAMES:
                (Path(corpus) / f"text{number}").write_bytes(bytes([NAMES.index(name)]) + content)
        atheris.Setup([sys.argv[0], *options, corpus], read_as_source)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
