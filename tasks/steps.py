"""How a step leaves its files: whole or not at all, re-used where nothing changed, verified before believed.

A step is keyed by content: the sha256 of its inputs, the settings it reads, and the code. It writes
into a folder of unfinished work named by that key, so that the next run finds what a killed one left;
the finished folder is then renamed into the run. A step of an earlier run with the same key is
hard-linked into this one, so that pruning one run never breaks another. Where machines share a store, a step
that another one has finished is got from there, and verified likewise.
"""

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import ValidationError

from schemas.errors import CorpusRejected, PipelineError, StaleFile
from schemas.manifest import StepManifest, canonical_json, hash_json, list_files, sync_folder
from schemas.workspace import CHECKOUT, Workspace
from tasks.locks import take_lock
from tasks.step_store import fetch_step, keep_folder, keep_step


@dataclass(frozen=True)
class Made:
    """What making a step says beside its files."""

    facts: Mapping[str, Any]
    warnings: list[str]


@dataclass(frozen=True)
class StepRun:
    """A finished step of this run."""

    folder: Path
    manifest: StepManifest
    seconds: float
    reused_from: str | None = None  # the run it was made in; None: made now


_LOGGER = logging.getLogger("dssm.steps")

Make = Callable[[Path, Path], Made]  # (folder to write into, folder for checkpoints) -> facts


def run_step(workspace: Workspace, step: str, inputs: Mapping[str, Any], make: Make) -> StepRun:
    """Return the step's files in this run's folder, re-used from an earlier run or made now.

    Args:
        workspace: of this run.
        step: its name.
        inputs: everything the files depend on but the code: hashes of input files, settings.
        make: writes the files. If it raises, its checkpoints stay for the next run with the same inputs.
    """
    began = time.monotonic()
    key = hash_json({"step": step, "code": code_version(), "inputs": inputs})
    target = workspace.step(step)
    target.parent.mkdir(parents=True, exist_ok=True)
    for folder in _finished(workspace, step, key):
        try:
            manifest = StepManifest.read(folder)
            manifest.verify(folder)
        except (StaleFile, ValidationError, OSError) as error:
            _LOGGER.warning("%s of run %s cannot be used again: %s", step, folder.parent.name, error)
            continue
        if folder != target:
            _link(folder, target, manifest)
        _LOGGER.info("%s: nothing changed since run %s", step, folder.parent.name)
        keep_step(workspace, step, manifest, made_now=False)
        return StepRun(target, manifest, time.monotonic() - began, folder.parent.name)
    if found := fetch_step(workspace, step, key):
        manifest, run = found
        _LOGGER.info("%s: nothing changed since run %s, got from the store", step, run)
        keep_step(workspace, step, manifest, made_now=False)
        return StepRun(target, manifest, time.monotonic() - began, run)
    with _unfinished(workspace.partial / f"{step}-{key[:16]}") as partial:
        out = partial / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        try:
            made = make(out, partial)
        except CorpusRejected as error:  # a repeat ends the same; what it found is for the owner to read
            rejected = target.with_name(f"{step}.rejected")
            shutil.rmtree(rejected, ignore_errors=True)
            os.replace(out, rejected)
            shutil.rmtree(partial)
            try:
                where = keep_folder(workspace, rejected)
            except PipelineError as fault:  # it must not stand in the place of the reason
                _LOGGER.warning("%s could not be put into the store: %s", rejected, fault)
                where = str(rejected)
            raise CorpusRejected(f"{error}\nThe rows concerned are listed in {where}") from error
        StepManifest(step=step, key=key, files=list_files(out), facts=dict(made.facts), warnings=made.warnings).write(
            out
        )
        manifest = StepManifest.read(out)  # through JSON: facts read the same now and when the step is re-used
        shutil.rmtree(target, ignore_errors=True)  # a stale one
        os.replace(out, target)
        sync_folder(target.parent)
    keep_step(workspace, step, manifest, made_now=True)
    return StepRun(target, manifest, time.monotonic() - began)


@lru_cache(maxsize=1)
def code_version() -> str:
    """Return the sha256 of what steps are made of: code, templates and the words of the bundled corpora."""
    digest = hashlib.sha256()
    for package in ("data/bundled", "schemas", "tasks"):
        for file in sorted((CHECKOUT / package).rglob("*")):
            if file.suffix in {".py", ".j2", ".toml"}:
                digest.update(canonical_json({"file": file.relative_to(CHECKOUT).as_posix()}) + file.read_bytes())
    return digest.hexdigest()


def _finished(workspace: Workspace, step: str, key: str) -> Iterator[Path]:
    """Yield the folders of this step with this key: this run's, then those of earlier runs, newest first."""
    runs = sorted((run for run in workspace.runs.glob("*/") if run.name != workspace.run), reverse=True)
    for run in [workspace.root, *runs]:
        folder = run / step
        try:
            if StepManifest.read(folder).key == key:
                yield folder
        except (OSError, ValidationError):
            continue  # not finished, or of an older format


def _link(source: Path, target: Path, manifest: StepManifest) -> None:
    """Give this run its own hard links (copies across file systems) to a step's files."""
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for path in [*(entry.path for entry in manifest.files), "manifest.json"]:
        (partial / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source / path, partial / path)
        except OSError:
            shutil.copyfile(source / path, partial / path)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(partial, target)


@contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    """Lend the folder of a key's unfinished work; a second run at the same time gets one of its own."""
    lock = _lock(folder)
    if lock is None:
        with TemporaryDirectory(prefix=f"{folder.name}-", dir=folder.parent, ignore_cleanup_errors=True) as mine:
            yield Path(mine)
        return
    try:
        yield folder
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def _lock(folder: Path) -> int | None:
    """Return the descriptor of a lock on `folder`, which is made if need be; None if another run holds it."""
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return take_lock(folder / "lock", wait=False)
        except (FileNotFoundError, FileExistsError):
            continue  # the run that held it has just finished and deleted the folder, between two looks at it
