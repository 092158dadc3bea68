"""The contrast between the queries of one batch, which draws those of one standard question together.

Khosla et al. 2020, "Supervised Contrastive Learning", eq. 2. The kept training queries are compared with a query in the
same space, so that it pays with few rows most: docs/recipe.md.
"""

import torch
from torch import Tensor

_BARRED = -1e9  # logit of a query against itself: no opponent


def contrast(queries: Tensor, labels: Tensor, gamma: float, same: Tensor | None = None) -> Tensor:
    """Return the mean over members and rows of the cross-entropy of finding a row's fellows.

    A fellow is another query of the batch with the same standard question; of a row without any it is 0. So a row
    counts here as much as in the loss: in a sparse corpus the large standard questions, which have fellows, would else
    outweigh the small.

    Args:
        queries: (..., n, o) of unit length.
        labels: (n,) the standard question of each.
        gamma: what the cosines are multiplied by.
        same: (n, n) which queries have the same answer under another standard question: they never oppose each other.
    """
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    fellows = (labels[:, None] == labels[None]) & ~itself
    counts = fellows.sum(dim=1)
    barred = itself if same is None else itself | same
    logits = (gamma * (queries @ queries.transpose(-1, -2))).masked_fill(barred, _BARRED)
    logs = logits.log_softmax(dim=-1).masked_fill(~fellows, 0)
    of_rows = -logs.sum(dim=-1) / counts.clamp(min=1)
    return of_rows.mean()
