"""Choose on validation cuts: when to stop, how much the encoder and the kept queries count.

One cut of the training rows, made by prepare, does where it holds enough of them. Of few rows further cuts are tried
and all are judged together (repeated random sub-sampling), or the choice would be a toss.
"""

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas.manifest import hash_file
from schemas.outputs import PrepareOutput
from schemas.settings import TOWERS, CorpusSettings
from schemas.training import Epoch, OnEpoch, ShareScore
from tasks.prepare.split import hold_out, spread
from tasks.retrieval.exemplars import Exemplars
from tasks.retrieval.hashing import text_keys
from tasks.retrieval.ranking import rank_of_truth
from tasks.train.checkpoints import load_record, save_record
from tasks.train.data import Prepared
from tasks.train.ensemble import Ensemble, identify_training, rows_of, with_members
from tasks.train.exemplars import DEFAULT_WEIGHT, WEIGHTS, Source, keep_exemplars
from tasks.train.held_out import HELD_OUT, write_held_out
from tasks.train.joined import DEFAULT_SHARE, SHARES, Encoded, Joined, Learner, Remembered
from tasks.train.projection import Projection

_CHOOSING_MEMBERS = 2  # enough to see when to stop
_BLOCK = 2048  # queries ranked at once
_ENOUGH = 200  # validation rows; of fewer, further cuts are tried
_MOST_CUTS, _MOST_TUNED_CUTS = 5, 3  # the latter where each takes the time of fine-tuning an encoder
_TO_CALIBRATE = 1000  # rows, where there are several cuts
_NEAR_COPY = 0.8  # cosine of tf-idf rows
_SHARE_ROWS = 5000  # validation rows that all divisions of a score are tried on

T = TypeVar("T")


class Shares(NamedTuple):
    """What makes a score: the encoder's share in a cosine, that of the kept queries, and which encoder it is."""

    encoder: float
    queries: float
    fine_tuned: bool = False


@dataclass(frozen=True)
class Choice:
    """What the validation cuts decided, the epochs that led there, and what each share was worth."""

    chosen: dict[str, float | int | str]
    epochs: list[Epoch]
    shares: list[ShareScore]


@dataclass(frozen=True)
class _Tried:
    """A few members trained outside the validation rows of one cut, and what was seen on these."""

    cut: Prepared
    ensemble: Ensemble
    beside: dict[bool, tuple[Encoded, Projection]]  # learned on the same rows, by whether the encoder is fine-tuned
    scores: NDArray[np.float64]  # (epochs, rows)
    ranks: dict[Shares, NDArray[np.int64]]  # (rows,) by the shares


@dataclass(frozen=True)
class _Beside:
    """The encoder beside the towers: a frozen one, or what learns from it."""

    encoded: Encoded
    learner: Learner | None

    def on(self, cut: Prepared) -> list[Encoded]:
        """Return the corpus by each encoder that may answer; what learns has learned from the rows outside one cut."""
        if not self.learner:
            return [self.encoded]
        learned = self.learner.learn(cut, rows_of(cut, "choose"))
        return [learned, self.encoded] if self.learner.optional else [learned]


def choose(
    prepared: Prepared,
    settings: CorpusSettings,
    partial: Path,
    on_epoch: OnEpoch,
    encoded: Encoded | None,
    learner: Learner | None = None,
) -> Choice:
    """Train a few members without the validation rows; return when they say to stop, and their epochs.

    To stop early pays only where it clearly does: the last epoch, where the learning rate has come to
    rest, stands unless an earlier one was better by more than the standard error of the difference.

    Args:
        prepared: the data.
        settings: of the corpus.
        partial: folder for checkpoints.
        on_epoch: called after every epoch on the first cut.
        encoded: the corpus by a frozen encoder; None: there is none.
        learner: makes another encoder of it, which may answer instead; None: there is none.
    """
    cuts = cuts_of(prepared, settings)
    if not cuts:
        return _without_choice(settings, encoded)
    few = with_members(settings, min(_CHOOSING_MEMBERS, settings.model.ensemble))
    finished = partial / "chosen.json"
    identity = identify_training(prepared, rows_of(prepared, "choose"), few, "choose", settings.training.epochs)
    held_out = partial / HELD_OUT
    if stored := load_record(finished, identity, lambda record: (_read_choice(record), record["held_out"])):
        choice, hashes = stored
        if hashes == _hash_files(held_out):  # a machine that went down leaves files half written
            return choice
    beside = _Beside(encoded, learner) if encoded else None
    with ExitStack() as open_ensembles:
        tried = _try_cut(prepared, few, beside, partial / "choose.safetensors", on_epoch, open_ensembles)
        all_tried = [tried, *_try_further(cuts[1:], few, beside, open_ensembles)]
        stop = best_stop(np.concatenate([one.scores for one in all_tried], axis=1))
        ranks = {shares: np.concatenate([one.ranks[shares] for one in all_tried]) for shares in tried.ranks}
        shares = _best_shares(ranks)
        _keep_held_out(all_tried, shares, few, partial)
    done = [epoch.model_copy(update={"validation_scores": None}) for epoch in tried.ensemble.done]
    chosen: dict[str, float | int | str] = {"epochs": stop, "exemplar_weight": shares.queries}
    scores = list[ShareScore]()
    if encoded:
        chosen["encoder_share"] = shares.encoder
        if settings.model.fine_tune:
            chosen["fine_tuned"] = int(shares.fine_tuned)
        scores = [_of_shares(shares, found) for shares, found in ranks.items()]
    choice = Choice(chosen, done, scores)
    lists = {"epochs": [one.model_dump() for one in done], "shares": [one.model_dump() for one in scores]}
    save_record(finished, {"chosen": chosen, **lists, "held_out": _hash_files(held_out)}, identity)
    return choice


def _without_choice(settings: CorpusSettings, encoded: Encoded | None) -> Choice:
    """Return what stands where there is nothing to choose on."""
    chosen: dict[str, float | int | str] = {
        "epochs": settings.training.epochs,
        "exemplar_weight": _weight_or(settings, DEFAULT_WEIGHT),
    }
    if encoded:
        share = settings.model.encoder_share
        chosen["encoder_share"] = DEFAULT_SHARE if share is None else share
        if settings.model.fine_tune:
            chosen["fine_tuned"] = 1
    return Choice(chosen, [], [])


def cuts_of(prepared: Prepared, settings: CorpusSettings) -> list[Prepared]:
    """Return the data with each cut that choices are made on; none where there is nothing to choose on."""
    if not settings.training.choose or int(prepared.validation.sum()) in (0, len(prepared.labels)):
        return []
    return [prepared, *further_cuts(prepared, settings)]


def further_cuts(prepared: Prepared, settings: CorpusSettings) -> list[Prepared]:
    """Return the data with other validation rows, drawn as prepare draws its own, until there are enough of them."""
    held, cuts = int(prepared.validation.sum()), list[Prepared]()
    if held >= _ENOUGH or TOWERS[settings.model.tower].has_encoder:  # an encoder is fine-tuned for minutes each time
        return cuts
    keys, most = _query_keys(prepared), _MOST_TUNED_CUTS if settings.model.fine_tune else _MOST_CUTS
    while held < _ENOUGH and len(cuts) < most - 1:
        share, purpose = settings.split.validation_share, f"validation/{len(cuts) + 1}"
        mask = hold_out(keys, prepared.labels, share, settings.seed, purpose, lend_single_rows=True)
        if not 0 < mask.sum() < len(mask):
            break
        cuts.append(replace(prepared, validation=mask))
        held += int(mask.sum())
    return cuts


def remaining_cuts(prepared: Prepared, held: NDArray[np.bool_], settings: CorpusSettings) -> list[Prepared]:
    """Return the data with the rows that no cut has held out as validation rows, spread over cuts of the usual size.

    Args:
        prepared: the data, of few rows.
        held: (rows,) mask of those that were held out.
        settings: of the corpus.
    """
    left = np.flatnonzero(~held)
    usual = max(1, int(prepared.validation.sum()))
    count = -(-len(left) // usual)
    fold = spread(_query_keys(prepared)[left], prepared.labels[left], max(1, count), settings.seed, "validation/rest")
    cuts = list[Prepared]()
    for number in range(min(count, -(-(_TO_CALIBRATE - int(held.sum())) // usual))):
        mask = np.zeros(len(held), bool)
        mask[left[fold == number]] = True
        cuts.append(replace(prepared, validation=mask))
    return cuts


def _query_keys(prepared: Prepared) -> NDArray[np.uint64]:
    texts: list[str] = pq.read_table(PrepareOutput(prepared.folder).train, columns=["query"])["query"].to_pylist()
    return text_keys(texts)


def _try_further(
    cuts: list[Prepared], few: CorpusSettings, beside: _Beside | None, open_ensembles: ExitStack
) -> list[_Tried]:
    """Return what is found on further cuts: of few rows, hence in no time, and on this machine."""
    return [_try_cut(cut, _here(few), beside, None, lambda epoch, most: None, open_ensembles) for cut in cuts]


def _here(settings: CorpusSettings) -> CorpusSettings:
    """Return the settings for a training on this machine, which may lack the device of a cluster's workers."""
    if settings.engine == "local":
        return settings
    device = "auto" if settings.training.device == "cuda" else settings.training.device
    training = settings.training.model_copy(update={"device": device})
    return settings.model_copy(update={"engine": "local", "training": training})


def _try_cut(
    cut: Prepared,
    few: CorpusSettings,
    beside: _Beside | None,
    checkpoint: Path | None,
    on_epoch: OnEpoch,
    open_ensembles: ExitStack,
) -> _Tried:
    """Train outside the validation rows of one cut; return what is found on them, with the members, which stay open."""
    rows, held = rows_of(cut, "choose"), np.flatnonzero(cut.validation)
    ensemble = open_ensembles.enter_context(Ensemble(cut, rows, few, "choose", few.training.epochs))

    def measure(epoch: Epoch, most: int) -> None:
        ranks = find_ranks(ensemble, cut, held)
        ensemble.done[-1] = epoch.model_copy(
            update={"recall_at_10": float((ranks < 10).mean()), "validation_scores": _score(ranks).tolist()}
        )
        on_epoch(ensemble.done[-1], most)

    run(ensemble, few.training.epochs, checkpoint, few, measure)
    scores = np.array([epoch.validation_scores for epoch in ensemble.done])
    if beside is None:
        by_weight = _ranks_by_weight(ensemble, cut, few)
        return _Tried(cut, ensemble, {}, scores, {Shares(0.0, weight): ranks for weight, ranks in by_weight.items()})
    learned = {one.fine_tuned: (one, one.learn(cut, rows, few, "choose")) for one in beside.on(cut)}
    return _Tried(cut, ensemble, learned, scores, _ranks_by_shares(ensemble, cut, few, learned))


def _keep_held_out(all_tried: list[_Tried], shares: Shares, few: CorpusSettings, partial: Path) -> None:
    """Write the model of each cut, with the shares that were chosen, and the rows that it is to be asked.

    Where rows are so few that there are several cuts, further ones hold out the rest: towers alone cost no time. A row
    that several hold out is asked of the first of them: each counts once. Few rows are often variants that one person
    wrote of each other, which customers don't ask: there, near copies count nowhere.
    """
    to = partial / HELD_OUT
    shutil.rmtree(to, ignore_errors=True)
    held, few_rows = np.zeros(len(all_tried[0].cut.labels), bool), len(all_tried) > 1

    def keep(number: int, cut: Prepared, ensemble: Ensemble, joined: Joined | None) -> None:
        asked = cut.validation & ~held & ~_near_copies(cut) if few_rows else cut.validation
        write_held_out(ensemble, joined, cut, asked, shares.queries, few, to / f"{number:02}")
        held[cut.validation] = True

    for number, one in enumerate(all_tried):
        joined = Joined(one.ensemble, *one.beside[shares.fine_tuned], shares.encoder) if shares.encoder else None
        keep(number, one.cut, one.ensemble, joined)
    if few_rows and not shares.encoder:
        here = _here(few)
        for number, cut in enumerate(remaining_cuts(all_tried[0].cut, held, few), len(all_tried)):
            with Ensemble(cut, rows_of(cut, "choose"), here, "choose", few.training.epochs) as ensemble:
                run(ensemble, few.training.epochs, None, here, lambda epoch, most: None)
                keep(number, cut, ensemble, None)


def _near_copies(cut: Prepared) -> NDArray[np.bool_]:
    """Return (rows,) which held-out rows are nearly in the words of one that is trained on."""
    held, trained = np.flatnonzero(cut.validation), rows_of(cut, "choose")
    rows, others = cut.queries.take(held).bags, cut.queries.take(trained).bags
    near = np.zeros(len(cut.labels), bool)
    near[held] = (rows @ others.T).max(axis=1).toarray().ravel() >= _NEAR_COPY
    return near


def _hash_files(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file below a folder; none where it is not there."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): hash_file(file) for file in files}


def _read_choice(record: dict[str, Any]) -> Choice:
    epochs = [Epoch.model_validate(epoch) for epoch in record["epochs"]]
    return Choice(record["chosen"], epochs, [ShareScore.model_validate(one) for one in record["shares"]])


def _of_shares(shares: Shares, ranks: NDArray[np.int64]) -> ShareScore:
    at_1, at_10 = float((ranks == 0).mean()), float((ranks < 10).mean())
    return ShareScore(**shares._asdict(), recall_at_1=at_1, recall_at_10=at_10)


def _score(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what a choice goes by, for each row: the first place and the first ten."""
    return (1 / (ranks + 1) + (ranks < 10)) / 2


def _weight_or(settings: CorpusSettings, otherwise: T) -> float | T:
    """Return the weight of the exemplars as the settings have it; `otherwise` where they leave it open."""
    if not settings.model.exemplars:
        return 0.0
    return otherwise if settings.model.exemplar_weight is None else settings.model.exemplar_weight


def _ranks_by_shares(
    ensemble: Ensemble,
    prepared: Prepared,
    settings: CorpusSettings,
    learned: dict[bool, tuple[Encoded, Projection]],
) -> dict[Shares, NDArray[np.int64]]:
    """Return the ranks of the validation rows by all shares that are open, of each encoder."""
    fixed, found = settings.model.encoder_share, dict[Shares, NDArray[np.int64]]()
    towers = Remembered(ensemble)
    for fine_tuned, (encoded, projection) in learned.items():
        for share in SHARES if fixed is None else (fixed,):
            if share or fine_tuned == min(learned):  # without an encoder it does not matter which
                ranks = _ranks_by_weight(Joined(towers, encoded, projection, share), prepared, settings)
                found |= {Shares(share, weight, fine_tuned and share > 0): of for weight, of in ranks.items()}
    return found


def _ranks_by_weight(source: Source, prepared: Prepared, settings: CorpusSettings) -> dict[float, NDArray[np.int64]]:
    """Return the ranks of the validation rows by the weight of the exemplars: of all, or of that of the settings."""
    rows, held, weight = rows_of(prepared, "choose"), np.flatnonzero(prepared.validation), _weight_or(settings, None)
    if settings.model.encoder_beside:
        held = held[:_SHARE_ROWS]
    weights = WEIGHTS if weight is None else (weight,)
    kept = keep_exemplars(source, prepared, rows, settings.model.exemplars if any(weights) else 0)
    exemplars, classes = Exemplars.of(kept.vectors, kept.starts) if kept else None, _flat(source.class_vectors())
    ranks: dict[float, list[NDArray[np.int64]]] = {weight: [] for weight in (weights if kept else (0.0,))}
    for start in range(0, len(held), _BLOCK):
        block = held[start : start + _BLOCK]
        queries = _flat(source.encode_rows(prepared, block))
        cosines = queries @ classes.T / np.float32(source.members)
        for weight, found in ranks.items():
            mixed = exemplars.mix(cosines, queries, weight) if exemplars else cosines
            found.append(rank_of_truth(mixed, prepared.labels[block]))
    return {weight: np.concatenate(found) for weight, found in ranks.items()}


def _best_shares(ranks: dict[Shares, NDArray[np.int64]]) -> Shares:
    """Return the shares that do best, of the ranks that each gives.

    For each share of the encoder the usual share of the queries, unless another is clearly better; of the frozen
    encoder the best, where it is clearly better than the fine-tuned one; then no encoder, unless one is clearly better.
    """

    def best(some: list[Shares], usual: Callable[[Shares], bool]) -> Shares:
        place = next((place for place, shares in enumerate(some) if usual(shares)), 0)
        return some[clearly_best(np.array([_score(ranks[shares]) for shares in some]), place)]

    of_each = [
        best([one for one in ranks if one[::2] == kind], lambda one: one.queries == DEFAULT_WEIGHT)
        for kind in dict.fromkeys(shares[::2] for shares in ranks)
    ]
    without = [shares for shares in of_each if not shares.encoder]
    of_encoders = [
        max(some, key=lambda shares: _score(ranks[shares]).mean())
        for tuned in (True, False)
        if (some := [shares for shares in of_each if shares.encoder and shares.fine_tuned == tuned])
    ]
    encoder = [best(of_encoders, lambda shares: shares.fine_tuned)] if of_encoders else []
    return best([*without, *encoder], lambda shares: not shares.encoder)


def _flat(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n, S * o) of (S, n, o)."""
    return vectors.transpose(1, 0, 2).reshape(vectors.shape[1], -1)


def clearly_best(scores: NDArray[np.float64], usual: int) -> int:
    """Return which of (choices, rows) scores to take: the usual one, unless the best clearly beats it.

    Clearly: by more than the standard error of their paired difference.
    """
    best = int(scores.mean(axis=1).argmax())
    difference = scores[best] - scores[usual]
    error = difference.std() / np.sqrt(difference.size)
    return best if difference.mean() > error else usual


def best_stop(scores: NDArray[np.float64]) -> int:
    """Return after how many epochs to stop, from the (epochs, rows) scores of the validation rows.

    The last one, unless another is clearly better.
    """
    return clearly_best(scores, len(scores) - 1) + 1


def run(ensemble: Ensemble, epochs: int, checkpoint: Path | None, settings: CorpusSettings, on_epoch: OnEpoch) -> str:
    """Train up to `epochs`, from the checkpoint if there is one, leaving checkpoints; return the device.

    Without a place for checkpoints there are none.
    """
    if checkpoint and settings.engine == "ray":
        from tasks.train.cluster import train_on_ray

        folder = checkpoint.with_suffix("")
        return train_on_ray(ensemble, epochs, folder, settings, lambda: on_epoch(ensemble.done[-1], epochs))
    if checkpoint:
        ensemble.load(checkpoint)
    saved = time.monotonic()
    while len(ensemble.done) < epochs:
        on_epoch(ensemble.run_epoch(), epochs)
        if checkpoint and time.monotonic() - saved >= settings.training.checkpoint_seconds:
            ensemble.save(checkpoint)
            saved = time.monotonic()
    return str(ensemble.groups[0].device)


def find_ranks(ensemble: Ensemble, prepared: Prepared, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rank of the right standard question of some rows, from 0."""
    classes = ensemble.class_vectors()
    ranks = [np.zeros(0, dtype=np.int64)]
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        queries = ensemble.encode(prepared.queries.take(block))
        scores = np.einsum("sno,sko->nk", queries, classes, optimize=True)
        ranks.append(rank_of_truth(scores, prepared.labels[block]))
    return np.concatenate(ranks)
