"""Several towers of different seeds, trained side by side on all cores.

Each group of towers is a `Fit` of its own in its own thread: torch and numpy release the interpreter,
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
from tasks.train.fit import Fit
from tasks.train.pretrained import PretrainedTower

Phase = Literal["choose", "refit"]
OnState = Callable[[], None]

_GROUP = {"refit": 4, "choose": 1}  # towers trained as one batched model: fewer make more steps, more leave cores idle


class Ensemble:
    """All towers of one model, in training on some of the rows."""

    def __init__(
        self,
        prepared: Prepared,
        rows: NDArray[np.int64],
        settings: CorpusSettings,
        phase: Phase,
        epochs: int,
        only: int | None = None,
    ) -> None:
        """Start fresh; the arguments are those of `Fit`. `only`: one group of the towers, by its number."""
        # Of a pretrained encoder there is one, whose kernels are large: the threads work inside them.
        torch.set_num_threads(settings.training.threads if settings.model.tower == "pretrained" else 1)
        self.done: list[Epoch] = []
        towers = self.towers = settings.model.ensemble
        sizes = [min(_GROUP[phase], towers - start) for start in range(0, towers, _GROUP[phase])]
        self.groups = [
            Fit(prepared, rows, _with_towers(settings, size), f"{phase}/{number}", epochs)
            for number, size in enumerate(sizes)
            if only in (None, number)
        ]
        self.phase = phase
        self._shares = np.ones(1) if only is not None else np.array(sizes) / towers
        self._pool = ThreadPoolExecutor(settings.training.threads, thread_name_prefix="tower")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def run_epoch(self) -> Epoch:
        """Train every group for one epoch; return the record of their mean, without recall."""
        losses, spreads = zip(*self._pool.map(Fit.run_epoch, self.groups), strict=True)
        epoch = Epoch(
            phase=self.phase,
            epoch=len(self.done) + 1,
            loss=float(self._shares @ losses),
            batch_loss_spread=float(self._shares @ spreads),
        )
        self.done.append(epoch)
        return epoch

    def encode(self, texts: Texts) -> NDArray[np.float32]:
        """Return (S, n, o) vectors of unit length per tower, without dropout."""
        return np.concatenate(list(self._pool.map(lambda fit: fit.encode(texts), self.groups)))

    def class_vectors(self) -> NDArray[np.float32]:
        """Return (S, K, o) vectors of all standard questions, of unit length per tower."""
        return np.concatenate(list(self._pool.map(Fit.class_vectors, self.groups)))

    def loss_without_dropout(self) -> float:
        """Return the mean loss over the training rows as they are served: what the verdict judges."""
        return float(self._shares @ list(self._pool.map(Fit.loss_without_dropout, self.groups)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return embeddings (V, S, d) if any, class vectors (K, S, o) and the layers of all towers, by name."""
        arrays: dict[str, NDArray[Any]] = {"classes": self.class_vectors().transpose(1, 0, 2)}
        tables = [fit.tower.table for fit in self.groups if not isinstance(fit.tower, PretrainedTower)]
        if tables:
            embeddings = [table.weight.view(table.towers, table.rows, -1).cpu().numpy() for table in tables]
            arrays["embeddings"] = np.concatenate(embeddings).transpose(1, 0, 2)
        for name, parts in _by_name([fit.tower.layers.state_dict() for fit in self.groups]).items():
            arrays[f"layers.{name}"] = np.concatenate(parts)
        for name, parts in _by_name([s for fit in self.groups for s in fit.tower.recurrent_states()]).items():
            arrays[f"lstm.{name}"] = np.stack(parts)
        return arrays

    def write_encoder(self, folder: Path) -> None:
        """Write the fine-tuned encoder of a pretrained tower into `folder`; nothing where there is none."""
        for fit in self.groups:
            if isinstance(fit.tower, PretrainedTower):
                fit.tower.write(folder)

    def parameters(self) -> int:
        """Return the number of trained numbers."""
        return sum(fit.parameters for fit in self.groups)

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
        for fit in self.groups:
            fit.epochs_done = len(self.done)

    def load_groups(self, files: list[Path]) -> None:
        """Take up the states that each group alone has written by `save`, and the record of their mean."""
        done = []
        for fit, file in zip(self.groups, files, strict=True):
            with safe_open(file, framework="pt") as stored:
                for name, tensor in fit.state().items():
                    tensor.copy_(stored.get_tensor(f"0.{name}"))
                done.append([Epoch.model_validate(epoch) for epoch in json.loads(stored.metadata()["done"])])
            fit.epochs_done = len(done[-1])
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
        return {f"{n}.{name}": tensor for n, fit in enumerate(self.groups) for name, tensor in fit.state().items()}


def rows_of(prepared: Prepared, phase: Phase) -> NDArray[np.int64]:
    """Return the numbers of the rows that a phase trains on: all, or, to choose, those outside the validation cut."""
    return np.flatnonzero(~prepared.validation) if phase == "choose" else np.arange(len(prepared.labels))


def _by_name(states: list[dict[str, torch.Tensor]]) -> dict[str, list[NDArray[np.float32]]]:
    return {name: [state[name].cpu().numpy() for state in states] for name in (states[0] if states else {})}


def _with_towers(settings: CorpusSettings, towers: int) -> CorpusSettings:
    return settings.model_copy(update={"model": settings.model.model_copy(update={"ensemble": towers})})
