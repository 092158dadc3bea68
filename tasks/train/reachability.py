"""What a loss can reach at best, from its settings and the rows of each class: checked before the first step.

Let D = s+ - mean s- be the gap of a row, s- over all wrong standard questions alike. For unit vectors its
mean over the rows is at most `largest_gap`: 1 + 1/(K-1) over balanced classes, more where few classes
hold most rows and the many small ones stand opposite to them. Every loss here is bounded from below by a
function of the gap alone (`Objective.least`; the wrong cosines may as well be equal: Jensen), so that function's
lower convex envelope at the largest mean gap is a floor, whatever texts and vectors. A target beyond what the gap
gives is not merely missed: it collapses the space and sacrifices small classes.

What the floor does not know: near-duplicate standard questions never oppose each other, and a row may
fit the few negatives that were drawn for it; by both a loss can come to lie below it by some thousandths.
"""

from collections.abc import Callable

import numpy as np

from schemas.language import Message, read_words
from schemas.training import Reachability
from tasks.train.objectives.objective import Floats, Objective

_ENOUGH = 0.9  # the article: a fall of 90 % of the loss is the first sign of a working model
_STEPS = 401  # of the searches below: the floor moves in the fifth digit beyond


def assess(objective: Objective, first_n: bool = False) -> Reachability:
    """Return floor and first value of the loss, and what to change where the target lies beyond the floor.

    Args:
        objective: with at least two classes.
        first_n: a row's negatives are always the first J other classes.
    """
    shares, drawn = objective.class_rows / objective.class_rows.sum(), objective.opponents
    if first_n and drawn < len(shares) - 1:
        inner = shares[: drawn + 1]  # these oppose each other; the rest can stand opposite to all of them
        held = float(inner.sum())
        floor = (1 - held) * _envelope(objective.least, 2.0)
        floor += held and held * _envelope(objective.least, largest_gap(inner / held))
    else:
        floor = _envelope(objective.least, largest_gap(shares))
    ideal, guessing = float(objective.least(np.array([np.inf]))[0]), objective.at_equal_cosines(margin=False)
    fall = (guessing - floor) / (guessing - ideal) if guessing > ideal else 0.0
    message = None if fall >= _ENOUGH else _advise(objective, max(0.0, fall))
    return Reachability(
        floor=floor,
        first=objective.at_equal_cosines(),
        reachable_fall=max(0.0, fall),
        advice=read_words().say(message) if message else "",
        message=message,
    )


def _advise(objective: Objective, fall: float) -> Message:
    settings = [f"loss.{name} = {value:g}" for name, value in objective.correction().items()]
    change: str | Message = settings[0]
    for key, others in (("training.and", settings[1:]), ("training.or", objective.alternatives())):
        for other in others:
            change = Message(key=key, values={"first": change, "other": other})
    return Message(key="training.unreachable", values={"what": objective.describe(), "fall": fall, "change": change})


def largest_gap(shares: Floats) -> float:
    """Return the largest mean over rows of s+ - mean s- that unit vectors can have.

    With m = |mean class vector| and h_k = |class vector k - their mean|, a row's best gap is h_k K/(K-1), where
    1 - m <= h_k <= 1 + m and the mean of h^2 is 1 - m^2. Under these the mean over rows is largest at
    h_k = clip(c share_k, 1 - m, 1 + m): found by a search over m, c by bisection. Balanced: m = 0, h = 1.

    Args:
        shares: (K,) of the rows, each class's.
    """
    scale = len(shares) / (len(shares) - 1)
    sizes, counts = np.unique(shares, return_counts=True)
    if len(sizes) == 1:
        return scale
    m = np.linspace(0, 1, _STEPS)[:, None]
    low, high = np.zeros_like(m), np.full_like(m, 2 / sizes[sizes > 0].min())
    for _ in range(60):
        middle = (low + high) / 2
        h = np.clip(middle * sizes, 1 - m, 1 + m)  # (m, sizes)
        small = (h**2 @ counts)[:, None] < (1 - m**2) * len(shares)
        low, high = np.where(small, middle, low), np.where(small, high, middle)
    return min(2.0, scale * float((np.clip(high * sizes, 1 - m, 1 + m) @ (counts * sizes)).max()))


def _envelope(least: Callable[[Floats], Floats], gap: float) -> float:
    """Return the lower convex envelope of a decreasing loss over [0, 2] at `gap`: the least mean at this mean gap.

    No query need have a gap below 0: it may look away from the mean.
    """
    below, above = np.linspace(0, gap, _STEPS)[:-1, None], np.linspace(gap, 2, _STEPS)[1:]
    here = float(least(np.array([gap]))[0])
    if gap >= 2:
        return here
    chords = (least(below) * (above - gap) + least(above) * (gap - below)) / (above - below)
    return min(here, float(chords.min()))
