"""What is learned on the vectors of an encoder: one square matrix, and a vector for each standard question.

The loss is that of the towers, exact softmax over the standard questions, plus a contrast between the queries of one
batch (Khosla et al. 2020, "Supervised Contrastive Learning", eq. 2), which draws those of one standard question
together: the nearest training queries are found in the same space. What is learned from a query is learned from points
around it (Bishop 1995, "Training with Noise is Equivalent to Tikhonov Regularization"); of many queries they are near.
Seconds on a CPU, minutes of 100,000 rows; without checkpoints.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from schemas.settings import EXACT_CLASSES, CorpusSettings
from tasks.retrieval.encoders import project
from tasks.retrieval.hashing import keys
from tasks.train.objectives.contrast import contrast
from tasks.train.objectives.softmax_all import BARRED, SMOOTHING

_EPOCHS = 15
_FEWEST_STEPS = 150  # of very few rows there are more epochs
_BATCHES = (64, 256)  # rows of a step, of few rows and of many
_STEP, _CLASS_STEP = 1e-3, 3e-3  # of Adam, at the start
_LOUD_ROWS = 8  # of a standard question, up to which the noise is as long as a vector; of n it is sqrt(8 / n) of that
_TINY = 1e-6


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
    same: sp.csr_array | None,
    settings: CorpusSettings,
    name: str,
) -> Projection:
    """Return what is learned of the queries of some rows, and of the standard questions' own texts.

    Args:
        vectors: (n, d) of the queries, of unit length.
        labels: (n,) the standard question of each.
        texts: (K, d) of the standard questions, of unit length.
        same: (K, K) which others have the same answer, and are no opponents; None: none has.
        settings: loss, seed and training.own_texts are read.
        name: of this training, part of the seed.
    """
    own = np.arange(len(texts) if settings.training.own_texts else 0)
    rows = torch.from_numpy(np.concatenate([vectors, texts[own]]))
    places = torch.from_numpy(np.concatenate([labels, own]))
    centre = rows.mean(dim=0)
    rows = F.normalize(rows - centre, dim=1, eps=_TINY)
    generator = torch.Generator().manual_seed(int(keys(settings.seed, f"projection/{name}")[0] >> np.uint64(1)))
    weight = torch.eye(rows.shape[1], requires_grad=True)
    means = torch.zeros(len(texts), rows.shape[1]).index_add_(0, places, rows)
    empty = torch.bincount(places, minlength=len(texts)) == 0
    means[empty] = torch.from_numpy(texts)[empty] - centre
    classes = F.normalize(means, dim=1, eps=_TINY).requires_grad_()
    loss = _Loss(settings, np.bincount(places.numpy(), minlength=len(texts)), same, generator)
    batch = int(np.clip(len(rows) // 32, *_BATCHES))
    per_epoch = -(-len(rows) // batch)
    steps = per_epoch * max(_EPOCHS, -(-_FEWEST_STEPS // per_epoch))
    optimiser = torch.optim.Adam([{"params": [weight], "lr": _STEP}, {"params": [classes], "lr": _CLASS_STEP}])
    noise = min(1.0, _LOUD_ROWS * len(texts) / len(rows)) ** 0.5 / len(weight) ** 0.5  # of each number of a vector
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / steps)
    for step in range(steps):
        if step % per_epoch == 0:
            order = torch.randperm(len(rows), generator=generator)
        part = order[step % per_epoch * batch : (step % per_epoch + 1) * batch]
        around = rows[part] + noise * torch.randn(len(part), len(weight), generator=generator)
        optimiser.zero_grad()
        loss(F.normalize(around @ weight, dim=1, eps=_TINY), classes, places[part]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    turned = weight.detach()
    return Projection(turned.numpy(), (-centre @ turned).numpy(), F.normalize(classes.detach(), dim=1).numpy())


class _Loss:
    """Softmax over the standard questions, of very many over a draw of them, and the contrast within a batch."""

    def __init__(
        self,
        settings: CorpusSettings,
        rows: NDArray[np.int64],
        same: sp.csr_array | None,
        generator: torch.Generator,
    ) -> None:
        self._loss, self._same, self._generator = settings.loss, same, generator
        self._prior = torch.from_numpy(settings.loss.prior_strength * np.log(np.maximum(rows, 1) / rows.sum())).float()

    def __call__(self, queries: Tensor, classes: Tensor, places: Tensor) -> Tensor:
        """Return the loss of (n, d) queries of unit length, (K, d) classes and the (n,) right ones."""
        gamma, against, right = self._loss.gamma, torch.arange(len(classes)), places
        if len(classes) > EXACT_CLASSES:
            drawn = torch.randperm(len(classes), generator=self._generator)[:EXACT_CLASSES]
            against, positions = torch.unique(torch.cat([places, drawn]), return_inverse=True)
            right = positions[: len(places)]
        cosines = queries @ F.normalize(classes[against], dim=1, eps=_TINY).t()
        margin = F.one_hot(right, len(against)) * self._loss.margin
        logits = gamma * (cosines - margin) + self._prior[against]
        alike: Tensor | None = None
        if self._same is not None:
            of_rows = self._same[places.numpy()].toarray()
            logits = logits - torch.from_numpy(BARRED * of_rows[:, against.numpy()])
            alike = torch.from_numpy(of_rows[:, places.numpy()] > 0)
        loss = F.cross_entropy(logits, right, label_smoothing=SMOOTHING)
        return loss + self._loss.contrast * contrast(queries, places, gamma, alike)
