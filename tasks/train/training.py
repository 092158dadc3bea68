"""Choose on the validation cut, refit on every training row, leave a complete candidate."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from schemas.errors import SettingsError
from schemas.manifest import canonical_json, write_atomically
from schemas.settings import CorpusSettings
from schemas.training import Epoch, TrainingReport
from tasks.train.candidate import ModelCard, write_candidate
from tasks.train.convergence import judge
from tasks.train.data import Prepared, read_prepared
from tasks.train.ensemble import Ensemble
from tasks.train.reachability import assess

OnEpoch = Callable[[Epoch, int], None]  # the record, and the most epochs the phase can have


def train_candidate(
    prepared_folder: Path, folder: Path, partial: Path, settings: CorpusSettings, on_epoch: OnEpoch
) -> TrainingReport:
    """Train as the settings say and write candidate/ and training.json into `folder`.

    Args:
        prepared_folder: folder of prepare.
        folder: where to, existing.
        partial: folder for checkpoints. What an interrupted training with the same inputs left there is taken up.
        settings: of the corpus.
        on_epoch: called after every epoch.

    Raises:
        SettingsError: the target of the loss cannot be reached, and `loss.unreachable` is "refuse".
    """
    prepared = read_prepared(prepared_folder)
    reach = assess(settings.loss, settings.negatives.per_row, len(prepared.classes))
    if reach.advice and settings.loss.unreachable == "refuse":
        raise SettingsError(f"{reach.advice}; or set loss.unreachable = 'warn' to train all the same")
    chosen, chosen_epochs = _choose(prepared, settings, partial, on_epoch)
    rows = np.arange(len(prepared.labels))
    with Ensemble(prepared, rows, settings, "refit", settings.training.epochs) as ensemble:
        _run(ensemble, int(chosen["epochs"]), partial / "refit.safetensors", settings, on_epoch)
        arrays = ensemble.arrays()
        class_rows = np.bincount(prepared.labels, minlength=len(prepared.classes))
        verdict = judge(
            ensemble.done,
            ensemble.loss_without_dropout(),
            reach,
            arrays["classes"].transpose(1, 0, 2),
            class_rows,
            ordered=not settings.split.shuffle,
        )
        report = TrainingReport(
            rows=len(rows),
            classes=len(prepared.classes),
            parameters=ensemble.parameters(),
            epochs=chosen_epochs + ensemble.done,
            chosen=chosen,
            validation_recall_at_10=max((e.recall_at_10 or 0 for e in chosen_epochs), default=None),
            negatives_used=settings.loss.kind != "softmax_all",
            reachability=reach,
            convergence=verdict,
        )
    (folder / "candidate").mkdir()
    card = ModelCard(
        corpus=settings.name,
        text=settings.text,
        model=settings.model,
        classes=report.classes,
        features=prepared.vocabulary if settings.model.tower == "bag" else prepared.words,
    )
    write_candidate(folder / "candidate", card, prepared_folder, arrays)
    write_atomically(folder / "training.json", report.model_dump_json(indent=1).encode())
    return report


def _choose(
    prepared: Prepared, settings: CorpusSettings, partial: Path, on_epoch: OnEpoch
) -> tuple[dict[str, float | int | str], list[Epoch]]:
    """Train one tower without the validation rows; return what their recall@10 says, and its epochs."""
    held = np.flatnonzero(prepared.validation)
    if not settings.training.choose or not len(held):
        return {"epochs": settings.training.epochs}, []
    finished = partial / "chosen.json"
    if finished.exists():
        stored = json.loads(finished.read_bytes())
        return stored["chosen"], [Epoch.model_validate(epoch) for epoch in stored["epochs"]]
    one = settings.model_copy(update={"model": settings.model.model_copy(update={"towers": 1})})
    rows = np.flatnonzero(~prepared.validation)
    with Ensemble(prepared, rows, one, "choose", settings.training.epochs) as ensemble:

        def measure(epoch: Epoch, most: int) -> None:
            ensemble.done[-1] = epoch.model_copy(update={"recall_at_10": _recall_at_10(ensemble, prepared, held)})
            on_epoch(ensemble.done[-1], most)

        _run(ensemble, settings.training.epochs, partial / "choose.safetensors", settings, measure)
        recalls = [epoch.recall_at_10 or 0.0 for epoch in ensemble.done]
        chosen: dict[str, float | int | str] = {"epochs": int(np.argmax(recalls)) + 1}
        done = [epoch.model_dump() for epoch in ensemble.done]
        write_atomically(finished, canonical_json({"chosen": chosen, "epochs": done}))
        return chosen, ensemble.done


def _run(ensemble: Ensemble, epochs: int, checkpoint: Path, settings: CorpusSettings, on_epoch: OnEpoch) -> None:
    """Train up to `epochs`, from the checkpoint if there is one, leaving checkpoints on the way."""
    if checkpoint.exists():
        ensemble.load(checkpoint)
    saved = time.monotonic()
    while len(ensemble.done) < epochs:
        on_epoch(ensemble.run_epoch(), epochs)
        if time.monotonic() - saved >= settings.training.checkpoint_seconds:
            ensemble.save(checkpoint)
            saved = time.monotonic()


def _recall_at_10(ensemble: Ensemble, prepared: Prepared, rows: np.ndarray) -> float:
    classes = ensemble.class_vectors()
    hits = 0
    for start in range(0, len(rows), 2048):
        block = rows[start : start + 2048]
        queries = ensemble.encode(prepared.queries.take(block))
        scores = np.einsum("sno,sko->nk", queries, classes, optimize=True)
        right = scores[np.arange(len(block)), prepared.labels[block]]
        hits += int(((scores > right[:, None]).sum(axis=1) < 10).sum())
    return hits / len(rows)
