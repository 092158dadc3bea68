"""Checkpoints of a training that may be killed: the newest one, and the one before.

A checkpoint carries the sha256 of what it holds, and the identity of the training that wrote it. One that is torn,
empty, of another training, or holds numbers that are none is thrown away with a warning that names it; training then
starts from the one before, or afresh. So no file here can stop a training.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from schemas.manifest import canonical_json, hash_json, write_atomically

_MOST_BYTES = 1 << 24  # of a record, and of a checkpoint beside its tensors
_LOGGER = logging.getLogger("dssm.train")

T = TypeVar("T")


class DamagedCheckpoint(Exception):
    """What is wrong with a checkpoint, as half a sentence."""


def save_checkpoint(file: Path, state: Mapping[str, Tensor], record: str, identity: str) -> None:
    """Write a checkpoint; a crash leaves the old one or the new one. The old one is kept as the one before.

    Args:
        file: where to.
        state: tensors by name.
        record: what else is to come back, as text.
        identity: of the training; `load_checkpoint` wants the same.
    """
    partial = file.with_suffix(".partial")
    if not partial.is_file():
        _remove(partial)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    save_file(tensors, partial, {"record": record, "identity": identity, "sha256": _digest(tensors, record, identity)})
    with suppress(OSError):  # there may be none yet
        os.replace(file, before(file))
    os.replace(partial, file)


def load_checkpoint(file: Path, state: Mapping[str, Tensor], identity: str, read: Callable[[str], T]) -> T | None:
    """Copy the newest whole checkpoint into the tensors of `state`; return its record, or None where there is none.

    Args:
        file: as it was saved; the one before is tried, too.
        state: tensors by name; changed in place, or, where there is no whole checkpoint, not at all.
        identity: of this training.
        read: makes the record of its text; a ValueError throws the checkpoint away.
    """
    for one in (file, before(file)):
        if not os.path.lexists(one):
            continue
        try:
            return take_checkpoint(one, state, identity, read)
        except DamagedCheckpoint as error:
            _throw_away(one, error)
    return None


def take_checkpoint(file: Path, state: Mapping[str, Tensor], identity: str, read: Callable[[str], T]) -> T:
    """Copy one checkpoint into the tensors of `state`; return its record. Arguments as of `load_checkpoint`.

    Raises:
        DamagedCheckpoint: it is not whole, or not of this training; `state` is as it was.
    """
    _refuse_no_file(file, _MOST_BYTES + sum(tensor.nbytes for tensor in state.values()))
    try:
        with safe_open(file, framework="pt") as stored:
            metadata = stored.metadata() or {}
            if metadata.get("identity") != identity:
                raise DamagedCheckpoint("it is of another training")
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}
        digest = _digest(tensors, metadata.get("record", ""), identity)
    except (OSError, SafetensorError, ValueError, RuntimeError, TypeError) as error:
        raise DamagedCheckpoint(f"it cannot be read ({_first_line(error)})") from error
    if metadata.get("sha256") != digest:
        raise DamagedCheckpoint("it is not what was written")
    for name, tensor in state.items():
        if name not in tensors or (tensors[name].shape, tensors[name].dtype) != (tensor.shape, tensor.dtype):
            raise DamagedCheckpoint(f"it lacks {name!r} of {tuple(tensor.shape)}")
        if not bool(torch.isfinite(tensors[name]).all()):
            raise DamagedCheckpoint(f"{name!r} holds numbers that are none")
    try:
        record = read(metadata.get("record", ""))
    except ValueError as error:
        raise DamagedCheckpoint(f"its record cannot be read ({_first_line(error)})") from error
    for name, tensor in state.items():
        tensor.copy_(tensors[name])
    return record


def save_record(file: Path, record: Mapping[str, Any], identity: str) -> None:
    """Write what was found out on the way, as JSON, with its sha256."""
    content = {"record": record, "identity": identity}
    write_atomically(file, canonical_json(content | {"sha256": hash_json(content)}))


def load_record(file: Path, identity: str, read: Callable[[dict[str, Any]], T]) -> T | None:
    """Return what `read` makes of a record, or None where there is none that is whole and of this training."""
    if not os.path.lexists(file):
        return None
    try:
        _refuse_no_file(file, _MOST_BYTES)
        stored = json.loads(file.read_bytes())
        if stored.pop("sha256") != hash_json(stored):
            raise DamagedCheckpoint("it is not what was written")
        if stored["identity"] != identity:
            raise DamagedCheckpoint("it is of another training")
        return read(stored["record"])
    except DamagedCheckpoint as error:
        _throw_away(file, error)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        _throw_away(file, DamagedCheckpoint(f"it cannot be read ({_first_line(error)})"))
    return None


def before(file: Path) -> Path:
    """Return where the checkpoint before `file` lies."""
    return file.with_name(f"{file.stem}.before{file.suffix}")


def _throw_away(file: Path, why: DamagedCheckpoint) -> None:
    _LOGGER.warning("checkpoint %s is thrown away: %s; the training starts from the one before, or afresh", file, why)
    _remove(file)


def _remove(file: Path) -> None:
    if file.is_dir() and not file.is_symlink():
        shutil.rmtree(file, ignore_errors=True)
    else:
        with suppress(OSError):  # it will be written over, or is not there
            file.unlink()


def _refuse_no_file(file: Path, most: int) -> None:
    """Refuse what has no end, such as a pipe or a device, and what is larger than it can be.

    Raises:
        DamagedCheckpoint: it is no file, or one of more than `most` bytes.
    """
    try:
        if not file.is_file():
            raise DamagedCheckpoint("it is no file")
        if file.stat().st_size > most:
            raise DamagedCheckpoint(f"it has more than {most:,} bytes")
    except OSError as error:
        raise DamagedCheckpoint(f"it cannot be read ({_first_line(error)})") from error


def _digest(tensors: Mapping[str, Tensor], record: str, identity: str) -> str:
    """Return the sha256 over tensors on the CPU, record and identity."""
    shapes = {name: [str(tensor.dtype), *tensor.shape] for name, tensor in tensors.items()}
    found = hashlib.sha256(canonical_json({"tensors": shapes, "record": record, "identity": identity}))
    for name in sorted(tensors):
        found.update(tensors[name].flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
