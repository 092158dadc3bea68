"""Measurements of a candidate, made by hand."""

from schemas.evaluation import Comparison, Evaluation, Interval, Metrics
from schemas.training import Cause, Convergence, Reachability, TrainingReport
from schemas.validation import Finding, Verdict


def metrics(recall: float, rows: int = 100) -> Metrics:
    """Return metrics that all have one value."""
    value = Interval(value=recall, low=recall, high=recall)
    return Metrics(
        rows=rows, recall_at_1=value, recall_at_5=value, recall_at_10=value, mrr=value, macro_recall_at_10=value
    )


def evaluation(recall: float, bm25: float = 0.0, tfidf: float = 0.0, rows: int = 100, unknown: int = 0) -> Evaluation:
    """Return an evaluation of a candidate and its two baselines."""
    return Evaluation(
        corpus="toy",
        test_rows=rows,
        classes=12,
        untested_classes=3,
        unknown_test_rows=unknown,
        overlap_rows=0,
        model=metrics(recall, rows),
        without_overlap=None,
        by_class_size={"1-3": metrics(recall / 2, rows)},
        baselines={"bm25": metrics(bm25, rows), "tfidf": metrics(tfidf, rows)},
        baselines_by_class_size={},
        classes_worst=[],
        suspects=[],
    )


def comparison(live: float) -> Comparison:
    """Return a live version's measurement; the gate reads nothing but its recall@10 and its name."""
    zero = Interval(value=0, low=0, high=0)
    return Comparison(version="20260101-000000-abcdef", live=metrics(live), recall_at_10_difference=zero)


def training(cause: Cause = "none", sentence: str = "Converged.") -> TrainingReport:
    """Return a report of training that came to this verdict."""
    verdict = Convergence(
        converged=cause == "none",
        cause=cause,
        sentence=sentence,
        loss_fall=0.9,
        reducible_fall=0.9,
        oscillation=0.1,
        effective_rank=8,
        mean_cosine=0.1,
        tail_cosine=None,
        batch_variety=1.0,
        mislabelled=0.0,
        training_recall_at_1=0.97,
    )
    return TrainingReport(
        rows=1234,
        classes=12,
        parameters=1,
        epochs=[],
        chosen={},
        validation_recall_at_10=None,
        negatives_used=False,
        reachability=Reachability(floor=0, first=1, reachable_fall=1, advice=""),
        convergence=verdict,
    )


def verdict(*rules: str) -> Verdict:
    """Return a verdict with one warning per rule."""
    findings = [
        Finding(rule=rule, severity="warning", statement=f"{rule} is off", offenders=1, examples=[], remedy="mend it")
        for rule in rules
    ]
    return Verdict(outcome="warn" if rules else "pass", findings=findings, statistics={}, class_sizes={})
