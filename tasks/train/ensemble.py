"""The members of a model, of different seeds, trained side by side on all cores.

Each group of members is a `Trainer` of its own in its own thread: torch and numpy release the interpreter,
and single-threaded kernels neither fight over cores with other runs nor change the bytes. The grouping
does not depend on the number of threads, so neither does the model.
"""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray

from schemas.errors import PipelineError, SettingsError
from schemas.manifest import hash_json
from schemas.settings import CorpusSettings, Training
from schemas.training import Epoch
from tasks.retrieval.texts import Texts
from tasks.train.checkpoints import load_checkpoint, save_checkpoint
from tasks.train.data import Prepared
from tasks.train.towers import find_tower
from tasks.train.trainer import Trainer

Phase = Literal["choose", "refit"]
OnState = Callable[[], None]

_ELSEWHERE = {"threads", "device", "checkpoint_seconds"}  # settings of where and how fast it runs
_GROUP = {"refit": 4, "choose": 1}  # members trained as one batched model: fewer make more steps, more idle cores


class Ensemble:
    """All members of one model, in training on some of the rows."""

    def __init__(
        self,
        prepared: Prepared,
        rows: NDArray[np.int64],
        settings: CorpusSettings,
        phase: Phase,
        epochs: int,
        only: int | None = None,
    ) -> None:
        """Start fresh; the arguments are those of `Trainer`. `only`: one group of the members, by its number."""
        torch.set_num_threads(settings.training.threads if find_tower(settings.model).threads_inside else 1)
        self.done: list[Epoch] = []
        members = self.members = settings.model.ensemble
        sizes = [min(_GROUP[phase], members - start) for start in range(0, members, _GROUP[phase])]
        self.groups = [
            Trainer(prepared, rows, with_members(settings, size), f"{phase}/{number}", epochs)
            for number, size in enumerate(sizes)
            if only in (None, number)
        ]
        self.phase, self._model = phase, settings.model
        self.identity = identify_training(prepared, rows, settings, phase, epochs)
        self._shares = np.ones(1) if only is not None else np.array(sizes) / members
        self._pool = ThreadPoolExecutor(settings.training.threads, thread_name_prefix="members")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def run_epoch(self) -> Epoch:
        """Train every group for one epoch; return the record of their mean, without recall.

        Raises:
            SettingsError: the loss is no number any more.
        """
        losses, spreads = zip(*self._pool.map(Trainer.run_epoch, self.groups), strict=True)
        epoch = Epoch(
            phase=self.phase,
            epoch=len(self.done) + 1,
            loss=float(self._shares @ losses),
            batch_loss_spread=float(self._shares @ spreads),
        )
        if not np.isfinite(epoch.loss):
            rate = find_tower(self._model).rate_setting
            usual = Training.model_fields[rate].default
            raise SettingsError(
                f"the loss is {epoch.loss} after epoch {epoch.epoch} of {self.phase}: the steps are too large; set "
                f"training.{rate} = {usual:g}, or a smaller one, or a smaller loss.gamma"
            )
        self.done.append(epoch)
        return epoch

    def encode(self, texts: Texts) -> NDArray[np.float32]:
        """Return (S, n, o) vectors of unit length per member, without dropout."""
        return np.concatenate(list(self._pool.map(lambda group: group.encode(texts), self.groups)))

    def encode_rows(self, prepared: Prepared, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the same of training rows."""
        return self.encode(prepared.queries.take(rows))

    def class_vectors(self) -> NDArray[np.float32]:
        """Return (S, K, o) vectors of all standard questions, of unit length per member."""
        return np.concatenate(list(self._pool.map(Trainer.class_vectors, self.groups)))

    def loss_without_dropout(self, most: int | None = None) -> float:
        """Return the mean loss over the training rows, or over `most` of them, as they are served."""
        return float(self._shares @ list(self._pool.map(lambda group: group.loss_without_dropout(most), self.groups)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what model.safetensors holds, by name: (K, S, o) class vectors, (V, S, d) embeddings, layers."""
        parts = [group.tower.arrays() for group in self.groups]
        arrays: dict[str, NDArray[Any]] = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        if "embeddings" in arrays:
            arrays["embeddings"] = arrays["embeddings"].transpose(1, 0, 2)
        return arrays | {"classes": self.class_vectors().transpose(1, 0, 2)}

    def write(self, folder: Path) -> None:
        """Write what of the towers is no array into `folder`, such as a fine-tuned encoder."""
        for group in self.groups:
            group.tower.write(folder)

    def parameters(self) -> int:
        """Return the number of trained numbers."""
        return sum(group.parameters for group in self.groups)

    def save(self, file: Path) -> None:
        """Write a checkpoint."""
        save_checkpoint(file, self._state(), _write_record(self.done), self.identity)

    def load(self, file: Path) -> None:
        """Take up what `save` wrote, if there is a whole checkpoint of this training; else change nothing."""
        if (done := load_checkpoint(file, self._state(), self.identity, _read_record)) is None:
            return
        self.done = done
        for group in self.groups:
            group.epochs_done = len(done)

    def load_groups(self, files: list[Path]) -> None:
        """Take up the states that each group alone has written by `save`, and the record of their mean.

        Raises:
            PipelineError: a file is damaged; it is gone, so that the next run trains the group again.
        """
        done = []
        for group, file in zip(self.groups, files, strict=True):
            state = {f"0.{name}": tensor for name, tensor in group.state().items()}
            epochs = load_checkpoint(file, state, self.identity, _read_record)
            if epochs is None:
                raise PipelineError(f"{file}, which a worker has just written, cannot be read; run the corpus again")
            done.append(epochs)
            group.epochs_done = len(epochs)
        self.done += [
            epochs[0].model_copy(
                update={
                    "loss": float(self._shares @ [epoch.loss for epoch in epochs]),
                    "batch_loss_spread": float(self._shares @ [epoch.batch_loss_spread for epoch in epochs]),
                }
            )
            for epochs in list(zip(*done, strict=True))[len(self.done) :]
        ]

    def _state(self) -> dict[str, torch.Tensor]:
        return {f"{n}.{name}": tensor for n, group in enumerate(self.groups) for name, tensor in group.state().items()}


def identify_training(
    prepared: Prepared, rows: NDArray[np.int64], settings: CorpusSettings, phase: Phase, epochs: int
) -> str:
    """Return the hash of a training's data and settings, but for where and how fast it runs."""
    data = hashlib.sha256(prepared.labels.tobytes() + rows.tobytes()).hexdigest()
    values = settings.model_dump(mode="json", include={"negatives", "model", "loss", "training", "split", "seed"})
    values["training"] = {k: v for k, v in values["training"].items() if k not in _ELSEWHERE}
    return hash_json({"data": data, "sizes": astuple(prepared.sizes), "phase": phase, "epochs": epochs, **values})


def rows_of(prepared: Prepared, phase: Phase) -> NDArray[np.int64]:
    """Return the numbers of the rows that a phase trains on: all, or, to choose, those outside the validation cut."""
    return np.flatnonzero(~prepared.validation) if phase == "choose" else np.arange(len(prepared.labels))


def _write_record(done: list[Epoch]) -> str:
    return json.dumps([epoch.model_dump() for epoch in done])


def _read_record(record: str) -> list[Epoch]:
    return [Epoch.model_validate(epoch) for epoch in json.loads(record)]


def with_members(settings: CorpusSettings, members: int) -> CorpusSettings:
    """Return the settings of a model of so many members."""
    return settings.model_copy(update={"model": settings.model.model_copy(update={"ensemble": members})})
