"""Large arrays of a model that several processes of a machine hold once: files that all of them map."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LOGGER = logging.getLogger("dssm.shared_arrays")
_SUFFIX = ".npy"


class SharedArrays:
    """The arrays of one version of one corpus, in a folder of the processes' own.

    Not the version's own files: those hold half precision, which no product takes, and one that is cut short while it
    is mapped ends the process.
    """

    def __init__(self, root: Path, version: Path) -> None:
        """Share those of the version in a folder, below `root`, which lives as long as the processes."""
        self._folder, self._version = root / version.parent.name, version.name

    def keep(self, name: str, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Return the array that `make` returns, read-only, from the file that the first process writes."""
        file = self._folder / f"{self._version}.{name}{_SUFFIX}"
        try:
            return _map(file)
        except (OSError, ValueError):
            made = make()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            partial = file.with_suffix(f".{os.getpid()}")
            with partial.open("wb") as stream:
                np.save(stream, made)
            os.replace(partial, file)
            return _map(file)
        except OSError as error:
            _LOGGER.warning("%s: this process holds %s of its own, since it cannot be shared: %s", file, name, error)
            return made

    def sweep(self) -> None:
        """Remove the files of other versions; who has mapped one keeps it."""
        for file in self._folder.glob(f"*{_SUFFIX}"):
            if not file.name.startswith(f"{self._version}."):
                file.unlink(missing_ok=True)


def _map(file: Path) -> NDArray[Any]:
    mapped: NDArray[Any] = np.load(file, mmap_mode="r")
    return mapped.view(np.ndarray)  # a memmap pays for its class in every operation
