"""The default tower: a text is the weighted sum of the embeddings of its n-grams."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from schemas.settings import Model
from tasks.retrieval.device import Device
from tasks.retrieval.texts import Texts
from tasks.train.layers import Layers
from tasks.train.optimiser import Table
from tasks.train.towers.tower import Sizes, TableTower


class BagTower(TableTower):
    """A weighted bag of n-grams, hidden layers if any."""

    def __init__(self, model: Model, sizes: Sizes, generator: torch.Generator, device: Device) -> None:
        super().__init__(model, sizes, generator, device)
        self.layers = Layers(model, model.embedding_dim, model.hidden_dims, generator)
        self.to(device.kind)

    @classmethod
    def features(cls, sizes: Sizes) -> int:
        """Return the number of n-grams."""
        return sizes.vocabulary

    @classmethod
    def multiplies(cls, model: Model) -> bool:
        """Without hidden layers it only sums."""
        return bool(model.hidden_dims)

    def embed(self, texts: Texts, dropout: float, random: np.random.Generator) -> "Bags":
        """Return the texts' sums of embeddings."""
        return Bags(self.table, texts, dropout, random)

    def forward(self, embedded: "Bags") -> Tensor:
        """Return (S, n, o) vectors, not yet of unit length."""
        vectors: Tensor = self.layers(embedded.leaf)
        return vectors


class Bags:
    """Weighted sums of embeddings, with a fresh dropout of features for every member and draw.

    `leaf` (S, n, d) collects a gradient, over several backward passes if need be; `step` hands it to the table.
    """

    def __init__(self, table: Table, texts: Texts, dropout: float, random: np.random.Generator) -> None:
        self._table, self._bags = table, texts.bags
        x = self._bags
        numbered = type(x)((np.arange(x.nnz), x.indices, x.indptr), shape=x.shape).tocsc()
        counts = np.diff(numbered.indptr)
        self._columns = np.flatnonzero(counts)  # features present
        self._starts = numbered.indptr[:-1][self._columns].astype(np.int64)
        self._order, self._row = numbered.data, numbered.indices  # entries by column: position in x.data, text
        self._shift = np.arange(table.members)[:, None]
        self.draw(dropout, random)

    def draw(self, dropout: float, random: np.random.Generator) -> None:
        """Draw the dropout anew and compute `leaf` (S, n, d)."""
        x, members = self._bags, self._table.members
        self._keep = random.random((members, x.nnz), dtype=np.float32) >= dropout
        columns = x.indices[None] + self._shift * self._table.rows
        sums = self._sum(self._table.weight, columns, x.data, self._keep, x.indptr[:-1])
        self.leaf = sums.view(members, x.shape[0], -1).requires_grad_()

    def step(self, rate: float) -> None:
        """Update the table by the gradient that `leaf` collected."""
        if self.leaf.grad is None:
            return
        gradient = self.leaf.grad.flatten(0, 1)
        texts = self._row[None] + self._shift * self._bags.shape[0]
        sums = self._sum(gradient, texts, self._bags.data[self._order], self._keep[:, self._order], self._starts)
        rows = torch.from_numpy((self._columns[None] + self._shift * self._table.rows).ravel())
        self._table.update(rows.to(sums.device), sums, rate)

    def _sum(
        self,
        weight: Tensor,
        indices: NDArray[np.int64],
        values: NDArray[np.float32],
        keep: NDArray[np.bool_],
        starts: NDArray[np.int64],
    ) -> Tensor:
        """Sum `values * weight[indices]` over segments, for every member, leaving out what is not kept."""
        kept = np.concatenate([[0], np.cumsum(keep.ravel(), dtype=np.int64)])
        offsets = kept[self._shift * keep.shape[1] + starts[None]].ravel()
        chosen = torch.from_numpy(np.broadcast_to(values, keep.shape)[keep])
        return F.embedding_bag(
            torch.from_numpy(indices[keep].astype(np.int64)).to(weight.device),
            weight,
            torch.from_numpy(offsets).to(weight.device),
            mode="sum",
            per_sample_weights=chosen.to(weight.device),
        )
