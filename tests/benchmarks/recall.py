"""Recall of the published retriever against what a user would pick instead, on the same files in one run.

    python -m tests.benchmarks.recall FOLDER... [--peers-python PYTHON] [--seeds 3]

A FOLDER holds train.csv and test.csv (columns query, standard_question). Every figure of ours is that
of `dssm run --json` on a fresh home; recall@1 and @10 are recomputed from `dssm query --file --json`
and must agree. With `--split validation`, train.csv is cut and test.csv is not looked at.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.prepare.split import hold_out
from tasks.retrieval.hashing import text_keys
from tasks.retrieval.normalise import normalise

FIGURES = ("recall@1", "recall@10", "mrr", "macro_recall@10", "recall@10[1-3]", "seconds")
_DRAWS = 2000  # of the paired bootstrap


def main() -> None:
    """Measure, print one Markdown table, and write the figures as JSON lines if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--peers-python", help="interpreter that has the peers' packages; empty: our baselines alone")
    parser.add_argument("--encoder", help="folder or hub name: ours also beside it, and what else is done with it")
    parser.add_argument("--prefix", default="", help="what that encoder wants in front of a text, for the peers")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--split", choices=["test", "validation"], default="test")
    parser.add_argument("--set", action="append", default=[], help="passed on to dssm run")
    parser.add_argument("--out", type=Path, help="JSON lines of every figure")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for folder in arguments.folders:
            if not (folder / "train.csv").exists():
                sys.exit(
                    f"no {folder / 'train.csv'}: a folder of a corpus holds train.csv and test.csv (docs/benchmarks.md)"
                )
            data = folder if arguments.split == "test" else cut(folder, Path(scratch) / "cut" / folder.name)
            new = [measure_ours(data, Path(scratch), arguments.seeds, arguments.set)]
            if arguments.encoder:
                beside = [*arguments.set, f"model.encoder={arguments.encoder}"]
                new.insert(0, measure_ours(data, Path(scratch) / "beside", arguments.seeds, beside))
                new[0]["peer"] = "dssm + encoder"
            new += measure_peers(data, arguments.peers_python) if arguments.peers_python else []
            if arguments.peers_python and arguments.encoder:
                new += measure_encoder_peers(data, arguments.encoder, arguments.prefix, arguments.peers_python)
            if arguments.peers_python:
                add_intervals(data, new)
            for row in new:
                row.pop("hits", None)
                print(json.dumps(row, ensure_ascii=False), file=sys.stderr, flush=True)  # noqa: T201 - progress
            rows += new
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    print(_table(rows))  # noqa: T201 - the output of a script
    if arguments.peers_python:
        print("\n" + _summary(rows))  # noqa: T201 - as above


def cut(folder: Path, target: Path, number: int = 0) -> Path:
    """Cut 12 % of train.csv off as a test, differently for every `number`.

    One-row classes may lend their row, so that the tail is seen.
    """
    rows = pd.read_csv(folder / "train.csv").dropna().astype(str)
    labels = rows["standard_question"].astype("category").cat.codes.to_numpy().astype("int64")
    keys = text_keys([normalise(text) for text in rows["query"]])
    held = hold_out(keys, labels, 0.12, 2024 + number, "bench", lend_single_rows=True)
    # A class must keep a training row to be known at all: of those that lent their only row, the text stands in.
    gone = rows[held & ~rows["standard_question"].isin(rows["standard_question"][~held])]
    own = pd.DataFrame({"query": gone["standard_question"], "standard_question": gone["standard_question"]})
    target.mkdir(parents=True)
    pd.concat([rows[~held], own.drop_duplicates()]).to_csv(target / "train.csv", index=False)
    rows[held].to_csv(target / "test.csv", index=False)
    return target


def measure_ours(folder: Path, scratch: Path, seeds: int, overrides: list[str]) -> dict[str, Any]:
    """Return the figures of `dssm run`, mean over the seeds; its homes stay below `scratch`."""
    runs, hits = [], []
    for seed in range(1, seeds + 1):
        home = Path(scratch) / f"home-{folder.name}-{seed}"
        environment = {**os.environ, "DSSM_HOME": str(home)}
        command = ["run", "bench", "--source", str(folder / "train.csv"), "--test-source", str(folder / "test.csv")]
        command += ["--json", "--set", f"seed={seed}", *(word for pair in overrides for word in ("--set", pair))]
        began = time.monotonic()
        done = subprocess.run(["dssm", *command], env=environment, capture_output=True, text=True, check=False)
        wall = time.monotonic() - began
        if done.returncode:
            sys.exit(f"dssm run of {folder.name} ended with {done.returncode}\n{done.stdout}\n{done.stderr[-3000:]}")
        result = json.loads(done.stdout.splitlines()[-1])
        hits.append(_check_queries(folder, environment, result))
        evaluation = json.loads((Path(result["report"]).parent / "evaluate" / "evaluation.json").read_bytes())
        tail = evaluation["by_class_size"].get("1-3")
        runs.append(
            {
                "recall@1": result["recall_at_1"],
                "recall@10": result["recall_at_10"],
                "mrr": result["mrr"],
                "macro_recall@10": result["macro_recall_at_10"],
                "recall@10[1-3]": tail["recall_at_10"]["value"] if tail else None,
                "seconds": sum(result["seconds"].values()),
                "wall": wall,
                **{f"seconds[{step}]": value for step, value in result["seconds"].items()},
                **{f"{name}@10": figures["recall_at_10"] for name, figures in result["baselines"].items()},
            }
        )
    row: dict[str, Any] = {"corpus": folder.name, "peer": "dssm", "seeds": seeds}
    for figure in runs[0]:
        values = [run[figure] for run in runs if run[figure] is not None]
        row[figure] = mean(values) if values else None
    row["hits"] = np.mean(hits, axis=0)
    return row


def _check_queries(folder: Path, environment: dict[str, str], result: dict[str, float]) -> NDArray[np.float64]:
    """Return (2, rows) whether each test query finds its standard question first, and among ten."""
    test = pd.read_csv(folder / "test.csv").dropna().astype(str)
    file = Path(environment["DSSM_HOME"]) / "queries.txt"
    file.write_text("".join(query.replace("\r", " ").replace("\n", " ") + "\n" for query in test["query"]), "utf-8")
    command = ["dssm", "query", "bench", "--file", str(file), "--top", "10", "--json"]
    lines = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]
    found = [[hit["standard_question"] for hit in json.loads(line)["results"]] for line in lines]
    hits = np.array(
        [
            [right.strip() in top[:k] for right, top in zip(test["standard_question"], found, strict=True)]
            for k in (1, 10)
        ]
    )
    for k, recall in zip((1, 10), hits.mean(axis=1), strict=True):
        if abs(recall - result[f"recall_at_{k}"]) > 1e-9:
            sys.exit(f"{folder.name}: dssm query gives recall@{k} {recall}, dssm run {result[f'recall_at_{k}']}")
    return hits.astype(float)


def measure_peers(folder: Path, python: str, *names: str) -> list[dict[str, Any]]:
    """Return what peers.py measures of all peers, or of those named, and the ranks of all rows."""
    command = [python, str(Path(__file__).with_name("peers.py")), str(folder), *names]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def measure_encoder_peers(folder: Path, encoder: str, prefix: str, python: str) -> list[dict[str, Any]]:
    """Return what encoder_peers.py measures; of more than 2,000 texts without those that fine-tune."""
    script = Path(__file__).with_name("encoder_peers.py")
    command = [python, str(script), str(folder), encoder, "--prefix", prefix]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def add_intervals(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Add to the row of each peer how far ours is ahead of it, with the 95 % interval of a paired bootstrap.

    Args:
        folder: of train.csv and test.csv.
        rows: ours, then those of the peers, with their ranks; our hits and their ranks are taken out.
    """
    test = pd.read_csv(folder / "test.csv").dropna().astype(str)
    known = test["standard_question"].isin(
        set(pd.read_csv(folder / "train.csv").dropna().astype(str)["standard_question"])
    )
    ours, labels = (
        rows[0].pop("hits")[:, known],
        test["standard_question"][known].astype("category").cat.codes.to_numpy(),
    )
    drawn = np.random.default_rng(0).integers(len(labels), size=(_DRAWS, len(labels)))
    for peer in rows[1:]:
        if "hits" in peer:  # ours without the encoder
            theirs = peer.pop("hits")[:, known]
        else:
            ranks = peer.pop("ranks")
            theirs = np.array([[rank < k for rank in ranks] for k in (1, 10)])
        ahead = ours - theirs
        macro = [_macro(ahead[1, draw], labels[draw]) for draw in drawn]
        samples = {"recall@1": ahead[0][drawn].mean(axis=1), "recall@10": ahead[1][drawn].mean(axis=1)}
        for name, values in {**samples, "macro_recall@10": macro}.items():
            low, high = np.percentile(values, [2.5, 97.5])
            peer[f"ahead[{name}]"] = [float(low), float(high)]


def _macro(values: NDArray[np.float64], labels: NDArray[np.integer]) -> float:
    """Return the mean over the labels of their mean value."""
    counts = np.bincount(labels)
    sums = np.bincount(labels, values)
    return float((sums[counts > 0] / counts[counts > 0]).mean())


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [f"| corpus | who | {' | '.join(FIGURES)} |", "|---|---|" + "---|" * len(FIGURES)]
    for row in rows:
        cells = []
        for figure in FIGURES:
            value = row.get(figure)
            cells.append("" if value is None else f"{value:.1f}" if figure == "seconds" else f"{value:.4f}")
        lines.append(f"| {row['corpus']} | {row['peer']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _summary(rows: list[dict[str, Any]]) -> str:
    """Return ours beside the best peer's of each figure, each figure with its own best peer.

    In brackets by how many points ours is ahead: 95 % interval of a paired bootstrap over the test rows.
    """
    lines = [f"| corpus | {' | '.join(FIGURES)} |", "|---|" + "---|" * len(FIGURES)]
    for corpus in dict.fromkeys(row["corpus"] for row in rows):
        of_corpus = [row for row in rows if row["corpus"] == corpus]
        ours, peers = of_corpus[0], of_corpus[1:]
        cells = []
        for figure in FIGURES[:-1]:
            name, best = max(((row["peer"], row.get(figure) or 0.0) for row in peers), key=lambda pair: pair[1])
            value = ours[figure]
            if value is None:
                cells.append("")
                continue
            interval = next(row for row in peers if row["peer"] == name).get(f"ahead[{figure}]")
            noise = f" ({100 * interval[0]:+.1f} to {100 * interval[1]:+.1f})" if interval else ""
            cells.append(f"{value:.3f} / {best:.3f} {name}{noise}")
        slowest = max(row["seconds"] for row in peers)
        lines.append(f"| {corpus} | {' | '.join(cells)} | {ours['seconds']:.0f} / up to {slowest:.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
