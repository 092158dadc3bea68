"""Plots as a browser draws them, whose font has Chinese."""

import re

import pytest

from schemas.evaluation import Decided, Interval, RiskPoint, Zone
from tasks.evaluate.plots import plot_risk


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("narrow", [False, True])
def test_no_label_of_the_legend_is_cut_off(language, narrow):
    """A Chinese character is as wide as the letters are high, a Latin one a little more than half of that."""
    none = Interval(value=0.0, low=0.0, high=0.0)
    zones = {"answer": Zone.model_construct(rows=0)}
    curve = [RiskPoint.model_construct(answered=share, wrong=share / 2) for share in (0.1, 1.0)]
    decided = Decided.model_construct(max_wrong=0.05, rows=10, zones=zones, wrong=none, curve=curve)

    drawn = plot_risk(decided, language, narrow)

    width = float(re.search(r'viewBox="0 0 ([\d.]+)', drawn)[1])
    labels = re.findall(
        r'<text style="font-size: (\d+)px;[^>]*?text-anchor: start[^>]*? x="([\d.]+)"[^>]*>([^<]+)<', drawn
    )
    assert len(labels) >= 3
    for size, left, text in labels:
        letters = sum(1.0 if letter > "\u2e7f" else 0.62 for letter in text)
        assert float(left) + int(size) * letters <= width, text
