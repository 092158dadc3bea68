"""Choose on the validation cut, refit on every training row, leave a complete candidate."""

import shutil
import time
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from schemas.errors import CorpusRejected, SettingsError
from schemas.manifest import write_atomically
from schemas.outputs import IngestOutput, PrepareOutput, TrainOutput
from schemas.settings import CorpusSettings
from schemas.training import Epoch, OnEpoch, Reachability, TrainingReport
from tasks.retrieval.device import give_back_memory
from tasks.retrieval.exemplars import Exemplars
from tasks.retrieval.model_files import ENCODER, ModelCard, write_candidate
from tasks.retrieval.ranking import rank_of_truth
from tasks.train.beside import keep_beside
from tasks.train.checkpoints import load_record, save_record
from tasks.train.convergence import judge
from tasks.train.data import Prepared, read_prepared
from tasks.train.ensemble import Ensemble, identify_training, rows_of, with_members
from tasks.train.exemplars import DEFAULT_WEIGHT, WEIGHTS, keep_exemplars
from tasks.train.held_out import calibrate_on_held_out, write_held_out
from tasks.train.objectives import Objective, make_objective
from tasks.train.reachability import assess
from tasks.train.towers import find_tower

_CHOOSING_MEMBERS = 2  # enough to see when to stop
_BLOCK = 2048  # queries ranked at once
_SAMPLE = 512  # training rows ranked for the verdict
HELD_OUT = "held_out"  # folder of the model that has chosen, until it has calibrated
_START_ROWS = 8192  # training rows whose loss is measured before the first step

T = TypeVar("T")


def train_candidate(
    prepared_folder: Path,
    folder: Path,
    partial: Path,
    settings: CorpusSettings,
    on_epoch: OnEpoch,
    foreign: Path | None = None,
    ingested: IngestOutput | None = None,
) -> TrainingReport:
    """Train as the settings say and write candidate/ and training.json into `folder`.

    Args:
        prepared_folder: folder of prepare.
        folder: where to, existing.
        partial: folder for checkpoints. What an interrupted training with the same inputs left there is taken up.
        settings: of the corpus.
        on_epoch: called after every epoch.
        foreign: folder of queries that are not of the corpus; None: there are none.
        ingested: where the payload, and the texts of the kept queries, are taken from; None: the model has none.

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
    chosen, chosen_epochs = _choose(prepared, settings, partial, on_epoch)
    chosen |= settled
    decisions = None
    if chosen_epochs:
        decisions = calibrate_on_held_out(partial / HELD_OUT, prepared_folder, settings, foreign)
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
        per_class = settings.model.exemplars if chosen["exemplar_weight"] else 0
        kept = keep_exemplars(ensemble, prepared, rows, per_class)
        if kept is None:
            chosen["exemplar_weight"] = 0.0
        else:
            arrays |= {"exemplars": kept.vectors, "exemplar_starts": kept.starts}
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
        )
    out = TrainOutput(folder)
    out.candidate.mkdir()
    ensemble.write(out.candidate / ENCODER)
    card = ModelCard(
        corpus=settings.name,
        text=settings.text,
        model=settings.model,
        classes=report.classes,
        features=find_tower(settings.model).features(prepared.sizes),
        exemplar_weight=float(chosen["exemplar_weight"]),
    )
    write_candidate(out.candidate, card, prepared_folder, arrays, decisions)
    if ingested:
        keep_beside(out.candidate, PrepareOutput(prepared_folder), ingested, settings, kept)
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


def _choose(
    prepared: Prepared, settings: CorpusSettings, partial: Path, on_epoch: OnEpoch
) -> tuple[dict[str, float | int | str], list[Epoch]]:
    """Train a few members without the validation rows; return when they say to stop, and their epochs.

    To stop early pays only where it clearly does: the last epoch, where the learning rate has come to
    rest, stands unless an earlier one was better by more than the standard error of the difference.
    """
    held = np.flatnonzero(prepared.validation)
    if not settings.training.choose or len(held) in (0, len(prepared.labels)):
        return {"epochs": settings.training.epochs, "exemplar_weight": _weight_or(settings, DEFAULT_WEIGHT)}, []
    few = with_members(settings, min(_CHOOSING_MEMBERS, settings.model.ensemble))
    rows, finished = rows_of(prepared, "choose"), partial / "chosen.json"
    identity = identify_training(prepared, rows, few, "choose", settings.training.epochs)
    if (partial / HELD_OUT).is_dir() and (stored := load_record(finished, identity, _read_choice)):
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
        weight = _weight_or(settings, None)
        if weight is None:
            weight = _choose_weight(ensemble, prepared, rows, held, settings.model.exemplars)
        chosen: dict[str, float | int | str] = {"epochs": stop, "exemplar_weight": weight}
        done = [epoch.model_copy(update={"validation_scores": None}) for epoch in ensemble.done]
        shutil.rmtree(partial / HELD_OUT, ignore_errors=True)
        write_held_out(ensemble, prepared, rows, weight, few, partial / HELD_OUT)
        record = {"chosen": chosen, "epochs": [epoch.model_dump() for epoch in done]}
        save_record(finished, record, identity)
        return chosen, done


def _read_choice(record: dict[str, Any]) -> tuple[dict[str, float | int | str], list[Epoch]]:
    return record["chosen"], [Epoch.model_validate(epoch) for epoch in record["epochs"]]


def _score(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what a choice goes by, for each row: the first place and the first ten."""
    return (1 / (ranks + 1) + (ranks < 10)) / 2


def _weight_or(settings: CorpusSettings, otherwise: T) -> float | T:
    """Return the weight of the exemplars as the settings have it; `otherwise` where they leave it open."""
    if not settings.model.exemplars:
        return 0.0
    return otherwise if settings.model.exemplar_weight is None else settings.model.exemplar_weight


def _choose_weight(
    ensemble: Ensemble, prepared: Prepared, rows: NDArray[np.int64], held: NDArray[np.int64], per_class: int
) -> float:
    """Return the weight of the exemplars that does best on the validation rows.

    The usual one, unless another beats it by more than the standard error of their paired difference.
    """
    kept = keep_exemplars(ensemble, prepared, rows, per_class)
    if kept is None:
        return 0.0
    exemplars, classes = Exemplars.of(kept.vectors, kept.starts), _flat(ensemble.class_vectors())
    scores: dict[float, list[NDArray[np.float64]]] = {weight: [] for weight in WEIGHTS}
    for start in range(0, len(held), _BLOCK):
        block = held[start : start + _BLOCK]
        queries = _flat(ensemble.encode(prepared.queries.take(block)))
        cosines = queries @ classes.T / np.float32(ensemble.members)
        for weight, found in scores.items():
            mixed = exemplars.mix(cosines, queries, weight)
            found.append(_score(rank_of_truth(mixed, prepared.labels[block])))
    table = np.array([np.concatenate(found) for found in scores.values()])
    return WEIGHTS[clearly_best(table, WEIGHTS.index(DEFAULT_WEIGHT))]


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
