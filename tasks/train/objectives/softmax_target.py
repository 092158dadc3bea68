"""The article's cure: a softmax output that aims at a target which can be reached."""

import math

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from schemas.language import Message
from tasks.train.objectives.dssm import gamma_for, own_cosines
from tasks.train.objectives.objective import Batch, Floats, Objective


class SoftmaxTarget(Objective):
    """Squared distance of p+ from `loss.target`, over a row's own negatives.

    The article prints no formula; this reads it literally: (p+ - target)^2. Its gamma is 1, its target 0.4 at J = 4.
    """

    @property
    def target(self) -> float:
        """Aim of p+: as set, else the one that a gap of 1 reaches."""
        given = self.settings.target
        return reachable_target(self.negatives, self.settings.gamma) if given is None else given

    def loss(self, queries: Tensor, classes: Tensor, batch: Batch) -> Tensor:
        """Return the mean of (p+ - target)^2."""
        return softmax_target(own_cosines(queries, classes, batch), self.settings.gamma, self.target)

    @property
    def opponents(self) -> int:
        """J."""
        return self.negatives

    def at_equal_cosines(self, margin: bool = True) -> float:
        """Return (1 / (1 + J) - target)^2."""
        return float((self.target - 1 / (1 + self.negatives)) ** 2)

    def least(self, gap: Floats) -> Floats:
        """Return (p+ - target)^2 at a gap, 0 where p+ can be larger than the target."""
        right = 1 / (1 + self.negatives * np.exp(-self.settings.gamma * gap))
        lowest: Floats = np.maximum(0, self.target - right) ** 2
        return lowest

    def correction(self) -> dict[str, float]:
        """Return the target that a gap of 1 reaches."""
        return {"target": float(f"{reachable_target(self.negatives, self.settings.gamma):.6g}")}

    def alternatives(self) -> list[str]:
        """Name the gamma that gives p+ = 0.99 at a gap of 1."""
        return [f"loss.gamma = {gamma_for(self.negatives):g}"]

    def describe(self) -> Message:
        """Name target, gamma and negatives."""
        facts = {"target": self.target, "gamma": self.settings.gamma, "negatives": self.negatives}
        return Message(key="training.far_target", values=facts)


def softmax_target(cosines: Tensor, gamma: float, target: float) -> Tensor:
    """Return the mean of (p+ - target)^2 over every leading dimension of (..., 1 + J) cosines, the right one first."""
    right = F.softmax(gamma * cosines, dim=-1)[..., 0]
    return (right - target).square().mean()


def reachable_target(negatives: int, gamma: float, gap: float = 1.0) -> float:
    """Return 1 / (1 + J e^(-gamma * gap)): p+ where s+ exceeds J equal s- by `gap`.

    At J = 4, gamma = 1, gap = 1 (right cosine 1, orthogonal negatives) it is 0.4046: the article's 0.4.
    It falls with J: 0.232 at J = 9, 0.125 at J = 19.
    """
    return 1.0 / (1.0 + negatives * math.exp(-gamma * gap))
