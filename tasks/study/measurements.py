"""The study's measurements, read from the files of the steps, and its report.

The `Study` holds everything that the report says: study.json gives the same page again.
"""

from collections.abc import Sequence
from math import hypot
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from markupsafe import Markup
from numpy.typing import NDArray

from schemas.evaluation import Interval
from schemas.outputs import EvaluateOutput, TrainOutput
from schemas.study import Difference, Experiment, Finding, Measured, Study
from tasks.evaluate.metrics import paired_difference
from tasks.evaluate.report import report_environment
from tasks.study.findings import find_findings
from tasks.study.plots import plot_ablations, plot_beside_the_article, plot_losses, plot_oscillation
from tasks.study.results import ABLATIONS, list_pairs

_BESIDE_THE_ARTICLE = ("recipe", "smaller-hidden", "smaller-input", "default")


def read_measured(
    experiment: Experiment, trained: TrainOutput, evaluated: EvaluateOutput, seconds: float, reused: bool
) -> Measured:
    """Return what came of an experiment.

    Args:
        experiment: which.
        trained: its candidate.
        evaluated: what was measured of it.
        seconds: time of its steps in this study.
        reused: its steps were taken from an earlier study.
    """
    training, evaluation = trained.read_report(), evaluated.read_evaluation()
    small, verdict, reach = evaluation.by_class_size.get("1-3"), training.convergence, training.reachability
    epochs = [epoch for epoch in training.epochs if epoch.phase == "refit"]
    return Measured(
        experiment=experiment,
        train_rows=training.rows,
        test_rows=evaluation.test_rows,
        classes=evaluation.classes,
        parameters=training.parameters,
        recall_at_10=evaluation.model.recall_at_10,
        recall_at_1=evaluation.model.recall_at_1,
        small_recall_at_10=small and small.recall_at_10,
        small_test_rows=small.rows if small else 0,
        losses=[epoch.loss for epoch in epochs],
        spreads=[epoch.batch_loss_spread for epoch in epochs],
        first_loss=reach.first,
        floor=reach.floor,
        reachable_fall=reach.reachable_fall,
        loss_fall=verdict.loss_fall,
        reducible_fall=verdict.reducible_fall,
        oscillation=verdict.oscillation,
        effective_rank=verdict.effective_rank,
        tail_cosine=verdict.tail_cosine,
        sentence=verdict.sentence,
        seconds=seconds,
        reused=reused,
    )


def make_study(name: str, done: Sequence[tuple[Measured, Path]], seconds: float) -> Study:
    """Return the study of some experiments, each with the folder of its evaluate step, which holds the ranks."""
    measured = [one for one, _ in done]
    folders = {one.experiment.name: folder for one, folder in done}
    differences = [
        compare(of, against, folders[of.experiment.name], folders[against.experiment.name])
        for of, against in list_pairs(measured)
    ]
    return Study(
        name=name,
        experiments=measured,
        differences=differences,
        findings=find_findings(measured, differences),
        seconds=seconds,
    )


def compare(of: Measured, against: Measured, folder: Path, other_folder: Path) -> Difference:
    """Return recall@10 of one experiment minus that of another, paired where the test rows are the same."""
    rows, ranks = _read_ranks(folder)
    other_rows, other_ranks = _read_ranks(other_folder)
    paired = of.experiment.corpus == against.experiment.corpus and np.array_equal(rows, other_rows)
    if paired:
        gap = paired_difference(ranks, other_ranks, 10)
    else:
        a, b = of.recall_at_10, against.recall_at_10
        value = a.value - b.value
        gap = Interval(
            value=value,
            low=value - hypot(a.value - a.low, b.high - b.value),
            high=value + hypot(a.high - a.value, b.value - b.low),
        )
    return Difference(of=of.experiment.name, against=against.experiment.name, recall_at_10=gap, paired=paired)


def render_study(study: Study) -> str:
    """Return the report as one HTML page that needs no network."""
    beside = [m for m in study.experiments if m.experiment.role in _BESIDE_THE_ARTICLE]
    by_corpus: dict[str, list[Measured]] = {}
    for m in study.experiments:
        if m.experiment.role in ABLATIONS:
            by_corpus.setdefault(m.experiment.corpus, []).append(m)
    plots = {"beside": plot_beside_the_article(beside)} if beside else {}
    for corpus, measured in by_corpus.items():
        plots |= {
            f"{corpus}-losses": plot_losses(measured),
            f"{corpus}-oscillation": plot_oscillation(measured),
            f"{corpus}-ablations": plot_ablations(measured),
        }
    return (
        report_environment(Path(__file__).parent)
        .get_template("study.html.j2")
        .render(
            study=study,
            beside=beside,
            by_corpus=by_corpus,
            lead=summarise_study(study),
            plots={name: Markup(svg) for name, svg in plots.items()},  # drawn by us
            differences={d.of: d for d in study.differences if d.paired},
        )
    )


def summarise_study(study: Study) -> str:
    """Return in a sentence or two how many of the article's findings reproduce."""
    theirs = [finding for finding in study.findings if finding.article]
    counts = {word: sum(f.verdict == word for f in theirs) for word in ("reproduces", "does not reproduce")}
    text = f"{counts['reproduces']} of {len(theirs)} findings of the article reproduce"
    if missed := counts["does not reproduce"]:
        text += f", {missed} {'does' if missed == 1 else 'do'} not"
    if unclear := len(theirs) - sum(counts.values()):
        text += f", {unclear} cannot be distinguished from noise"
    ours = [f for f in study.findings if not f.article and f.subject.startswith("The pipeline's default")]
    return text + "." + "".join(f" {_default_sentence(f)}" for f in ours)


def _default_sentence(finding: Finding) -> str:
    return {
        "holds": "The pipeline's default is ahead of the article's recipe on every corpus.",
        "does not hold": "The pipeline's default is behind the article's recipe somewhere.",
    }.get(finding.verdict, "The pipeline's default is not clearly ahead of the article's recipe everywhere.")


def _read_ranks(folder: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    table = pq.read_table(EvaluateOutput(folder).ranked, columns=["row_id", "rank"])
    return table["row_id"].to_numpy(), table["rank"].to_numpy()
