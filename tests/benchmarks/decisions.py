"""Whether a model keeps what it promises, and how well it tells foreign queries: on test rows it has never seen.

    python -m tests.benchmarks.decisions FOLDER... [--split validation] [--set decisions.max_wrong=0.1]

A FOLDER holds train.csv and test.csv (columns query, standard_question); oos.csv (column query), where there is one,
holds queries of its own style that belong to no standard question. Each corpus is trained by the default settings, and
asked its test rows, and those of the corpora of other names in the same language, which is the ending of the name
(bank_zh and bank_b_zh are one, and not foreign to each other). With `--split validation`, train.csv is cut and test.csv
is not looked at. Candidates are kept below --home, and trained once.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from schemas.settings import CorpusSettings
from tasks.ingest.corpus import ingest_corpus
from tasks.prepare.corpus import prepare_corpus
from tasks.retrieval.retriever import Model
from tasks.train.calibration import measure_auroc
from tests.benchmarks.recall import cut

_MOST = 2000  # queries of a foreign corpus


@dataclass(frozen=True)
class Asked:
    """What a model makes of some queries."""

    likeness: np.ndarray  # how much each is like those of the corpus
    probability: np.ndarray
    decision: np.ndarray
    first: np.ndarray  # standard question found
    offers: list[list[str]]


def main() -> None:
    """Print a Markdown table, and a JSON object a line on standard error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--split", choices=["test", "validation"], default="test")
    parser.add_argument("--home", type=Path, help="where candidates are kept; a temporary folder otherwise")
    parser.add_argument("--set", action="append", default=[], help="as dssm run --set")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        home = arguments.home or Path(scratch)
        for folder in arguments.folders:
            data = folder if arguments.split == "test" else cut(folder, home / "cut" / folder.name)
            model = train(data, home / arguments.split / folder.name, arguments.set)
            found = measure(model, data) | tell_foreign(model, data, arguments.folders)
            rows.append({"corpus": folder.name} | found)
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)  # noqa: T201 - progress
    print(_table(rows))  # noqa: T201 - the output of a script


def train(data: Path, to: Path, pairs: list[str]) -> Model:
    """Return the candidate of a corpus, trained unless it is there."""
    from flows.corpora import merge, parse_overrides
    from tasks.train.training import train_candidate

    candidate = to / "train" / "candidate"
    if not (candidate / "model.json").exists():
        raw = {"name": "bench", "source": {"path": str(data / "train.csv"), "test_path": str(data / "test.csv")}}
        settings = CorpusSettings.model_validate(merge(raw, parse_overrides(pairs)), context={"fill_defaults": True})
        for step in ("ingest", "prepare", "train", "partial"):
            (to / step).mkdir(parents=True)
        ingest_corpus(settings.source, to / "ingest", to, settings.seed)
        prepare_corpus(to / "ingest", to / "prepare", settings)
        train_candidate(to / "prepare", to / "train", to / "partial", settings, lambda epoch, most: None)
    return Model(candidate)


def ask(model: Model, queries: list[str]) -> Asked:
    """Return what the model makes of queries."""
    if model.decisions is None:
        raise SystemExit("too few rows were held out: this model decides nothing")
    signals, ours = model.signals(queries)[0], model.decisions.ours
    answers = model.answer(queries, top=1)
    return Asked(
        ours.bias + ours.score * signals.score + ours.known * signals.known,
        np.array([answer.probability for answer in answers]),
        np.array([answer.decision for answer in answers]),
        np.array([answer.hits[0].standard_question if answer.hits else "" for answer in answers]),
        [[hit.standard_question for hit in answer.offers] for answer in answers],
    )


def measure(model: Model, data: Path) -> dict[str, Any]:
    """Return how the test rows are answered."""
    test = _read(data / "test.csv")
    asked, truth = ask(model, test["query"].tolist()), test["standard_question"].str.strip().to_numpy()
    right = asked.first == truth
    direct, choice, handed = (asked.decision == one for one in ("answer", "clarify", "handover"))
    offered = np.array([one in offers for one, offers in zip(truth, asked.offers, strict=True)])
    decisions = model.decisions
    assert decisions
    return {
        "held_out": decisions.held_out,
        "rows": len(test),
        "recall@1": float(right.mean()),
        "answered": float(direct.mean()),
        "answered_rows": int(direct.sum()),
        "wrong": float((~right[direct]).mean()) if direct.any() else None,
        "wrong_rows": int((~right[direct]).sum()),
        "handed_over": float(handed.mean()),
        "offered_right": float(offered[choice].mean()) if choice.any() else None,
        "calibration_error": _calibration_error(asked.probability, right),
    }


def tell_foreign(model: Model, data: Path, folders: list[Path]) -> dict[str, Any]:
    """Return how queries of other corpora of the language are told from those of the test."""
    own = ask(model, _read(data / "test.csv")["query"].tolist()).likeness
    sources = {one.name: one / "test.csv" for one in folders if _is_foreign(data.name, one.name)}
    if (data / "oos.csv").exists():
        sources["out of scope"] = data / "oos.csv"
    found = {}
    for name, file in sources.items():
        asked = ask(model, _read(file)["query"].tolist()[:_MOST])
        found[name] = {
            "auroc": measure_auroc(own, asked.likeness),
            "rejected": float((asked.likeness < np.quantile(own, 0.05)).mean()),
            "handed_over": float((asked.decision == "handover").mean()),
            "answered": float((asked.decision == "answer").mean()),
        }
    return {"foreign": found}


def _is_foreign(one: str, other: str) -> bool:
    """By the first word and the language of a name."""
    return (
        one.split("_")[0] != other.split("_")[0]
        and one.split("_")[-1] == other.split("_")[-1]
        and not (one.startswith("banking77") and other.startswith("banking77"))
    )


def _calibration_error(probability: np.ndarray, right: np.ndarray) -> float:
    """Return the mean difference of probability and share right over tenths of the queries, by probability."""
    tenths = np.array_split(np.argsort(probability), 10)
    return float(np.mean([abs(probability[one].mean() - right[one].mean()) for one in tenths if len(one)]))


def _read(file: Path) -> pd.DataFrame:
    return pd.read_csv(file).dropna().astype(str)


def _table(rows: list[dict[str, Any]]) -> str:
    head = [
        "corpus",
        "held out",
        "test rows",
        "recall@1",
        "answered",
        "of these wrong",
        "handed over",
        "calibration error",
    ]
    lines = [f"| {' | '.join(head)} | foreign: AUROC / rejected at 95 % kept / handed over / answered |"]
    lines.append("|---" * (len(head) + 1) + "|")
    for row in rows:
        wrong = "–" if row["wrong"] is None else f"{row['wrong']:.1%} ({row['wrong_rows']} of {row['answered_rows']})"
        foreign = "; ".join(
            f"{name} {one['auroc']:.3f} / {one['rejected']:.0%} / {one['handed_over']:.0%} / {one['answered']:.1%}"
            for name, one in row["foreign"].items()
        )
        cells = [row["corpus"], row["held_out"], row["rows"], f"{row['recall@1']:.3f}", f"{row['answered']:.1%}", wrong]
        cells += [f"{row['handed_over']:.1%}", f"{row['calibration_error']:.3f}", foreign]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
