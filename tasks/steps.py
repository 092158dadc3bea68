"""How a step writes its files: as a whole or not at all, re-used where nothing changed, verified before use.

The key of a step is a hash of its inputs, the settings it reads, and the code. A step writes into a folder of
unfinished work that is named by the key, so that the next run finds what a killed one left. The finished folder is then
renamed into the run. A step of an earlier run with the same key is hard-linked into this one, so that pruning one run
never breaks another. Where machines share a store, a step that another machine has finished is fetched and verified.
"""

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from schemas.errors import CorpusRejected, PipelineError, StaleFile
from schemas.manifest import StepManifest, canonical_json, hash_json, list_files, sync_folder
from schemas.outputs import (
    EvaluateOutput,
    IngestOutput,
    PrepareOutput,
    StepOutput,
    TrainOutput,
    ValidateOutput,
)
from schemas.workspace import CHECKOUT, Workspace
from tasks.locks import take_lock
from tasks.step_store import fetch_step, keep_folder, keep_step

Output = TypeVar("Output", bound=StepOutput)
_Output = TypeVar("_Output", bound=StepOutput, covariant=True)


@dataclass(frozen=True)
class StepNotes:
    """What a step says beside its files: counts for its manifest, and warnings."""

    facts: BaseModel | None = None
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class StepRun(Generic[_Output]):
    """A finished step of this run."""

    output: _Output
    manifest: StepManifest
    seconds: float
    reused_from: str | None = None  # the run that made it; None: this one


@dataclass(frozen=True)
class Steps:
    """The finished steps that lead to a candidate, in order."""

    ingest: StepRun[IngestOutput]
    validate: StepRun[ValidateOutput]
    prepare: StepRun[PrepareOutput]
    train: StepRun[TrainOutput]
    evaluate: StepRun[EvaluateOutput]

    @classmethod
    def of(cls, workspace: Workspace, seconds: Mapping[str, float]) -> "Steps":
        """Return the steps of a run that has taken them all, from its folder."""
        kinds = (IngestOutput, ValidateOutput, PrepareOutput, TrainOutput, EvaluateOutput)
        outputs = [kind.of(workspace) for kind in kinds]
        runs: list[Any] = [StepRun(o, StepManifest.read(o.folder), seconds.get(o.step, 0)) for o in outputs]
        return cls(*runs)

    def named(self) -> dict[str, StepRun[StepOutput]]:
        """Return each by its name."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def describe_reused(self) -> str:
        """Say which steps were taken from which earlier runs; an empty text: none was."""
        by_run: dict[str, list[str]] = {}
        for name, step in self.named().items():
            if step.reused_from:
                by_run.setdefault(step.reused_from, []).append(name)
        return "; ".join(f"{', '.join(names)} of run {run}" for run, names in by_run.items())


_LOGGER = logging.getLogger("dssm.steps")

Make = Callable[[Output, Path], StepNotes]  # (where to write, folder for checkpoints) -> what to say of it


def run_step(
    workspace: Workspace, kind: type[Output], inputs: Mapping[str, Any], make: Make[Output]
) -> StepRun[Output]:
    """Return the step's files in this run's folder, re-used from an earlier run or made now.

    Args:
        workspace: of this run.
        kind: which step.
        inputs: everything the files depend on but the code: hashes of input files, settings.
        make: writes the files. If it raises, its checkpoints stay for the next run with the same inputs.
    """
    began, step = time.monotonic(), kind.step
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
        keep_step(workspace, step, manifest, made_now=False)
        return StepRun(kind(target), manifest, time.monotonic() - began, folder.parent.name)
    if found := fetch_step(workspace, step, key):
        manifest, run = found
        keep_step(workspace, step, manifest, made_now=False)
        return StepRun(kind(target), manifest, time.monotonic() - began, run)
    with _unfinished(workspace.partial / f"{step}-{key[:16]}") as partial:
        out = partial / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        try:
            notes = make(kind(out), partial)
        except CorpusRejected as error:  # a repeat ends the same; what it found is for the owner to read
            rejected = kind.rejected(workspace).folder
            shutil.rmtree(rejected, ignore_errors=True)
            os.replace(out, rejected)
            shutil.rmtree(partial)
            try:
                where = keep_folder(workspace, rejected)
            except PipelineError as fault:  # it must not hide the reason
                _LOGGER.warning("%s could not be put into the store: %s", rejected, fault)
                where = str(rejected)
            raise CorpusRejected(f"{error}\nThe rows concerned are listed in {where}") from error
        facts = notes.facts.model_dump() if notes.facts else {}
        StepManifest(step=step, key=key, files=list_files(out), facts=facts, warnings=notes.warnings).write(out)
        manifest = StepManifest.read(out)  # through JSON: facts read the same now and when the step is re-used
        shutil.rmtree(target, ignore_errors=True)  # a stale one
        os.replace(out, target)
        sync_folder(target.parent)
    keep_step(workspace, step, manifest, made_now=True)
    return StepRun(kind(target), manifest, time.monotonic() - began)


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
