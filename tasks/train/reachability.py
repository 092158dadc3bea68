"""What a loss can reach at best, from its settings alone: checked before the first step. Pure.

K unit vectors have a mean pairwise cosine of at least -1/(K-1), so the gap between the right cosine
and the wrong ones is at most 1 + 1/(K-1), whatever the data. A target beyond what that gap gives is
not merely missed: it collapses the space and sacrifices small classes.
"""

import math

from schemas.settings import Loss
from schemas.training import Reachability
from tasks.train.losses import reachable_target

_ENOUGH = 0.9  # the article: a fall of 90 % of the loss is the first sign of a working model


def assess(loss: Loss, negatives: int, classes: int) -> Reachability:
    """Return floor and first value of the loss, and what to change where the target lies beyond the floor.

    Args:
        loss: the settings.
        negatives: J, drawn per row; not used by softmax_all.
        classes: K, at least 2.
    """
    gap = loss.gamma * (1 + 1 / (classes - 1))  # of logits
    if loss.kind == "softmax_all":
        floor, first = _softmax_all(gap, classes, loss.label_smoothing)
    elif loss.kind == "softmax":
        floor, first = math.log1p(negatives * math.exp(-gap)), math.log(1 + negatives)
    else:
        best, target = 1 / (1 + negatives * math.exp(-gap)), target_of(loss, negatives)
        floor, first = max(0.0, target - best) ** 2, (target - 1 / (1 + negatives)) ** 2
    fall = (first - floor) / first if first else 0.0
    return Reachability(floor=floor, first=first, reachable_fall=fall, advice=_advice(loss, negatives, fall))


def target_of(loss: Loss, negatives: int) -> float:
    """Return the target of softmax_target: as set, else the one a gap of 1 reaches."""
    return loss.target if loss.target is not None else reachable_target(negatives, loss.gamma)


def _softmax_all(gap: float, classes: int, smoothing: float) -> tuple[float, float]:
    """Cross-entropy against (1 - e + e/K, e/K, ...) at the best gap within reach; its free minimum is the entropy."""
    right = 1 - smoothing + smoothing / classes
    wanted = math.log(right / (smoothing / classes)) if smoothing else math.inf
    z = min(gap, wanted)
    return z + math.log1p((classes - 1) * math.exp(-z)) - right * z, math.log(classes)


def _advice(loss: Loss, negatives: int, fall: float) -> str:
    if fall >= _ENOUGH or loss.kind == "softmax_all":
        return ""
    fitting = math.ceil(math.log(negatives / 0.01))  # gamma at which p+ reaches 0.99 with a gap of 1
    if loss.kind == "softmax":
        return (
            f"loss.gamma = {loss.gamma:g} with {negatives} negatives lets the loss fall by {fall:.0%} at most; "
            f"set loss.gamma = {fitting}, or loss.kind = 'softmax_target'"
        )
    return (
        f"loss.target = {target_of(loss, negatives):g} is out of reach at gamma {loss.gamma:g} with {negatives} "
        f"negatives: the loss can fall by {fall:.0%} at most; set loss.target = "
        f"{reachable_target(negatives, loss.gamma):.4f} (or leave it empty), or loss.gamma = {fitting}"
    )
