"""The summary of a run. Pure."""

from collections.abc import Iterator, Mapping

from schemas.evaluation import Evaluation, Metrics
from schemas.language import Words, read_words
from schemas.run import RunResult, Status
from schemas.settings import CorpusSettings
from schemas.workspace import REPORT_FILE, Workspace
from tasks.step_store import where
from tasks.steps import Steps
from tasks.train.verdict import warn_of_training

_FIGURES = ("recall_at_1", "recall_at_5", "recall_at_10", "mrr", "macro_recall_at_10")


def summarise_run(
    corpus: CorpusSettings,
    workspace: Workspace,
    steps: Steps,
    evaluation: Evaluation,
    status: Status,
    version: str | None,
    reasons: list[str],
    warnings: list[str],
    seconds: Mapping[str, float],
) -> RunResult:
    """Return what `dssm run --json` says of a run that came to its end."""
    return RunResult(
        status=status,
        corpus=corpus.name,
        run=workspace.run,
        version=version,
        reasons=reasons,
        rows=steps.prepare.output.read_facts().rows,
        test_rows=evaluation.test_rows,
        classes=evaluation.classes,
        quarantined=steps.ingest.output.read_facts().quarantined,
        files=steps.ingest.output.read_facts().files,
        warnings=[*_step_warnings(steps, read_words(corpus.language)), *warnings],
        **(_figures(evaluation.model) if evaluation.measured else {}),  # a recall of 0 would say that all went wrong
        baselines={name: _figures(m) for name, m in evaluation.baselines.items()} if evaluation.measured else {},
        seconds={name: round(value, 3) for name, value in seconds.items()},
        reused=[name for name, step in steps.named().items() if step.reused_from],
        report=where(workspace, REPORT_FILE),
    )


def _step_warnings(steps: Steps, words: Words) -> Iterator[str]:
    for name, step in steps.named().items():
        yield from step.manifest.warnings
        if name == "train":
            yield from warn_of_training(steps.train.output.read_report(), words)


def _figures(metrics: Metrics) -> dict[str, float]:
    return {name: getattr(metrics, name).value for name in _FIGURES}
