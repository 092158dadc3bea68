"""Which rows each step of an epoch holds, and which standard questions they are held against."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.settings import CorpusSettings
from tasks.prepare.negatives import draw_negatives
from tasks.retrieval.texts import Texts
from tasks.train.data import Prepared
from tasks.train.objectives import Batch

_OWN_TEXT = 2**62  # what the row ids of standard questions' own texts begin at


@dataclass(frozen=True)
class Candidates:
    """For each row the right class, then its negatives; looked up, since of very many rows they lie on disk."""

    labels: NDArray[np.int64]  # (rows + classes,)
    negatives: NDArray[np.int32]  # (rows, J)
    of_own_texts: NDArray[np.int32]  # (classes, J) of the standard questions' own texts, which come after the rows

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the (len(rows), 1 + J) candidates of some rows."""
        found = np.empty((len(rows), 1 + self.negatives.shape[1]), np.int64)
        found[:, 0] = self.labels[rows]
        own = rows >= len(self.negatives)
        found[~own, 1:] = self.negatives[rows[~own]]
        found[own, 1:] = self.of_own_texts[rows[own] - len(self.negatives)]
        return found


class Sampler:
    """Rows to train on, by number: those of the file, then the standard questions' own texts, if wanted."""

    def __init__(self, prepared: Prepared, rows: NDArray[np.int64], settings: CorpusSettings) -> None:
        """Keep what is sampled from.

        Args:
            prepared: the data.
            rows: numbers of the rows to train on, in the order of the file.
            settings: split, negatives, training and seed are read.
        """
        self._prepared, self._settings = prepared, settings
        count = len(prepared.classes)
        own = np.arange(count if settings.training.own_texts else 0)
        self.rows = np.concatenate([rows, len(prepared.labels) + own])
        self.labels = np.concatenate([prepared.labels, own])
        self.class_rows = np.bincount(self.labels[self.rows], minlength=count)  # (K,)
        self.queries = prepared.queries.followed_by(prepared.classes.take(own))
        self.forbidden, self._same = prepared.forbidden(), prepared.same_answer()

    @property
    def steps(self) -> int:
        """How many steps an epoch has."""
        return -(-len(self.rows) // self._settings.training.batch_size)

    def epoch(self, random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """Yield the rows of each step: every row comes once."""
        shuffle, size = self._settings.split.shuffle, self._settings.training.batch_size
        order = draw_order(len(self.rows), shuffle, random, self._prepared.window)
        for start in range(0, len(order), size):
            yield self.rows[order[start : start + size]]

    def texts(self, rows: NDArray[np.int64]) -> Texts:
        """Return the queries of some rows."""
        return self.queries.take(rows)

    def against_all(self, rows: NDArray[np.int64]) -> Batch:
        """Return some rows, held against all standard questions."""
        labels = self.labels[rows]
        same = None if self._same is None else self._same[labels]
        return Batch(np.arange(len(self.class_rows)), labels[:, None], self.forbidden, same)

    def against(self, candidates: NDArray[np.int64]) -> Batch:
        """Return rows held against their (n, 1 + J) candidates, by class."""
        classes, places = np.unique(candidates, return_inverse=True)
        return Batch(classes, places.reshape(candidates.shape), self.forbidden)

    def candidates(self, epoch: int) -> Candidates:
        """Return each row's right class and its negatives of an epoch, from 0.

        Standard questions' own texts have no negatives on disk; theirs are drawn here, by the same counters.
        """
        prepared, settings = self._prepared, self._settings
        negatives, own = prepared.negatives(epoch), self.labels[len(prepared.labels) :]
        drawn = draw_negatives(
            _OWN_TEXT + own,
            own,
            self.forbidden,
            negatives.shape[1],
            epoch % prepared.epochs_drawn,
            settings.seed,
            settings.negatives.sampler,
        )
        return Candidates(self.labels, negatives, drawn)


def draw_order(count: int, shuffle: bool, random: np.random.Generator, window: int | None = None) -> NDArray[np.int64]:
    """Return the numbers 0 to `count` - 1, of the rows of one epoch, in the order they are fed.

    Args:
        count: of rows.
        shuffle: False: in the order of the rows.
        random: what is drawn is taken from it.
        window: so many neighbouring rows, which stand in the file in shuffled order anyway, are shuffled among
            themselves, one window after the other in random order: at no time is a row outside a window needed.
            None: all at once.
    """
    if not shuffle:
        return np.arange(count)
    if not window or window >= count:
        return random.permutation(count)
    starts = random.permutation(np.arange(0, count, window)).tolist()
    return np.concatenate([start + random.permutation(min(window, count - start)) for start in starts])
