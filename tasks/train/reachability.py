"""What a loss can reach at best, from its settings alone: checked before the first step. Pure.

K unit vectors have a mean pairwise cosine of at least -1/(K-1), so over balanced classes and random
negatives the gap between the right cosine and the wrong ones is at most 1 + 1/(K-1) on average,
whatever the texts. A target beyond what that gap gives is not merely missed: it collapses the space
and sacrifices small classes.
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
    ideal = 0.0
    if estimates_softmax_all(loss):
        floor, first = _softmax_all(gap, classes, loss.label_smoothing), math.log(classes)
        ideal = _softmax_all(math.inf, classes, loss.label_smoothing)  # the entropy of the smoothed target
    elif loss.kind == "softmax":
        floor, first = math.log1p(negatives * math.exp(-gap)), math.log(1 + negatives)
    elif loss.kind == "soft_target":
        floor, first = _soft_target(gap, negatives, target_of(loss, negatives)), math.log(1 + negatives)
        ideal = _soft_target(math.inf, negatives, target_of(loss, negatives))  # the entropy of the target
    else:
        best, target = 1 / (1 + negatives * math.exp(-gap)), target_of(loss, negatives)
        floor, first = max(0.0, target - best) ** 2, (target - 1 / (1 + negatives)) ** 2
    fall = (first - floor) / (first - ideal) if first > ideal else 0.0
    return Reachability(floor=floor, first=first, reachable_fall=fall, advice=_advice(loss, negatives, classes, fall))


def estimates_softmax_all(loss: Loss) -> bool:
    """Say whether the loss is the softmax over all standard questions, or an estimate of it from some."""
    return loss.kind in ("softmax_all", "in_batch") or (loss.kind == "softmax" and loss.log_q)


def _soft_target(gap: float, negatives: int, target: float) -> float:
    """Cross-entropy against (target, (1 - target)/J, ...) where s+ exceeds J equal s- by the best gap within reach."""
    z = min(gap, math.log(negatives * target / (1 - target)) if target < 1 else math.inf)
    if math.isinf(z):
        return 0.0
    return math.log1p(negatives * math.exp(-z)) + (1 - target) * z


def target_of(loss: Loss, negatives: int) -> float:
    """Return the target of softmax_target and soft_target: as set, else the one a gap of 1 reaches."""
    return loss.target if loss.target is not None else reachable_target(negatives, loss.gamma)


def _softmax_all(gap: float, classes: int, smoothing: float) -> float:
    """Cross-entropy against (1 - e + e/K, e/K, ...) at the best gap within reach; its free minimum is the entropy."""
    right = 1 - smoothing + smoothing / classes
    wanted = math.log(right / (smoothing / classes)) if smoothing else math.inf
    z = min(gap, wanted)
    if math.isinf(z):
        return 0.0
    return z + math.log1p((classes - 1) * math.exp(-z)) - right * z


def _advice(loss: Loss, negatives: int, classes: int, fall: float) -> str:
    if fall >= _ENOUGH:
        return ""
    opponents = classes - 1 if estimates_softmax_all(loss) else negatives
    fitting = math.ceil(math.log(opponents / 0.01))  # gamma at which p+ reaches 0.99 with a gap of 1
    if estimates_softmax_all(loss):
        return (
            f"loss.gamma = {loss.gamma:g} over {classes} standard questions lets the loss go {fall:.0%} of its way at "
            f"most; set loss.gamma = {fitting}"
        )
    if loss.kind == "softmax":
        return (
            f"loss.gamma = {loss.gamma:g} with {negatives} negatives lets the loss fall by {fall:.0%} at most; "
            f"set loss.gamma = {fitting}, or loss.kind = 'softmax_target'"
        )
    return (
        f"loss.target = {target_of(loss, negatives):g} is out of reach at gamma {loss.gamma:g} with {negatives} "
        f"negatives: the loss can fall by {fall:.0%} at most; set loss.target = "
        f"{reachable_target(negatives, loss.gamma):.6g} (or leave it empty), or loss.gamma = {fitting}"
    )
