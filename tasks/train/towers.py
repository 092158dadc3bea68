"""The towers: text in, vector out; several towers of different seeds side by side as one batched model.

`bag` sums the embeddings of a text's weighted n-grams; `lstm` is the article's DSSM-LSTM over words; for
`pretrained` see `tasks.train.pretrained`. The first two keep their embeddings outside autograd: a batch
touches a few thousand rows of the table, and only those are gathered, given a gradient and updated (row-wise
Adagrad), which makes a step several times faster than a dense optimiser. What follows the embeddings (hidden
layers, the LSTM) is plain torch.

Shapes: S towers, n texts, V rows of the table, d the embedding size, o the size of a tower's vector.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from schemas.settings import Model
from tasks.retrieval.device import CPU, Device
from tasks.retrieval.pretrained import INITIAL_SCALE
from tasks.retrieval.texts import Texts
from tasks.train.layers import Layers

if TYPE_CHECKING:  # it is built on this module
    from tasks.train.pretrained import PretrainedTower

_LENGTHS, _LEAST_TEXTS = 8, 32  # groups of similar length an LSTM reads: half the steps are padding otherwise
_TINY = 1e-10


class Table(nn.Module):
    """(S * V, d) embeddings of all towers, tower after tower, with their Adagrad state.

    Row-wise: one accumulator per row, the mean square of its gradient (Gupta et al. 2014, "Training
    highly multiclass classifiers", section 4); an eighth of the memory traffic of one per element.
    """

    def __init__(self, towers: int, rows: int, size: int, generator: torch.Generator | None) -> None:
        """Fill with small random numbers; with zeros where no generator is given."""
        super().__init__()
        self.towers, self.rows = towers, rows
        self.weight: Tensor
        self.squares: Tensor
        if generator is None:
            self.register_buffer("weight", torch.zeros(towers * rows, size))
        else:
            self.register_buffer("weight", torch.randn(towers * rows, size, generator=generator).mul_(INITIAL_SCALE))
        self.register_buffer("squares", torch.full((towers * rows,), _TINY))

    def update(self, rows: Tensor, gradient: Tensor, rate: float) -> None:
        """Take one Adagrad step on distinct `rows`; `gradient` (len(rows), d) is used up."""
        squares = self.squares.index_select(0, rows)
        squares += torch.linalg.vector_norm(gradient, dim=1).square_().div_(gradient.shape[1])
        self.squares.index_copy_(0, rows, squares)
        self.weight.index_add_(0, rows, gradient.mul_(squares.rsqrt_().mul_(-rate).unsqueeze(1)))


class Embedded(Protocol):
    """What a tower makes of texts: `leaf` collects a gradient, over several backward passes if need be."""

    leaf: Tensor

    def draw(self, dropout: float, random: np.random.Generator) -> None:
        """Compute `leaf` anew, under a fresh dropout."""

    def step(self, rate: float) -> None:
        """Hand the gradient of `leaf` on to the weights it came from."""


class Bags:
    """Weighted sums of embeddings, with a fresh dropout of features for every tower and draw.

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
        self._shift = np.arange(table.towers)[:, None]
        self.draw(dropout, random)

    def draw(self, dropout: float, random: np.random.Generator) -> None:
        """Draw the dropout anew and compute `leaf` (S, n, d)."""
        x, towers = self._bags, self._table.towers
        self._keep = random.random((towers, x.nnz), dtype=np.float32) >= dropout
        columns = x.indices[None] + self._shift * self._table.rows
        sums = self._sum(self._table.weight, columns, x.data, self._keep, x.indptr[:-1])
        self.leaf = sums.view(towers, x.shape[0], -1).requires_grad_()

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
        """Sum `values * weight[indices]` over segments, for every tower, leaving out what is not kept."""
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


class Sequences:
    """Embeddings of words in order, padded; the same door as `Bags`, `leaf` (S, U, d) over the distinct words."""

    def __init__(self, table: Table, texts: Texts, dropout: float, random: np.random.Generator) -> None:
        self._table, self._texts, self._device = table, texts, table.weight.device
        lengths = np.diff(texts.offsets)
        self.last = torch.from_numpy(np.maximum(lengths, 1) - 1)  # a text without words is one unknown word; on the CPU
        self._inside = np.arange(max(1, int(lengths.max(initial=0))))[None] < lengths[:, None]
        self.draw(dropout, random)

    def draw(self, dropout: float, random: np.random.Generator) -> None:
        """Replace a share of the words by the unknown word, anew, and gather `leaf`."""
        grid = np.zeros(self._inside.shape, dtype=np.int64)
        words = self._texts.words
        grid[self._inside] = words * (random.random(len(words), dtype=np.float32) >= dropout) if dropout else words
        distinct, places = np.unique(grid, return_inverse=True)
        self.places = torch.from_numpy(places.reshape(grid.shape)).to(self._device)  # (n, T) into the distinct words
        shift = np.arange(self._table.towers)[:, None] * self._table.rows
        self._rows = torch.from_numpy((distinct[None] + shift).ravel()).to(self._device)
        self.leaf = self._table.weight[self._rows].view(self._table.towers, len(distinct), -1).requires_grad_()

    def step(self, rate: float) -> None:
        """Update the table by the gradient that `leaf` collected."""
        if self.leaf.grad is not None:
            self._table.update(self._rows, self.leaf.grad.flatten(0, 1), rate)


class TableTower(nn.Module):
    """What the towers with a table of embeddings share."""

    def __init__(self, model: Model, rows: int, generator: torch.Generator) -> None:
        super().__init__()
        self.table = Table(model.ensemble, rows, model.embedding_dim, generator)

    def finish_step(self, left: float, peak: float) -> None:
        """Do nothing: the table is updated at once."""

    def outside(self) -> dict[str, Tensor]:
        """Return what is trained beside `parameters`: the table."""
        return {"table": self.table.weight}

    def outside_state(self) -> dict[str, Tensor]:
        """Return the state of its optimiser."""
        return {"table.squares": self.table.squares}


class BagTower(TableTower):
    """The default tower: a weighted bag of n-grams, hidden layers if any."""

    def __init__(self, model: Model, rows: int, generator: torch.Generator) -> None:
        super().__init__(model, rows, generator)
        self.layers = Layers(model, model.embedding_dim, model.hidden_dims, generator)
        self.size = self.layers.size

    def embed(self, texts: Texts, dropout: float, random: np.random.Generator) -> Bags:
        """Return the texts' sums of embeddings."""
        return Bags(self.table, texts, dropout, random)

    def forward(self, embedded: Bags) -> Tensor:
        """Return (S, n, o) vectors, not yet of unit length."""
        vectors: Tensor = self.layers(embedded.leaf)
        return vectors

    def recurrent_states(self) -> list[dict[str, Tensor]]:
        """Return the state of each tower's recurrent part: a bag has none."""
        return []


class LstmTower(TableTower):
    """The article's DSSM-LSTM: words, an LSTM, its last state; further hidden layers if any.

    Palangi et al. 2016, "Deep Sentence Embedding Using Long Short-Term Memory Networks", section III.
    """

    def __init__(self, model: Model, rows: int, generator: torch.Generator) -> None:
        super().__init__(model, rows, generator)
        state = model.hidden_dims[0] if model.hidden_dims else model.embedding_dim
        self.lstms = nn.ModuleList(nn.LSTM(model.embedding_dim, state, batch_first=True) for _ in range(model.ensemble))
        for parameter in self.lstms.parameters():
            nn.init.uniform_(parameter, -1 / math.sqrt(state), 1 / math.sqrt(state), generator=generator)
        self.layers = Layers(model, state, model.hidden_dims[1:], generator)
        self.size = self.layers.size

    def embed(self, texts: Texts, dropout: float, random: np.random.Generator) -> Sequences:
        """Return the texts' words, embedded; dropout replaces words by the unknown word."""
        return Sequences(self.table, texts, dropout, random)

    def forward(self, embedded: Sequences) -> Tensor:
        """Return (S, n, o) vectors, not yet of unit length."""
        order = embedded.last.argsort(stable=True)
        parts = torch.split(order, max(_LEAST_TEXTS, -(-len(order) // _LENGTHS)))
        back = order.argsort().to(embedded.places.device)
        states = [
            torch.cat([self._last_states(lstm, words, embedded, part) for part in parts])[back]
            for lstm, words in zip(self.lstms, embedded.leaf, strict=True)
        ]
        vectors: Tensor = self.layers(torch.stack(states))
        return vectors

    @staticmethod
    def _last_states(lstm: nn.Module, words: Tensor, embedded: Sequences, texts: Tensor) -> Tensor:
        """Return (len(texts), state) the state after the last word of some texts of similar length."""
        last, device = embedded.last[texts], words.device
        places = embedded.places[texts.to(device), : int(last.max()) + 1]
        outputs, _ = lstm(F.embedding(places, words))  # (len(texts), T, state)
        states: Tensor = outputs[torch.arange(len(texts), device=device), last.to(device)]
        return states

    def recurrent_states(self) -> list[dict[str, Tensor]]:
        """Return the state of each tower's LSTM."""
        return [lstm.state_dict() for lstm in self.lstms]


@dataclass(frozen=True)
class Sizes:
    """Rows of the two tables."""

    vocabulary: int
    words: int


def make_tower(
    model: Model, sizes: Sizes, generator: torch.Generator, device: Device = CPU
) -> "BagTower | LstmTower | PretrainedTower":
    """Return a fresh tower as the settings say; its first weights are the same on every device.

    Raises:
        SettingsError: the pretrained encoder cannot be used.
    """
    if model.tower == "pretrained":
        from tasks.train.pretrained import PretrainedTower

        return PretrainedTower(model, generator, device)
    tower = LstmTower if model.tower == "lstm" else BagTower
    rows = sizes.words if model.tower == "lstm" else sizes.vocabulary
    return tower(model, rows, generator).to(device.kind)
