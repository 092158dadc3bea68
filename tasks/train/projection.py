"""What is learned on the vectors of a frozen encoder: one square matrix, and a vector for each standard question.

The loss is that of the towers, exact softmax over the standard questions, plus a contrast between the queries of one
batch (Khosla et al. 2020, "Supervised Contrastive Learning", eq. 2), which draws those of one standard question
together: the nearest training queries are found in the same space. Seconds on a CPU, hence without checkpoints.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from schemas.settings import EXACT_CLASSES, CorpusSettings
from tasks.retrieval.encoders import project
from tasks.retrieval.hashing import keys
from tasks.train.objectives.softmax_all import SMOOTHING

_LASTING = (15, 150)  # epochs, and of very few rows as many as make so many steps
_BATCHES = (64, 256)  # rows of a step, of few rows and of many
_STEP, _CLASS_STEP = 1e-3, 1e-2  # of Adam, at the start
TINY = 1e-6


@dataclass(frozen=True)
class Projection:
    """(d, d) matrix and (d,) bias that turn a vector of the encoder, and (K, d) vectors of the standard questions."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    classes: NDArray[np.float32]  # of unit length

    def apply(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, d) vectors of unit length."""
        return project(vectors, self.weight, self.bias)


def train_projection(
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    texts: NDArray[np.float32],
    settings: CorpusSettings,
    name: str,
) -> Projection:
    """Return what is learned of the queries of some rows, and of the standard questions' own texts.

    Args:
        vectors: (n, d) of the queries, of unit length.
        labels: (n,) the standard question of each.
        texts: (K, d) of the standard questions, of unit length.
        settings: loss, training.vector_dropout and seed are read.
        name: of this training, part of the seed.
    """
    own = np.arange(len(texts))
    rows = torch.from_numpy(np.concatenate([vectors, texts]))
    places = torch.from_numpy(np.concatenate([labels, own]))
    centre = rows.mean(dim=0)
    rows = F.normalize(rows - centre, dim=1, eps=TINY)
    generator = seeded(settings, f"projection/{name}")
    weight, classes = learn_classes(rows, places, len(texts), rows.__getitem__, [], settings, generator, _LASTING)
    return Projection(weight.numpy(), (-centre @ weight).numpy(), classes.numpy())


def seeded(settings: CorpusSettings, name: str) -> torch.Generator:
    """Return what draws for one training of that name."""
    return torch.Generator().manual_seed(int(keys(settings.seed, name)[0] >> np.uint64(1)))


def plan_steps(texts: int, lasting: tuple[int, int]) -> tuple[int, int, int]:
    """Return the texts of a step, the steps of an epoch, and the epochs: as many as there are to be at least."""
    batch = int(np.clip(texts // 32, *_BATCHES))
    per_epoch = -(-texts // batch)
    return batch, per_epoch, max(lasting[0], -(-lasting[1] // per_epoch))


def learn_classes(
    start: Tensor,
    places: Tensor,
    count: int,
    read: Callable[[Tensor], Tensor],
    further: list[dict[str, Any]],
    settings: CorpusSettings,
    generator: torch.Generator,
    lasting: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """Train a projection and the vectors of standard questions, and what else makes the vectors of texts.

    Args:
        start: (n, d) vectors of the texts at the start, centred, of unit length.
        places: (n,) the standard question of each.
        count: of standard questions, K.
        read: returns those vectors of some texts, by their numbers, as they are by now.
        further: groups of parameters that `read` depends on, as an optimiser takes them.
        settings: loss and training.vector_dropout are read.
        generator: draws order and dropout.
        lasting: epochs over all texts, and steps: of very few texts there are more epochs, until there are so many.

    Returns:
        The (d, d) projection, and (K, d) vectors of unit length.
    """
    weight = torch.eye(start.shape[1], requires_grad=True)
    means = torch.zeros(count, start.shape[1]).index_add_(0, places, start)
    classes = F.normalize(means, dim=1, eps=TINY).requires_grad_()
    loss = _Loss(settings, np.bincount(places.numpy(), minlength=count), generator)
    batch, per_epoch, epochs = plan_steps(len(start), lasting)
    steps = per_epoch * epochs
    groups = [{"params": [weight], "lr": _STEP}, {"params": [classes], "lr": _CLASS_STEP}, *further]
    optimiser = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / steps)
    for step in range(steps):
        if step % per_epoch == 0:
            order = torch.randperm(len(start), generator=generator)
        part = order[step % per_epoch * batch : (step % per_epoch + 1) * batch]
        optimiser.zero_grad()
        loss(F.normalize(read(part) @ weight, dim=1, eps=TINY), classes, places[part]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return weight.detach(), F.normalize(classes.detach(), dim=1)


class _Loss:
    """Softmax over the standard questions, of very many over a draw of them, and the contrast within a batch."""

    def __init__(self, settings: CorpusSettings, rows: NDArray[np.int64], generator: torch.Generator) -> None:
        self._loss, self._dropout, self._generator = settings.loss, settings.training.vector_dropout, generator
        self._prior = torch.from_numpy(settings.loss.prior_strength * np.log(rows / rows.sum())).float()

    def __call__(self, queries: Tensor, classes: Tensor, places: Tensor) -> Tensor:
        """Return the loss of (n, d) queries of unit length, (K, d) classes and the (n,) right ones."""
        gamma, prior = self._loss.gamma, self._prior
        if len(classes) > EXACT_CLASSES:
            drawn = torch.randperm(len(classes), generator=self._generator)[:EXACT_CLASSES]
            drawn, positions = torch.unique(torch.cat([places, drawn]), return_inverse=True)
            classes, prior, right = classes[drawn], prior[drawn], positions[: len(places)]
        else:
            right = places
        dropped = queries
        if self._dropout:
            keep = torch.rand(queries.shape, generator=self._generator) >= self._dropout
            dropped = queries * keep / (1 - self._dropout)
        cosines = dropped @ F.normalize(classes, dim=1, eps=TINY).t()
        margin = F.one_hot(right, len(classes)) * self._loss.margin
        loss = F.cross_entropy(gamma * (cosines - margin) + prior, right, label_smoothing=SMOOTHING)
        return loss + _contrast(gamma * (queries @ queries.t()), places)


def _contrast(logits: Tensor, places: Tensor) -> Tensor:
    """Return the mean over the rows that have fellows of the cross-entropy of finding them, among (n, n) logits."""
    itself = torch.eye(len(places), dtype=torch.bool)
    fellows = (places[:, None] == places[None]) & ~itself
    counts = fellows.sum(dim=1)
    if not bool(counts.any()):
        return logits.new_zeros(())
    logs = logits.masked_fill(itself, -torch.inf).log_softmax(dim=1).masked_fill(~fellows, 0)
    return -(logs.sum(dim=1)[counts > 0] / counts[counts > 0]).mean()
