"""One group of members in training, step by step.

Every random number of an epoch comes from (seed, name, epoch), so that a training resumed from a checkpoint takes the
same steps as one that was never interrupted.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from schemas.settings import CorpusSettings
from tasks.retrieval.device import Device, device_of, give_back_memory
from tasks.retrieval.hashing import keys
from tasks.retrieval.texts import Texts
from tasks.train.data import Prepared
from tasks.train.objectives import Batch, make_objective
from tasks.train.objectives.contrast import contrast
from tasks.train.optimiser import Adagrad, Table
from tasks.train.sampler import Sampler
from tasks.train.towers import Embedded, find_tower, make_tower

_TRIM_EVERY = 128  # steps, of very many rows
_BLOCK = 4096  # texts encoded at once outside training
_CONTRASTED = 1024  # rows of a batch, whose square is in memory
_TINY = 1e-6


class Trainer:
    """S members of the ensemble: towers, class embeddings and their optimisers, in training on some of the rows."""

    def __init__(
        self,
        prepared: Prepared,
        rows: NDArray[np.int64],
        settings: CorpusSettings,
        name: str,
        epochs: int,
        device: Device | None = None,
    ) -> None:
        """Start fresh.

        Args:
            prepared: the data.
            rows: numbers of the rows to train on, in the order of the file.
            settings: split.shuffle, negatives, model, loss, training and seed are read.
            name: of this group, part of the seed.
            epochs: length of the learning-rate schedule; training may end before.
            device: where to compute; None: as the settings say.

        Raises:
            SettingsError: there is no such device, or the pretrained encoder cannot be used.
        """
        self.prepared, self.settings, self.name, self.epochs = prepared, settings, name, epochs
        self.epochs_done = 0
        self.sampler = Sampler(prepared, rows, settings)
        classes = len(prepared.classes)
        loss = settings.loss_for(classes)
        self.objective = make_objective(loss, settings.negatives.per_row, self.sampler.class_rows)
        multiplies = find_tower(settings.model).multiplies(settings.model)
        self.device = device or device_of(settings, multiplies)
        generator = torch.Generator().manual_seed(self._seed("weights", 0))
        self.tower = make_tower(settings.model, prepared.sizes, generator, self.device)
        self.class_embeddings = Table(settings.model.ensemble, classes, self.tower.size, 0.0, generator)
        self.class_embeddings.to(self.device.kind)
        self.optimiser = Adagrad(self.tower.parameters())
        self._all_classes: Embedded | None = None

    @property
    def parameters(self) -> int:
        """Number of trained numbers."""
        dense = sum(parameter.numel() for parameter in self.optimiser.parameters)
        own = self.class_embeddings.weight.numel() if self.settings.model.class_vectors else 0
        return dense + own + sum(tensor.numel() for tensor in self.tower.extra_parameters().values())

    # --- training

    def run_epoch(self) -> tuple[float, float]:
        """Train one epoch; return its mean loss and the spread of its batch losses (deviation over mean)."""
        number, steps, training = self.epochs_done, self.sampler.steps, self.settings.training
        random = np.random.default_rng(self._seed("epoch", number))
        generator = torch.Generator().manual_seed(self._seed("dropout", number))
        batches = self.sampler.epoch(random)
        candidates = self.sampler.candidates(number) if self.objective.drawn else None
        every = self.tower.steps_between_classes(len(self.prepared.classes), training.batch_size)
        losses, sizes = [], []
        for step, rows in enumerate(batches):
            rate = training.learning_rate * (1 - (number * steps + step) / (self.epochs * steps))
            if candidates is not None:
                losses.append(self._step_drawn(rows, self.sampler.against(candidates[rows]), rate, random, generator))
            else:
                flush = step % every == every - 1 or step == steps - 1
                losses.append(self._step_all(rows, step % every == 0, flush, rate, random, generator))
            sizes.append(len(rows))
            self.tower.finish_step(rate / training.learning_rate, training.encoder_learning_rate)
            if self.prepared.window and step % _TRIM_EVERY == 0:
                give_back_memory()
        self.epochs_done += 1
        fetched = torch.stack(losses).cpu().numpy().astype(np.float64)  # here alone a GPU is waited for
        return mean_and_spread(fetched, np.array(sizes))

    def _step_all(
        self,
        rows: NDArray[np.int64],
        draw: bool,
        flush: bool,
        rate: float,
        random: np.random.Generator,
        generator: torch.Generator,
    ) -> Tensor:
        """Hold rows against all standard questions, whose texts are drawn and updated every few steps."""
        dropout = self.settings.training.feature_dropout
        if self._all_classes is None:
            self._all_classes = self.tower.embed(self.prepared.classes, dropout, random)
        elif draw:
            self._all_classes.draw(dropout, random)
        queries = self.tower.embed(self.sampler.texts(rows), dropout, random)
        every_row = torch.arange(len(self.class_embeddings.weight), device=self.device.kind)
        loss = self._step(queries, self._all_classes, every_row, self.sampler.against_all(rows), rate, generator)
        if flush:
            self._all_classes.step(rate)
        return loss

    def _step_drawn(
        self,
        rows: NDArray[np.int64],
        batch: Batch,
        rate: float,
        random: np.random.Generator,
        generator: torch.Generator,
    ) -> Tensor:
        """Hold rows against drawn standard questions, which alone are encoded."""
        dropout = self.settings.training.feature_dropout
        queries = self.tower.embed(self.sampler.texts(rows), dropout, random)
        classes = self.tower.embed(self.prepared.classes.take(batch.classes), dropout, random)
        shift = np.arange(self.class_embeddings.members)[:, None] * self.class_embeddings.rows
        their_rows = torch.from_numpy((batch.classes[None] + shift).ravel()).to(self.device.kind)
        loss = self._step(queries, classes, their_rows, batch, rate, generator)
        classes.step(rate)
        return loss

    def _step(
        self,
        queries: Embedded,
        classes: Embedded,
        class_rows: Tensor,
        batch: Batch,
        rate: float,
        generator: torch.Generator,
    ) -> Tensor:
        """Move all weights but those behind `classes`; `class_rows` are theirs in the table of class embeddings."""
        embeddings = self._class_embeddings(class_rows)
        vectors = self._unit(queries)
        loss = self.objective.loss(self._drop(vectors, generator), self._unit(classes, embeddings), batch)
        (loss + self._contrast(vectors, batch)).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        queries.step(rate)
        if embeddings.grad is not None:
            self.class_embeddings.update(class_rows, embeddings.grad.flatten(0, 1), rate)
        self.optimiser.step(rate)
        return loss.detach()

    def _contrast(self, queries: Tensor, batch: Batch) -> Tensor | float:
        """Return what the contrast adds to the loss of a batch, of a very large one that of its first rows."""
        if self.objective.drawn or not self.settings.loss.contrast:
            return 0.0
        labels, same = batch.places[:_CONTRASTED, 0], None
        if batch.same is not None:
            same = torch.from_numpy(batch.same[:_CONTRASTED, labels].toarray() > 0).to(queries.device)
        right = torch.from_numpy(labels).to(queries.device)
        of_rows = contrast(queries[:, :_CONTRASTED], right, self.settings.loss.gamma, same)
        return self.settings.loss.contrast * of_rows

    def _class_embeddings(self, rows: Tensor | None = None) -> Tensor:
        """Return (S, U, o) class embeddings as a leaf, which gets a gradient where the settings want them."""
        weight = self.class_embeddings.weight if rows is None else self.class_embeddings.weight[rows]
        leaf = weight.view(self.class_embeddings.members, -1, self.tower.size)
        return leaf.detach().requires_grad_(self.settings.model.class_vectors)

    def _unit(self, embedded: Embedded, class_embeddings: Tensor | None = None) -> Tensor:
        with self.device.autocast():
            vectors = self.tower(embedded).float()
        return F.normalize(vectors if class_embeddings is None else vectors + class_embeddings, dim=2, eps=_TINY)

    def _drop(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        share = self.settings.training.vector_dropout
        if not share:
            return vectors
        keep = torch.rand(vectors.shape, generator=generator) >= share
        return vectors * keep.to(vectors.device) / (1 - share)

    def _seed(self, purpose: str, number: int) -> int:
        return int(keys(self.settings.seed, f"train/{self.name}/{purpose}", number)[0] >> np.uint64(1))

    # --- what it has learned

    @torch.no_grad()
    def encode(self, texts: Texts) -> NDArray[np.float32]:
        """Return (S, texts, o) vectors of unit length, without dropout."""
        return np.concatenate([self._unit(part).cpu().numpy() for part in self._blocks(texts)], axis=1)

    @torch.no_grad()
    def class_vectors(self) -> NDArray[np.float32]:
        """Return (S, K, o) vectors of unit length of all standard questions."""
        parts = zip(
            self._blocks(self.prepared.classes), torch.split(self._class_embeddings(), _BLOCK, dim=1), strict=True
        )
        return np.concatenate([self._unit(part, of_part).cpu().numpy() for part, of_part in parts], axis=1)

    def _blocks(self, texts: Texts) -> Iterator[Embedded]:
        random = np.random.default_rng(0)  # without dropout nothing is drawn from it that matters
        for start in range(0, max(1, len(texts)), _BLOCK):
            yield self.tower.embed(texts.take(np.arange(start, min(start + _BLOCK, len(texts)))), 0.0, random)

    @torch.no_grad()
    def loss_without_dropout(self, most: int | None = None) -> float:
        """Return the mean loss over the training rows (of very many, the first) as they are served.

        This is what the verdict judges.

        Args:
            most: take so many rows at most, evenly spread; None: all.
        """
        classes = torch.from_numpy(self.class_vectors()).to(self.device.kind)
        candidates = self.sampler.candidates(0) if self.objective.drawn else None
        rows, total = self.sampler.rows[: self.prepared.window], 0.0
        if most and most < len(rows):
            rows = rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
        size = self.settings.training.batch_size
        if not self.objective.shared:
            size = max(1, 5 * _BLOCK // (1 + self.objective.negatives)) if self.objective.drawn else _BLOCK
        for part in (rows[start : start + size] for start in range(0, len(rows), size)):
            batch = self.sampler.against_all(part) if candidates is None else self.sampler.against(candidates[part])
            queries = torch.from_numpy(self.encode(self.sampler.texts(part))).to(self.device.kind)
            their_classes = classes if candidates is None else classes[:, batch.classes]
            total += self.objective.loss(queries, their_classes, batch).item() * len(part)
        return total / len(rows)

    def state(self) -> dict[str, Tensor]:
        """Return every tensor that training changes, by name, not copied: what a checkpoint holds."""
        return {
            **self.tower.extra_parameters(),
            **self.tower.extra_state(),
            "class_embeddings": self.class_embeddings.weight,
            "class_embeddings.squares": self.class_embeddings.squares,
            **self.optimiser.state(),
        }


def mean_and_spread(losses: NDArray[np.float64], sizes: NDArray[np.int64]) -> tuple[float, float]:
    """Return the mean over rows of (batches,) losses, and their deviation over it: of whole batches alone.

    A last small batch would look like an oscillation.

    Args:
        losses: mean of each batch.
        sizes: rows of each batch.
    """
    mean = float(np.average(losses, weights=sizes))
    whole = losses[sizes == sizes.max()]
    return mean, float(whole.std() / mean) if len(whole) > 1 and mean else 0.0
