"""Scores of training rows by models that have not seen them: the basis of forecasts and of the search for wrong labels.

One bag tower is trained per fold, as the corpus's settings have it but for the number of members.
"""

import numpy as np
from numpy.typing import NDArray

from schemas.settings import CorpusSettings
from tasks.doctor.held_out import HeldOut
from tasks.evaluate.mislabelled import SHARPNESSES, own_probabilities
from tasks.prepare.split import spread
from tasks.retrieval.ranking import rank_of_truth
from tasks.train.data import Prepared
from tasks.train.ensemble import Ensemble, with_members

_BLOCK = 2048  # rows scored at once


def cross_fit(prepared: Prepared, settings: CorpusSettings, queries: NDArray[np.uint64], folds: int) -> HeldOut:
    """Return what each training row gets from a model of the rows in the other folds.

    Args:
        prepared: the training rows.
        settings: of the corpus; one member is trained.
        queries: (n,) key of each row's normalised query: rows of one query are in one fold.
        folds: how many.
    """
    labels, classes = prepared.labels, len(prepared.classes)
    fold = spread(queries, labels, folds, settings.seed, "cross-fit")
    ranks, seen = np.zeros(len(labels), np.int64), np.zeros(len(labels), np.int64)
    own, best = np.zeros((len(labels), SHARPNESSES), np.float32), np.zeros(len(labels), np.int64)
    alone = with_members(settings, 1)
    for number in range(folds):
        rows, held = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        counts = np.bincount(labels[rows], minlength=classes)
        with Ensemble(prepared, rows, alone, "refit", settings.training.epochs) as ensemble:
            for _ in range(settings.training.epochs):
                ensemble.run_epoch()
            vectors = ensemble.class_vectors()[0]
            for start in range(0, len(held), _BLOCK):
                block = held[start : start + _BLOCK]
                scores = ensemble.encode(prepared.queries.take(block))[0] @ vectors.T
                ranks[block] = rank_of_truth(scores, labels[block])
                seen[block] = counts[labels[block]]
                own[block] = own_probabilities(scores, labels[block])
                best[block] = scores.argmax(axis=1)
    return HeldOut(ranks, seen, own, best)
