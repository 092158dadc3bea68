"""What the doctor says, against what comes of it, on corpora of the world: one table.

    python -m tests.benchmarks.doctor FOLDER... [--parts forecast errors mining] [--threads 1]

A FOLDER holds train.csv (columns query, standard_question); test.csv is not looked at. Per corpus:

forecast  half of the rows of a random half of the standard questions are hidden; recall is forecast from the rest, as
          `dssm doctor` does it, and measured once all rows are trained on. 12 % of the rows are the test.
errors    5 % of the rows get another standard question by chance; how many of them `dssm doctor` lists, and how many of
          those it lists are among them.
mining    50 standard questions of at least five rows are hidden, and their queries are the log, alone ("mining") or
          among 12 % of the other rows ("mixed"): how pure the groups of `dssm mine` are, and how many of the hidden
          standard questions have one of their own.

The usual exponents of `tasks/doctor/curves.py` come from other corpora than the three that the issue names.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from schemas.outputs import EvaluateOutput, PrepareOutput
from schemas.settings import CorpusSettings
from schemas.workspace import Workspace
from tasks.doctor.advice import assess
from tasks.doctor.case import Case
from tasks.doctor.cross_fit import cross_fit
from tasks.doctor.curves import forecast
from tasks.doctor.examine import MOST, examine
from tasks.doctor.log import Asked
from tasks.doctor.memory import read_state
from tasks.doctor.mislabelled import find_mislabelled
from tasks.doctor.unanswered import mine
from tasks.evaluate.candidate import evaluate_files
from tasks.evaluate.measure import TOP
from tasks.ingest.corpus import ingest_corpus
from tasks.prepare.corpus import prepare_corpus
from tasks.retrieval.hashing import text_keys
from tasks.retrieval.normalise import normalise
from tasks.retrieval.retriever import Model
from tasks.train.data import read_prepared
from tasks.train.training import train_candidate
from tests.benchmarks.recall import cut

_HIDDEN = 50
_PARTS = ("forecast", "errors", "mining")


def main() -> None:
    """Measure, and print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=list(_PARTS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="JSON lines of every figure")
    arguments = parser.parse_args()
    print("| corpus | part | figures |\n|---|---|---|")  # noqa: T201 - the output of a script
    for folder in arguments.folders:
        if not (folder / "train.csv").exists():
            sys.exit(f"skipped: no {folder / 'train.csv'}")
        for part in arguments.parts:
            with tempfile.TemporaryDirectory() as scratch:
                for name, figures in _MEASURES[part](folder, Path(scratch), arguments.threads).items():
                    told = ", ".join(f"{key} {value}" for key, value in figures.items())
                    print(f"| {folder.name} | {name} | {told} |", flush=True)  # noqa: T201 - as above
                    if arguments.out:
                        with arguments.out.open("a", encoding="utf-8") as stream:
                            stream.write(json.dumps({"corpus": folder.name, "part": name, **figures}) + "\n")


def measure_forecast(folder: Path, scratch: Path, threads: int) -> dict[str, dict[str, object]]:
    """Return forecast beside outcome, in points, in all and by the class size before."""
    data = cut(folder, scratch / "cut")
    rows, random = pd.read_csv(data / "train.csv").astype(str), np.random.default_rng(2026)
    names = sorted(rows["standard_question"].unique())
    chosen = set(np.array(names)[random.random(len(names)) < 0.5])
    gone = [
        row
        for text, group in rows.groupby("standard_question")
        if text in chosen
        for row in random.permutation(group.index.to_numpy())[: len(group) // 2]
    ]
    rows.drop(index=gone).to_csv(scratch / "reduced.csv", index=False)
    settings, few = train(scratch / "reduced.csv", data / "test.csv", scratch / "few", threads)
    _, all_of_them = train(data / "train.csv", data / "test.csv", scratch / "all", threads)
    case, after = read_case(few), read_case(all_of_them)
    evidence = examine(settings, few)
    assert evidence.curve is not None
    grown = dict(zip(after.texts, after.sizes.tolist(), strict=True))
    more = np.array([grown[text] for text in case.texts]) - case.sizes
    condition = assess(case, evidence.found)
    tested = np.bincount(case.truth, minlength=len(case.texts)) / len(case.truth)
    gain = forecast(evidence.curve, case.sizes, more, tested, condition.recall)
    said: dict[str, object] = {}
    for k, won in {1: gain.recall_at_1_after - gain.recall_at_1, 10: gain.points / 100}.items():
        before, outcome = (float((one.ranks < k).mean()) for one in (case, after))
        said[f"recall@{k}"] = f"{before:.3f} → forecast {before + won:.3f}, measured {outcome:.3f}"
        said[f"error@{k}"] = f"{100 * (before + won - outcome):+.1f}"
    return {"forecast": said}


def measure_errors(folder: Path, scratch: Path, threads: int) -> dict[str, dict[str, object]]:
    """Return how many planted errors are listed, and how many of the listed rows are planted."""
    rows, random = pd.read_csv(folder / "train.csv").astype(str), np.random.default_rng(5)
    names = sorted(rows["standard_question"].unique())
    wrong = random.choice(len(rows), len(rows) // 20, replace=False)
    for row in wrong.tolist():
        others = [names[place] for place in random.integers(len(names), size=2)]
        rows.loc[row, "standard_question"] = next(o for o in others + names if o != rows.loc[row, "standard_question"])
    rows.to_csv(scratch / "planted.csv", index=False)
    planted = {(normalise(rows["query"][row]), rows["standard_question"][row].strip()) for row in wrong.tolist()}
    rows.head(10).to_csv(scratch / "some.csv", index=False)  # nothing is tested
    settings, run = train(scratch / "planted.csv", scratch / "some.csv", scratch / "run", threads, only_prepare=True)
    case = read_case(run, evaluated=False)
    prepared = read_prepared(PrepareOutput.of(run).folder, settings.model)
    found = cross_fit(prepared, settings, text_keys(case.queries), MOST)
    listed = find_mislabelled(found, len(case.texts)).rows.tolist()
    hits = sum((case.queries[row], case.texts[case.labels[row]]) in planted for row in listed)
    figures: dict[str, object] = {
        "planted": len(planted),
        "listed": len(listed),
        "found": f"{hits / len(planted):.1%}",
        "precision": f"{hits / max(1, len(listed)):.1%}",
    }
    return {"errors": figures}


def measure_mining(folder: Path, scratch: Path, threads: int) -> dict[str, dict[str, object]]:
    """Return how pure groups are, and how many hidden standard questions have one, of two logs."""
    rows, random = pd.read_csv(folder / "train.csv").astype(str), np.random.default_rng(11)
    counts = rows["standard_question"].value_counts()
    hidden = set(random.permutation(sorted(counts[counts >= 5].index))[:_HIDDEN])
    known = rows[~rows["standard_question"].isin(hidden)]
    held = known.sample(frac=0.12, random_state=1)
    known.drop(index=held.index).to_csv(scratch / "train.csv", index=False)
    held.to_csv(scratch / "test.csv", index=False)
    settings, run = train(scratch / "train.csv", scratch / "test.csv", scratch / "run", threads)
    model = Model(run.step("train") / "candidate")
    alone = rows[rows["standard_question"].isin(hidden)]
    figures: dict[str, dict[str, object]] = {}
    for name, log in {"mining": alone, "mixed": pd.concat([alone, held])}.items():
        log = log.sample(frac=1, random_state=2)
        asked = [Asked(query, normalise(query)) for query in log["query"]]
        label = dict(zip(map(normalise, log["query"]), log["standard_question"], strict=True))
        groups = mine(settings, run, model, asked, read_state(run), most_examples=10**6)
        right, total, own = 0, 0, set()
        for one in groups:
            votes = Counter(label[normalise(query)] for query in one.new_queries)
            text, most = votes.most_common(1)[0]
            right, total = right + most, total + votes.total()
            if text in hidden and most > votes.total() / 2:
                own.add(text)
        figures[name] = {
            "queries": len(log),
            "groups": len(groups),
            "grouped": total,
            "purity": f"{right / max(1, total):.1%}",
            "hidden found": f"{len(own) / len(hidden):.0%}",
        }
    return figures


def train(
    source: Path, test: Path, home: Path, threads: int, only_prepare: bool = False
) -> tuple[CorpusSettings, Workspace]:
    """Return settings and workspace of a run of the pure steps, up to evaluate."""
    raw = {
        "name": "bench",
        "source": {"path": str(source), "test_path": str(test)},
        "training": {"threads": threads},
    }
    settings = CorpusSettings.model_validate(raw, context={"fill_defaults": True})
    run = Workspace.of("bench", "run", home)
    for step in ("ingest", "prepare", "train", "evaluate"):
        run.step(step).mkdir(parents=True)
    ingest_corpus(settings.source, run.step("ingest"), home, settings.seed)
    prepare_corpus(run.step("ingest"), run.step("prepare"), settings)
    if not only_prepare:
        (home / "partial").mkdir()
        train_candidate(run.step("prepare"), run.step("train"), home / "partial", settings, lambda epoch, most: None)
        evaluate_files(run.step("prepare"), run.step("train") / "candidate", run.step("evaluate"), settings)
    return settings, run


def read_case(run: Workspace, evaluated: bool = True) -> Case:
    """Return what the doctor looks at; without an evaluation, no held-out rows."""
    if not evaluated:
        count = pq.read_metadata(PrepareOutput.of(run).test).num_rows
        width = min(TOP, pq.read_metadata(PrepareOutput.of(run).classes).num_rows)
        empty = {"rank": pd.Series([0] * count, dtype="int64"), "top": pd.Series([[0] * width] * count)}
        pd.DataFrame(empty).to_parquet(EvaluateOutput.of(run).ranked)
    return Case.read(PrepareOutput.of(run), EvaluateOutput.of(run))


_MEASURES = {"forecast": measure_forecast, "errors": measure_errors, "mining": measure_mining}

if __name__ == "__main__":
    main()
