"""Time against what a user would pick instead: every ratio from one run, on validation cuts of the training files.

    python -m tests.benchmarks.speed FOLDER... --peers-python PYTHON [--runs 3]

1. From raw text to a fitted model that finds as much as the peer's (recall@10 less 0.3 points): seconds of ingest,
   prepare and train of `dssm run --json`, of the shortest of a few lengths of training that does, against the seconds
   peers.py gives its own; imports are left out of both. And of the whole default: choosing, then the refit.
2. Encoding raw queries in a batch: ours against sentence-transformers' static `encode`, which is handed the features
   of our own tokeniser, whose time counts for both.
3. One query through the `Retriever`, on one core, in milliseconds: over the standard questions, and among
   100,000 vectors mixed from theirs (tests/benchmarks/latency.py).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from tasks.retrieval.features import Tokeniser
from tasks.retrieval.normalise import normalise
from tasks.retrieval.retriever import Retriever
from tests.benchmarks.recall import cut, measure_ours, measure_peers

_STEPS = ("ingest", "prepare", "train")
_LENGTHS = (1, 2, 3, 4, 6)  # epochs tried, without choosing
_SLACK = 0.003
_PUBLISH_ALL = ["publish.hold_causes=[]", "publish.max_drop_vs_baseline=1"]  # a short training is one a gate holds back
_ALLOWED = {"sentence-transformers": 1.0, "fasttext": 3.0}  # times the peer's seconds


def main() -> None:
    """Measure and print three Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--peers-python", required=True, help="interpreter that has the peers' packages")
    parser.add_argument("--runs", type=int, default=3, help="of the two short measurements, after a warm-up")
    arguments = parser.parse_args()
    for needed in (folder / "train.csv" for folder in arguments.folders):
        if not needed.exists():
            sys.exit(f"no {needed}: a folder of a corpus holds train.csv and test.csv (docs/benchmarks.md)")
    fits, encodings, queries = [], [], []
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        for folder in arguments.folders:
            data = cut(folder, scratch / "cut" / folder.name)
            ours = [measure_ours(data, scratch, 1, [])]
            peers = measure_peers(data, arguments.peers_python, *_ALLOWED)
            for epochs in _LENGTHS:
                if all(_reached(ours[1:], peer) for peer in peers):
                    break
                (scratch / f"{epochs}").mkdir(exist_ok=True)
                length = ["training.choose=false", f"training.epochs={epochs}", *_PUBLISH_ALL]
                ours.append({"epochs": epochs} | measure_ours(data, scratch / f"{epochs}", 1, length))
            fits += [_compare_fit(folder.name, ours, peer) for peer in peers]
            home = scratch / f"home-{folder.name}-1"
            texts = list(dict.fromkeys(pd.read_csv(data / "train.csv")["query"].dropna().astype(str)))
            encodings.append(_compare_encoding(folder.name, home, texts, arguments, scratch))
            queries += _time_queries(folder.name, home, texts, scratch)
            print(fits[-len(peers) :], encodings[-1], queries[-2:], file=sys.stderr)  # noqa: T201 - progress
    for rows in (fits, encodings, queries):
        print(_table(rows), end="\n\n")  # noqa: T201 - the output of a script


def _reached(ours: list[dict[str, Any]], peer: dict[str, Any]) -> dict[str, Any] | None:
    """Return the first of our trainings that finds as much as the peer's."""
    return next((row for row in ours if row["recall@10"] >= peer["recall@10"] - _SLACK), None)


def _seconds(row: dict[str, Any]) -> float:
    return float(sum(row[f"seconds[{step}]"] for step in _STEPS)) - _import_seconds()


@cache
def _import_seconds() -> float:
    """Return how long train imports torch, after all that the flow has imported before."""
    code = "import flows.train_corpus, time; t = time.time(); import tasks.train.training; print(time.time() - t)"
    command = [sys.executable, "-c", code]
    return median(float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(5))


def _compare_fit(corpus: str, ours: list[dict[str, Any]], peer: dict[str, Any]) -> dict[str, Any]:
    """Compare a peer with ours: the whole default first, then trainings of growing length."""
    short = _reached(ours[1:], peer) or ours[0]
    return {
        "corpus": corpus,
        "peer": peer["peer"],
        "its recall@10": f"{peer['recall@10']:.4f}",
        "its seconds": f"{peer['seconds']:.1f}",
        "ours as good after": f"{short['epochs']} epochs" if "epochs" in short else "the default",
        "recall@10": f"{short['recall@10']:.4f}",
        "seconds": f"{_seconds(short):.1f}",
        "ratio": f"{_seconds(short) / peer['seconds']:.2f}",
        "wanted": f"≤ {_ALLOWED[peer['peer']]:g}",
        "whole default": f"{ours[0]['recall@10']:.4f}",
        "its time": f"{_seconds(ours[0]):.1f} s",
    }


def _compare_encoding(
    corpus: str, home: Path, texts: Sequence[str], arguments: argparse.Namespace, scratch: Path
) -> dict[str, Any]:
    model = Retriever.live("bench", home).model
    encoder, folder = model.encoder, home / "models" / "bench" / model.version
    features = pq.read_table(folder / "vocabulary.parquet")["feature"].to_pylist()
    tokenise = Tokeniser(model.card.text).features
    cut_texts = ["\t".join(tokenise(normalise(text))) for text in texts]
    (scratch / "features").write_text("\n".join(features), "utf-8")
    (scratch / "texts").write_text("\n".join(cut_texts), "utf-8")
    size = model.card.model.embedding_dim * model.card.model.ensemble
    words = [Path(__file__).with_name("static_encode.py"), scratch / "features", scratch / "texts", size]
    ours, tokens = [], []
    for _ in range(arguments.runs):
        began = time.perf_counter()
        vectors = encoder.vectors(encoder.read([normalise(text) for text in texts]))
        vectors /= np.maximum(np.linalg.norm(vectors, axis=2, keepdims=True), 1e-9)
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        for text in texts:
            tokenise(normalise(text))
        tokens.append(time.perf_counter() - began)
    command = [arguments.peers_python, *map(str, words), str(arguments.runs)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    theirs = median(tokens) + median(map(float, done.stdout.split()))
    return {
        "corpus": corpus,
        "queries": len(texts),
        "tokenising": f"{median(tokens):.2f} s",
        "sentence-transformers": f"{theirs:.2f} s",
        "ours": f"{median(ours):.2f} s",
        "times as fast": f"{theirs / median(ours):.2f}",
        "wanted": "≥ 2",
    }


def _time_queries(corpus: str, home: Path, texts: Sequence[str], scratch: Path) -> list[dict[str, Any]]:
    """Over the corpus's own standard questions, then over 100,000."""
    random = np.random.default_rng(0)
    (scratch / "queries").write_text("\n".join(normalise(texts[n]) for n in random.permutation(len(texts))), "utf-8")
    command = [sys.executable, "-m", "tests.benchmarks.latency", "bench", "--home", str(home), "--json"]
    done = subprocess.run([*command, "--queries", str(scratch / "queries")], capture_output=True, text=True, check=True)
    return [json.loads(line) | {"corpus": corpus} for line in done.stdout.splitlines()]


def _table(rows: list[dict[str, Any]]) -> str:
    heads = list(rows[0])
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *(f"| {' | '.join(str(row[head]) for head in heads)} |" for row in rows)])


if __name__ == "__main__":
    main()
