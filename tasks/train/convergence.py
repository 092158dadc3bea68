"""The verdict on a finished training: whether it worked and, if not, the one cause to begin with.

It says what to look at, and holds a candidate back where `publish.hold_causes` names the cause; no training depends on
it. Each cause has evidence of its own, so that one harm is not taken for another though all of them
keep the loss up: geometry (before training) for the target, the batches as they were fed for the order, the texts alone
for the labels, the fall of the loss from its own start for the steps, the class vectors for a collapse. They are asked
in this order: from proven to inferred. Beside the thresholds stand the figures they were set by: trainings on small
generated corpora, sound ones and ones with a planted cause, and the texts of seven real corpora with labels permuted.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from schemas.language import Message, read_words
from schemas.settings import TOWERS, CorpusSettings, Loss, Model, Training
from schemas.training import Cause, Convergence, Epoch, Reachability
from tasks.train.data import Prepared
from tasks.train.towers import find_tower
from tasks.train.verdict import WORKS, describe_convergence

_MOVED = 0.25  # of the way from its own start. Sound: 0.38 to 1; a 400th of the learning rate: up to 0.09
_SHORTEST = 0.02  # way of a loss, as a share of that from equal cosines
_VARIETY = 0.5  # of a batch. Shuffled: 0.97 to 1.10; ordered: 0.02 to 0.36; 0.5 to 0.7 where a batch holds most classes
# of the rows. Seven real corpora: 0.00 to 0.01; 40 % permuted: 0.19 to 0.48; right labels, but queries with a channel's
# greeting or codes for standard questions: 0.07 and 0.08
_MISLABELLED = 0.15
_STILL_FALLING = 0.65  # of an even fall. Run out: 0.04 to 0.53; a twentieth of the learning rate: 0.8 and more
_FLAT, _FLAT_OF = 0.15, 32  # effective rank over min(K, 32). Sound: 0.5 and more; vectors of 2 to 4 numbers: up to 0.12
_LARGE_RATE = 1  # Adagrad: a bag bears 100, hidden layers 1
_SMALL = 3  # a standard question with at most so many rows belongs to the tail
_CELLS = 1 << 21  # cosines compared at a time
_SAMPLE = 512  # rows whose texts are compared: some hundredths of a second

_Reason = tuple[Cause, Message]


def judge(
    epochs: list[Epoch],
    start: float,
    last: float,
    known: float,
    reach: Reachability,
    class_vectors: NDArray[np.float32],
    prepared: Prepared,
    settings: CorpusSettings,
) -> Convergence:
    """Say whether the training worked and, if not, why, and which setting to change.

    Args:
        epochs: of the refit.
        start: loss over the training rows before it, without dropout.
        last: the same after it.
        known: share of the training rows whose own standard question comes first.
        reach: floor of the loss, and its value at equal cosines.
        class_vectors: (S, K, o) of unit length per member.
        prepared: what was trained on.
        settings: it was trained by; of its loss, model and training.
    """
    class_rows = np.bincount(prepared.labels, minlength=len(prepared.classes))
    texts, labels = prepared.sample()
    reducible = (reach.first - last) / (reach.first - reach.floor) if reach.first > reach.floor else 0.0
    found = Convergence(
        converged=True,
        cause="none",
        sentence="",
        loss_fall=(reach.first - last) / reach.first if reach.first else 0.0,
        reducible_fall=min(1.0, reducible),  # what the floor does not know: see reachability
        own_fall=own_fall(start, last, reach),
        oscillation=epochs[-1].batch_loss_spread,
        effective_rank=float(np.mean([effective_rank(member) for member in class_vectors])),
        tail_cosine=mean_cosine(class_vectors[:, class_rows <= _SMALL]),
        batch_variety=1.0 if settings.split.shuffle else batch_variety(prepared.labels, settings.training.batch_size),
        mislabelled=share_mislabelled(texts.bags, prepared.classes.bags, labels),
        training_recall_at_1=known,
    )
    reasons = [
        *_reasons_of_data(found, reach, settings),
        *_reasons_of_training(found, [epoch.loss for epoch in epochs], len(class_rows), settings),
    ]
    if reasons:
        found = found.model_copy(update={"converged": False, "cause": reasons[0][0], "reasons": dict(reasons)})
    return found.model_copy(update={"sentence": describe_convergence(found, read_words())})


def _reasons_of_data(found: Convergence, reach: Reachability, settings: CorpusSettings) -> Iterator[_Reason]:
    """Give the causes that are seen without the model: they count however far the loss fell."""
    if reach.message:
        yield "unreachable target", reach.message
    if found.batch_variety < _VARIETY:
        batch = settings.training.batch_size
        facts = {"batch": batch, "variety": found.batch_variety, "oscillation": found.oscillation}
        yield "ordered data", Message(key="training.ordered", values=facts)
    if (found.mislabelled or 0) > _MISLABELLED:
        yield "noisy labels", Message(key="training.noisy", values={"share": found.mislabelled or 0})


def _reasons_of_training(
    found: Convergence, losses: list[float], classes: int, settings: CorpusSettings
) -> Iterator[_Reason]:
    """Give the cause that the loss and the vectors show, if the model needs one."""
    facts: dict[str, str | int | float | Message] = {"epochs": len(losses), "setting": _more_steps(settings)}
    if abs(found.own_fall) <= _MOVED:
        yield "too few steps", Message(key="training.hardly_began", values=facts | {"fall": max(0.0, found.own_fall)})
    elif found.reducible_fall >= WORKS:
        return
    elif found.effective_rank < _FLAT * min(classes, _FLAT_OF):
        facts = {"classes": classes, "rank": found.effective_rank, "setting": _remedy(settings, classes)}
        yield "collapse", Message(key="training.collapsed", values=facts)
    elif still_falling(losses):
        yield "too few steps", Message(key="training.too_few", values=facts)
    else:
        facts = {"known": found.training_recall_at_1, "setting": _remedy(settings, classes)}
        yield "unknown", Message(key="training.stands_still", values=facts)


def _more_steps(settings: CorpusSettings) -> str:
    training, usual = settings.training, Training()
    name = find_tower(settings.model).rate_setting
    rate: float = getattr(usual, name)
    if not rate / 4 <= getattr(training, name) <= rate * 4:
        return f"training.{name} = {rate:g}"
    return f"training.epochs = {max(usual.epochs, 4 * training.epochs)}"


def _remedy(settings: CorpusSettings, classes: int) -> str:
    """Return the first setting that lies far from where trainings work, with its usual value."""
    loss, model, training = settings.loss, settings.model, settings.training
    narrow, rate = min(classes, 16), find_tower(model).rate_setting
    wide = [max(64, size) for size in model.hidden_dims]
    smaller = min(getattr(training, rate) / 2, getattr(Training(), rate))
    far_off = [
        (model.output_dim is not None and model.output_dim < narrow, "model.output_dim = 64"),
        (any(size < narrow for size in model.hidden_dims), f"model.hidden_dims = {wide}"),
        (TOWERS[model.tower].has_encoder, f"training.{rate} = {smaller:g}"),  # no embedding_dim moves an encoder
        (model.embedding_dim < narrow, f"model.embedding_dim = {Model().embedding_dim}"),
        (training.learning_rate > _LARGE_RATE, f"training.learning_rate = {Training().learning_rate:g}"),
        (loss.gamma > 2 * Loss().gamma, f"loss.gamma = {Loss().gamma:g}"),
        (bool(model.hidden_dims), "model.hidden_dims = []"),
        (True, f"model.embedding_dim = {2 * model.embedding_dim}"),
    ]
    return next(cure for is_far, cure in far_off if is_far)


def own_fall(start: float, last: float, reach: Reachability) -> float:
    """Return how much of its way from where it started down to the floor a loss has gone, in -1..1.

    A model of random weights may rank texts well, since they share words. So its loss starts far below that of equal
    cosines, and only what it falls from there is the training's. Where it starts next to its floor, the way is taken
    for a fiftieth of the whole.
    """
    way = max(start - reach.floor, _SHORTEST * (reach.first - reach.floor))
    return float(np.clip((start - last) / way, -1, 1)) if way > 0 else 0.0


def effective_rank(vectors: NDArray[np.float32]) -> float:
    """Return exp of the entropy of the normalised singular values of (K, o): Roy and Vetterli 2007, section 2."""
    values = np.linalg.svd(vectors.astype(np.float64), compute_uv=False)
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def mean_cosine(class_vectors: NDArray[np.float32]) -> float | None:
    """Return the mean cosine between distinct classes of (S, K, o), over all members; None if fewer than two."""
    count = class_vectors.shape[1]
    if count < 2:
        return None
    sums = class_vectors.astype(np.float64).sum(axis=1)  # |sum|^2 = count + sum of the other pairs
    return float(((sums**2).sum(axis=1).mean() - count) / (count * (count - 1)))


def batch_variety(labels: NDArray[np.int64], size: int) -> float:
    """Return how many standard questions beyond the first a batch of rows, as they stand, holds over what is expected.

    A random batch of B rows holds class k with chance 1 - (1 - share of k)^B. Where one batch holds all, order is none.
    """
    batches = len(labels) // size
    shares = np.bincount(labels) / len(labels)
    expected = float((1 - (1 - shares) ** size).sum()) - 1
    if len(labels) <= size or not expected:
        return 1.0
    held = np.sort(labels[: batches * size].reshape(batches, size), axis=1)
    return float((np.diff(held, axis=1) > 0).sum(axis=1).mean() / expected)


def share_mislabelled(queries: sparse.csr_array, classes: sparse.csr_array, labels: NDArray[np.int64]) -> float | None:
    """Estimate the share of labels given at random, from the texts alone: a model may learn wrong labels by heart.

    The standard questions are ranked by the cosine of a row's text, as a bag, with all their other texts together.
    A label at random is in the lower half every other time, that of a hard row hardly ever: it comes second or tenth.
    The share of rows whose label is there, over that of all labels, is the share given at random. Two standard errors
    are taken off, so that few rows raise no alarm. A feature counts by how few standard questions hold it, so that what
    all queries begin or end with says nothing; one that no query holds, such as a code for a label, does not count.

    Args:
        queries: (rows, V).
        classes: (K, V) the standard questions' own texts.
        labels: (rows,).

    Returns:
        The share, 0 to 1; None where no standard question has two rows.
    """
    rows, count = np.bincount(labels, minlength=classes.shape[0]), len(labels)
    member = sparse.csr_array((np.ones(count, np.float32), (labels, np.arange(count))), (len(rows), count))
    rarity = _rarity(member @ queries)
    queries, classes = queries.multiply(rarity).tocsr(), classes.multiply(rarity)
    several = np.flatnonzero(rows[labels] > 1)
    if not len(several):
        return None
    sample = several[np.unique(np.linspace(0, len(several) - 1, _SAMPLE).astype(np.int64))]
    sums = (member @ queries + classes).T.tocsr()  # (V, K)
    squares = np.asarray(sums.power(2).sum(axis=0)).ravel()
    wrong = by_chance = 0.0
    for part in np.array_split(sample, -(-len(sample) * len(rows) // _CELLS)):
        x, own, n = queries[part], labels[part], np.arange(len(part))
        cosines = (x @ sums).toarray()  # (part, K), short of the length of x
        itself = np.asarray(x.multiply(x).sum(axis=1)).ravel()
        left_out = (cosines[n, own] - itself) / np.sqrt(np.maximum(squares[own] - 2 * cosines[n, own] + itself, 1e-9))
        cosines /= np.sqrt(np.maximum(squares, 1e-9))
        cosines[n, own] = left_out
        places = pd.DataFrame(-cosines).rank(axis=1).to_numpy() - 1  # (part, K), ties in their middle
        bad = places > (classes.shape[0] - 1) / 2
        wrong += float(bad[n, own].sum())
        by_chance += float((bad @ (rows / count)).sum())
    wrong, by_chance = wrong / len(sample), by_chance / len(sample)
    certain = wrong - 2 * np.sqrt(wrong * (1 - wrong) / len(sample))
    return min(1.0, max(0.0, certain / by_chance)) if by_chance else 0.0  # more than by chance: labels are shuffled


def _rarity(sums: sparse.csr_array) -> NDArray[np.float32]:
    """Return (1, V) the logarithm of all standard questions over those that hold each feature; 0: none does."""
    holders = np.bincount(sums.indices, minlength=sums.shape[1])
    return np.where(holders, np.log((1 + sums.shape[0]) / (1 + holders)), 0).astype(np.float32)[None, :]


def still_falling(losses: list[float]) -> bool:
    """Say whether the loss went on falling as before when the epochs were over.

    The learning rate decays linearly: from the mean of epoch i to that of the next, n - i of n parts of it are left. A
    loss that falls by as much per part from the first epoch to the last has not run out. One that has falls hardly
    any more after the first 1 - 1/sqrt(2) of the epochs, in which half of all is moved.
    """
    if len(losses) == 1:
        return True  # one pass: nothing is known of a second
    fall = losses[0] - losses[-1]
    start = int(np.ceil((1 - np.sqrt(0.5)) * len(losses))) - 1
    parts = np.arange(len(losses) - 1, 0, -1)
    even = fall * parts[start:].sum() / parts.sum()
    return fall > 0 and bool(losses[start] - losses[-1] > _STILL_FALLING * even)
