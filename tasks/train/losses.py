"""The training objectives, as functions of cosines. Pure.

Notation of the docstrings: s+ the cosine of a query with its standard question, s- with a wrong one,
J negatives, gamma the smoothing factor of Huang et al. 2013, "Learning Deep Structured Semantic
Models for Web Search using Clickthrough Data" (CIKM), section 3.3: an inverse temperature.
All return the mean over every leading dimension, as a scalar.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def softmax(cosines: Tensor, gamma: float) -> Tensor:
    """Cross-entropy of the right candidate under a softmax over gamma * cosine (Huang et al., eq. 5 and 6).

    Args:
        cosines: (..., 1 + J), the right candidate first.
        gamma: > 0. Equal cosines cost log(1 + J).
    """
    return -F.log_softmax(gamma * cosines, dim=-1)[..., 0].mean()


def corrected_softmax(
    cosines: Tensor,
    gamma: float,
    log_weights: Tensor,
    smoothing: float = 0.0,
    adjustment: Tensor | None = None,
    margin: float = 0.0,
) -> Tensor:
    """Estimate of `softmax_all` from some of the candidates: each stands for all that its sampling passed over.

    A candidate that is sampled with an expected count of q weighs 1/q in the sum of the softmax, so that
    the sum's expectation is that over all classes (Bengio and Senecal 2008, "Adaptive Importance Sampling
    to Accelerate Training of a Neural Probabilistic Language Model", section III; with in-batch candidates:
    Yi et al. 2019, "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations", section 4).
    With every class a candidate of weight 1 it is `softmax_all`.

    Args:
        cosines: (..., 1 + J), the right candidate first.
        gamma: > 0.
        log_weights: broadcast to `cosines`: -log q; 0 for the right one, -inf for one that does not count.
        smoothing: as in `softmax_all`; the mean over all classes is estimated by the same weights.
        adjustment: as in `softmax_all`, of each candidate, broadcast to `cosines`.
        margin: as in `softmax_all`.
    """
    logits = gamma * cosines if adjustment is None else gamma * cosines + adjustment
    if margin:
        logits = torch.cat([logits[..., :1] - gamma * margin, logits[..., 1:]], dim=-1)
    loss = torch.logsumexp(logits + log_weights, dim=-1) - (1 - smoothing) * logits[..., 0]
    if smoothing:
        loss = loss - smoothing * (F.softmax(log_weights, dim=-1) * logits).sum(dim=-1)
    return loss.mean()


def soft_target(cosines: Tensor, gamma: float, target: float) -> Tensor:
    """Cross-entropy against (target, (1 - target)/J, ...): minimal where p+ is `target` and the wrong ones are equal.

    Label smoothing (Szegedy et al. 2016, section 7) by (1 - target) (1 + J) / J: 0.74 at J = 4 and the target of
    0.4046 that a gap of 1 reaches. Its floor is the entropy of the target.

    Args:
        cosines: (..., 1 + J), the right candidate first.
        gamma: > 0.
        target: aim of p+, in (0, 1].
    """
    logs = F.log_softmax(gamma * cosines, dim=-1)
    return -(target * logs[..., 0] + (1 - target) * logs[..., 1:].mean(dim=-1)).mean()


def softmax_target(cosines: Tensor, gamma: float, target: float) -> Tensor:
    """Squared distance of the right candidate's softmax output from `target`: the article's cure.

    The article prints no formula; this reads it literally: (p+ - target)^2. See `reachable_target`.

    Args:
        cosines: (..., 1 + J), the right candidate first.
        gamma: > 0; 1 in the article.
        target: aim of p+, in (0, 1]; 0.4 in the article, at J = 4.
    """
    right = F.softmax(gamma * cosines, dim=-1)[..., 0]
    return (right - target).square().mean()


def softmax_all(
    cosines: Tensor,
    labels: Tensor,
    gamma: float,
    smoothing: float = 0.0,
    adjustment: Tensor | None = None,
    margin: float = 0.0,
) -> Tensor:
    """Exact softmax cross-entropy over all K standard questions, with label smoothing, logit adjustment and margin.

    Args:
        cosines: (towers, batch, K).
        labels: (batch,) the right class.
        gamma: > 0.
        smoothing: share of the target spread evenly over all K classes (Szegedy et al. 2016, section 7).
        adjustment: (K,) added to the logits while training, strength * log prior (Menon et al. 2020,
            "Long-tail learning via logit adjustment", eq. 10): a small class must win by a margin.
        margin: taken off the right cosine while training, so that every class must win by it (Wang et al. 2018,
            "Additive Margin Softmax for Face Verification", eq. 6).
    """
    logits = gamma * cosines if adjustment is None else torch.add(adjustment, cosines, alpha=gamma)
    right = labels.view(1, -1, 1).expand(len(cosines), -1, 1)
    if margin:
        logits = logits.scatter_add(2, right, logits.new_full(right.shape, -gamma * margin))
    logs = F.log_softmax(logits, dim=2)
    return -(1 - smoothing) * logs.gather(2, right).mean() - smoothing * logs.mean()


def softmax_all_of(
    queries: Tensor,
    classes: Tensor,
    labels: Tensor,
    gamma: float,
    smoothing: float,
    adjustment: Tensor,
    margin: float,
) -> Tensor:
    """Return `softmax_all` of the cosines of (towers, batch, o) queries and (towers, K, o) classes of unit length.

    Two thirds of the time: one tower after the other in the same two matrices, which stay in the cache, where
    autograd would keep four of all towers. The gradient is computed along with the loss.
    """
    value: Tensor = _SoftmaxAllOf.apply(queries, classes, labels, gamma, smoothing, adjustment, margin)  # type: ignore[no-untyped-call]
    return value


class _SoftmaxAllOf(torch.autograd.Function):
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
        towers, batch, count = len(queries), queries.shape[1], classes.shape[1]
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
        scale = gamma / (towers * batch)
        ctx.save_for_backward(of_queries.mul_(scale), of_classes.mul_(scale))
        return loss / towers

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - as above
        of_queries, of_classes = ctx.saved_tensors
        return of_queries * upstream[0], of_classes * upstream[0], None, None, None, None, None


def reachable_target(negatives: int, gamma: float, gap: float = 1.0) -> float:
    """Return 1 / (1 + J e^(-gamma * gap)): p+ where s+ exceeds J equal s- by `gap`.

    At J = 4, gamma = 1, gap = 1 (right cosine 1, orthogonal negatives) it is 0.4046: the article's 0.4.
    It falls with J: 0.232 at J = 9, 0.125 at J = 19.
    """
    return 1.0 / (1.0 + negatives * math.exp(-gamma * gap))
