"""What models that have not seen a row make of it. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class HeldOut:
    """All training rows, each asked of a model that was not trained on it."""

    ranks: NDArray[np.int64]  # (n,) of its own class, from 0
    seen: NDArray[np.int64]  # (n,) rows of its class that the model was trained on
    own: NDArray[np.float32]  # (n, sharpnesses) probability of its own class, of `own_probabilities`
    best: NDArray[np.int64]  # (n,) class ranked first
