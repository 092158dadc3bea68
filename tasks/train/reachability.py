"""What a loss can reach at best, from its settings and the rows of each class: checked before the first step. Pure.

Let D = s+ - mean s- be the gap of a row, s- over all wrong standard questions alike. For unit vectors its
mean over the rows is at most `largest_gap`: 1 + 1/(K-1) over balanced classes, more where few classes
hold most rows and the many small ones stand opposite to them. Every loss here is bounded from below by a
function of the gap alone (the wrong cosines may as well be equal: Jensen), so that function's lower convex
envelope at the largest mean gap is a floor, whatever texts and vectors. A target beyond what the gap gives
is not merely missed: it collapses the space and sacrifices small classes.

What the floor does not know: near-duplicate standard questions never oppose each other, and a row may
fit the few negatives that were drawn for it; by both a loss can come to lie below it by some thousandths.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from schemas.language import Message, read_words
from schemas.settings import Loss
from schemas.training import Reachability
from tasks.train.batches import class_shares
from tasks.train.losses import reachable_target

_ENOUGH = 0.9  # the article: a fall of 90 % of the loss is the first sign of a working model
_STEPS = 401  # of the searches below: the floor moves in the fifth digit beyond

_Floats = NDArray[np.float64]


def assess(
    loss: Loss, negatives: int, classes: int | NDArray[np.int64], first_n: bool = False, balance: float = 0.0
) -> Reachability:
    """Return floor and first value of the loss, and what to change where the target lies beyond the floor.

    Args:
        loss: the settings, "auto" settled.
        negatives: J, drawn per row; not used by softmax_all and its estimates.
        classes: K, at least 2, of equally many rows; or (K,) the rows of each.
        first_n: a row's negatives are always the first J other classes.
        balance: of the batches; the logit adjustment follows it.
    """
    rows = np.ones(classes, dtype=np.int64) if isinstance(classes, int) else classes
    shares, opponents, lean, first = rows / rows.sum(), negatives, 0.0, math.log1p(negatives)
    if estimates_softmax_all(loss):
        opponents = len(rows) - 1
        logs = loss.prior_strength * np.log(class_shares(np.maximum(1, rows), balance))
        margin, held_back = loss.gamma * loss.margin, loss.label_smoothing
        frequent = float(shares @ logs)
        lean = (frequent - logs.mean()) * len(rows) / opponents - margin  # what is added to a row's gap of logits
        first = float(shares @ np.log(np.exp(logs).sum() - np.exp(logs) * -math.expm1(-margin)))
        first -= (1 - held_back) * (frequent - margin) + held_back * (logs.mean() - margin / len(rows))
    cost = _cost(loss, opponents, lean)
    if loss.kind == "softmax_target":
        first = float((target_of(loss, negatives) - 1 / (1 + negatives)) ** 2)
    if first_n and not estimates_softmax_all(loss) and negatives < len(rows) - 1:
        inner = shares[: negatives + 1]  # these oppose each other; the rest can stand opposite to all of them
        held = float(inner.sum())
        floor = (1 - held) * _envelope(cost, 2.0) + (held and held * _envelope(cost, largest_gap(inner / held)))
    else:
        floor = _envelope(cost, largest_gap(shares))
    ideal = float(cost(np.array([np.inf]))[0])
    fall = (first - floor) / (first - ideal) if first > ideal else 0.0
    told = _advise(loss, negatives, len(rows), fall) if fall < _ENOUGH else None
    advice = read_words().say(told) if told else ""
    return Reachability(floor=floor, first=first, reachable_fall=fall, advice=advice, told=told)


def find_reachable(loss: Loss, negatives: int, classes: int) -> tuple[str, float]:
    """Return the setting of the loss, target or else gamma, and the value that `assess` advises first."""
    if loss.kind in ("softmax_target", "soft_target"):
        return "target", float(f"{reachable_target(negatives, loss.gamma):.6g}")
    return "gamma", float(math.ceil(math.log((classes - 1 if estimates_softmax_all(loss) else negatives) / 0.01)))


def estimates_softmax_all(loss: Loss) -> bool:
    """Say whether the loss is the softmax over all standard questions, or an estimate of it from some."""
    return loss.kind in ("softmax_all", "in_batch") or (loss.kind == "softmax" and loss.log_q)


def target_of(loss: Loss, negatives: int) -> float:
    """Return the target of softmax_target and soft_target: as set, else the one a gap of 1 reaches."""
    return loss.target if loss.target is not None else reachable_target(negatives, loss.gamma)


def largest_gap(shares: _Floats) -> float:
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


def _right(loss: Loss, opponents: int) -> float:
    """Return what a cross-entropy wants of p+, the rest spread evenly over the opponents."""
    if estimates_softmax_all(loss):
        return 1 - loss.label_smoothing * opponents / (1 + opponents)
    return target_of(loss, opponents) if loss.kind == "soft_target" else 1.0


def _cost(loss: Loss, opponents: int, lean: float) -> Callable[[_Floats], _Floats]:
    """Return the least loss as a function of the gap, decreasing: where more is not wanted it stays level."""
    if loss.kind == "softmax_target":
        target = target_of(loss, opponents)
        return lambda gap: np.maximum(0, target - 1 / (1 + opponents * np.exp(-loss.gamma * gap))) ** 2
    right = _right(loss, opponents)
    wanted = math.log(opponents * right / (1 - right)) if right < 1 else math.inf

    def cross_entropy(gap: _Floats) -> _Floats:
        z = np.minimum(loss.gamma * gap + lean, wanted)  # of logits
        rest: _Floats = np.log1p(opponents * np.exp(-z))
        return rest + (1 - right) * z if right < 1 else rest

    return cross_entropy


def _envelope(cost: Callable[[_Floats], _Floats], gap: float) -> float:
    """Return the lower convex envelope of a decreasing cost over [0, 2] at `gap`: the least mean at this mean gap.

    No query need have a gap below 0: it may look away from the mean.
    """
    below, above = np.linspace(0, gap, _STEPS)[:-1, None], np.linspace(gap, 2, _STEPS)[1:]
    here = float(cost(np.array([gap]))[0])
    if gap >= 2:
        return here
    chords = (cost(below) * (above - gap) + cost(above) * (gap - below)) / (above - below)
    return min(here, float(chords.min()))


def _advise(loss: Loss, negatives: int, classes: int, fall: float) -> Message:
    against = "all" if estimates_softmax_all(loss) else "drawn"
    name, value = find_reachable(loss, negatives, classes)
    facts: dict[str, str | int | float] = {"gamma": loss.gamma, "fall": fall, "value": value}
    facts |= {"classes": classes} if against == "all" else {"negatives": negatives}
    if name == "gamma":
        other = loss.kind == "softmax" and not loss.log_q
        return Message(key=f"training.gamma_{'drawn_or_kind' if other else against}", values=facts)
    facts |= {"target": target_of(loss, negatives), "fitting": math.ceil(math.log(negatives / 0.01))}
    return Message(key=f"training.target_{against}", values=facts)
