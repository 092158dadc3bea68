"""The plots of the health report, as SVG. Equal inputs give equal bytes."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Curve
from matplotlib.ticker import PercentFormatter

from schemas.doctor import Confusion, Diagnosis, Receipt, Traffic
from schemas.language import Words
from tasks.evaluate.plots import ACCENT, GREEN, GRID, INK, STYLE, WARM, legend, new_figure, to_svg

_PAIRS = 12  # of the confusion graph
_LETTERS = {False: 44, True: 20}  # of a label, on a wide and on a narrow page


def plot_forecast(said: Diagnosis, words: Words, narrow: bool = False) -> str:
    """Return the points of recall@10 and recall@1 that new queries win, where each goes to the neediest."""
    x = [0, *(plan.classes * plan.queries for plan in said.plans)]
    series = {
        "recall@10": (ACCENT, [p.gain.recall_at_10_after - p.gain.recall_at_10 for p in said.plans]),
        "recall@1": (GREEN, [p.gain.recall_at_1_after - p.gain.recall_at_1 for p in said.plans]),
    }
    with mpl.rc_context(STYLE):
        figure, axes = _figure(2.9, narrow)
        for name, (colour, won) in series.items():
            y = [0.0, *(100 * one for one in won)]
            axes.plot(x, y, color=colour, marker="o", markersize=4, label=words.name("measure", name))
            axes.annotate(f"{y[-1]:+.1f}", (x[-1], y[-1]), (0, 7), textcoords="offset points", ha="center", fontsize=9)
        axes.set_xlabel(words("health.new_queries"))
        axes.set_ylabel(words("health.won_points"))
        axes.set_ylim(bottom=0)
        axes.margins(x=0.08, y=0.2)
        legend(figure, axes)
        return to_svg(figure, words("health.plot_forecast"))


def plot_sizes(said: Diagnosis, words: Words, narrow: bool = False) -> str:
    """Return recall@10 by class size, and how many standard questions have it."""
    names = list(said.by_size)
    with mpl.rc_context(STYLE):
        figure, axes = _figure(2.7, narrow)
        recall = [said.by_size[name][2] for name in names]
        colours = [WARM if value < said.recall_at_10 - 0.05 else ACCENT for value in recall]
        axes.bar(range(len(names)), [1] * len(names), width=0.8, color=GRID, alpha=0.18)
        bars = axes.bar(range(len(names)), recall, width=0.8, color=colours, alpha=0.85)
        axes.bar_label(bars, [f"{value:.0%}" for value in recall], padding=2, fontsize=9)
        labels = [words("health.size", size=n.replace("-", "–"), classes=said.by_size[n][0]) for n in names]
        axes.set_xticks(range(len(names)), labels)
        axes.tick_params(axis="x", labelsize=7.5 if narrow else 9.5)
        axes.set_ylim(0, 1.12)
        axes.set_yticks([0, 0.5, 1])
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel(words("health.by_rows").replace(" (", "\n(") if narrow else words("health.by_rows"))
        return to_svg(figure, words("health.plot_sizes"))


def plot_confusions(pairs: Sequence[Confusion], words: Words, narrow: bool = False) -> str:
    """Return standard questions in a column, and an arc for each pair that is confused, the wider the more often."""
    shown = pairs[:_PAIRS]
    places = {text: place for place, text in enumerate(_order(shown))}
    most = max((pair.rows for pair in shown), default=1)
    with mpl.rc_context(STYLE):
        figure, axes = _figure(0.5 + 0.3 * len(places), narrow)
        axes.axis("off")
        for pair in shown:
            low, high = sorted((places[pair.one], places[pair.other]))
            reach = -0.06 - 0.24 * (high - low) ** 0.5
            line = Curve(
                [(0, low), (reach, low), (reach, high), (0, high)],
                [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4],
            )
            width = 1 + 5 * (pair.rows / most) ** 0.5
            axes.add_patch(PathPatch(line, fill=False, lw=width, edgecolor=WARM if pair.alike else ACCENT, alpha=0.65))
            axes.text(0.75 * reach, (low + high) / 2, str(pair.rows), fontsize=9, ha="center", va="center")
        for text, place in places.items():
            axes.plot(0, place, "o", color=INK, markersize=4)
            axes.text(0.03, place, _shorten(text, _LETTERS[narrow]), fontsize=9 if narrow else 10, va="center")
        deepest = max((abs(places[p.one] - places[p.other]) for p in shown), default=1)
        axes.set_xlim(-0.1 - 0.2 * deepest**0.5, 1.4 if narrow else 2.6)
        axes.set_ylim(len(places) - 0.4, -0.6)
        return to_svg(figure, words("health.plot_confusions"))


def plot_receipts(receipts: Sequence[Receipt], words: Words, narrow: bool = False) -> str:
    """Return, for each application of the list, the points it was forecast to win beside those that it won."""
    settled = [(one, one.outcome) for one in receipts if one.outcome][-8:]
    with mpl.rc_context(STYLE):
        figure, axes = _figure(2.6, narrow)
        x = np.arange(len(settled))
        axes.bar(
            x - 0.2, [one.forecast for one, _ in settled], 0.38, color=GRID, alpha=0.7, label=words("health.forecast")
        )
        axes.bar(x + 0.2, [come.points for _, come in settled], 0.38, color=ACCENT, label=words("health.outcome"))
        axes.axhline(0, color=INK, linewidth=1)
        axes.set_xticks(x, [f"{one.batch[4:6]}-{one.batch[6:8]}" for one, _ in settled])
        axes.set_ylabel(words("health.points"))
        axes.set_xlim(-1, max(2, len(settled)))
        legend(figure, axes)
        return to_svg(figure, words("health.plot_receipts"))


def plot_traffic(traffic: Traffic, words: Words, narrow: bool = False) -> str:
    """Return the queries of each week, with those that were not answered."""
    weeks = traffic.weeks[-26:]
    with mpl.rc_context(STYLE):
        figure, axes = _figure(2.6, narrow)
        x, lost = range(len(weeks)), [week.unanswered for week in weeks]
        axes.bar(x, lost, 0.8, color=WARM, label=words("health.unanswered"))
        rest = [week.queries - week.unanswered for week in weeks]
        axes.bar(x, rest, 0.8, bottom=lost, color=ACCENT, alpha=0.85, label=words("health.answered"))
        for place, week in enumerate(weeks):
            share = f"{week.unanswered / max(1, week.queries):.0%}"
            axes.annotate(share, (place, week.queries), (0, 3), textcoords="offset points", ha="center", fontsize=8)
        every = max(1, -(-len(weeks) // (4 if narrow else 9)))
        axes.set_xticks(list(x)[::every], [week.start[5:] for week in weeks[::every]])
        axes.margins(y=0.15)
        legend(figure, axes)
        return to_svg(figure, words("health.plot_traffic"))


def _figure(height: float, narrow: bool) -> tuple[Figure, Axes]:
    return new_figure(4.0 if narrow else 7.6, height)


def _order(pairs: Sequence[Confusion]) -> list[str]:
    """Return the standard questions of some pairs, those that are confused with each other side by side."""
    near: dict[str, list[str]] = {}
    for pair in pairs:
        near.setdefault(pair.one, []).append(pair.other)
        near.setdefault(pair.other, []).append(pair.one)
    order = list[str]()
    for start in near:
        waiting = [start]
        while waiting:
            text = waiting.pop()
            if text not in order:
                order.append(text)
                waiting += [other for other in reversed(near[text]) if other not in order]
    return order


def _shorten(text: str, letters: int) -> str:
    """Return a text that is so many letters wide at most; a Chinese one is two wide."""
    wide = 0
    for place, letter in enumerate(text):
        wide += 2 if letter > "\u2e7f" else 1
        if wide > letters:
            return text[:place].rstrip() + "…"
    return text
