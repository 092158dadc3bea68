"""What each part of the default recipe contributes, on validation cuts of training files.

    python -m tests.benchmarks.ablation FOLDER... [--cuts 1] [--per-class N] [--seeds 1] [--only NAME...]
        [--variant "NAME: k=v k=v"]

A FOLDER holds train.csv; test.csv is never looked at. Every variant is the default with one part taken out or
changed, trained for its full number of epochs on the same cut and measured through the retrieval code that answers
`dssm query`. With --per-class the cut keeps N rows of each standard question that has twice as many, and asks up to
3,000 of the others. Differences are over all rows of all cuts, with a paired bootstrap interval of 95 %.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flows.corpora import build_settings, merge, parse_overrides
from schemas.manifest import hash_json
from schemas.settings import CorpusSettings
from tasks.evaluate.candidate import Prepared
from tasks.evaluate.measure import rank_rows
from tasks.evaluate.metrics import paired_difference
from tasks.ingest.corpus import ingest_corpus
from tasks.prepare.corpus import prepare_corpus
from tasks.retrieval.retriever import Model
from tasks.train.training import train_candidate
from tests.benchmarks.recall import cut

DEFAULT = "default"
VARIANTS = {
    DEFAULT: "",
    "words only": "text.bigrams=false text.char_ngrams_cjk=null text.char_ngrams_latin=null",
    "without words and pairs": "text.words=false text.bigrams=false",
    "without pairs of words": "text.bigrams=false",
    "every feature weighs alike": "text.pair_weight=1 text.longest_ngram_weight=1",
    "plain idf": "text.idf_power=1",
    "features of one text kept": "text.min_texts=1",
    "one tower": "model.ensemble=1",
    "two towers": "model.ensemble=2",
    "sixteen towers": "model.ensemble=16",
    "no queries kept": "model.exemplars=0",
    "no vector of a class's own": "model.class_vectors=false",
    "standard questions not trained on": "training.own_texts=false",
    "no dropout of features": "training.feature_dropout=0",
    "no dropout of vectors": "training.vector_dropout=0",
    "no logit adjustment": "loss.prior_strength=0",
    "logit adjustment in full": "loss.prior_strength=1",
    "no margin": "loss.margin=0",
    "no contrast": "loss.contrast=0",
    "gamma 10": "loss.gamma=10",
    "hidden layer": "model.hidden_dims=[64]",
}
_MOST_ASKED = 3_000  # of the rows left over
_TAIL = 3  # training rows of a small class


def main() -> None:
    """Measure every variant and print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--cuts", type=int, default=1, help="cuts of each training file")
    parser.add_argument("--per-class", type=int, help="rows kept of each standard question; the others are asked")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="variants of the built-in list; without names: none of it")
    parser.add_argument("--variant", action="append", default=[], help="a further one: 'NAME: key=value key=value'")
    arguments = parser.parse_args()
    variants = VARIANTS if arguments.only is None else {name: VARIANTS[name] for name in [DEFAULT, *arguments.only]}
    variants = variants | {name: rest for name, _, rest in (text.partition(":") for text in arguments.variant)}
    measured: dict[str, list[dict[str, Any]]] = {name: [] for name in variants}
    with tempfile.TemporaryDirectory() as scratch:
        for folder in arguments.folders:
            if not (folder / "train.csv").exists():
                sys.exit(f"skipped: no {folder / 'train.csv'}")
            for number in range(arguments.cuts):
                target = Path(scratch) / f"{folder.name}-{number}"
                few = arguments.per_class
                data = _cut_few(folder, target, number, few) if few else cut(folder, target, number)
                for seed in range(1, arguments.seeds + 1):
                    for name, changes in variants.items():
                        one = {"corpus": folder.name, "variant": name, "seed": seed} | _measure(data, changes, seed)
                        measured[name].append(one)
                        line = json.dumps({key: one[key] for key in one if key not in ("ranks", "tail")})
                        print(line, file=sys.stderr, flush=True)  # noqa: T201 - progress
    print(_table(measured))  # noqa: T201 - the output of a script


def _cut_few(folder: Path, target: Path, number: int, per_class: int) -> Path:
    """Draw some rows of each standard question out of train.csv, differently for every `number`."""
    rows = pd.read_csv(folder / "train.csv").dropna().astype(str).sample(frac=1, random_state=number)
    groups = rows.groupby("standard_question")
    large = groups["query"].transform("size") >= 2 * per_class
    kept = groups.cumcount() < per_class
    target.mkdir(parents=True)
    rows[large & kept].to_csv(target / "train.csv", index=False)
    rows[large & ~kept].head(_MOST_ASKED).to_csv(target / "test.csv", index=False)
    return target


def _measure(data: Path, changes: str, seed: int) -> dict[str, Any]:
    raw: dict[str, Any] = {"name": "ablation", "seed": seed, "training": {"choose": False}}
    raw["source"] = {"path": str(data / "train.csv"), "test_path": str(data / "test.csv")}
    settings = build_settings(merge(raw, parse_overrides(changes.split())), "the variant")
    prepared = _prepared(data, settings)
    with tempfile.TemporaryDirectory() as scratch:
        out, partial = Path(scratch) / "out", Path(scratch) / "partial"
        out.mkdir()
        partial.mkdir()
        began = time.monotonic()
        train_candidate(prepared, out, partial, settings, lambda epoch, most: None)
        seconds = time.monotonic() - began
        files = Prepared.read(prepared)
        rows, sizes = files.test_rows(), files.classes["rows"].to_numpy()
        ranks = rank_rows(Model(out / "candidate"), rows, len(sizes)).ranks
    tail = sizes[rows.truth] <= _TAIL
    return {
        "recall@1": _recall(ranks, 1),
        "recall@10": _recall(ranks, 10),
        "recall@10[1-3]": _recall(ranks[tail], 10) if tail.any() else None,
        "seconds": seconds,
        "ranks": ranks,
        "tail": tail,
    }


def _prepared(data: Path, settings: CorpusSettings) -> Path:
    """Return the folder of prepare, made once for all variants that prepare alike."""
    ingested = data / "ingested"
    if not ingested.exists():
        ingested.mkdir()
        ingest_corpus(settings.source, ingested, data, settings.seed)
    key = hash_json(settings.model_dump(mode="json", include={"text", "split", "negatives", "seed"}))
    folder = data / key[:16]
    if not folder.exists():
        folder.mkdir()
        prepare_corpus(ingested, folder, settings, processes=settings.training.threads)
    return folder


def _recall(ranks: NDArray[np.integer], k: int) -> float:
    return float(((ranks >= 0) & (ranks < k)).mean())


def _table(measured: dict[str, list[dict[str, Any]]]) -> str:
    corpora = list(dict.fromkeys(one["corpus"] for one in measured[DEFAULT]))
    figures = ("recall@1", "recall@10", "recall@10[1-3]")
    heads = [f"{corpus} R@1 / R@10" for corpus in corpora]
    lines = [f"| variant | {' | '.join([*heads, *(f'change of {figure}, points' for figure in figures)])} | time |"]
    lines.append("|---|" + "---|" * (len(corpora) + len(figures) + 1))
    base_seconds = sum(one["seconds"] for one in measured[DEFAULT])
    for name, ones in measured.items():
        cells = []
        for corpus in corpora:
            mine = [one for one in ones if one["corpus"] == corpus]
            cells.append(" / ".join(f"{100 * np.mean([one[figure] for one in mine]):.1f}" for figure in figures[:2]))
        if name == DEFAULT:
            cells += [""] * len(figures)
        else:
            cells += [_change(ones, measured[DEFAULT], k, tail) for k, tail in ((1, False), (10, False), (10, True))]
        lines.append(f"| {name} | {' | '.join(cells)} | {sum(one['seconds'] for one in ones) / base_seconds:.2f} |")
    return "\n".join(lines)


def _change(ones: list[dict[str, Any]], base: list[dict[str, Any]], k: int, tail: bool) -> str:
    """Return the difference of recall@k to the default in points, over all rows or those of small classes."""
    chosen = [one["tail"] if tail else np.ones(len(one["ranks"]), dtype=bool) for one in base]
    mine, theirs = (
        np.concatenate([one["ranks"][mask] for one, mask in zip(all_ones, chosen, strict=True)])
        for all_ones in (ones, base)
    )
    difference = paired_difference(mine, theirs, k)
    return f"{100 * difference.value:+.1f} [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"


if __name__ == "__main__":
    main()
