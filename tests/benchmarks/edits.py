"""What it costs to add standard questions by the index alone instead of training: recall of the old and the new ones.

    python -m tests.benchmarks.edits FOLDER... [--hide 50] [--seeds 3] [--split validation] [--most 32]

A FOLDER holds train.csv and test.csv (columns query, standard_question). Of each, so many standard questions are
hidden with their rows; a model is trained without them, and they are added by their texts and (`--most`) rows. Beside
it stands a model trained on everything. With `--split validation`, train.csv is cut and test.csv is not looked at.
"""

import argparse
import csv
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from schemas.edits import Edit
from schemas.settings import CorpusSettings
from tasks.ingest.corpus import ingest_corpus
from tasks.prepare.corpus import prepare_corpus
from tasks.retrieval import edits
from tasks.retrieval.retriever import Model
from tasks.train.training import train_candidate
from tests.benchmarks.recall import cut

Rows = list[tuple[str, str]]


def main() -> None:
    """Measure and print one Markdown table, in points of recall@10."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--hide", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--split", choices=["test", "validation"], default="test")
    parser.add_argument("--most", type=int, nargs="+", default=[0, 3, 32], help="similar queries of an added one")
    parser.add_argument("--text-weights", type=float, nargs="+", default=[edits._TEXT_WEIGHT])
    arguments = parser.parse_args()
    names = "corpus | rows given | text weight | old: before | added | trained | new: added | trained | s"
    print(f"| {names} |")  # noqa: T201
    print("|---|---|---|---|---|---|---|---|---|")  # noqa: T201
    with tempfile.TemporaryDirectory() as scratch:
        for folder in arguments.folders:
            data = folder if arguments.split == "test" else cut(folder, Path(scratch) / "cut" / folder.name)
            found: dict[tuple[int, float], list[list[float]]] = {}
            for seed in range(arguments.seeds):
                where = Path(scratch) / folder.name / str(seed)
                for key, figures in measure(data, where, seed, arguments.hide, arguments.most, arguments.text_weights):
                    found.setdefault(key, []).append(figures)
                    print(folder.name, seed, key, figures, file=sys.stderr, flush=True)  # noqa: T201
            for (most, weight), lists in found.items():
                means = [mean(one) for one in zip(*lists, strict=True)]
                cells = " | ".join(f"{100 * one:.1f}" for one in means[:-1])
                print(f"| {folder.name} | {most} | {weight:g} | {cells} | {means[-1]:.2f} |", flush=True)  # noqa: T201


def measure(
    data: Path, where: Path, seed: int, hide: int, mosts: Sequence[int], weights: Sequence[float]
) -> list[tuple[tuple[int, float], list[float]]]:
    """Return recall@10 of the old rows (before, added, trained) and of the new ones (added, trained), and seconds."""
    train, test = read(data / "train.csv"), read(data / "test.csv")
    asked = {name for _, name in test}
    names = sorted(name for name in Counter(name for _, name in train) if name in asked)
    hidden = {*random.Random(seed).sample(names, hide)}
    old, new = [row for row in test if row[1] not in hidden], [row for row in test if row[1] in hidden]
    whole = Model(train_on(train, where / "whole", seed))
    part = train_on([row for row in train if row[1] not in hidden], where / "part", seed)
    before = Model(part)
    found = []
    for most in mosts:
        for weight in weights:
            edits._TEXT_WEIGHT = weight  # type: ignore[misc]  # what is compared
            wanted = [
                Edit(
                    action="add", standard_question=name, similar_queries=[q for q, one in train if one == name][:most]
                )
                for name in sorted(hidden)
            ]
            out = where / f"added-{most}-{weight}"
            out.mkdir()
            began = time.perf_counter()
            edits.build(part, out, before, wanted)
            seconds = time.perf_counter() - began
            added = Model(out)
            figures = [
                recall(before, old),
                recall(added, old),
                recall(whole, old),
                recall(added, new),
                recall(whole, new),
            ]
            found.append(((most, weight), [*figures, seconds]))
    return found


def train_on(rows: Rows, folder: Path, seed: int) -> Path:
    """Return a candidate with default settings."""
    folder.mkdir(parents=True)
    for name, some in {"rows.csv": rows, "few.csv": rows[:20]}.items():  # with a test file no row is held out
        with (folder / name).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([("query", "standard_question"), *some])
    source = {"path": str(folder / "rows.csv"), "test_path": str(folder / "few.csv")}
    raw = {"name": "bench", "source": source, "seed": seed}
    settings = CorpusSettings.model_validate(raw, context={"fill_defaults": True})
    steps = [folder / name for name in ("ingest", "prepare", "train", "partial")]
    for step in steps:
        step.mkdir()
    ingest_corpus(settings.source, steps[0], folder, seed)
    prepare_corpus(steps[0], steps[1], settings)
    train_candidate(steps[1], steps[2], steps[3], settings, lambda *_: None)
    return steps[2] / "candidate"


def recall(model: Model, rows: Rows) -> float:
    """Return recall@10."""
    found = model.search([query for query, _ in rows], 10)
    return mean(name in {hit.standard_question for hit in hits} for (_, name), hits in zip(rows, found, strict=True))


def read(file: Path) -> Rows:
    """Return queries with their standard questions, trimmed."""
    with file.open(encoding="utf-8", newline="") as stream:
        return [(row["query"], row["standard_question"].strip()) for row in csv.DictReader(stream)]


if __name__ == "__main__":
    main()
