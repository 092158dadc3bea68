"""Texts as rows of a sparse matrix, in numpy alone: what answers queries does without scipy's 140 MB. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import scipy.sparse as sp


@dataclass(frozen=True)
class Rows:
    """(n, width) numbers, nearly all of them zero; only the others are held, row after row."""

    values: NDArray[np.float32]  # (N,)
    columns: NDArray[np.integer]  # (N,)
    offsets: NDArray[np.int64]  # (n + 1,) where each row begins and the last ends
    width: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def stack(cls, parts: Sequence[Self]) -> Self:
        """Return the rows of all parts, one after the other."""
        ends = np.cumsum([0, *(part.offsets[-1] for part in parts)])
        offsets = [part.offsets[:-1] + end for part, end in zip(parts, ends[:-1], strict=True)]
        columns = np.concatenate([part.columns for part in parts])
        return cls(
            np.concatenate([part.values for part in parts]),
            columns,
            np.concatenate([*offsets, ends[-1:]]),
            parts[0].width,
        )

    def times(self, table: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, d), the product with a (width, d) table.

        A row's products are added from left to right, as scipy does: the same to the last bit.
        """
        product = np.zeros((len(self), table.shape[1]), np.float32)
        for row, (start, end) in enumerate(pairwise(self.offsets.tolist())):
            if start < end:  # of no cells einsum reads one all the same, and multiplies by it: now and then NaN
                cells = table[self.columns[start:end]]
                np.einsum("k,kd->d", self.values[start:end], cells, out=product[row])
        return product

    def matrix(self) -> "sp.csr_array":
        """Return the same as a matrix of scipy, for what trains and measures."""
        import scipy.sparse as sp

        return sp.csr_array((self.values, self.columns, self.offsets), shape=(len(self), self.width))
