"""Texts as what the towers read. Pure."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray


@dataclass(frozen=True)
class Texts:
    """Some texts: as tf-idf bags and as sequences of words, or of a pretrained encoder's tokens alone."""

    bags: sp.csr_array  # (texts, V) float32
    words: NDArray[np.int32]  # all words, one text after the other
    offsets: NDArray[np.int64]  # (texts + 1,) into `words`

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, rows: NDArray[np.int64]) -> "Texts":
        """Return the texts of `rows`, in that order."""
        lengths = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        positions = np.repeat(self.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Texts(self.bags[rows], self.words[positions], offsets)

    def followed_by(self, other: "Texts") -> "Texts":
        """Return these texts and then those of `other`."""
        bags = sp.vstack([self.bags, other.bags], format="csr")
        offsets = np.concatenate([self.offsets, other.offsets[1:] + self.offsets[-1]])
        return Texts(bags, np.concatenate([self.words, other.words]), offsets)
