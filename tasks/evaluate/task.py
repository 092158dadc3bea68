"""The Prefect task of evaluate: measure the candidate beside baselines and the live version."""

from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.logging import get_run_logger

from schemas.evaluation import Comparison, Evaluation
from schemas.language import read_words
from schemas.outputs import EvaluateOutput, ForeignOutput, GoldenOutput, PrepareOutput, TrainOutput
from schemas.settings import CorpusSettings
from schemas.training import TrainingReport
from schemas.workspace import Workspace, artifact_key
from tasks.evaluate.candidate import describe_left_out, evaluate_files
from tasks.evaluate.comparison import compare
from tasks.evaluate.plots import plot_loss, to_data_uri
from tasks.evaluate.report import summarise
from tasks.limits import time_limit
from tasks.registry import ModelRegistry
from tasks.steps import StepNotes, StepRun, run_step
from tasks.train.verdict import describe_convergence


@task(task_run_name="evaluate-{corpus.name}")
def evaluate(
    corpus: CorpusSettings,
    workspace: Workspace,
    prepared: StepRun[PrepareOutput],
    trained: StepRun[TrainOutput],
    golden: StepRun[GoldenOutput] | None = None,
    foreign: StepRun[ForeignOutput] | None = None,
) -> StepRun[EvaluateOutput]:
    """Write evaluation.json and golden.json (re-used where nothing changed), and comparison.json of this run."""
    inputs: dict[str, Any] = {
        "prepared": prepared.manifest.key,
        "trained": trained.manifest.key,
        "corpus": corpus.name,
        "foreign": foreign and foreign.manifest.key,
    }
    if golden:
        inputs |= {"golden": golden.manifest.key, "golden_top": corpus.publish.golden_top}
    others = foreign.output.folder if foreign else None
    asked = golden.output.queries if golden else None

    def make(out: EvaluateOutput, _: Path) -> StepNotes:
        folders = (prepared.output.folder, trained.output.candidate, out.folder)
        evaluate_files(*folders, corpus, asked, others, workspace.encoders)
        facts = prepared.output.read_facts()
        return StepNotes(warnings=describe_left_out(facts.test_rows, facts.rows, facts.classes))

    with time_limit("evaluate", corpus.limits.evaluate):
        step = run_step(workspace, EvaluateOutput, inputs, make)
    evaluation = step.output.read_evaluation()
    registry = ModelRegistry.of(corpus.name, workspace.home)
    comparison = compare(corpus, workspace, registry, prepared.output, step.output, trained.output.candidate)
    _show(corpus, evaluation, trained.output.read_report(), comparison)
    get_run_logger().info("%s: %s", corpus.name, summarise(evaluation, corpus.language))
    return step


def _show(
    corpus: CorpusSettings, evaluation: Evaluation, training: TrainingReport, comparison: Comparison | None
) -> None:
    """Leave the recall table and the loss curve in the Prefect UI."""
    summary, words = summarise(evaluation, corpus.language), read_words(corpus.language)
    rows = {"candidate": evaluation.model, **({"live": comparison.live} if comparison else {}), **evaluation.baselines}
    table = [
        {
            "who": who,
            "recall@1": round(m.recall_at_1.value, 4),
            "recall@5": round(m.recall_at_5.value, 4),
            "recall@10": round(m.recall_at_10.value, 4),
            "MRR": round(m.mrr.value, 4),
            "macro recall@10": round(m.macro_recall_at_10.value, 4),
            "rows": m.rows,
        }
        for who, m in rows.items()
        if evaluation.measured
    ]
    create_table_artifact(table=table, key=artifact_key(corpus.name, "recall"), description=summary)
    create_markdown_artifact(
        key=artifact_key(corpus.name, "training"),
        markdown=f"# {corpus.name}\n\n{summary}\n\n{describe_convergence(training.convergence, words)}\n\n"
        f"![loss curve]({to_data_uri(plot_loss(training, corpus.language))})\n",
        description=f"How the training of {corpus.name} went",
    )
