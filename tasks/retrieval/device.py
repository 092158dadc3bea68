"""Where a training computes, and in how many bits."""

import ctypes
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from schemas.errors import SettingsError
from schemas.settings import CorpusSettings


@dataclass(frozen=True)
class Device:
    """A processor, and whether the layers of the towers multiply in bfloat16 there (Micikevicius et al. 2018).

    Tables, optimiser state, cosines and losses are float32 on all of them. The random numbers are drawn on the CPU,
    so that a training starts from the same weights and takes the same rows everywhere.
    """

    kind: torch.device
    mixed: bool = False

    def __str__(self) -> str:
        return f"{self.kind}, layers in bfloat16" if self.mixed else str(self.kind)

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which the layers run."""
        return torch.autocast(self.kind.type, torch.bfloat16) if self.mixed else nullcontext()


CPU = Device(torch.device("cpu"))


def device_of(settings: CorpusSettings, multiplies: bool) -> Device:
    """Return what training.device means on this machine: `auto` takes a GPU where torch sees one.

    Args:
        settings: training.device and engine are read.
        multiplies: the tower's time goes into products of matrices, which a GPU does in bfloat16.

    Raises:
        SettingsError: training.device is "cuda", and there is none.
    """
    training, found = settings.training, torch.cuda.is_available()
    if training.device == "cuda" and not found and settings.engine == "local":  # Ray's workers have theirs
        raise SettingsError(
            f"training.device = 'cuda', but torch {torch.__version__} sees no GPU; install a torch built for CUDA and "
            "its driver, or set training.device = 'auto', which takes the CPU where there is no GPU"
        )
    cuda = found and training.device != "cpu"
    mixed = cuda and multiplies and torch.cuda.is_bf16_supported()
    return Device(torch.device("cuda" if cuda else "cpu"), mixed)


def give_back_memory() -> None:
    """Return freed memory to the system: glibc keeps what lies between arrays of ever other sizes, hundreds of MB."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)
