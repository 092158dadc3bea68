"""The members of a model, of different seeds, trained side by side on all cores.

Each group of members is a `Trainer` of its own in its own thread: torch and numpy release the interpreter,
and single-threaded kernels neither fight over cores with other runs nor change the bytes. The grouping
does not depend on the number of threads, so neither does the model.
"""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file

from schemas.settings import CorpusSettings
from schemas.training import Epoch
from tasks.retrieval.texts import Texts
from tasks.train.data import Prepared
from tasks.train.towers import find_tower
from tasks.train.trainer import Trainer

Phase = Literal["choose", "refit"]
OnState = Callable[[], None]

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
        self.phase = phase
        self._shares = np.ones(1) if only is not None else np.array(sizes) / members
        self._pool = ThreadPoolExecutor(settings.training.threads, thread_name_prefix="members")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def run_epoch(self) -> Epoch:
        """Train every group for one epoch; return the record of their mean, without recall."""
        losses, spreads = zip(*self._pool.map(Trainer.run_epoch, self.groups), strict=True)
        epoch = Epoch(
            phase=self.phase,
            epoch=len(self.done) + 1,
            loss=float(self._shares @ losses),
            batch_loss_spread=float(self._shares @ spreads),
        )
        self.done.append(epoch)
        return epoch

    def encode(self, texts: Texts) -> NDArray[np.float32]:
        """Return (S, n, o) vectors of unit length per member, without dropout."""
        return np.concatenate(list(self._pool.map(lambda group: group.encode(texts), self.groups)))

    def class_vectors(self) -> NDArray[np.float32]:
        """Return (S, K, o) vectors of all standard questions, of unit length per member."""
        return np.concatenate(list(self._pool.map(Trainer.class_vectors, self.groups)))

    def loss_without_dropout(self) -> float:
        """Return the mean loss over the training rows as they are served: what the verdict judges."""
        return float(self._shares @ list(self._pool.map(Trainer.loss_without_dropout, self.groups)))

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
        """Write the state atomically: a crash leaves the old checkpoint or the new one."""
        partial = file.with_suffix(".partial")
        tensors = {name: tensor.contiguous() for name, tensor in self._state().items()}
        save_file(tensors, partial, {"done": json.dumps([epoch.model_dump() for epoch in self.done])})
        os.replace(partial, file)

    def load(self, file: Path) -> None:
        """Take up the state written by `save`; settings and data must be the same."""
        with safe_open(file, framework="pt") as stored:
            for name, tensor in self._state().items():
                tensor.copy_(stored.get_tensor(name))
            self.done = [Epoch.model_validate(epoch) for epoch in json.loads(stored.metadata()["done"])]
        for group in self.groups:
            group.epochs_done = len(self.done)

    def load_groups(self, files: list[Path]) -> None:
        """Take up the states that each group alone has written by `save`, and the record of their mean."""
        done = []
        for group, file in zip(self.groups, files, strict=True):
            with safe_open(file, framework="pt") as stored:
                for name, tensor in group.state().items():
                    tensor.copy_(stored.get_tensor(f"0.{name}"))
                done.append([Epoch.model_validate(epoch) for epoch in json.loads(stored.metadata()["done"])])
            group.epochs_done = len(done[-1])
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


def rows_of(prepared: Prepared, phase: Phase) -> NDArray[np.int64]:
    """Return the numbers of the rows that a phase trains on: all, or, to choose, those outside the validation cut."""
    return np.flatnonzero(~prepared.validation) if phase == "choose" else np.arange(len(prepared.labels))


def with_members(settings: CorpusSettings, members: int) -> CorpusSettings:
    """Return the settings of a model of so many members."""
    return settings.model_copy(update={"model": settings.model.model_copy(update={"ensemble": members})})
