"""Measurements of a candidate, made by hand."""

import numpy as np

from schemas.evaluation import Beside, Comparison, Difference, Evaluation, Interval, Metrics
from schemas.training import Cause, Convergence, Reachability, TrainingReport
from schemas.validation import Finding, Verdict
from tasks.evaluate.metrics import chance_of_loss, gain_at_most, gain_with_interval


def metrics(recall: float, rows: int = 100) -> Metrics:
    """Return metrics that all have one value."""
    value = Interval(value=recall, low=recall, high=recall)
    return Metrics(
        rows=rows, recall_at_1=value, recall_at_5=value, recall_at_10=value, mrr=value, macro_recall_at_10=value
    )


def beside(recall: float, other: float, rows: int = 100) -> dict[str, Beside]:
    """Return a candidate beside a baseline that finds the same rows, and some more or fewer."""
    apart = round((recall - other) * rows)
    gains = np.repeat([np.sign(apart), 0.0], [abs(apart), rows - abs(apart)])
    one = Beside(
        rows=rows,
        won=max(0, apart),
        lost=max(0, -apart),
        gain=gain_with_interval(gains),
        chance=chance_of_loss(gains),
    )
    return dict.fromkeys(("recall@10", "recall@1", "MRR"), one)


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
        against={name: beside(recall, other, rows) for name, other in (("bm25", bm25), ("tfidf", tfidf))},
        classes_worst=[],
        suspects=[],
    )


def difference(won: int, lost: int, rows: int = 1000, comparisons: int = 1, confidence: float = 0.99) -> Difference:
    """Return what is measured where the candidate finds `won` rows that the live version misses, and misses `lost`."""
    gains = np.repeat([1.0, -1.0, 0.0], [won, lost, rows - won - lost])
    at_most = gain_at_most(gains, (1 - confidence) / comparisons)
    return Difference(rows=rows, won=won, lost=lost, recall_at_10=gain_with_interval(gains), at_most=at_most)


def comparison(won: int, lost: int, rows: int = 1000, seen: int = 0, **by_size: tuple[int, int, int]) -> Comparison:
    """Return a comparison with a live version; `by_size` has (won, lost, rows), keys with _ for the dash."""
    sizes = {name.strip("_").replace("_", "-"): difference(*counts) for name, counts in by_size.items()}
    return Comparison(
        version="20260101-000000-abcdef",
        live=metrics(0.8, rows + seen),
        seen_rows=seen,
        difference=difference(won, lost, rows),
        by_class_size=sizes,
    )


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
        own_fall=0.8,
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
