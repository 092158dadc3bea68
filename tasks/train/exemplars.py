"""Training queries that a model keeps beside the vectors of its standard questions. Free of torch.

A standard question's vector is one point; what customers ask of it is often several. So the first
standard questions by cosine are scored anew, by how near some of their own training queries lie: a
mixture of a parametric model with its nearest neighbours, as in Khandelwal et al. 2020, "Generalization
through Memorization: Nearest Neighbor Language Models", section 2.
"""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.train.data import Prepared

DEFAULT_WEIGHT = 0.5
WEIGHTS = (0.0, 0.25, DEFAULT_WEIGHT, 0.75)  # what the validation cut chooses from
_MOST = 50_000  # kept queries in all: a hundred megabytes in memory, fifty on disk


class Source(Protocol):
    """What has learned to read texts: `tasks.train.ensemble.Ensemble`, or one beside an encoder."""

    members: int

    def encode_rows(self, prepared: Prepared, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return (S, n, o) vectors of unit length per member of some training rows."""

    def class_vectors(self) -> NDArray[np.float32]:
        """Return (S, K, o) vectors of all standard questions, of unit length per member."""


class Kept(NamedTuple):
    """The queries that a model keeps, standard question after standard question."""

    vectors: NDArray[np.float32]  # (N, S, o) of unit length per member
    starts: NDArray[np.int64]  # (K + 1,) where those of each standard question begin
    rows: NDArray[np.int64]  # (N,) their numbers among the training rows; -1: a standard question's own vector


def keep_exemplars(source: Source, prepared: Prepared, rows: NDArray[np.int64], per_class: int) -> Kept | None:
    """Return the queries to keep.

    None where nothing is to be kept, or there are more standard questions than queries that may be kept in all.
    Of each standard question the first rows are kept, in their shuffled order; one without rows has its own vector.

    Args:
        source: encodes them.
        prepared: the data.
        rows: numbers of the rows it was trained on.
        per_class: rows to keep of each standard question, at most.
    """
    classes, labels = len(prepared.classes), prepared.labels[rows]
    most = min(per_class, _MOST // max(1, classes))
    if not most:
        return None
    counts = np.bincount(labels, minlength=classes)
    bare = np.flatnonzero(counts == 0)
    owners = np.concatenate([labels, bare])
    counts[bare] = 1
    order = np.argsort(owners, kind="stable")
    kept = order[np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts) < most]
    is_row = kept < len(rows)
    own = source.class_vectors().transpose(1, 0, 2)[owners[kept[~is_row]]]
    vectors = np.empty((len(kept), *own.shape[1:]), dtype=np.float32)
    vectors[is_row] = source.encode_rows(prepared, rows[kept[is_row]]).transpose(1, 0, 2)
    vectors[~is_row] = own
    numbers = np.full(len(kept), -1)
    numbers[is_row] = rows[kept[is_row]]
    return Kept(vectors, np.concatenate([[0], np.cumsum(np.minimum(counts, most))]), numbers)
