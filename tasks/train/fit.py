"""One group of towers in training, step by step. Pure.

Every random number of an epoch comes from (seed, name, epoch), so that a training resumed from a
checkpoint takes the same steps as one that was never interrupted.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from schemas.settings import CorpusSettings
from tasks.prepare.negatives import draw_negatives
from tasks.retrieval.device import Device, device_of, give_back_memory
from tasks.retrieval.hashing import keys
from tasks.retrieval.texts import Texts
from tasks.train import losses
from tasks.train.batches import class_shares, draw_order, log_presence
from tasks.train.data import Prepared
from tasks.train.reachability import target_of
from tasks.train.towers import Embedded, Sizes, Table, make_tower

_TEXT_EVERY = 8  # steps between two passes through all standard questions' texts: same recall, half the time
_TRIM_EVERY = 128  # steps, of very many rows
_BLOCK = 4096  # texts encoded at once outside training
_OWN_TEXT = 2**62  # what the row ids of standard questions' own texts begin at
_TINY = 1e-6


@dataclass(frozen=True)
class Candidates:
    """For each row the right class, then its negatives; looked up, since of very many rows they lie on disk."""

    labels: NDArray[np.int64]
    negatives: NDArray[np.int32]  # (rows, J)
    own: NDArray[np.int32]  # (classes, J) of the standard questions' own texts, which come after the rows

    @property
    def width(self) -> int:
        """1 + J."""
        return 1 + int(self.negatives.shape[1])

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        found = np.empty((len(rows), self.width), np.int64)
        found[:, 0] = self.labels[rows]
        own = rows >= len(self.negatives)
        found[~own, 1:] = self.negatives[rows[~own]]
        found[own, 1:] = self.own[rows[own] - len(self.negatives)]
        return found


class Fit:
    """Towers, class vectors and their optimiser state, in training on some of the rows."""

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
            settings: split.shuffle, model, loss, training and seed are read.
            name: of this group, part of the seed.
            epochs: length of the learning-rate schedule; training may end before.
            device: where to compute; None: as the settings say.
        """
        self.prepared, self.settings, self.name, self.epochs = prepared, settings, name, epochs
        self.loss = settings.loss_for(len(prepared.classes))
        self.epochs_done = 0
        own = np.arange(len(prepared.classes) if settings.training.own_texts else 0)
        self.rows = np.concatenate([rows, len(prepared.labels) + own])
        self._queries = prepared.queries.followed_by(prepared.classes.take(own))
        self._labels = np.concatenate([prepared.labels, own])
        generator = torch.Generator().manual_seed(self._seed("weights", 0))
        self.device = device or device_of(settings)
        self.tower = make_tower(settings.model, Sizes(prepared.vocabulary, prepared.words), generator, self.device)
        classes = len(prepared.classes)
        self.own = Table(settings.model.ensemble, classes, self.tower.size, None).to(self.device.kind)
        self._dense = list(self.tower.parameters())
        self._squares = [torch.full_like(parameter, 1e-10) for parameter in self._dense]
        self._class_rows = np.bincount(self._labels[self.rows], minlength=classes)
        prior = class_shares(np.maximum(1, self._class_rows), settings.training.class_balance)
        self._adjustment = self._there((self.loss.prior_strength * np.log(prior)).astype(np.float32))
        self._shares = class_shares(self._class_rows, settings.training.class_balance)
        self._forbidden = prepared.forbidden()
        self._all_classes: Embedded | None = None

    @property
    def parameters(self) -> int:
        """Number of trained numbers."""
        dense = sum(parameter.numel() for parameter in self._dense)
        own = self.own.weight.numel() if self.settings.model.class_vectors else 0
        return dense + own + sum(tensor.numel() for tensor in self.tower.outside().values())

    # --- training

    def run_epoch(self) -> tuple[float, float]:
        """Train one epoch; return its mean loss and the spread of its batch losses (deviation over mean)."""
        number, size = self.epochs_done, self.settings.training.batch_size
        random = np.random.default_rng(self._seed("epoch", number))
        generator = torch.Generator().manual_seed(self._seed("dropout", number))
        balance = self.settings.training.class_balance
        order = draw_order(self._labels[self.rows], balance, self.settings.split.shuffle, random, self.prepared.window)
        candidates = self._candidates(number)
        steps = -(-len(order) // size)
        every = _TEXT_EVERY
        if self.settings.model.tower == "pretrained":  # standard questions then cost no more than the queries
            every = max(every, -(-len(self.prepared.classes) // size))
        found = []
        for step in range(steps):
            rows = self.rows[order[step * size : (step + 1) * size]]
            rate = self.settings.training.learning_rate * (1 - (number * steps + step) / (self.epochs * steps))
            if candidates is not None:
                found.append(self._step_some(rows, candidates[rows], rate, random, generator))
            else:
                flush = step % every == every - 1 or step == steps - 1
                found.append(self._step_all(rows, step % every == 0, flush, rate, random, generator))
            training = self.settings.training
            self.tower.finish_step(rate / training.learning_rate, training.encoder_learning_rate)
            if self.prepared.window and step % _TRIM_EVERY == 0:
                give_back_memory()
        batch_losses = torch.stack(found).cpu().numpy().astype(np.float64)  # here alone a GPU is waited for
        sizes = np.full(steps, size)
        sizes[-1] = len(order) - size * (steps - 1)
        mean = float(np.average(batch_losses, weights=sizes))
        whole = batch_losses[sizes == size]  # a last small batch would look like an oscillation
        spread = float(whole.std() / mean) if len(whole) > 1 and mean else 0.0
        self.epochs_done += 1
        return mean, spread

    def _step_all(
        self,
        rows: NDArray[np.int64],
        draw: bool,
        flush: bool,
        rate: float,
        random: np.random.Generator,
        generator: torch.Generator,
    ) -> Tensor:
        """Exact softmax. The texts' embeddings are drawn and updated every few steps, the rest in each."""
        dropout = self.settings.training.feature_dropout
        if self._all_classes is None:
            self._all_classes = self.tower.embed(self.prepared.classes, dropout, random)
        elif draw:
            self._all_classes.draw(dropout, random)
        queries = self.tower.embed(self._queries.take(rows), dropout, random)
        own = self._own_leaf(None)
        loss = losses.softmax_all_of(
            self._drop(self._unit(queries), generator),
            self._unit(self._all_classes, own),
            self._there(self._labels[rows]),
            self.loss.gamma,
            self.loss.label_smoothing,
            self._adjustment,
            self.loss.margin,
        )
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._update(queries, own, torch.arange(len(self.own.weight), device=self.device.kind), rate)
        if flush:
            self._all_classes.step(rate)
        return loss.detach()

    def _candidates(self, epoch: int) -> "Candidates | None":
        """Return the right class of each row and its negatives; None: all classes are candidates.

        Standard questions' own texts have no negatives on disk; theirs are drawn here, by the same counters.
        """
        if self.loss.kind == "softmax_all":
            return None
        rows = len(self.prepared.labels)
        if self.loss.kind == "in_batch":
            nothing = np.zeros((len(self._labels), 0), np.int32)
            return Candidates(self._labels, nothing[:rows], nothing[rows:])
        negatives, own = self.prepared.negatives(epoch), self._labels[rows:]
        drawn = draw_negatives(
            _OWN_TEXT + own,
            own,
            self._forbidden,
            negatives.shape[1],
            epoch % self.prepared.epochs_drawn,
            self.settings.seed,
            self.settings.negatives.sampler,
        )
        return Candidates(self._labels, negatives, drawn)

    def _step_some(
        self,
        rows: NDArray[np.int64],
        candidates: NDArray[np.int64],
        rate: float,
        random: np.random.Generator,
        generator: torch.Generator,
    ) -> Tensor:
        """Loss over some candidates: only the batch's standard questions are encoded."""
        needed, places = np.unique(candidates, return_inverse=True)
        dropout = self.settings.training.feature_dropout
        queries = self.tower.embed(self._queries.take(rows), dropout, random)
        classes = self.tower.embed(self.prepared.classes.take(needed), dropout, random)
        shift = np.arange(self.own.towers)[:, None] * self.own.rows
        own_rows = self._there((needed[None] + shift).ravel())
        own = self._own_leaf(own_rows)
        loss = self._loss_some(
            self._drop(self._unit(queries), generator),
            self._unit(classes, own),
            needed,
            places.reshape(candidates.shape),
        )
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._update(queries, own, own_rows, rate)
        classes.step(rate)
        return loss.detach()

    def _loss_all(self, cosines: Tensor, rows: NDArray[np.int64]) -> Tensor:
        labels, loss = self._there(self._labels[rows]), self.loss
        return losses.softmax_all(cosines, labels, loss.gamma, loss.label_smoothing, self._adjustment, loss.margin)

    def _loss_some(
        self, queries: Tensor, classes: Tensor, needed: NDArray[np.int64], places: NDArray[np.int64]
    ) -> Tensor:
        """Return the loss of (S, n, o) queries whose candidates are at `places` (n, 1 + J) of (S, U, o) `classes`.

        Args:
            queries: of unit length, perhaps with dropout.
            classes: of unit length.
            needed: (U,) which classes these are, increasing.
            places: the right one first.
        """
        loss, negatives = self.loss, places.shape[1] - 1
        if self._shares_candidates:
            return self._loss_shared(torch.bmm(queries, classes.transpose(1, 2)), needed, places)
        candidates = classes.index_select(1, self._there(places.ravel())).view(len(classes), *places.shape, -1)
        cosines = (queries.unsqueeze(2) * candidates).sum(-1)  # (S, n, 1 + J)
        if loss.kind == "softmax":
            return losses.softmax(cosines, loss.gamma)
        if loss.kind == "soft_target":
            return losses.soft_target(cosines, loss.gamma, target_of(loss, negatives))
        return losses.softmax_target(cosines, loss.gamma, target_of(loss, negatives))

    @property
    def _shares_candidates(self) -> bool:
        """Whether each row is held against all the standard questions of its batch, not its own negatives alone."""
        return self.loss.kind == "in_batch" or (self.loss.kind == "softmax" and self.loss.log_q)

    def _loss_shared(self, cosines: Tensor, needed: NDArray[np.int64], places: NDArray[np.int64]) -> Tensor:
        """Return the loss of (S, n, U) cosines with every standard question of the batch.

        Each weighs one over how often it was to be expected there: it was drawn as a negative n J times in
        K - 1 (all rows' draws serve every row, which costs no further encoding), or stands there by its rows.
        """
        right, batch = places[:, 0], len(places)
        if self.loss.kind == "in_batch":
            rows, shares = self._class_rows[needed], self._shares[needed]
            weights = -log_presence(rows, shares, batch, len(self.rows), self.settings.training.class_balance)
        else:
            draws = np.bincount(places[:, 1:].ravel(), minlength=len(needed))
            with np.errstate(divide="ignore"):  # a class that is only the right one of others was not drawn
                weights = np.log(draws) + math.log((len(self.prepared.classes) - 1) / draws.sum())
        barred = self._forbidden[needed[right]][:, needed].toarray()  # itself and near-duplicates
        first = np.zeros((batch, 1))
        log_weights = self._there(np.hstack([first, np.where(barred, -np.inf, weights)]).astype(np.float32))
        order = np.hstack([right[:, None], np.tile(np.arange(len(needed)), (batch, 1))])
        cosines = cosines.gather(2, self._there(order).expand(len(cosines), -1, -1))  # (S, n, 1 + U)
        adjustment = self._adjustment[self._there(needed[order])]
        return losses.corrected_softmax(
            cosines, self.loss.gamma, log_weights, self.loss.label_smoothing, adjustment, self.loss.margin
        )

    def _own_leaf(self, rows: Tensor | None) -> Tensor:
        weight = self.own.weight if rows is None else self.own.weight[rows]
        leaf = weight.view(self.own.towers, -1, self.tower.size)
        return leaf.detach().requires_grad_(self.settings.model.class_vectors)

    def _unit(self, embedded: Embedded, own: Tensor | None = None) -> Tensor:
        with self.device.autocast():
            vectors = self.tower(embedded).float()
        return F.normalize(vectors if own is None else vectors + own, dim=2, eps=_TINY)

    def _drop(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        share = self.settings.training.vector_dropout
        if not share:
            return vectors
        keep = torch.rand(vectors.shape, generator=generator) >= share
        return vectors * keep.to(vectors.device) / (1 - share)

    def _there(self, array: NDArray[Any]) -> Tensor:
        """Return it as a tensor where the training computes."""
        return torch.from_numpy(array).to(self.device.kind)

    def _update(self, queries: Embedded, own: Tensor, own_rows: Tensor, rate: float) -> None:
        queries.step(rate)
        if own.grad is not None:
            self.own.update(own_rows, own.grad.flatten(0, 1), rate)
        for parameter, squares in zip(self._dense, self._squares, strict=True):
            if parameter.grad is not None:
                squares.addcmul_(parameter.grad, parameter.grad)
                parameter.data.addcdiv_(parameter.grad, squares.sqrt(), value=-rate)
                parameter.grad = None

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
        own = torch.split(self._own_leaf(None), _BLOCK, dim=1)
        parts = zip(self._blocks(self.prepared.classes), own, strict=True)
        return np.concatenate([self._unit(part, of_part).cpu().numpy() for part, of_part in parts], axis=1)

    def _blocks(self, texts: Texts) -> Iterator[Embedded]:
        random = np.random.default_rng(0)  # without dropout nothing is drawn from it that matters
        for start in range(0, max(1, len(texts)), _BLOCK):
            yield self.tower.embed(texts.take(np.arange(start, min(start + _BLOCK, len(texts)))), 0.0, random)

    @torch.no_grad()
    def loss_without_dropout(self) -> float:
        """Return the mean loss over the training rows (of very many, the first) as they are served.

        This is what the verdict judges.
        """
        classes = self._there(self.class_vectors())
        candidates = self._candidates(0)
        size = _BLOCK
        if self._shares_candidates:
            size = self.settings.training.batch_size
        elif candidates is not None:
            size = max(1, 5 * _BLOCK // candidates.width)  # many negatives of many rows would not fit in memory
        total = 0.0
        judged = self.rows if self.prepared.window is None else self.rows[: self.prepared.window]
        for start in range(0, len(judged), size):
            rows = judged[start : start + size]
            queries = self._there(self.encode(self._queries.take(rows)))
            if candidates is None:
                loss = self._loss_all(torch.bmm(queries, classes.transpose(1, 2)), rows)
            else:
                needed, places = np.unique(candidates[rows], return_inverse=True)
                loss = self._loss_some(queries, classes[:, needed], needed, places.reshape(len(rows), -1))
            total += loss.item() * len(rows)
        return total / len(judged)

    def state(self) -> dict[str, Tensor]:
        """Return every tensor that training changes, not copied: what a checkpoint holds."""
        state = {
            **self.tower.outside(),
            **self.tower.outside_state(),
            "own": self.own.weight,
            "own.squares": self.own.squares,
        }
        for number, (parameter, squares) in enumerate(zip(self._dense, self._squares, strict=True)):
            state |= {f"dense.{number}": parameter.data, f"dense.{number}.squares": squares}
        return state
