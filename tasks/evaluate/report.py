"""report.html: everything about one candidate on one page that needs no network.

The words stand in the catalogue, numbers are decided here, the looks in report.html.j2. All text of the corpus is
escaped by the template engine, and the page forbids itself scripts and addresses (Content-Security-Policy).
"""

import dataclasses
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
from schemas.language import Language, Words, read_words
from schemas.run import Status
from schemas.settings import CorpusSettings
from schemas.training import TrainingReport
from schemas.validation import Drift, Verdict
from schemas.workspace import HEALTH_FILE
from tasks.evaluate.metrics import FEW_ROWS
from tasks.evaluate.next_steps import Step
from tasks.evaluate.plots import (
    Night,
    plot_class_sizes,
    plot_history,
    plot_loss,
    plot_recall,
    plot_recall_by_class_size,
    plot_risk,
)
from tasks.train.verdict import WORKS, describe_convergence
from tasks.validate.places import name_folders, shorten_paths

MEASURES = {
    "recall_at_10": "recall@10",
    "recall_at_1": "recall@1",
    "recall_at_5": "recall@5",
    "mrr": "MRR",
    "macro_recall_at_10": "macro recall@10",
}
GRADES: dict[str, str] = {
    "published": "good",
    "unchanged": "good",
    "awaiting_approval": "warn",
    "measured": "info",
    "held": "bad",
}
_FOUND = ("model.encoder_prefix", "model.pooling")
_OUTCOMES = {"pass": "good", "warn": "warn", "fail": "bad"}


@dataclass(frozen=True)
class RowList:
    """Rows for a person to work through: the first ones on the page, all in files beside it."""

    rows: Sequence[Mapping[str, Any]] = ()
    count: int = 0  # of all
    files: Sequence[str] = ()  # names beside the report
    in_workbook: int = 0  # rows that the workbook holds, of very many the first


@dataclass(frozen=True)
class RunFacts:
    """What is known of the run beside what it measured."""

    run: str = ""
    version: str | None = None  # None: it was not published
    finished: str = ""
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    places: Mapping[int, tuple[str, int]] = dataclasses.field(default_factory=dict)  # file and line of the suspect rows
    failing: RowList = RowList()
    suspects: RowList = RowList()
    quarantine: RowList = RowList()
    history: Sequence[Night] = ()
    next_steps: Sequence[Step] = ()
    corrections: Mapping[str, int] = dataclasses.field(default_factory=dict)  # of the owner, as ingest made them


@dataclass(frozen=True)
class Setting:
    """One setting as the report shows it."""

    key: str  # e.g. "model.hidden_dims"
    value: str
    default: str  # empty: it has none
    changed: bool
    description: str
    found: bool = False  # where the corpus leaves it empty, in the files of its encoder


def render_report(
    evaluation: Evaluation,
    training: TrainingReport,
    verdict: Verdict,
    settings: CorpusSettings,
    comparison: Comparison | None = None,
    facts: RunFacts | None = None,
    gates: Sequence[Gate] = (),
    status: Status | None = None,
    drift: Drift | None = None,
) -> str:
    """Return the report as one HTML page, in the language of the settings.

    Args:
        evaluation: What was measured of the candidate.
        training: How its training went.
        verdict: What validation says of the corpus.
        settings: The corpus's settings; those that differ from the default are set off.
        comparison: The live version on the same rows; None: there is none to compare with.
        facts: What is known of the run.
        gates: What each gate of publishing says; none: they were not asked.
        status: What became of the candidate; None: that is not decided.
        drift: How the corpus differs from that of the live version; None: nothing was live.
    """
    words, facts = read_words(settings.language), facts or RunFacts()
    others = {words("report.live"): comparison.live} if comparison else {}
    others |= {words.name("baseline", name): metrics for name, metrics in evaluation.baselines.items()}
    by_size = {words("report.live"): comparison.live_by_class_size} if comparison else {}
    by_size |= {words.name("baseline", name): sizes for name, sizes in evaluation.baselines_by_class_size.items()}
    sources = [source for source, _ in facts.places.values()] + [row["source"] for row in facts.failing.rows]
    return (
        report_environment(words=words)
        .get_template("report.html.j2")
        .render(
            evaluation=evaluation,
            training=training,
            verdict=verdict,
            drift=drift,
            comparison=comparison,
            facts=facts,
            loss=settings.loss_for(training.classes).kind,
            headline=summarise(evaluation, settings.language),
            pills=list(_list_pills(evaluation, training, verdict, comparison, status, words)),
            failed=[gate for gate in gates if gate.outcome in ("held", "warned")],
            passed=list(_bounds_once([gate for gate in gates if gate.outcome not in ("held", "warned")], words)),
            gates_shown=bool(gates),
            health_file=HEALTH_FILE,
            status=status,
            grades={"passed": "good", "warned": "warn", "held": "bad", "not asked": "info"},
            outcomes=_OUTCOMES,
            short=shorten_paths(sources),
            folders=name_folders(sources),
            sources=[_show(one) for one in _as_list(settings.source.path)],
            others=others,
            others_by_size={name: sizes for name, sizes in by_size.items() if sizes},
            measures=MEASURES,
            sentence=describe_convergence(training.convergence, words),
            advice=words.say(training.reachability.message) if training.reachability.message else "",
            works=WORKS,
            settings=list(list_settings(settings, words)),
            plots=_draw(evaluation, training, verdict, settings, others, by_size, facts.history),
        )
    )


def _draw(
    evaluation: Evaluation,
    training: TrainingReport,
    verdict: Verdict,
    settings: CorpusSettings,
    others: Mapping[str, Metrics],
    by_size: Mapping[str, Mapping[str, Metrics]],
    history: Sequence[Night],
) -> dict[str, Markup]:
    """Return each plot twice, for a wide and a narrow page; the style sheet shows one."""
    language, small = settings.language, settings.validation.small_class_rows
    sizes = list(verdict.class_sizes.values())
    plots = dict[str, str]()
    for narrow in (False, True):
        drawn = {
            "loss": plot_loss(training, language, narrow) if training.epochs else "",
            "recall": plot_recall(evaluation.model, others, language, narrow),
            "by_size": plot_recall_by_class_size(evaluation.by_class_size, by_size, language, narrow),
            "sizes": plot_class_sizes(sizes, small, language, narrow),
            "risk": plot_risk(evaluation.decided, language, narrow) if evaluation.decided else "",
            "history": plot_history(history, language, narrow) if len(history) > 1 else "",
        }
        width = "narrow" if narrow else "wide"
        for name, svg in drawn.items():
            plots[name] = plots.get(name, "") + (f'<div class="{width}">{svg}</div>' if svg else "")
    return {name: Markup(html) for name, html in plots.items()}  # drawn by us


def summarise(evaluation: Evaluation, language: Language = "en") -> str:
    """Return how good the candidate is, in two sentences a person can repeat."""
    model, words = evaluation.model, read_words(language)
    if not evaluation.measured:
        key = "report.nothing_known" if evaluation.test_rows else "report.nothing_measured"
        return words(key, rows=evaluation.test_rows)
    few, first, ten = evaluation.test_rows < FEW_ROWS, model.recall_at_1, model.recall_at_10
    of, ending = (evaluation.test_rows, "_few") if few else (100, "")
    sentences = [words(f"report.lead{ending}", of=of, at_10=of * ten.value, at_1=of * first.value)]
    if best := find_best_baseline(evaluation):
        name, recall = words.name("baseline", best[0]), best[1].recall_at_10.value
        points = of * (ten.value - recall)
        rival = words(f"report.rival{ending}", name=name, recall=recall, found=of * recall, of=of)
        key = "level" if abs(points) < 0.05 else f"above{ending}" if points > 0 else f"below{ending}"
        sentences.append(words(f"report.{key}", points=abs(points), rival=rival))
    if few:
        sentences.append(words("report.so_few", low=ten.low, high=ten.high))
    return words("report.space").join(sentences)


def find_best_baseline(evaluation: Evaluation) -> tuple[str, Metrics] | None:
    """Return name and metrics of the baseline with the highest recall@10, the first among equals."""
    return max(evaluation.baselines.items(), key=lambda item: item[1].recall_at_10.value, default=None)


def list_settings(settings: CorpusSettings, words: Words | None = None) -> Iterator[Setting]:
    """Yield every setting with its default, in the order of the settings file; None: described in English."""
    for setting in _walk(settings, None, ""):
        if words and words.language != "en":
            setting = dataclasses.replace(setting, description=_describe(setting.key, words))
        yield setting


def _describe(key: str, words: Words) -> str:
    """Return what the catalogue says of a setting; the two levels of a bound share one text."""
    bound, _, level = key.rpartition(".")
    if about := words.entries.get(f"settings.{key}"):
        return about
    about = words.entries.get(f"settings.{bound}", "")
    kind = "hold" if level == "stop" and bound.startswith("publish.") else level
    return words(f"setting.{kind}", about=about) if about else ""


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
                found=key in _FOUND and value != default,
                description=f"{about} {field.description or ''}".strip(),
            )


def _show(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return value or '""'
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return _show(json.dumps(value, ensure_ascii=False, default=lambda part: part.model_dump()))


def _bounds_once(gates: Sequence[Gate], words: Words) -> Iterator[tuple[Gate, str]]:
    """Yield each gate with its bound, or with "as above" where the one before has the same."""
    before = None
    for gate in gates:
        yield gate, gate.bound if gate.bound != before else words("report.as_above")
        before = gate.bound


def _list_pills(
    evaluation: Evaluation,
    training: TrainingReport,
    verdict: Verdict,
    comparison: Comparison | None,
    status: Status | None,
    words: Words,
) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, text, section it leads to) of the verdicts, kind being good, warn or bad."""
    if status in GRADES:
        yield GRADES[status], words.name("status", status), "gates"
    if evaluation.measured and (best := find_best_baseline(evaluation)):
        difference = evaluation.model.recall_at_10.value - best[1].recall_at_10.value
        yield _grade(difference), words("report.pill_baseline", points=_points(difference)), "recall"
    if comparison and comparison.difference.rows:
        gain = comparison.difference.recall_at_10
        gained = {"points": _points(gain.value), "low": _points(gain.low), "high": _points(gain.high)}
        yield "bad" if gain.high < 0 else _grade(gain.value), words("report.pill_live", **gained), "recall"
    converged = training.convergence.converged
    key = "report.pill_converged" if converged else "report.pill_not_converged"
    yield "good" if converged else "bad", words(key), "training"
    warnings = len(verdict.warnings())
    count = f" ({warnings})" if warnings else ""
    yield _OUTCOMES[verdict.outcome], words.name("verdict", verdict.outcome) + count, "data"


def _grade(difference: float) -> str:
    return "good" if difference >= 0 else "warn"


def _points(share: float, unit: str = "") -> str:
    return f"{100 * share:+.1f}{unit}".replace("-", "−")


def _as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _format_statistic(value: float | str | None, name: str = "") -> str:
    """Return a number for a person: shares in percent, counts with separators, the rest in four digits."""
    if value is None or isinstance(value, str):
        return value or "–"
    if name.endswith("share"):
        return f"{value:.2%}"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def _name_statistic(words: Words, name: str) -> str:
    kind, _, reason = name.partition(": ")
    return words(f"statistic.{kind}", reason=words.name("reason", reason)) if reason else words.name("statistic", kind)


def _printable(value: Any) -> Any:  # noqa: ANN401 - whatever a template shows
    """Return a text without characters that turn its direction or steer; plots are drawn by us."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def report_environment(*folders: Path, words: Words | None = None) -> Environment:
    """Return the template engine of the reports: it escapes everything, and a missing value is an error.

    Args:
        folders: where templates are looked for beside this one.
        words: the templates say `w(key, ...)`, or `w_html` where the catalogue has markup; None: English.
    """
    said = words or read_words()
    environment = Environment(
        loader=FileSystemLoader([*folders, Path(__file__).parent]),
        autoescape=True,  # always: the ending .j2 would switch off what decides by name
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"points": _points, "number": _format_statistic, "percent": "{:.1%}".format}
    environment.globals |= {
        "w": said,
        "w_html": lambda key: Markup(said.entries[key]),
        "statistic": lambda name: _name_statistic(said, name),
    }
    return environment
