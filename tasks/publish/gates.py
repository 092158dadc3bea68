"""When a candidate may go live. Pure: measurements in, reasons against it out."""

from schemas.evaluation import Comparison, Evaluation
from schemas.settings import Publishing
from schemas.training import TrainingReport


def find_objections(
    evaluation: Evaluation, training: TrainingReport, comparison: Comparison | None, settings: Publishing
) -> list[str]:
    """Return every reason to hold the candidate back, each with the figures and the setting; none: it may go live.

    Args:
        evaluation: of the candidate.
        training: its convergence counts.
        comparison: with the live version on the same rows; None: nothing is live.
        settings: the tolerances.
    """
    objections = []
    recall = evaluation.model.recall_at_10.value
    if not evaluation.test_rows:
        objections.append("no test row: nothing was measured; give source.test_path, or rows to classes of one")
    elif evaluation.unknown_test_rows == evaluation.test_rows:
        objections.append(
            f"none of the {evaluation.test_rows} test rows has a standard question of this corpus: nothing was "
            "measured; check the column and the spelling of the standard questions in source.test_path"
        )
    elif comparison is not None:
        live = comparison.live.recall_at_10.value
        if recall < live - settings.below_live:
            objections.append(
                f"recall@10 {recall:.4f} is below that of live version {comparison.version} ({live:.4f}) on the same "
                f"{evaluation.test_rows} rows by more than publish.below_live = {settings.below_live:g}"
            )
    else:
        name, best = max(
            ((name, metrics.recall_at_10.value) for name, metrics in evaluation.baselines.items()),
            key=lambda pair: pair[1],
        )
        if recall < best - settings.below_baseline:
            objections.append(
                f"recall@10 {recall:.4f} is below the {name} baseline ({best:.4f}) by more than "
                f"publish.below_baseline = {settings.below_baseline:g}"
            )
    if training.convergence.cause == "collapse":
        objections.append(f"training: {training.convergence.sentence}")
    return objections
