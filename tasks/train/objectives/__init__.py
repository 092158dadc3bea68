"""What training minimises: one module a loss, with its name in `schemas.settings.LOSSES`. See docs/extend.md."""

from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from schemas.settings import Loss
from tasks.train.objectives.objective import Batch, Objective

__all__ = ["Batch", "Objective", "make_objective"]


def make_objective(loss: Loss, negatives: int, class_rows: NDArray[np.int64]) -> Objective:
    """Return the objective that the settings name.

    Args:
        loss: "auto" settled.
        negatives: J, drawn per row.
        class_rows: (K,) training rows of each standard question, at least two of them.
    """
    module = import_module(f"{__name__}.{loss.kind}")
    kind: type[Objective] = getattr(module, loss.kind.title().replace("_", ""))  # softmax_all: SoftmaxAll
    return kind(loss, negatives, class_rows)
