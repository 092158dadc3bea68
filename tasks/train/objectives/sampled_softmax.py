"""Sampled softmax: `softmax_all`, estimated from the negatives drawn for a batch. The default for many classes."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tasks.train.objectives.objective import Batch
from tasks.train.objectives.softmax_all import SMOOTHING, SoftmaxAll


class SampledSoftmax(SoftmaxAll):
    """Every row is held against the negatives of all rows of its batch, which costs no further encoding.

    Each candidate weighs one over how often it was to be expected there: it was drawn n J times from K - 1. In
    expectation it is `softmax_all`: so are its floor, and its value at equal cosines.
    """

    drawn, shared = True, True

    def loss(self, queries: Tensor, classes: Tensor, batch: Batch) -> Tensor:
        """Return the estimate. A row's own class and its near-duplicates never count as negatives."""
        right, here = batch.places[:, 0], queries.device
        draws = np.bincount(batch.places[:, 1:].ravel(), minlength=len(batch.classes))
        with np.errstate(divide="ignore"):  # a class that is only the right one of others was not drawn
            weights = np.log(draws) + math.log(self.opponents / draws.sum())
        barred = batch.forbidden[batch.classes[right]][:, batch.classes].toarray()
        weights = np.hstack([np.zeros((len(right), 1)), np.where(barred, -np.inf, weights)])  # (n, 1 + U)
        order = np.hstack([right[:, None], np.tile(np.arange(len(batch.classes)), (len(right), 1))])
        cosines = torch.bmm(queries, classes.transpose(1, 2))  # (S, n, U)
        cosines = cosines.gather(2, torch.from_numpy(order).to(here).expand(len(cosines), -1, -1))  # (S, n, 1 + U)
        adjustment = self.adjustment(queries)[torch.from_numpy(batch.classes[order]).to(here)]
        log_weights = torch.from_numpy(weights.astype(np.float32)).to(here)
        return weighted_softmax(cosines, self.settings.gamma, log_weights, SMOOTHING, adjustment, self.settings.margin)


def weighted_softmax(
    cosines: Tensor,
    gamma: float,
    log_weights: Tensor,
    smoothing: float,
    adjustment: Tensor,
    margin: float,
) -> Tensor:
    """Estimate `softmax_all` from some of the candidates: each stands for all that its sampling passed over.

    A candidate that is sampled with an expected count of q weighs 1/q in the sum of the softmax, so that the sum's
    expectation is that over all classes (Bengio and Senecal 2008, "Adaptive Importance Sampling to Accelerate Training
    of a Neural Probabilistic Language Model", section III). With every class a candidate of weight 1 it is
    `softmax_all`.

    Args:
        cosines: (..., 1 + U), the right candidate first.
        gamma: > 0.
        log_weights: broadcast to `cosines`: -log q; 0 for the right one, -inf for one that does not count.
        smoothing: as in `softmax_all`; the mean over all classes is estimated by the same weights.
        adjustment: as in `softmax_all`, of each candidate, broadcast to `cosines`.
        margin: as in `softmax_all`.

    Returns:
        A scalar, the mean over every leading dimension.
    """
    logits = gamma * cosines + adjustment
    if margin:
        logits = torch.cat([logits[..., :1] - gamma * margin, logits[..., 1:]], dim=-1)
    loss = torch.logsumexp(logits + log_weights, dim=-1) - (1 - smoothing) * logits[..., 0]
    if smoothing:
        loss = loss - smoothing * (F.softmax(log_weights, dim=-1) * logits).sum(dim=-1)
    return loss.mean()
