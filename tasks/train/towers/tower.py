"""The interface of a tower: what it reads, how it is trained, and what of it is published.

Shapes: S members of the ensemble, trained side by side as one batched model; n texts; d the embedding size; o the
size of a vector.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from schemas.settings import Model
from tasks.retrieval.device import Device
from tasks.retrieval.pretrained import INITIAL_SCALE
from tasks.retrieval.texts import Texts
from tasks.train.layers import Layers
from tasks.train.optimiser import Table

_CLASSES_EVERY = 8  # steps between two passes through all standard questions' texts: same recall, half the time


@dataclass(frozen=True)
class Sizes:
    """How many features there are to read: n-grams, and words or tokens."""

    vocabulary: int
    words: int


class TextReader(Protocol):
    """A tokeniser of its own."""

    size: int  # tokens it knows

    def __call__(self, texts: Sequence[str]) -> Texts:
        """Return the tokens of normalised texts."""


class Embedded(Protocol):
    """Texts at the entrance of a tower: `leaf` collects a gradient, over several backward passes if need be."""

    leaf: Tensor

    def draw(self, dropout: float, random: np.random.Generator) -> None:
        """Compute `leaf` anew, under a fresh dropout."""

    def step(self, rate: float) -> None:
        """Hand the gradient of `leaf` on to the weights it came from."""


class Tower(nn.Module, ABC):
    """S members of one kind, of different seeds. `parameters()` are moved by Adagrad; all else moves itself."""

    threads_inside: ClassVar[bool] = False  # its kernels are large: threads work inside them, not on several groups
    rate_setting: ClassVar[str] = "learning_rate"  # of the section training: what moves most of its weights

    layers: Layers

    @abstractmethod
    def __init__(self, model: Model, sizes: Sizes, generator: torch.Generator, device: Device) -> None:
        """Make fresh members, whose weights come from `generator` alone.

        Raises:
            SettingsError: the settings cannot be followed.
        """
        super().__init__()

    # --- what it reads

    @classmethod
    def tokeniser(cls, model: Model) -> TextReader | None:
        """Return its own, made for the settings; None: it reads the features that prepare wrote.

        Raises:
            SettingsError: there should be one, and there is none.
        """
        return None

    @classmethod
    @abstractmethod
    def features(cls, sizes: Sizes) -> int:
        """Return how many of the features it knows."""

    @classmethod
    def multiplies(cls, model: Model) -> bool:
        """Say whether its time goes into products of matrices, which a GPU does in bfloat16."""
        return True

    # --- how it is trained

    @property
    def size(self) -> int:
        """Numbers of a vector, o."""
        return self.layers.size

    @abstractmethod
    def embed(self, texts: Texts, dropout: float, random: np.random.Generator) -> Any:  # noqa: ANN401 - see Embedded
        """Return the texts as an `Embedded`, which `forward` reads, under a dropout of features."""

    @abstractmethod
    def forward(self, embedded: Any) -> Tensor:  # noqa: ANN401 - as above
        """Return (S, n, o) vectors, not yet of unit length."""

    def finish_step(self, left: float, peak: float) -> None:
        """Move what neither Adagrad nor `Embedded.step` moves: nothing, of most.

        Args:
            left: share of the training that is still to come, from 1 to 0.
            peak: of the learning rate of a pretrained encoder.
        """

    def steps_between_classes(self, classes: int, batch: int) -> int:
        """Return after how many steps all K standard questions' texts pass through it again."""
        return _CLASSES_EVERY

    @abstractmethod
    def extra_parameters(self) -> dict[str, Tensor]:
        """Return what is trained beside `parameters()`, by name, not copied."""

    @abstractmethod
    def extra_state(self) -> dict[str, Tensor]:
        """Return the optimiser's state of the extra parameters, by name, not copied."""

    # --- what is published

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return the arrays of model.safetensors, by name: each begins with the axis of the S members."""
        return {f"layers.{name}": tensor.cpu().numpy() for name, tensor in self.layers.state_dict().items()}

    def write(self, folder: Path) -> None:
        """Write what is no array into `folder`, which need not exist: nothing, of most."""


class TableTower(Tower):
    """A tower whose entrance is a table of embeddings."""

    def __init__(self, model: Model, sizes: Sizes, generator: torch.Generator, device: Device) -> None:
        super().__init__(model, sizes, generator, device)
        self.table = Table(model.ensemble, self.features(sizes), model.embedding_dim, INITIAL_SCALE, generator)

    def extra_parameters(self) -> dict[str, Tensor]:
        """Return the table."""
        return {"table": self.table.weight}

    def extra_state(self) -> dict[str, Tensor]:
        """Return the table's accumulators."""
        return {"table.squares": self.table.squares}

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return the (S, V, d) embeddings and the layers."""
        return {
            "embeddings": self.table.weight.view(self.table.members, self.table.rows, -1).cpu().numpy()
        } | super().arrays()
