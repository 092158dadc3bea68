"""Choose on the validation cut, refit on every training row, leave a complete candidate."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from schemas.errors import CorpusRejected, SettingsError
from schemas.manifest import write_atomically
from schemas.outputs import IngestOutput, PrepareOutput, TrainOutput
from schemas.settings import TUNED_ROWS, CorpusSettings
from schemas.training import OnEpoch, Reachability, TrainingReport
from tasks.retrieval.device import give_back_memory
from tasks.retrieval.model_files import write_candidate
from tasks.retrieval.text_encoder import OnEncoded
from tasks.train.beside import keep_beside
from tasks.train.choosing import choose, find_ranks, run
from tasks.train.convergence import judge
from tasks.train.data import Prepared, read_prepared
from tasks.train.encoder_files import settle_encoder
from tasks.train.ensemble import Ensemble, rows_of
from tasks.train.held_out import HELD_OUT, calibrate_on_held_out
from tasks.train.joined import LEARNED, Encoded, Joined, Learner, encode_corpus
from tasks.train.objectives import Objective, make_objective
from tasks.train.parts import gather_parts, write_encoder
from tasks.train.reachability import assess
from tasks.train.towers import find_tower
from tasks.train.tuned import Tuner

_SAMPLE = 512  # training rows ranked for the verdict
_START_ROWS = 8192  # training rows whose loss is measured before the first step


def train_candidate(
    prepared_folder: Path,
    folder: Path,
    partial: Path,
    settings: CorpusSettings,
    on_epoch: OnEpoch,
    foreign: Path | None = None,
    ingested: IngestOutput | None = None,
    cache: Path | None = None,
    on_encoded: OnEncoded = lambda done, most: None,
    unlabelled: Sequence[str] = (),
    on_tuned: OnEncoded = lambda done, most: None,
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
        cache: folder that keeps what encoders make of texts, from night to night; None: a folder in `partial`.
        on_encoded: called after some texts passed through a frozen encoder, with how many of how many.
        unlabelled: normalised queries without a standard question; a bag learns what an encoder makes of them.
        on_tuned: called after each step in which an encoder beside the towers is fine-tuned, with how many of how many.

    Raises:
        SettingsError: the target of the loss cannot be reached, and `loss.unreachable` is "refuse"; or the pretrained
            encoder cannot be used.
        CorpusRejected: the texts hold nothing that the towers read.
    """
    prepared = read_prepared(prepared_folder, settings.model)
    if not find_tower(settings.model).features(prepared.sizes):
        least = settings.text.least_texts(len(prepared.labels))
        raise CorpusRejected(
            f"corpus {settings.name!r}: no text holds a letter, a digit or a Chinese character that stands in "
            f"text.min_texts = {least} texts, so that nothing can be learnt; look at the column of "
            "the queries: emoji and punctuation alone are no words"
        )
    if len(prepared.classes) < 2:
        raise CorpusRejected(
            f"corpus {settings.name!r}: one standard question is left, and a model tells several apart; look at the "
            "column of the standard questions"
        )
    settings, settled, objective, reach = _settle_loss(prepared, settings)
    encoded: Encoded | None = None
    learner: Learner | None = None
    cache = cache or partial / "cache"
    if settings.model.encoder_beside:
        settings = settings.model_copy(update={"model": settle_encoder(settings.model)})
    if settings.model.encoder_beside:
        encoded = encode_corpus(prepared_folder, settings, cache, on_encoded)
        settings = _settle_fine_tune(settings, prepared)
        if settings.model.serve == "bag":
            from tasks.train.distilled import Distiller

            learner = Distiller(prepared.folder, settings, encoded, partial / LEARNED, cache, unlabelled, on_encoded)
        elif settings.model.fine_tune:
            learner = Tuner(prepared.folder, settings, partial / LEARNED, on_tuned)
    choice = choose(prepared, settings, partial, on_epoch, encoded, learner)
    chosen, chosen_epochs = choice.chosen | settled, choice.epochs
    decisions = None
    if chosen_epochs:
        decisions = calibrate_on_held_out(partial / HELD_OUT, prepared_folder, settings, foreign, cache)
    rows = rows_of(prepared, "refit")
    if isinstance(learner, Tuner):
        chosen["fine_tuning_steps"] = learner.steps(prepared, rows) if chosen.pop("fine_tuned") else 0
    with Ensemble(prepared, rows, settings, "refit", settings.training.epochs) as ensemble:
        start = ensemble.loss_without_dropout(_START_ROWS)
        device = run(ensemble, int(chosen["epochs"]), partial / "refit.safetensors", settings, on_epoch)
        if device != "cpu":
            chosen["device"] = device
        give_back_memory()
        sample = np.unique(np.linspace(0, len(rows) - 1, _SAMPLE).astype(np.int64))
        verdict = judge(
            ensemble.done,
            start,
            ensemble.loss_without_dropout(),
            float((find_ranks(ensemble, prepared, sample) == 0).mean()),
            reach,
            ensemble.class_vectors(),
            prepared,
            settings,
        )
        joined = None
        if encoded and (share := float(chosen["encoder_share"])):
            if learner and (chosen.get("fine_tuning_steps") or not learner.optional):
                encoded = learner.learn(prepared, rows)
            joined = Joined(ensemble, encoded, encoded.learn(prepared, rows, settings, "refit"), share)
        weight = float(chosen["exemplar_weight"])
        card, arrays, kept = gather_parts(ensemble, joined, prepared, rows, weight, settings)
        chosen["exemplar_weight"] = card.exemplar_weight
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
    write_encoder(ensemble, joined, out.candidate)
    write_candidate(out.candidate, card, prepared_folder, arrays, decisions)
    if ingested:
        keep_beside(out.candidate, PrepareOutput(prepared_folder), ingested, settings, kept)
    write_atomically(out.report, report.model_dump_json(indent=1).encode())
    return report


def _settle_fine_tune(settings: CorpusSettings, prepared: Prepared) -> CorpusSettings:
    """Return the settings with it decided whether the encoder beside the towers is fine-tuned."""
    model = settings.model
    few = len(prepared.labels) <= TUNED_ROWS * len(prepared.classes)
    texts = np.bincount(prepared.labels, minlength=len(prepared.classes)) + settings.training.own_texts
    wanted = few if model.fine_tune is None else model.fine_tune
    tuned = wanted and model.serve == "encoder" and bool(texts.max() > 1)  # a contrast wants two of one
    return settings.model_copy(update={"model": model.model_copy(update={"fine_tune": tuned})})


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
