"""The article's tower: words in order, through an LSTM."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from schemas.settings import Model
from tasks.retrieval.device import Device
from tasks.retrieval.texts import Texts
from tasks.train.layers import Layers
from tasks.train.optimiser import Table
from tasks.train.towers.tower import Sizes, TableTower

_LENGTHS, _LEAST_TEXTS = 8, 32  # groups of similar length an LSTM reads: half the steps are padding otherwise


class LstmTower(TableTower):
    """The article's DSSM-LSTM: words, an LSTM, its last state; further hidden layers if any.

    Palangi et al. 2016, "Deep Sentence Embedding Using Long Short-Term Memory Networks", section III.
    """

    def __init__(self, model: Model, sizes: Sizes, generator: torch.Generator, device: Device) -> None:
        super().__init__(model, sizes, generator, device)
        state = model.hidden_dims[0] if model.hidden_dims else model.embedding_dim
        self.lstms = nn.ModuleList(nn.LSTM(model.embedding_dim, state, batch_first=True) for _ in range(model.ensemble))
        for parameter in self.lstms.parameters():
            nn.init.uniform_(parameter, -1 / math.sqrt(state), 1 / math.sqrt(state), generator=generator)
        self.layers = Layers(model, state, model.hidden_dims[1:], generator)
        self.to(device.kind)

    @classmethod
    def features(cls, sizes: Sizes) -> int:
        """Return the number of words."""
        return sizes.words

    def embed(self, texts: Texts, dropout: float, random: np.random.Generator) -> "Sequences":
        """Return the texts' words, embedded; dropout replaces words by the unknown word."""
        return Sequences(self.table, texts, dropout, random)

    def forward(self, embedded: "Sequences") -> Tensor:
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
    def _last_states(lstm: nn.Module, words: Tensor, embedded: "Sequences", texts: Tensor) -> Tensor:
        """Return (len(texts), state) the state after the last word of some texts of similar length."""
        last, device = embedded.last[texts], words.device
        places = embedded.places[texts.to(device), : int(last.max()) + 1]
        outputs, _ = lstm(F.embedding(places, words))  # (len(texts), T, state)
        states: Tensor = outputs[torch.arange(len(texts), device=device), last.to(device)]
        return states

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return embeddings, layers and the members' LSTMs."""
        states = [lstm.state_dict() for lstm in self.lstms]
        stacked = {f"lstm.{name}": torch.stack([state[name] for state in states]).cpu().numpy() for name in states[0]}
        return super().arrays() | stacked


class Sequences:
    """Embeddings of words in order, padded; `leaf` (S, U, d) holds the U distinct ones."""

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
        shift = np.arange(self._table.members)[:, None] * self._table.rows
        self._rows = torch.from_numpy((distinct[None] + shift).ravel()).to(self._device)
        self.leaf = self._table.weight[self._rows].view(self._table.members, len(distinct), -1).requires_grad_()

    def step(self, rate: float) -> None:
        """Update the table by the gradient that `leaf` collected."""
        if self.leaf.grad is not None:
            self._table.update(self._rows, self.leaf.grad.flatten(0, 1), rate)
