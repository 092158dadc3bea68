"""The door of evaluate: measure the candidate beside baselines and the live version.

Also mines hard negatives with an earlier version, which prepare, before it in the corridor, cannot load itself.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.logging import get_run_logger

from schemas.evaluation import Comparison, Evaluation
from schemas.manifest import hash_file
from schemas.settings import CorpusSettings
from schemas.training import TrainingReport
from schemas.workspace import Workspace, artifact_key
from tasks.evaluate.candidate import evaluate_files, tell_left_out
from tasks.evaluate.comparison import compare
from tasks.evaluate.mining import find_version, mine_negatives
from tasks.evaluate.plots import plot_loss, to_data_uri
from tasks.evaluate.report import summarise
from tasks.registry import ModelRegistry
from tasks.steps import Made, StepRun, run_step


@task(task_run_name="evaluate-{corpus.name}")
def evaluate(
    corpus: CorpusSettings, workspace: Workspace, steps: Mapping[str, StepRun], golden: StepRun | None = None
) -> StepRun:
    """Write evaluation.json and golden.json (re-used where nothing changed), and comparison.json of this run."""
    prepared, trained = steps["prepare"], steps["train"]
    inputs: dict[str, Any] = {
        "prepared": prepared.manifest.key,
        "trained": trained.manifest.key,
        "corpus": corpus.name,
    }
    if golden:
        inputs |= {"golden": golden.manifest.key, "golden_top": corpus.publish.golden_top}
    asked = golden.folder / "golden.parquet" if golden else None

    def make(folder: Path, _: Path) -> Made:
        evaluate_files(prepared.folder, trained.folder / "candidate", folder, corpus, asked)
        facts = prepared.manifest.facts
        return Made({}, tell_left_out(facts["test_rows"], facts["rows"], facts["classes"]))

    step = run_step(workspace, "evaluate", inputs, make)
    evaluation = Evaluation.model_validate_json((step.folder / "evaluation.json").read_bytes())
    registry = ModelRegistry.of(corpus.name, workspace.home)
    comparison = compare(corpus, workspace, registry, prepared.folder, step.folder)
    training = TrainingReport.model_validate_json((trained.folder / "training.json").read_bytes())
    _show(corpus, evaluation, training, comparison)
    get_run_logger().info("%s: %s", corpus.name, summarise(evaluation, corpus.language))
    return step


@task(task_run_name="mine-{corpus.name}")
def mine(corpus: CorpusSettings, workspace: Workspace, ingested: StepRun) -> StepRun:
    """Write what the version of `negatives.mined_from` ranks highest but wrong, for prepare to draw from."""
    registry = ModelRegistry.of(corpus.name, workspace.home)
    version = find_version(registry, str(corpus.negatives.mined_from))
    inputs = {"ingested": ingested.manifest.key, "version": hash_file(version / "manifest.json")}

    def make(folder: Path, _: Path) -> Made:
        return Made({"rows": mine_negatives(version, ingested.folder, folder / "mined.parquet")}, [])

    step = run_step(workspace, "mine", inputs, make)
    get_run_logger().info(
        "%s: hard negatives of %d rows from version %s", corpus.name, step.manifest.facts["rows"], version.name
    )
    return step


def _show(
    corpus: CorpusSettings, evaluation: Evaluation, training: TrainingReport, comparison: Comparison | None
) -> None:
    """Leave the recall table and the loss curve in the Prefect UI."""
    told = summarise(evaluation, corpus.language)
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
    create_table_artifact(table=table, key=artifact_key(corpus.name, "recall"), description=told)
    create_markdown_artifact(
        key=artifact_key(corpus.name, "training"),
        markdown=f"# {corpus.name}\n\n{told}\n\n{training.convergence.sentence}\n\n"
        f"![loss curve]({to_data_uri(plot_loss(training, corpus.language))})\n",
        description=f"How the training of {corpus.name} went",
    )
