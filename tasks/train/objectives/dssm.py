"""The loss of DSSM: softmax over a row's own negatives."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tasks.train.objectives.objective import Batch, Floats, Objective

REACHED = 0.99  # p+ of a row with a gap of 1, that gamma is advised for


class Dssm(Objective):
    """Cross-entropy of the right candidate under a softmax over gamma * cosine (Huang et al. 2013, eq. 5 and 6)."""

    def loss(self, queries: Tensor, classes: Tensor, batch: Batch) -> Tensor:
        """Return the mean of -log p+; equal cosines cost log(1 + J)."""
        return softmax(own_cosines(queries, classes, batch), self.settings.gamma)

    @property
    def opponents(self) -> int:
        """J."""
        return self.negatives

    def at_equal_cosines(self, margin: bool = True) -> float:
        """Return log(1 + J)."""
        return math.log1p(self.negatives)

    def least(self, gap: Floats) -> Floats:
        """Return log(1 + J e^(-gamma D)): the negatives may as well be equal (Jensen)."""
        lowest: Floats = np.log1p(self.negatives * np.exp(-self.settings.gamma * gap))
        return lowest

    def correction(self) -> dict[str, float]:
        """Return the gamma that gives p+ = 0.99 at a gap of 1."""
        return {"gamma": gamma_for(self.negatives)}

    def alternatives(self) -> list[str]:
        """Name the article's loss, whose target fits any gamma."""
        return ["loss.kind = 'softmax_target'"]


def softmax(cosines: Tensor, gamma: float) -> Tensor:
    """Return the mean of -log p+ over every leading dimension of (..., 1 + J) cosines, the right candidate first."""
    return -F.log_softmax(gamma * cosines, dim=-1)[..., 0].mean()


def own_cosines(queries: Tensor, classes: Tensor, batch: Batch) -> Tensor:
    """Return (S, n, 1 + J) cosines of each row with its own candidates, the right one first."""
    places = torch.from_numpy(batch.places.ravel()).to(classes.device)
    candidates = classes.index_select(1, places).view(len(classes), *batch.places.shape, -1)
    return (queries.unsqueeze(2) * candidates).sum(-1)


def gamma_for(opponents: int, margin: float = 0.0) -> float:
    """Return the least whole gamma that gives p+ = 0.99 against so many opponents at a gap of 1, less a margin."""
    return float(max(1, math.ceil(math.log(opponents / (1 - REACHED)) / (1 - margin))))
