"""What makes texts into vectors: one module a tower, with its name in `schemas.settings.TOWERS`. See docs/extend.md."""

from importlib import import_module

import torch

from schemas.settings import Model
from tasks.retrieval.device import CPU, Device
from tasks.train.towers.tower import Embedded, Sizes, Tower

__all__ = ["Embedded", "Sizes", "Tower", "find_tower", "make_tower"]


def find_tower(model: Model) -> type[Tower]:
    """Return the class of the tower that the settings name."""
    kind: type[Tower] = getattr(
        import_module(f"{__name__}.{model.tower}"), f"{model.tower.title().replace('_', '')}Tower"
    )
    return kind


def make_tower(model: Model, sizes: Sizes, generator: torch.Generator, device: Device = CPU) -> Tower:
    """Return a fresh tower as the settings say; its first weights are the same on every device.

    Raises:
        SettingsError: the pretrained encoder cannot be used.
    """
    return find_tower(model)(model, sizes, generator, device)
