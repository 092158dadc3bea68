"""report.html: everything about one candidate on one page that needs no network.

The words and numbers are decided here, the looks in report.html.j2. All text of the corpus is escaped by the
template engine, and the page forbids itself scripts and addresses (Content-Security-Policy).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pydantic import BaseModel

from schemas.display import printable
from schemas.evaluation import Comparison, Evaluation, Gate, Metrics
from schemas.run import Status
from schemas.settings import CorpusSettings
from schemas.training import TrainingReport
from schemas.validation import Drift, Verdict
from tasks.evaluate.plots import plot_class_sizes, plot_loss, plot_recall, plot_recall_by_class_size

NAMES = {"bm25": "BM25", "tfidf": "tf-idf neighbour"}
MEASURES = {
    "recall_at_1": "recall@1",
    "recall_at_5": "recall@5",
    "recall_at_10": "recall@10",
    "mrr": "MRR",
    "macro_recall_at_10": "macro recall@10",
}
ENDS = {
    "published": ("good", "Published"),
    "unchanged": ("good", "Unchanged: it is the live version"),
    "awaiting_approval": ("warn", "Awaits approval"),
    "held": ("bad", "Held back"),
}
OUTCOMES = {"pass": "Data passed", "warn": "Data passed with warnings", "fail": "Data failed"}


@dataclass(frozen=True)
class Setting:
    """One setting as the report shows it."""

    key: str  # e.g. "model.hidden_dims"
    value: str
    default: str  # empty: it has none
    changed: bool
    description: str


def render_report(
    evaluation: Evaluation,
    training: TrainingReport,
    verdict: Verdict,
    settings: CorpusSettings,
    comparison: Comparison | None = None,
    context: Mapping[str, Any] | None = None,
    locations: Mapping[int, str] | None = None,
    gates: Sequence[Gate] = (),
    status: Status | None = None,
    drift: Drift | None = None,
) -> str:
    """Return the report as one HTML page.

    Args:
        evaluation: What was measured of the candidate.
        training: How its training went.
        verdict: What validation says of the corpus.
        settings: The corpus's settings; those that differ from the default are set off.
        comparison: The live version on the same rows; None: there is none to compare with.
        context: Facts of the run, by what to call them, e.g. {"run": ..., "finished": ...}, shown as they are;
            "seconds" maps steps to the time they took.
        locations: Where training rows stand in the source, e.g. {812: "train.csv:814"}, for the suspect rows;
            a row without one is named by its row id.
        gates: What each gate of publishing says; none: they were not asked.
        status: What became of the candidate; None: that is not decided.
        drift: How the corpus differs from that of the live version; None: nothing was live.
    """
    facts = dict(context or {})
    others = {"live": comparison.live} if comparison else {}
    others |= {NAMES.get(name, name): metrics for name, metrics in evaluation.baselines.items()}
    others_by_size = {"live": comparison.live_by_class_size} if comparison and comparison.live_by_class_size else {}
    others_by_size |= {NAMES.get(name, name): sizes for name, sizes in evaluation.baselines_by_class_size.items()}
    plots = {
        "loss": plot_loss(training),
        "recall": plot_recall(evaluation.model, others),
        "by_size": plot_recall_by_class_size(evaluation.by_class_size, others_by_size),
        "sizes": plot_class_sizes(list(verdict.class_sizes.values()), settings.validation.small_class_rows),
    }
    return (
        report_environment()
        .get_template("report.html.j2")
        .render(
            evaluation=evaluation,
            training=training,
            verdict=verdict,
            drift=drift,
            comparison=comparison,
            seconds=facts.pop("seconds", {}),
            facts=facts,
            loss=settings.loss_for(training.classes).kind,
            headline=summarise(evaluation),
            pills=list(_list_pills(evaluation, training, verdict, comparison, status)),
            gates=gates,
            status=ENDS.get(status or ""),
            locations=locations or {},
            others=others,
            others_by_size=others_by_size,
            measures=MEASURES,
            settings=list(list_settings(settings)),
            plots={name: Markup(svg) for name, svg in plots.items()},  # drawn by us
        )
    )


def summarise(evaluation: Evaluation) -> str:
    """Return how good the candidate is, in two sentences a person can repeat."""
    model = evaluation.model
    if not model.rows:
        return "Nothing was measured: no standard question has a row to spare for a test. Add queries, or a test file."
    text = (
        f"Of 100 test queries, {100 * model.recall_at_10.value:.0f} find their standard question among the "
        f"first ten answers and {100 * model.recall_at_1.value:.0f} in the first place."
    )
    if best := find_best_baseline(evaluation):
        name, metrics = best
        points = 100 * (model.recall_at_10.value - metrics.recall_at_10.value)
        rival = f"the best baseline, {NAMES.get(name, name)} ({metrics.recall_at_10.value:.1%} among the first ten)"
        if abs(points) < 0.05:
            text += f" That is level with {rival}."
        else:
            text += f" That is {abs(points):.1f} points {'above' if points > 0 else 'below'} {rival}."
    return text


def find_best_baseline(evaluation: Evaluation) -> tuple[str, Metrics] | None:
    """Return name and metrics of the baseline with the highest recall@10, the first among equals."""
    return max(evaluation.baselines.items(), key=lambda item: item[1].recall_at_10.value, default=None)


def list_settings(settings: CorpusSettings) -> Iterator[Setting]:
    """Yield every setting with its default, in the order of the settings file."""
    return _walk(settings, None, "")


def _walk(section: BaseModel, defaults: BaseModel | None, prefix: str, about: str = "") -> Iterator[Setting]:
    for name, field in type(section).model_fields.items():
        key, value = prefix + (field.alias or name), getattr(section, name)
        required = defaults is None and field.is_required()
        default = getattr(defaults, name) if defaults else field.get_default(call_default_factory=True)
        if isinstance(value, BaseModel):
            yield from _walk(value, None if required else default, f"{key}.", field.description or "")
        else:
            yield Setting(
                key=key,
                value=_show(value),
                default="" if required else _show(default),
                changed=not required and value != default,
                description=f"{about} {field.description or ''}".strip(),
            )


def _show(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return _show(json.dumps(value, ensure_ascii=False, default=lambda part: part.model_dump()))


def _list_pills(
    evaluation: Evaluation,
    training: TrainingReport,
    verdict: Verdict,
    comparison: Comparison | None,
    status: Status | None,
) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, text, section it leads to) of the verdicts, kind being good, warn or bad."""
    if status in ENDS:
        yield *ENDS[status], "gates"
    if best := find_best_baseline(evaluation):
        difference = evaluation.model.recall_at_10.value - best[1].recall_at_10.value
        yield _grade(difference), f"{_points(difference)} against the best baseline", "recall"
    if comparison and comparison.difference.rows:
        gain = comparison.difference.recall_at_10
        yield (
            "bad" if gain.high < 0 else _grade(gain.value),
            f"{_points(gain.value)} against live ({_points(gain.low, unit='')} to {_points(gain.high, unit='')})",
            "recall",
        )
    converged = training.convergence.converged
    yield "good" if converged else "bad", "Training converged" if converged else "Training did not converge", "training"
    warnings = len(verdict.warnings())
    count = f" ({warnings})" if warnings else ""
    yield {"pass": "good", "warn": "warn", "fail": "bad"}[verdict.outcome], OUTCOMES[verdict.outcome] + count, "data"


def _grade(difference: float) -> str:
    return "good" if difference >= 0 else "warn"


def _points(share: float, unit: str = " points") -> str:
    return f"{100 * share:+.1f}{unit}".replace("-", "−")


def _format_statistic(value: float | str | None, name: str = "") -> str:
    """Return a number for a person: shares in percent, counts with separators, the rest in four digits."""
    if value is None or isinstance(value, str):
        return value or "–"
    if name.endswith("share"):
        return f"{value:.2%}"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def _printable(value: Any) -> Any:  # noqa: ANN401 - whatever a template shows
    """Return a text without characters that turn its direction or steer; plots are drawn by us."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def report_environment(*folders: Path) -> Environment:
    """Return the template engine of the reports: it escapes everything, and a missing value is an error.

    Args:
        folders: where templates are looked for beside this one.
    """
    environment = Environment(
        loader=FileSystemLoader([*folders, Path(__file__).parent]),
        autoescape=True,  # always: the ending .j2 would switch off what decides by name
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"points": _points, "number": _format_statistic, "percent": "{:.1%}".format}
    return environment
