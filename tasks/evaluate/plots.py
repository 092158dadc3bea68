"""The plots of the report and of the Prefect UI, as SVG. Equal inputs give equal bytes.

Text stays text, the background is transparent and every colour is a middle tone, so that a plot can be read on
white, on black and on paper, and so that the report may restyle it.
"""

import base64
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

from schemas.evaluation import Decided, Interval, Metrics
from schemas.language import Language, read_words
from schemas.training import Epoch, TrainingReport

INK = "#6e7a88"
GRID = "#8b97a5"
ACCENT = "#2f81f7"
GREEN = "#4aa596"
WARM = "#e07b2a"
OTHERS = ("#8b97a5", "#b08968", "#9b7fd1", GREEN)  # what the candidate is held against
_LEGEND_LINE = 90  # characters that fit above a plot, a Chinese one being two
POINTS = 200  # of one line; more cannot be seen and would outgrow Prefect's artifacts
STYLE: Any = {  # matplotlib types every key of its own
    "svg.fonttype": "none",
    "svg.hashsalt": "dssm",
    "font.family": "DejaVu Sans",  # comes with matplotlib, so the layout is that of every machine
    "font.size": 10,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
    "grid.color": GRID,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "path.simplify": True,
}


class Night(NamedTuple):
    """The recall of one run."""

    run: str  # ids sort by time
    recall_at_1: float
    recall_at_10: float
    went_live: bool

    def when(self, to_the_minute: bool) -> str:
        """Return month and day of the run, e.g. 11-25, and the time below where it was not the only one that day."""
        time = f"\n{self.run[9:11]}:{self.run[11:13]}" if to_the_minute else ""
        return f"{self.run[4:6]}-{self.run[6:8]}{time}"


def plot_loss(training: TrainingReport, language: Language = "en", narrow: bool = False) -> str:
    """Return the loss by epoch, while choosing and in the refit, over its floor; recall@10 on the right."""
    words = read_words(language)
    with mpl.rc_context(STYLE):
        figure, axes = _new_plot(3.5, narrow)
        for phase, colour in (("choose", WARM), ("refit", ACCENT)):
            _draw_epochs(axes, [e for e in training.epochs if e.phase == phase], colour, words(f"plot.{phase}"))
        floor, dashes = training.reachability.floor, (0, (4, 3))
        axes.axhline(floor, color=INK, linewidth=1, linestyle=dashes, label=words("plot.floor"))
        axes.set_xlabel(words("plot.epoch"))
        axes.set_ylabel(words("plot.loss"))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        measured = [e for e in training.epochs if e.recall_at_10 is not None]
        if measured:
            right = axes.twinx()
            right.grid(visible=False)
            right.spines["left"].set_visible(False)
            kept = _thin(measured)
            recall = [e.recall_at_10 or 0.0 for e in kept]
            right.plot([e.epoch for e in kept], recall, color=GREEN, linewidth=1.5, linestyle=(0, (1, 1.5)))
            axes.plot([], [], color=GREEN, linewidth=1.5, linestyle=(0, (1, 1.5)), label=words("plot.validation"))
            right.set_ylim(0, 1)
            right.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        legend(figure, axes, 1 if narrow else None)
        return to_svg(figure, words("plot.loss_title"))


def plot_recall(
    candidate: Metrics, others: Mapping[str, Metrics], language: Language = "en", narrow: bool = False
) -> str:
    """Return recall@1, @5, @10 and MRR of the candidate beside `others` (name to metrics), with intervals."""
    words = read_words(language)
    names = {"recall_at_1": "recall@1", "recall_at_5": "recall@5", "recall_at_10": "recall@10", "mrr": "MRR"}
    labels = [words.name("measure", name) for name in names.values()]
    measured = {words("report.candidate"): candidate, **others}
    series = {name: [getattr(m, key) for key in names] for name, m in measured.items()}
    with mpl.rc_context(STYLE):
        figure, axes = _new_plot(3.3, narrow)
        draw_bars(axes, series)
        axes.set_xticks(range(len(names)), labels)
        legend(figure, axes, 2 if narrow else None)
        return to_svg(figure, words("plot.recall_title"))


def plot_recall_by_class_size(
    candidate: Mapping[str, Metrics],
    others: Mapping[str, Mapping[str, Metrics]],
    language: Language = "en",
    narrow: bool = False,
) -> str:
    """Return recall@10 by training rows per class, of the candidate beside `others`, with intervals."""
    words, buckets = read_words(language), list(candidate)
    series = {
        name: [by_size[bucket].recall_at_10 if bucket in by_size else None for bucket in buckets]
        for name, by_size in {words("report.candidate"): candidate, **others}.items()
    }
    labels = [words("plot.bucket", size=b.replace("-", "–"), rows=candidate[b].rows) for b in buckets]
    with mpl.rc_context(STYLE):
        figure, axes = _new_plot(3.3, narrow)
        draw_bars(axes, series)
        axes.set_xticks(range(len(buckets)), labels)
        axes.tick_params(axis="x", labelsize=7.5 if narrow else 10)
        axes.set_xlabel(words("plot.by_size"))
        axes.set_ylabel(words.name("measure", "recall@10"))
        legend(figure, axes, 2 if narrow else None)
        return to_svg(figure, words("plot.by_size_title"))


def plot_class_sizes(
    sizes: Sequence[int], small_class_rows: int, language: Language = "en", narrow: bool = False
) -> str:
    """Return how many standard questions have how many rows, in doubling bins, small ones in orange."""
    words, rows = read_words(language), np.asarray(sizes, dtype=np.int64)
    bins = [(1 << i, (2 << i) - 1) for i in range(int(rows.max(initial=1)).bit_length())]  # 1, 2-3, 4-7, ...
    counts = [int(np.count_nonzero((low <= rows) & (rows <= high))) for low, high in bins]
    colours = [WARM if low <= small_class_rows else ACCENT for low, _ in bins]
    crowded = len(bins) > (6 if narrow else 10)
    with mpl.rc_context(STYLE):
        figure, axes = _new_plot(2.9, narrow)
        bars = axes.bar(range(len(bins)), counts, width=0.94, color=colours, alpha=0.85)
        axes.bar_label(bars, [f"{count:,}" for count in counts], padding=2, fontsize=7 if crowded else 9)
        axes.set_xticks(range(len(bins)), [f"{low:,}" if low == high else f"{low:,}–{high:,}" for low, high in bins])
        axes.tick_params(axis="x", labelsize=7 if crowded else 9, labelrotation=60 if crowded and narrow else 0)
        axes.set_xlabel(words("plot.class_rows", rows=small_class_rows), fontsize=8 if narrow else 10)
        axes.set_ylabel(words("plot.classes"))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.margins(y=0.12)
        return to_svg(figure, words("plot.class_sizes_title"))


def plot_risk(decided: Decided, language: Language = "en", narrow: bool = False) -> str:
    """Return what share of answers is wrong if the surest are given, by the share that is answered; and the promise."""
    words, dashes = read_words(language), (0, (4, 3))
    with mpl.rc_context(STYLE):
        figure, axes = _new_plot(2.9, narrow)
        curve = [(point.answered, point.wrong) for point in decided.curve]
        axes.plot(*zip(*curve, strict=True), color=ACCENT, label=words("plot.risk"))
        axes.axhline(decided.max_wrong, color=INK, linewidth=1, linestyle=dashes, label=words("plot.promise"))
        answered = decided.zones["answer"].rows / decided.rows
        axes.scatter(
            [answered], [decided.wrong.value], color=WARM, zorder=3, label=words("plot.answered"), clip_on=False
        )
        axes.set_xlim(0, 1)
        axes.set_ylim(bottom=0)
        axes.set_xlabel(words("plot.share_answered"))
        axes.set_ylabel(words("plot.share_wrong"))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0))
        legend(figure, axes, 1 if narrow else None)
        return to_svg(figure, words("plot.risk_title"))


def plot_history(nights: Sequence[Night], language: Language = "en", narrow: bool = False) -> str:
    """Return recall@10 and recall@1 over the last runs; those that went live are filled."""
    words, x = read_words(language), range(len(nights))
    several = len({night.run[:8] for night in nights}) < len(nights)
    with mpl.rc_context(STYLE):
        figure, axes = _new_plot(2.7, narrow)
        lines = (
            ("recall@10", ACCENT, [n.recall_at_10 for n in nights]),
            ("recall@1", GREEN, [n.recall_at_1 for n in nights]),
        )
        for name, colour, values in lines:
            axes.plot(x, values, color=colour, linewidth=1.5, label=words.name("measure", name))
            faces = [colour if n.went_live else "#ffffff" for n in nights]
            axes.scatter(x, values, s=26, c=faces, edgecolors=colour, linewidths=1.4, zorder=3)
            axes.annotate(
                f"{values[-1]:.1%}", (x[-1], values[-1]), (0, 7), textcoords="offset points", ha="center", fontsize=9
            )
        shown = sorted({*range(len(nights) - 1, -1, -max(1, -(-len(nights) // (4 if narrow else 8))))})
        axes.set_xticks(shown, [nights[i].when(several) for i in shown])
        axes.set_ylim(0, 1.06)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.margins(x=0.06)
        legend(figure, axes)
        return to_svg(figure, words("plot.history_title"))


def to_data_uri(svg: str) -> str:
    """Return the SVG as a data URI, for Markdown of the Prefect UI or an <img>."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _new_plot(height: float, narrow: bool) -> tuple[Figure, Axes]:
    return new_figure(4.0 if narrow else 7.6, height)


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure of a size in inches, and its axes."""
    figure = Figure(figsize=(width, height), layout="constrained")  # not pyplot: no state, no memory kept
    axes = figure.subplots()
    axes.spines["left"].set_visible(False)
    return figure, axes


def _draw_epochs(axes: Axes, epochs: Sequence[Epoch], colour: str, label: str) -> None:
    if not epochs:
        return
    kept = _thin(epochs)
    x, loss = [e.epoch for e in kept], np.array([e.loss for e in kept])
    spread = loss * np.array([e.batch_loss_spread for e in kept])
    axes.fill_between(x, loss - spread, loss + spread, color=colour, alpha=0.14, linewidth=0)
    axes.plot(x, loss, color=colour, label=label, marker="o" if len(kept) <= 40 else None, markersize=3)


def draw_bars(axes: Axes, series: Mapping[str, Sequence[Interval | None]]) -> None:
    """Draw groups of bars, one bar per series and position; a missing interval leaves a gap."""
    width = 0.8 / len(series)
    for i, (name, intervals) in enumerate(series.items()):
        drawn = [(x, interval) for x, interval in enumerate(intervals) if interval is not None]
        x = np.array([position for position, _ in drawn]) + (i - (len(series) - 1) / 2) * width
        value = np.array([interval.value for _, interval in drawn])
        error = np.array([[v.value - v.low for _, v in drawn], [v.high - v.value for _, v in drawn]])
        colour = ACCENT if i == 0 else OTHERS[(i - 1) % len(OTHERS)]
        axes.bar(x, value, width * 0.92, color=colour, label=name, alpha=1 if i == 0 else 0.8)
        axes.errorbar(x, value, error, fmt="none", ecolor=INK, elinewidth=1.2, capsize=2.5)
        if i == 0:
            for position, (_, interval) in zip(x, drawn, strict=True):
                axes.text(
                    position, interval.high + 0.015, f"{interval.value:.1%}", ha="center", va="bottom", fontsize=9
                )
    axes.set_ylim(0, 1.06)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def legend(figure: Figure, axes: Axes, columns: int | None = None) -> None:
    """Put the legend above the plot, in one line or in so many columns.

    The font of the layout has no Chinese, and takes a character for half as wide as it will be.
    """
    handles, labels = axes.get_legend_handles_labels()
    widths = [sum(character > "\u2e7f" for character in label) for label in labels]
    wide = max(widths, default=0)
    line = sum(map(len, labels)) + sum(widths) + wide * (len(labels) - 1)  # characters, and the room between columns
    if wide and line > _LEGEND_LINE:
        columns = columns or 2
    figure.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=columns or len(labels),
        fontsize=9,
        handlelength=1.4,
        columnspacing=2 + 0.5 * wide,
    )


def _thin(epochs: Sequence[Epoch]) -> list[Epoch]:
    step = -(-len(epochs) // POINTS)
    return [*epochs[:-1:step], epochs[-1]]


def to_svg(figure: Figure, title: str) -> str:
    """Return one <svg> element that says what it shows, without what changes from run to run or points outside."""
    target = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the browser has one
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(target, format="svg", transparent=True, metadata=metadata)
    svg = target.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)  # not referenced, and not unique among several plots of one page
    svg = re.sub(r"\n *<!--.*?-->", "", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1) + "\n"
