"""Training on Ray: one worker per group of members, by Ray Train's TorchTrainer, with a checkpoint after every epoch.

A model is several groups of members of different seeds that never meet before they answer. So the work is shared by
group, not by row: nothing is reduced over the network (sparse gradients that torch reduces badly: pytorch#87497),
and the members are bit for bit those that one machine trains. Every worker reads the prepared files itself.
"""

import json
import shutil
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from schemas import errors
from schemas.errors import PipelineError, SettingsError
from schemas.manifest import write_atomically
from schemas.settings import CorpusSettings
from tasks.cluster import open_cluster
from tasks.train.data import read_prepared
from tasks.train.ensemble import Ensemble, OnState, rows_of

_FAILURES = 10  # of workers or nodes; each costs the epoch it was in
_REFUSED = "refused.json"  # the error of a worker that no repetition can help


def train_on_ray(ensemble: Ensemble, epochs: int, folder: Path, settings: CorpusSettings, on_state: OnState) -> str:
    """Train every group of `ensemble` for so many epochs on the cluster of the settings; return the device taken.

    Args:
        ensemble: fresh; takes on the state after each epoch in turn, or, in the refit, after the last.
        epochs: of this phase, where it ends.
        folder: for checkpoints, seen by every node; an interrupted training is taken up from there.
        settings: by which the ensemble was made.
        on_state: called after each epoch's state was taken on; in the refit, after the last one's.

    Raises:
        SettingsError: training.device is "cuda", and the cluster has fewer GPUs than there are groups.
        PipelineError: what a worker cannot do, such as reading an encoder that is not on its node.
    """
    with open_cluster(settings.ray_address):
        import ray
        from ray import train
        from ray.train.torch import TorchTrainer

        groups, gpus = len(ensemble.groups), int(ray.cluster_resources().get("GPU", 0))
        settings = settle_device(settings, groups, gpus)
        folder.mkdir(exist_ok=True)
        (folder / _REFUSED).unlink(missing_ok=True)
        TorchTrainer(
            _train_group,
            train_loop_config={
                "prepared": str(ensemble.groups[0].prepared.folder),
                "settings": settings.model_dump_json(),
                "phase": ensemble.phase,
                "epochs": epochs,
                "schedule": ensemble.groups[0].epochs,
                "states": str(folder),
            },
            scaling_config=train.ScalingConfig(
                num_workers=groups, use_gpu=settings.training.device == "cuda", placement_strategy="SPREAD"
            ),
            run_config=train.RunConfig(
                name=ensemble.phase,
                storage_path=str(folder / "ray"),
                failure_config=train.FailureConfig(max_failures=_FAILURES),
                checkpoint_config=train.CheckpointConfig(num_to_keep=2),
            ),
        ).fit()
        if (folder / _REFUSED).exists():
            kind, message = json.loads((folder / _REFUSED).read_bytes())
            raise getattr(errors, kind)(message)
    for epoch in range(1, epochs + 1) if _needs_every_epoch(ensemble.phase) else [epochs]:
        ensemble.load_groups([_state_file(folder, number, epoch) for number in range(len(ensemble.groups))])
        on_state()
    shutil.rmtree(folder)
    return settings.training.device


def settle_device(settings: CorpusSettings, groups: int, gpus: int) -> CorpusSettings:
    """Return the settings with the device that all workers take; the machine that asks need not have it.

    Args:
        settings: of the corpus.
        groups: of members, each of which is a worker.
        gpus: of the cluster.

    Raises:
        SettingsError: training.device is "cuda", and there are fewer GPUs than groups.
    """
    device = settings.training.device
    if device == "auto":
        device = "cuda" if gpus >= groups else "cpu"
    if device == "cuda" and gpus < groups:
        raise SettingsError(
            f"training.device = 'cuda' asks for a GPU for each of {groups} groups of members, but the cluster has "
            f"{gpus}; set training.device = 'auto', which takes CPUs there, or add nodes with GPUs"
        )
    return settings.model_copy(update={"training": settings.training.model_copy(update={"device": device})})


def _state_file(folder: Path, group: int, epoch: int) -> Path:
    return folder / f"group-{group:02d}-epoch-{epoch:04d}.safetensors"


def _needs_every_epoch(phase: str) -> bool:
    """Whether the state after each epoch is looked at, or the last one alone."""
    return phase == "choose"


def _train_group(config: dict[str, Any]) -> None:
    """Train the group whose number is the worker's rank; what no repetition can help is left for who asked."""
    try:
        _train(config)
    except PipelineError as error:  # raised here, Ray would try it ten times more, and give back another
        write_atomically(Path(config["states"]) / _REFUSED, json.dumps([type(error).__name__, str(error)]).encode())


def _train(config: dict[str, Any]) -> None:
    """Train from the last checkpoint on."""
    from ray import train

    settings = CorpusSettings.model_validate_json(config["settings"], context={"stored": True})
    rank = train.get_context().get_world_rank()
    prepared = read_prepared(Path(config["prepared"]), settings.model)
    rows = rows_of(prepared, config["phase"])
    with Ensemble(prepared, rows, settings, config["phase"], config["schedule"], only=rank) as one:
        if checkpoint := train.get_checkpoint():
            with checkpoint.as_directory() as folder:
                one.load(Path(folder) / f"group-{rank}.safetensors")
        state = partial(_state_file, Path(config["states"]), rank)
        while len(one.done) < config["epochs"]:
            epoch = one.run_epoch()
            one.save(state(epoch.epoch))
            if not _needs_every_epoch(config["phase"]):
                state(epoch.epoch - 1).unlink(missing_ok=True)
            with TemporaryDirectory() as folder:
                shutil.copyfile(state(epoch.epoch), Path(folder) / f"group-{rank}.safetensors")
                train.report(json.loads(epoch.model_dump_json()), checkpoint=train.Checkpoint.from_directory(folder))
