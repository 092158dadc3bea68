"""The plots of the study's report, in the style of the others. Pure."""

from collections.abc import Sequence
from textwrap import fill

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from schemas.evaluation import Interval
from schemas.study import Measured
from tasks.evaluate.plots import ACCENT, OTHERS, STYLE, WARM, draw_bars, legend, new_figure, to_svg

_COLOURS = (ACCENT, WARM, "#4aa596", "#9b7fd1", "#d1587a", "#b08968", "#8b97a5", "#58a6c9")
_DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = ("-", (0, (5, 2)), (0, (1, 1.5)))


def plot_losses(measured: Sequence[Measured]) -> str:
    """Return the loss of each experiment by epoch, as a share of a fresh model's: 10 % is the article's first sign."""
    with mpl.rc_context(STYLE):
        figure, axes = new_figure(7.6, 4.4)
        _draw_lines(axes, measured, [[1.0, *(loss / m.first_loss for loss in m.losses)] for m in measured], start=0)
        axes.axhline(0.1, color=OTHERS[0], linewidth=1, linestyle=(0, (4, 3)), label="a fall by 90 %")
        axes.set_ylabel("loss, share of a fresh model's")
        axes.set_ylim(0, None)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        legend(figure, axes, columns=3)
        return to_svg(figure, "Loss by epoch of every ablation, as a share of a fresh model's loss")


def plot_oscillation(measured: Sequence[Measured]) -> str:
    """Return by epoch how far batch losses deviate from their mean, as a share of it."""
    with mpl.rc_context(STYLE):
        figure, axes = new_figure(7.6, 4.0)
        _draw_lines(axes, measured, [m.spreads for m in measured], start=1)
        axes.set_ylabel("deviation of batch losses over their mean")
        axes.set_ylim(0, None)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        legend(figure, axes, columns=3)
        return to_svg(figure, "Oscillation of the batch loss by epoch, of every ablation")


def plot_ablations(measured: Sequence[Measured]) -> str:
    """Return recall@10 of every ablation, with intervals."""
    with mpl.rc_context(STYLE):
        figure, axes = new_figure(7.6, 3.6)
        draw_bars(axes, {"recall@10": [m.recall_at_10 for m in measured]})
        axes.set_xticks(range(len(measured)), [fill(m.experiment.title, 13) for m in measured])
        axes.tick_params(axis="x", labelsize=8)
        axes.set_ylabel("recall@10")
        return to_svg(figure, "Recall at 10 of every ablation, with 95 % intervals")


def plot_beside_the_article(measured: Sequence[Measured]) -> str:
    """Return recall@10 of the article's recipe, its variants and the default, beside the article's figures."""
    with mpl.rc_context(STYLE):
        figure, axes = new_figure(7.6, 3.4)
        recalls = [m.experiment.article_recall_at_10 for m in measured]
        article = [None if value is None else Interval(value=value, low=value, high=value) for value in recalls]
        draw_bars(axes, {"here": [m.recall_at_10 for m in measured], "the article": article})
        labels = [f"{m.experiment.corpus.upper()}\n{fill(m.experiment.title, 14)}" for m in measured]
        axes.set_xticks(range(len(measured)), labels)
        axes.tick_params(axis="x", labelsize=8)
        axes.set_ylabel("recall@10")
        legend(figure, axes)
        return to_svg(figure, "Recall at 10 here and in the article, with 95 % intervals of ours")


def _draw_lines(axes: Axes, measured: Sequence[Measured], lines: Sequence[Sequence[float]], start: int) -> None:
    for number, (m, line) in enumerate(zip(measured, lines, strict=True)):
        axes.plot(
            range(start, start + len(line)),
            line,
            color=_COLOURS[number % len(_COLOURS)],
            linestyle=_DASHES[number // len(_COLOURS) % len(_DASHES)],
            label=m.experiment.title,
        )
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
