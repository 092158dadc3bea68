"""Exact softmax over all standard questions: the default up to some thousands of them."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from schemas.language import Message
from schemas.settings import Loss
from tasks.train.objectives.dssm import gamma_for
from tasks.train.objectives.objective import Batch, Floats, Objective

SMOOTHING = 0.05  # share of the target spread evenly over all K (Szegedy et al. 2016, section 7): docs/recipe.md
BARRED = np.float32(30.0)  # taken off the logit of a standard question with the same answer: e^-30 is no opponent


class SoftmaxAll(Objective):
    """Cross-entropy over all K standard questions, with label smoothing, logit adjustment and margin.

    The adjustment adds prior_strength * log prior to the logits while training (Menon et al. 2020, "Long-tail learning
    via logit adjustment", eq. 10): a small class must win by a margin. `margin` is taken off the right cosine while
    training, so that every class must win by it (Wang et al. 2018, "Additive Margin Softmax for Face Verification",
    eq. 6).
    """

    drawn = False

    def __init__(self, loss: Loss, negatives: int, class_rows: NDArray[np.int64]) -> None:
        super().__init__(loss, negatives, class_rows)
        rows = np.maximum(1.0, class_rows)
        self._log_prior = loss.prior_strength * np.log(rows / rows.sum())
        self._adjustment = torch.from_numpy(self._log_prior.astype(np.float32))

    def adjustment(self, near: Tensor) -> Tensor:
        """Return (K,) what is added to the logits of each class, on the device of `near`."""
        self._adjustment = self._adjustment.to(near.device)  # moved once
        return self._adjustment

    def loss(self, queries: Tensor, classes: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross-entropy; the gradient is computed along with it."""
        labels = torch.from_numpy(batch.places[:, 0]).to(queries.device)
        s, adjustment = self.settings, self.adjustment(queries)
        if batch.same is not None:
            adjustment = adjustment - torch.from_numpy(BARRED * batch.same.toarray()).to(queries.device)
        return softmax_all(queries, classes, labels, s.gamma, SMOOTHING, adjustment, s.margin)

    @property
    def opponents(self) -> int:
        """K - 1."""
        return len(self.class_rows) - 1

    def at_equal_cosines(self, margin: bool = True) -> float:
        """Return the mean over the rows of the cross-entropy of the adjustment and the margin alone."""
        shares, logs, m = self.class_rows / self.class_rows.sum(), self._log_prior, self._margin if margin else 0.0
        frequent, mean = float(shares @ logs), float(logs.mean())
        first = float(shares @ np.log(np.exp(logs).sum() - np.exp(logs) * -math.expm1(-m)))
        return first - (1 - SMOOTHING) * (frequent - m) - SMOOTHING * (mean - m / len(logs))

    def least(self, gap: Floats) -> Floats:
        """Return the cross-entropy at a gap of logits, which grows no further than the smoothing wants."""
        right = 1 - SMOOTHING * self.opponents / (1 + self.opponents)  # what it wants of p+
        wanted = math.log(self.opponents * right / (1 - right))
        z = np.minimum(self.settings.gamma * gap + self._logit_offset, wanted)
        lowest: Floats = np.log1p(self.opponents * np.exp(-z)) + (1 - right) * z
        return lowest

    def correction(self) -> dict[str, float]:
        """Return the usual margin where a larger one is in the way, and a larger gamma where that does not do."""
        usual = Loss().margin
        changes = {"margin": usual} if self.settings.margin > usual else {}
        gamma = gamma_for(self.opponents, min(self.settings.margin, usual))
        return changes if changes and gamma <= self.settings.gamma else changes | {"gamma": gamma}

    def describe(self) -> Message:
        """Name gamma, the margin if it is not the usual one, and K."""
        key = "training.small_gamma_margin" if self.settings.margin > Loss().margin else "training.small_gamma_all"
        facts = self.settings.model_dump(include={"gamma", "margin"})
        return Message(key=key, values={**facts, "classes": len(self.class_rows)})

    @property
    def _margin(self) -> float:
        """What the margin takes off the right logit."""
        return self.settings.gamma * self.settings.margin

    @property
    def _logit_offset(self) -> float:
        """What adjustment and margin add to a row's gap of logits, on average."""
        shares, logs = self.class_rows / self.class_rows.sum(), self._log_prior
        return float(shares @ logs - logs.mean()) * len(logs) / self.opponents - self._margin


def softmax_all(
    queries: Tensor,
    classes: Tensor,
    labels: Tensor,
    gamma: float,
    smoothing: float,
    adjustment: Tensor,
    margin: float,
) -> Tensor:
    """Return the exact softmax cross-entropy as a scalar, the mean over members and rows.

    Two thirds of the time of plain autograd: one member after the other in the same two matrices, which stay in the
    cache, where autograd would keep four of all members. The gradient is computed along with the loss.

    Args:
        queries: (S, n, o), of unit length but for dropout.
        classes: (S, K, o), of unit length.
        labels: (n,) the right class.
        gamma: > 0.
        smoothing: share of the target that is spread evenly over all K classes.
        adjustment: (K,), or (n, K), added to the logits.
        margin: taken off the right cosine.
    """
    value: Tensor = _SoftmaxAll.apply(queries, classes, labels, gamma, smoothing, adjustment, margin)  # type: ignore[no-untyped-call]
    return value


class _SoftmaxAll(torch.autograd.Function):
    """The loss and its gradient in one pass."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context object has no public type
        queries: Tensor,
        classes: Tensor,
        labels: Tensor,
        gamma: float,
        smoothing: float,
        adjustment: Tensor,
        margin: float,
    ) -> Tensor:
        members, batch, count = len(queries), queries.shape[1], classes.shape[1]
        of_queries, of_classes = torch.empty_like(queries), torch.empty_like(classes)
        logits, logs = queries.new_empty(batch, count), queries.new_empty(batch, count)
        right = labels.view(batch, 1)
        lost, wanted = queries.new_full((batch, 1), -gamma * margin), queries.new_full((batch, 1), smoothing - 1)
        loss = queries.new_zeros(())
        for query, text, of_query, of_text in zip(queries, classes, of_queries, of_classes, strict=True):
            torch.mm(query, text.t(), out=logits)
            torch.add(adjustment, logits, alpha=gamma, out=logits).scatter_add_(1, right, lost)
            torch.log_softmax(logits, 1, out=logs)
            loss -= (1 - smoothing) * logs.gather(1, right).mean() + smoothing * logs.mean()
            gradient = logs.exp_().sub_(smoothing / count).scatter_add_(1, right, wanted)
            torch.mm(gradient, text, out=of_query)
            torch.mm(gradient.t(), query, out=of_text)
        scale = gamma / (members * batch)
        ctx.save_for_backward(of_queries.mul_(scale), of_classes.mul_(scale))
        return loss / members

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - as above
        of_queries, of_classes = ctx.saved_tensors
        return of_queries * upstream[0], of_classes * upstream[0], None, None, None, None, None
