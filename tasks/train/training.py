"""Choose on the validation cut, refit on every training row, leave a complete candidate."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from schemas.errors import CorpusRejected, SettingsError
from schemas.manifest import write_atomically
from schemas.outputs import TrainOutput
from schemas.settings import CorpusSettings
from schemas.training import Epoch, OnEpoch, Reachability, ShareScore, TrainingReport
from tasks.retrieval.device import give_back_memory
from tasks.retrieval.exemplars import Exemplars
from tasks.retrieval.model_files import ENCODER, ModelCard, write_candidate
from tasks.retrieval.ranking import rank_of_truth
from tasks.retrieval.text_encoder import OnEncoded
from tasks.train.checkpoints import load_record, save_record
from tasks.train.convergence import judge
from tasks.train.data import Prepared, read_prepared
from tasks.train.encoder_files import copy_encoder, settle_encoder
from tasks.train.ensemble import Ensemble, identify_training, rows_of, with_members
from tasks.train.exemplars import DEFAULT_WEIGHT, WEIGHTS, Source, keep_exemplars
from tasks.train.joined import DEFAULT_SHARE, SHARES, Encoded, Joined, encode_corpus
from tasks.train.objectives import Objective, make_objective
from tasks.train.reachability import assess
from tasks.train.towers import find_tower

_CHOOSING_MEMBERS = 2  # enough to see when to stop
_BLOCK = 2048  # queries ranked at once
_SAMPLE = 512  # training rows ranked for the verdict
_START_ROWS = 8192  # training rows whose loss is measured before the first step

T = TypeVar("T")


def train_candidate(
    prepared_folder: Path,
    folder: Path,
    partial: Path,
    settings: CorpusSettings,
    on_epoch: OnEpoch,
    cache: Path | None = None,
    on_encoded: OnEncoded = lambda done, most: None,
) -> TrainingReport:
    """Train as the settings say and write candidate/ and training.json into `folder`.

    Args:
        prepared_folder: folder of prepare.
        folder: where to, existing.
        partial: folder for checkpoints. What an interrupted training with the same inputs left there is taken up.
        settings: of the corpus.
        on_epoch: called after every epoch.
        cache: folder that keeps what encoders make of texts, from night to night; None: a folder in `partial`.
        on_encoded: called after some texts passed through a frozen encoder, with how many of how many.

    Raises:
        SettingsError: the target of the loss cannot be reached, and `loss.unreachable` is "refuse"; or the pretrained
            encoder cannot be used.
        CorpusRejected: the texts hold nothing that the towers read.
    """
    prepared = read_prepared(prepared_folder, settings.model)
    if not find_tower(settings.model).features(prepared.sizes):
        raise CorpusRejected(
            f"corpus {settings.name!r}: no text holds a letter, a digit or a Chinese character that stands in "
            f"text.min_texts = {settings.text.min_texts} texts, so that nothing can be learnt; look at the column of "
            "the queries: emoji and punctuation alone are no words"
        )
    settings, settled, objective, reach = _settle_loss(prepared, settings)
    encoded: Encoded | None = None
    if settings.model.frozen_encoder:
        settings = settings.model_copy(update={"model": settle_encoder(settings.model)})
        encoded = encode_corpus(prepared_folder, settings, cache or partial / "cache", on_encoded)
    choice = _choose(prepared, settings, partial, on_epoch, encoded)
    chosen, chosen_epochs = choice.chosen | settled, choice.epochs
    rows = rows_of(prepared, "refit")
    with Ensemble(prepared, rows, settings, "refit", settings.training.epochs) as ensemble:
        start = ensemble.loss_without_dropout(_START_ROWS)
        device = _run(ensemble, int(chosen["epochs"]), partial / "refit.safetensors", settings, on_epoch)
        if device != "cpu":
            chosen["device"] = device
        give_back_memory()
        sample = np.unique(np.linspace(0, len(rows) - 1, _SAMPLE).astype(np.int64))
        verdict = judge(
            ensemble.done,
            start,
            ensemble.loss_without_dropout(),
            float((_ranks(ensemble, prepared, sample) == 0).mean()),
            reach,
            ensemble.class_vectors(),
            prepared,
            settings,
        )
        arrays = ensemble.arrays()
        source: Source = ensemble
        if encoded and (share := float(chosen["encoder_share"])):
            source = joined = Joined(ensemble, encoded, encoded.learn(prepared, rows, settings, "refit"), share)
            arrays |= joined.arrays()
        per_class = settings.model.exemplars if chosen["exemplar_weight"] else 0
        kept = keep_exemplars(source, prepared, rows, per_class)
        if kept is None:
            chosen["exemplar_weight"] = 0.0
        else:
            arrays |= {"exemplars": kept[0], "exemplar_starts": kept[1]}
        report = TrainingReport(
            rows=len(rows),
            classes=len(prepared.classes),
            parameters=ensemble.parameters(),
            epochs=chosen_epochs + ensemble.done,
            chosen=chosen,
            validation_recall_at_10=max((e.recall_at_10 or 0 for e in chosen_epochs), default=None),
            negatives_used=objective.drawn,
            reachability=reach,
            convergence=verdict,
            shares=choice.shares,
        )
    out = TrainOutput(folder)
    out.candidate.mkdir()
    ensemble.write(out.candidate / ENCODER)
    model, share = settings.model, float(chosen.get("encoder_share", 0.0))
    if encoded and share:
        copy_encoder(encoded.folder, out.candidate / ENCODER)
    elif encoded:  # the towers alone do better: nothing of it is needed to answer
        model = model.model_copy(update={"encoder": None})
    card = ModelCard(
        corpus=settings.name,
        text=settings.text,
        model=model,
        classes=report.classes,
        features=find_tower(settings.model).features(prepared.sizes),
        exemplar_weight=float(chosen["exemplar_weight"]),
        encoder_share=share,
    )
    write_candidate(out.candidate, card, prepared_folder, arrays)
    write_atomically(out.report, report.model_dump_json(indent=1).encode())
    return report


def _settle_loss(
    prepared: Prepared, settings: CorpusSettings
) -> tuple[CorpusSettings, dict[str, float | int | str], Objective, Reachability]:
    """Return the settings with a target that can be reached, what was settled, the objective, and what it can reach.

    Raises:
        SettingsError: the target cannot be reached, and `loss.unreachable` is "refuse".
    """
    classes = len(prepared.classes)
    loss, per_row = settings.loss_for(classes), settings.negatives.per_row
    settled: dict[str, float | int | str] = {"loss": loss.kind} if settings.loss.kind == "auto" else {}
    class_rows = np.bincount(prepared.labels, minlength=classes) + settings.training.own_texts
    first_n = settings.negatives.sampler == "first_n"
    objective = make_objective(loss, per_row, class_rows)
    reach = assess(objective, first_n)
    if reach.advice and loss.unreachable == "refuse":
        raise SettingsError(
            f"{reach.advice}; or set loss.unreachable = 'auto' to have it corrected, 'warn' to train all the same"
        )
    if reach.advice and loss.unreachable == "auto":
        changes = objective.correction()
        settled |= {f"loss.{name}": value for name, value in changes.items()}
        values = " and ".join(f"loss.{name} = {value:g}" for name, value in changes.items())
        corrected = f"{reach.advice}. By loss.unreachable = 'auto' it was trained with {values}"
        loss = loss.model_copy(update=changes)
        settings = settings.model_copy(update={"loss": loss})
        objective = make_objective(loss, per_row, class_rows)
        reach = assess(objective, first_n).model_copy(update={"corrected": corrected})
    return settings, settled, objective, reach


@dataclass(frozen=True)
class _Choice:
    """What the validation cut decided, the epochs that led there, and what each share was worth."""

    chosen: dict[str, float | int | str]
    epochs: list[Epoch]
    shares: list[ShareScore]


def _choose(
    prepared: Prepared, settings: CorpusSettings, partial: Path, on_epoch: OnEpoch, encoded: Encoded | None
) -> _Choice:
    """Train a few members without the validation rows; return when they say to stop, and their epochs.

    To stop early pays only where it clearly does: the last epoch, where the learning rate has come to
    rest, stands unless an earlier one was better by more than the standard error of the difference.
    """
    held = np.flatnonzero(prepared.validation)
    if not settings.training.choose or len(held) in (0, len(prepared.labels)):
        open_: dict[str, float | int | str] = {
            "epochs": settings.training.epochs,
            "exemplar_weight": _weight_or(settings, DEFAULT_WEIGHT),
        }
        if encoded:
            share = settings.model.encoder_share
            open_["encoder_share"] = DEFAULT_SHARE if share is None else share
        return _Choice(open_, [], [])
    few = with_members(settings, min(_CHOOSING_MEMBERS, settings.model.ensemble))
    rows, finished = rows_of(prepared, "choose"), partial / "chosen.json"
    identity = identify_training(prepared, rows, few, "choose", settings.training.epochs)
    if stored := load_record(finished, identity, _read_choice):
        return stored
    with Ensemble(prepared, rows, few, "choose", settings.training.epochs) as ensemble:

        def measure(epoch: Epoch, most: int) -> None:
            ranks = _ranks(ensemble, prepared, held)
            ensemble.done[-1] = epoch.model_copy(
                update={"recall_at_10": float((ranks < 10).mean()), "validation_scores": _score(ranks).tolist()}
            )
            on_epoch(ensemble.done[-1], most)

        _run(ensemble, settings.training.epochs, partial / "choose.safetensors", few, measure)
        stop = best_stop(np.array([epoch.validation_scores for epoch in ensemble.done]))
        chosen: dict[str, float | int | str] = {"epochs": stop}
        shares: list[ShareScore] = []
        if encoded:
            found, shares = _choose_shares(ensemble, encoded, prepared, rows, held, settings)
            chosen |= found
        else:
            chosen["exemplar_weight"] = _best_weight(
                _ranks_by_weight(ensemble, prepared, rows, held, settings), settings
            )
        done = [epoch.model_copy(update={"validation_scores": None}) for epoch in ensemble.done]
        choice = _Choice(chosen, done, shares)
        lists = {"epochs": [one.model_dump() for one in done], "shares": [one.model_dump() for one in shares]}
        save_record(finished, {"chosen": chosen, **lists}, identity)
        return choice


def _read_choice(record: dict[str, Any]) -> _Choice:
    epochs = [Epoch.model_validate(epoch) for epoch in record["epochs"]]
    return _Choice(record["chosen"], epochs, [ShareScore.model_validate(one) for one in record["shares"]])


def _score(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what a choice goes by, for each row: the first place and the first ten."""
    return (1 / (ranks + 1) + (ranks < 10)) / 2


def _weight_or(settings: CorpusSettings, otherwise: T) -> float | T:
    """Return the weight of the exemplars as the settings have it; `otherwise` where they leave it open."""
    if not settings.model.exemplars:
        return 0.0
    return otherwise if settings.model.exemplar_weight is None else settings.model.exemplar_weight


def _choose_shares(
    ensemble: Ensemble,
    encoded: Encoded,
    prepared: Prepared,
    rows: NDArray[np.int64],
    held: NDArray[np.int64],
    settings: CorpusSettings,
) -> tuple[dict[str, float], list[ShareScore]]:
    """Return the shares of the encoder and of the kept queries that do best on the validation rows, and all scores.

    For each share of the encoder that of the queries is chosen as without one; then no encoder, unless another share
    is better by more than the standard error of the paired difference.
    """
    projection, fixed = encoded.learn(prepared, rows, settings, "choose"), settings.model.encoder_share
    told, weights, scores = list[ShareScore](), list[float](), list[NDArray[np.float64]]()
    shares = SHARES if fixed is None else (fixed,)
    for share in shares:
        source = Joined(ensemble, encoded, projection, share)
        ranks = _ranks_by_weight(source, prepared, rows, held, settings)
        weights.append(_best_weight(ranks, settings))
        scores.append(_score(ranks[weights[-1]]))
        for weight, found in ranks.items():
            at_1, at_10 = float((found == 0).mean()), float((found < 10).mean())
            told.append(ShareScore(encoder=share, queries=weight, recall_at_1=at_1, recall_at_10=at_10))
    best = clearly_best(np.array(scores), 0)
    return {"encoder_share": shares[best], "exemplar_weight": weights[best]}, told


def _best_weight(ranks: dict[float, NDArray[np.int64]], settings: CorpusSettings) -> float:
    """Return the weight of the exemplars that does best, of the ranks that each gives.

    The usual one, unless another beats it by more than the standard error of their paired difference.
    """
    if len(ranks) == 1:  # none can be kept, or the settings name one
        return next(iter(ranks))
    weights = list(ranks)
    return weights[clearly_best(np.array([_score(found) for found in ranks.values()]), weights.index(DEFAULT_WEIGHT))]


def _ranks_by_weight(
    source: Source, prepared: Prepared, rows: NDArray[np.int64], held: NDArray[np.int64], settings: CorpusSettings
) -> dict[float, NDArray[np.int64]]:
    """Return the ranks of the validation rows by the weight of the exemplars: of all, or of that of the settings."""
    weight = _weight_or(settings, None)
    weights = WEIGHTS if weight is None else (weight,)
    kept = keep_exemplars(source, prepared, rows, settings.model.exemplars if any(weights) else 0)
    exemplars, classes = Exemplars.of(*kept) if kept else None, _flat(source.class_vectors())
    ranks: dict[float, list[NDArray[np.int64]]] = {weight: [] for weight in (weights if kept else (0.0,))}
    for start in range(0, len(held), _BLOCK):
        block = held[start : start + _BLOCK]
        queries = _flat(source.encode_rows(prepared, block))
        cosines = queries @ classes.T / np.float32(source.members)
        for weight, found in ranks.items():
            mixed = exemplars.mix(cosines, queries, weight) if exemplars else cosines
            found.append(rank_of_truth(mixed, prepared.labels[block]))
    return {weight: np.concatenate(found) for weight, found in ranks.items()}


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


def _run(ensemble: Ensemble, epochs: int, checkpoint: Path, settings: CorpusSettings, on_epoch: OnEpoch) -> str:
    """Train up to `epochs`, from the checkpoint if there is one, leaving checkpoints; return the device."""
    if settings.engine == "ray":
        from tasks.train.cluster import train_on_ray

        folder = checkpoint.with_suffix("")
        return train_on_ray(ensemble, epochs, folder, settings, lambda: on_epoch(ensemble.done[-1], epochs))
    ensemble.load(checkpoint)
    saved = time.monotonic()
    while len(ensemble.done) < epochs:
        on_epoch(ensemble.run_epoch(), epochs)
        if time.monotonic() - saved >= settings.training.checkpoint_seconds:
            ensemble.save(checkpoint)
            saved = time.monotonic()
    return str(ensemble.groups[0].device)


def _ranks(ensemble: Ensemble, prepared: Prepared, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rank of the right standard question of some rows, from 0."""
    classes = ensemble.class_vectors()
    ranks = [np.zeros(0, dtype=np.int64)]
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        queries = ensemble.encode(prepared.queries.take(block))
        scores = np.einsum("sno,sko->nk", queries, classes, optimize=True)
        ranks.append(rank_of_truth(scores, prepared.labels[block]))
    return np.concatenate(ranks)
