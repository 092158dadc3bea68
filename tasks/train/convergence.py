"""The verdict on a finished training. Pure."""

import numpy as np
from numpy.typing import NDArray

from schemas.training import Cause, Convergence, Epoch, Reachability

_WORKS, _GOOD = 0.7, 0.9  # reducible fall, measured without dropout
_OSCILLATES = 0.5  # deviation of batch losses over their mean in the last epoch
_COLLAPSED = 0.9  # mean cosine between small classes


def judge(
    epochs: list[Epoch],
    last: float,
    reach: Reachability,
    class_vectors: NDArray[np.float32],
    class_rows: NDArray[np.int64],
    ordered: bool,
    small: int = 3,
) -> Convergence:
    """Say whether the training worked and, if not, why.

    Args:
        epochs: of the refit.
        last: loss over the training rows after it, without dropout.
        reach: floor and first value of the loss.
        class_vectors: (S, K, o) of unit length per tower.
        class_rows: (K,) training rows of each class.
        ordered: the rows were fed in the order of their standard questions.
        small: a class with at most so many rows counts for the tail.
    """
    loss_fall = (reach.first - last) / reach.first if reach.first else 0.0
    reducible = (reach.first - last) / (reach.first - reach.floor) if reach.first > reach.floor else 0.0
    rank = float(np.mean([effective_rank(tower) for tower in class_vectors]))
    tail = tail_cosine(class_vectors, class_rows <= small)
    oscillation = epochs[-1].batch_loss_spread
    cause = _cause(reducible, oscillation, tail, reach, ordered, epochs)
    return Convergence(
        converged=cause == "none",
        cause=cause,
        sentence=_sentence(cause, reducible, oscillation, rank, tail, reach),
        loss_fall=loss_fall,
        reducible_fall=reducible,
        oscillation=oscillation,
        effective_rank=rank,
        tail_cosine=tail,
    )


def effective_rank(vectors: NDArray[np.float32]) -> float:
    """Return exp of the entropy of the normalised singular values of (K, o): Roy and Vetterli 2007, section 2."""
    values = np.linalg.svd(vectors.astype(np.float64), compute_uv=False)
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def tail_cosine(class_vectors: NDArray[np.float32], tail: NDArray[np.bool_]) -> float | None:
    """Return the mean cosine between distinct classes of the tail, over all towers; None if fewer than two."""
    count = int(tail.sum())
    if count < 2:
        return None
    sums = class_vectors[:, tail].astype(np.float64).sum(axis=1)  # |sum|^2 = count + sum of the other pairs
    return float(((sums**2).sum(axis=1).mean() - count) / (count * (count - 1)))


def _cause(
    reducible: float,
    oscillation: float,
    tail: float | None,
    reach: Reachability,
    ordered: bool,
    epochs: list[Epoch],
) -> Cause:
    if tail is not None and tail > _COLLAPSED:
        return "unreachable target" if reach.advice else "collapse"
    if reducible >= _WORKS and not (ordered and oscillation > _OSCILLATES):
        return "none"
    if reach.advice:
        return "unreachable target"
    if ordered:
        return "ordered data"
    still_falling = len(epochs) < 3 or epochs[-1].loss < 0.97 * epochs[-2].loss
    return "too few steps" if still_falling else "noisy labels"


def _sentence(
    cause: Cause, reducible: float, oscillation: float, rank: float, tail: float | None, reach: Reachability
) -> str:
    fell = f"the reducible loss fell by {reducible:.0%}"
    return {
        "none": f"Converged: {fell}{' (good)' if reducible >= _GOOD else ''}; effective rank {rank:.0f}.",
        "ordered data": f"Not converged: {fell}, batch losses swing by {oscillation:.0%} of their mean: rows were fed "
        "in the order of their standard questions. Set split.shuffle = true.",
        "unreachable target": f"Not converged: {fell}: {reach.advice}.",
        "collapse": f"Collapsed: small classes' vectors have a mean cosine of {tail if tail is not None else 1:.2f} "
        f"(effective rank {rank:.0f}). Lower loss.gamma's target or use loss.kind = 'softmax_all'.",
        "too few steps": f"Not converged: {fell} and was still falling. Raise training.epochs or learning_rate.",
        "noisy labels": f"Not converged: {fell} and stands still. Look at conflicting and mislabelled rows, or enlarge "
        "the model.",
    }[cause]
