"""Measure a candidate and its baselines on the test rows, and let it read its own training rows. Pure.

Whatever answers `scores` can be measured: the candidate, the live version, a baseline. Queries go through in
blocks, so memory is bounded by `BLOCK_CELLS` and `BLOCK_ROWS`, however many rows there are.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from schemas.evaluation import ClassResult, ConfusedPair, Evaluation, SuspectRow
from tasks.evaluate.metrics import by_class_size, compare_ranks, measure
from tasks.evaluate.mislabelled import estimate_share, own_probabilities
from tasks.prepare.groups import group_of
from tasks.retrieval.ranking import rank_of_truth, ranking

BLOCK_CELLS = 1 << 23  # scores held at a time: 32 MiB of float32
BLOCK_ROWS = 2048  # and queries: a scorer has features of its own to hold
LISTED = 20  # rows of each list in the report
SUSPECTS_KEPT = 50_000  # in the files beside it
TOP = 10
_JUDGED = 5000  # held-out rows that say how many labels are wrong

Ids = npt.NDArray[np.integer]


class Scorer(Protocol):
    """Anything that ranks standard questions."""

    def scores(self, queries: Sequence[str]) -> npt.NDArray[np.floating]:
        """Return the score of every class for every query, shape (queries, classes)."""
        ...


@dataclass(frozen=True)
class TestRows:
    """Held-out rows."""

    __test__ = False  # not a test case, whatever pytest makes of the name

    queries: Sequence[str]
    truth: Ids  # class ids, -1: not in the corpus
    in_train: npt.NDArray[np.bool_]  # the same query is also a training row

    def one_of(self, every: int) -> "TestRows":
        """Return the first of every so many rows."""
        return TestRows(self.queries[::every], self.truth[::every], self.in_train[::every])


@dataclass(frozen=True)
class TrainRows:
    """The rows the candidate was fitted on."""

    row_ids: Ids
    queries: Sequence[str]
    class_ids: Ids
    scores: Callable[[slice], npt.NDArray[np.floating]] | None = None  # the candidate's, cheaper than from the text


@dataclass(frozen=True)
class Classes:
    """The standard questions; a class id is a position here."""

    texts: Sequence[str]
    train_rows: Ids
    near_duplicates: Sequence[Sequence[int]] = field(default=())  # per class; empty: none are known
    groups: Sequence[Sequence[int]] = field(default=())  # that have the same answer

    def are_near_duplicates(self, a: int, b: int) -> bool:
        """Say whether the texts of two classes are hardly different."""
        return bool(self.near_duplicates) and (b in self.near_duplicates[a] or a in self.near_duplicates[b])


@dataclass(frozen=True)
class Ranked:
    """What one scorer made of the test rows."""

    ranks: npt.NDArray[np.int64]  # position of the right class, -1: unknown, (n,)
    top: npt.NDArray[np.int64]  # class ids, best first, (n, up to 10)


def evaluate_candidate(
    corpus: str,
    model: Scorer,
    baselines: Mapping[str, Scorer],
    test: TestRows,
    train: TrainRows,
    classes: Classes,
    seed: int,
    known: Mapping[str, Ranked] | None = None,
    every: int = 1,
) -> tuple[Evaluation, dict[str, Ranked], list[SuspectRow]]:
    """Return all that is measured of a candidate, by scorer ("model", then each baseline) its ranks, and all suspects.

    Args:
        corpus: Name of the corpus.
        model: The candidate, through the retrieval code that will answer for it.
        baselines: Name to scorer; they rank the same classes.
        test: The held-out rows.
        train: The training rows, among which the candidate looks for mislabelled ones.
        classes: The standard questions.
        seed: Seeds the intervals.
        known: What scorers made of the test rows, as far as `rank_rows` has been called elsewhere.
        every: Of so many test rows the baselines rank one.
    """
    n_classes = len(classes.texts)
    ranked, seen = dict(known or {}), {"model": test}
    for name, scorer in {"model": model, **baselines}.items():
        rows = seen.setdefault(name, test.one_of(every))
        ranked[name] = ranked.get(name) or rank_rows(scorer, rows, n_classes)
    ranks = ranked["model"].ranks
    tested = np.bincount(test.truth[test.truth >= 0], minlength=n_classes)
    sizes = {name: by_class_size(r.ranks, seen[name].truth, classes.train_rows, seed) for name, r in ranked.items()}
    alone = ~test.in_train
    expected = round(expect_wrong(model, test, n_classes) * len(train.row_ids))
    suspects = find_suspects(model, train, classes, min(SUSPECTS_KEPT, expected)) if expected else []
    evaluation = Evaluation(
        corpus=corpus,
        test_rows=len(test.queries),
        classes=n_classes,
        untested_classes=int(np.count_nonzero(tested == 0)),
        unknown_test_rows=int(np.count_nonzero(test.truth < 0)),
        overlap_rows=int(test.in_train.sum()),
        model=measure(ranks, test.truth, seed),
        grouped=measure(_rank_groups(ranked["model"], test.truth, classes), test.truth, seed)
        if classes.groups
        else None,
        without_overlap=None if alone.all() else measure(ranks[alone], test.truth[alone], seed),
        by_class_size=sizes.pop("model"),
        baselines={name: measure(ranked[name].ranks, seen[name].truth, seed) for name in baselines},
        baselines_by_class_size=sizes,
        against={name: compare_ranks(ranks[::every], ranked[name].ranks) for name in baselines},
        classes_worst=find_worst_classes(ranked["model"], test.truth, classes),
        confused=find_confused_pairs(ranked["model"], test.truth, classes),
        suspects=suspects[:LISTED],
    )
    return evaluation, ranked, suspects


def rank_rows(scorer: Scorer, test: TestRows, n_classes: int) -> Ranked:
    """Return where the right class stands for each test row, and the first ten classes.

    Raises:
        ValueError: the scorer ranks another number of classes than `n_classes`.
    """
    ranks, top = [np.zeros(0, np.int64)], [np.zeros((0, min(TOP, n_classes)), np.int64)]
    for rows, scores in _score_blocks(lambda block: scorer.scores(test.queries[block]), len(test.queries), n_classes):
        ranks.append(rank_of_truth(scores, test.truth[rows]))
        top.append(ranking(scores, TOP))
    return Ranked(np.concatenate(ranks), np.concatenate(top))


def _rank_groups(ranked: Ranked, truth: Ids, classes: Classes) -> npt.NDArray[np.int64]:
    """Return (n,) where the first one that has the right answer stands; beyond the first ten, the right one itself."""
    groups = group_of(classes.groups, len(classes.texts))
    found = (groups[ranked.top] == groups[truth][:, None]) & (truth >= 0)[:, None]
    return np.where(found.any(axis=1), found.argmax(axis=1), ranked.ranks)


def find_worst_classes(ranked: Ranked, truth: Ids, classes: Classes) -> list[ClassResult]:
    """Return the standard questions with the most test rows that miss the first ten, then the first place.

    Rows are what customers feel, so a class of many rows and few misses may stand before a small one of misses
    only. Classes that miss nothing are left out.
    """
    first = ranked.ranks == 0
    among = (ranked.ranks >= 0) & (ranked.ranks < TOP)
    rows, at_1, at_10 = (np.bincount(truth[keep], minlength=len(classes.texts)) for keep in (truth >= 0, first, among))
    order = np.lexsort((at_1 - rows, at_10 - rows))[:LISTED]  # ties by class id
    return [
        ClassResult(
            standard_question=classes.texts[c],
            train_rows=int(classes.train_rows[c]),
            test_rows=int(rows[c]),
            recall_at_1=float(at_1[c] / rows[c]),
            recall_at_10=float(at_10[c] / rows[c]),
            confused_with=[classes.texts[other] for other in _most_frequent(ranked.top[(truth == c) & ~first, 0])[:3]],
        )
        for c in order
        if at_1[c] < rows[c]
    ]


def find_confused_pairs(ranked: Ranked, truth: Ids, classes: Classes) -> list[ConfusedPair]:
    """Return the pairs (right, ranked first instead) that share at least two test rows, most first."""
    wrong = ranked.ranks > 0
    pairs = Counter(zip(truth[wrong].tolist(), ranked.top[wrong, 0].tolist(), strict=True))
    repeated = [pair for pair, rows in pairs.items() if rows > 1]  # once is no pattern
    order = sorted(repeated, key=lambda pair: (-pairs[pair], pair))[:LISTED]
    return [
        ConfusedPair(
            standard_question=classes.texts[right],
            ranked_first=classes.texts[other],
            rows=pairs[right, other],
            near_duplicate=classes.are_near_duplicates(right, other),
        )
        for right, other in order
    ]


def find_suspects(model: Scorer, train: TrainRows, classes: Classes, most: int = LISTED) -> list[SuspectRow]:
    """Return the training rows most likely mislabelled: seen in training, and still put elsewhere, widest margin first.

    Left out are rows drawn to a near-duplicate of their standard question (there the list of questions is at
    fault, not the row) and repeats of a row already listed.
    """
    rows, suggested, margins = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    score = train.scores or (lambda block: model.scores(train.queries[block]))
    for block, scores in _score_blocks(score, len(train.queries), len(classes.texts)):
        own = scores[np.arange(len(scores)), train.class_ids[block]]
        best = scores.argmax(axis=1)  # the smallest id among equals, as in `ranking`
        margin = scores[np.arange(len(scores)), best].astype(np.float64) - own
        doubted = np.flatnonzero(margin > 0)
        rows.append(doubted + block.start)
        suggested.append(best[doubted])
        margins.append(margin[doubted])
    row, suggestion, margin = np.concatenate(rows), np.concatenate(suggested), np.concatenate(margins)

    suspects: dict[tuple[str, int], SuspectRow] = {}
    for i in np.lexsort((train.row_ids[row], -margin)):
        if len(suspects) == most:
            break
        query, label, other = train.queries[row[i]], int(train.class_ids[row[i]]), int(suggestion[i])
        if (query, label) in suspects or classes.are_near_duplicates(label, other):
            continue
        suspects[query, label] = SuspectRow(
            row_id=int(train.row_ids[row[i]]),
            query=query,
            standard_question=classes.texts[label],
            suggested=classes.texts[other],
            margin=float(margin[i]),
        )
    return list(suspects.values())


def expect_wrong(model: Scorer, test: TestRows, n_classes: int) -> float:
    """Return what share of labels is wrong at least, as the first held-out rows have it; 0 where that is not sure.

    The training rows cannot say: the model has learnt many wrong labels by heart, and what it misreads of the others is
    mostly unclear.
    """
    rows = np.flatnonzero((test.truth >= 0) & ~test.in_train)[:_JUDGED]
    queries, truth = [test.queries[row] for row in rows], test.truth[rows]
    own = [
        own_probabilities(scores, truth[block])
        for block, scores in _score_blocks(lambda block: model.scores(queries[block]), len(rows), n_classes)
    ]
    return estimate_share(np.concatenate(own), n_classes)[0] if own else 0.0


def block_rows(n_classes: int) -> int:
    """Return how many queries are scored at a time; the last bit of a score may depend on it."""
    return max(1, min(BLOCK_ROWS, BLOCK_CELLS // max(1, n_classes)))


def _score_blocks(
    score: Callable[[slice], npt.NDArray[np.floating]], n: int, n_classes: int
) -> Iterator[tuple[slice, npt.NDArray[np.floating]]]:
    block = block_rows(n_classes)
    for start in range(0, n, block):
        rows = slice(start, min(start + block, n))
        scores = score(rows)
        if scores.shape != (rows.stop - start, n_classes):
            raise ValueError(f"scores must be {(rows.stop - start, n_classes)} (queries, classes), got {scores.shape}")
        yield rows, scores


def _most_frequent(ids: Ids) -> list[int]:
    counts = Counter(ids.tolist())
    return sorted(counts, key=lambda one: (-counts[one], one))
