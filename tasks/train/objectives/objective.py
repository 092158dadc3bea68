"""The interface of a loss: its value on a batch, and what geometry says of it before the first step.

Notation: S members of the ensemble, n rows, K standard questions, U of them encoded, J negatives drawn per row, o
numbers of a vector; s+ the cosine of a query with its standard question, s- with a wrong one, D = s+ - s- their gap;
gamma the smoothing factor of Huang et al. 2013, "Learning Deep Structured Semantic Models for Web Search using
Clickthrough Data" (CIKM), section 3.3: an inverse temperature.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from torch import Tensor

from schemas.language import Message
from schemas.settings import Loss

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Batch:
    """The rows of one step, and the standard questions they are held against."""

    classes: NDArray[np.int64]  # (U,) numbers of the standard questions that are encoded, increasing
    places: NDArray[np.int64]  # (n, 1 + J) into `classes`: the right one, then those drawn; J = 0 if none are
    forbidden: sp.csr_array  # (K, K) which standard questions each one never opposes: itself and near-duplicates
    same: sp.csr_array | None = None  # (n, K) which others have the same answer; None: none has, or `forbidden` says so


class Objective(ABC):
    """A loss to train by. Instances hold no state that training changes."""

    drawn: ClassVar[bool] = True  # held against the negatives drawn per row; False: against all standard questions
    shared: ClassVar[bool] = False  # every row of a batch is held against the negatives of all: depends on its size

    def __init__(self, loss: Loss, negatives: int, class_rows: NDArray[np.int64]) -> None:
        """Take the settings of the loss, J, and (K,) the training rows of each standard question."""
        self.settings, self.negatives, self.class_rows = loss, negatives, class_rows

    @abstractmethod
    def loss(self, queries: Tensor, classes: Tensor, batch: Batch) -> Tensor:
        """Return the mean loss over members and rows, as a scalar.

        Args:
            queries: (S, n, o), of unit length but for dropout.
            classes: (S, U, o), of unit length.
            batch: which row is right where.
        """

    @property
    @abstractmethod
    def opponents(self) -> int:
        """How many wrong standard questions a row is held against, in expectation: J, or K - 1."""

    @abstractmethod
    def at_equal_cosines(self, margin: bool = True) -> float:
        """Return the mean loss over the training rows of a model that knows nothing: all cosines are equal.

        Args:
            margin: False: without what a margin merely adds to the loss of guessing (softmax_all: `gamma * margin`),
                which falls away although nothing is learned. A loss whose scale is its margin returns the same for
                both. It lies above `least(inf)`, or the loss is refused as unreachable.
        """

    @abstractmethod
    def least(self, gap: Floats) -> Floats:
        """Return the least mean loss at a mean gap D over the wrong standard questions.

        It never increases with the gap: a loss that is met at some gap stays where it is beyond.
        """

    @abstractmethod
    def correction(self) -> dict[str, float]:
        """Return the settings of the loss, by name, with values whose target can be reached.

        They are few: no more than what has to change.
        """

    def alternatives(self) -> list[str]:
        """Return other ways out than `correction`, each as `loss.name = value`."""
        return []

    def describe(self) -> Message:
        """Return what of the loss may be out of reach, as a sentence without its end.

        This one blames gamma: override it where the loss does not use it.
        """
        return Message(key="training.small_gamma", values={"gamma": self.settings.gamma, "negatives": self.negatives})
