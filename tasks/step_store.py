"""Steps and runs in the store, so that a machine with an empty disk goes on where another one stopped.

    steps/<corpus>/<step>-<key>/<run>/...      the files of a step, by the run that made it; manifest.json last
    runs/<corpus>/<run>/<step>-<key>.json      that this run has the step: made or re-used
    runs/<corpus>/<run>/run.json, report.html, settings.json, comparison.json

A step is put there once, however many runs re-use it. Without a store nothing here does anything.
"""

import logging
import os
import shutil
from collections.abc import Iterable, Set
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import ValidationError

from schemas.errors import StaleFile
from schemas.manifest import StepManifest
from schemas.paths import join_inside
from schemas.workspace import COMPARISON_FILE, RESULT_FILE, Workspace
from tasks.retention import ABANDONED, choose_surplus
from tasks.store import Listed, Store, open_store

_MANIFEST = "manifest.json"
_LOGGER = logging.getLogger("dssm.steps")
_IN_PROGRESS = timedelta(days=1)  # a step may belong to a run that is still at work


def fetch_step(workspace: Workspace, step: str, key: str) -> tuple[StepManifest, str] | None:
    """Get a step with this key into the run's folder; return it and the run that made it, or None: there is none."""
    if (store := open_store()) is None:
        return None
    for run in _made_by(store, workspace, step, key):
        target, path = workspace.step(step), f"{_folder(workspace, step, key)}/{run}"
        with TemporaryDirectory(prefix=f".{step}-", dir=target.parent) as scratch:
            partial = Path(scratch, step)
            try:
                manifest = _get(store, path, partial)
            except (StaleFile, ValidationError) as error:
                _LOGGER.warning("%s cannot be used again: %s", store.where(path), error)
                continue
            if manifest.key == key:
                shutil.rmtree(target, ignore_errors=True)
                os.replace(partial, target)
                return manifest, run
    return None


def keep_step(workspace: Workspace, step: str, manifest: StepManifest, made_now: bool) -> None:
    """Put a finished step of this run into the store, unless it is there; and that this run has it."""
    if (store := open_store()) is None:
        return
    folder, path = workspace.step(step), _folder(workspace, step, manifest.key)
    content = (folder / _MANIFEST).read_bytes()
    if made_now or not _made_by(store, workspace, step, manifest.key):
        store.push(folder, f"{path}/{workspace.run}", [entry.path for entry in manifest.files])
        store.write(f"{path}/{workspace.run}/{_MANIFEST}", content)
    store.write(f"{_run(workspace)}/{_name(step, manifest.key)}.json", content)


def keep_files(workspace: Workspace, names: Iterable[str]) -> None:
    """Put files that lie directly in the run's folder into the store, in this order; those that are not there, not."""
    if store := open_store():
        for name in names:
            if (file := workspace.root / name).is_file():
                store.write(f"{_run(workspace)}/{name}", file.read_bytes())


def keep_folder(workspace: Workspace, folder: Path) -> str:
    """Put a folder of the run that is no step into the store; return where it can be read, there or here."""
    if (store := open_store()) is None:
        return str(folder)
    files = [file.relative_to(folder).as_posix() for file in sorted(folder.rglob("*")) if file.is_file()]
    store.push(folder, f"{_run(workspace)}/{folder.name}", files)
    return store.where(f"{_run(workspace)}/{folder.name}")


def where(workspace: Workspace, name: str) -> str:
    """Return where people read a file of the run: in the store, or else here."""
    store = open_store()
    return store.where(f"{_run(workspace)}/{name}") if store else str(workspace.root / name)


def where_step(workspace: Workspace, manifest: StepManifest) -> str:
    """Return where people find a step of the run: in the store, by the run that made it, or else here."""
    store = open_store()
    path = _folder(workspace, manifest.step, manifest.key)
    return store.where(path) if store else str(workspace.step(manifest.step))


def find_run(workspace: Workspace, suffix: str) -> str | None:
    """Return the newest run of the corpus in the store whose name ends so, its own files got; None: there is none."""
    store = open_store()
    runs = [run for run in store.children(f"runs/{workspace.corpus}") if run.endswith(suffix)] if store else []
    if not store or not runs:
        return None
    found = workspace.model_copy(update={"run": join_inside(workspace.runs, runs[-1]).name})
    files = [name for name in (RESULT_FILE, COMPARISON_FILE) if store.tag(f"{_run(found)}/{name}")]
    found.root.mkdir(parents=True, exist_ok=True)
    if files:
        store.pull(_run(found), found.root, files)
    return found.run


def prune(workspace: Workspace, keep: int, spare: Set[str] = frozenset()) -> None:
    """Delete the oldest runs of the corpus beyond `keep`, and every step that no run has any more.

    Never this run or one of `spare`, nor one that may still be at work on this machine or another.
    """
    if (store := open_store()) is None:
        return
    runs, steps = (_group(store, f"{kind}/{workspace.corpus}") for kind in ("runs", "steps"))
    ended = [run for run in runs if RESULT_FILE in runs[run] or _is_older(runs[run], ABANDONED)]
    surplus = choose_surplus(ended, workspace.run, keep, spare)
    held = {name.removesuffix(".json") for run in runs if run not in surplus for name in runs[run]}
    doomed = [f"{_run(workspace, run)}/{name}" for run in surplus for name in runs[run]]
    for step in steps:
        if step not in held and _is_older(steps[step], _IN_PROGRESS):
            doomed += [f"steps/{workspace.corpus}/{step}/{name}" for name in steps[step]]
    store.delete(doomed)


def _get(store: Store, path: str, folder: Path) -> StepManifest:
    folder.mkdir()
    store.pull(path, folder, [_MANIFEST])
    manifest = StepManifest.read(folder)
    if manifest.files:
        store.pull(path, folder, [entry.path for entry in manifest.files])
    manifest.verify(folder)
    return manifest


def _made_by(store: Store, workspace: Workspace, step: str, key: str) -> list[str]:
    """Return the runs that have put the whole step into the store, newest first."""
    names = [name.split("/") for name in store.objects(_folder(workspace, step, key))]
    return sorted((parts[0] for parts in names if parts[1:] == [_MANIFEST]), reverse=True)


def _group(store: Store, path: str) -> dict[str, dict[str, Listed]]:
    """Return what lies below the folders of a folder, by folder and name."""
    groups: dict[str, dict[str, Listed]] = {}
    for name, listed in store.objects(path).items():
        group, _, rest = name.partition("/")
        groups.setdefault(group, {})[rest] = listed
    return groups


def _is_older(group: dict[str, Listed], than: timedelta) -> bool:
    return all(listed.is_older(than) for listed in group.values())


def _name(step: str, key: str) -> str:
    return f"{step}-{key[:16]}"


def _folder(workspace: Workspace, step: str, key: str) -> str:
    return f"steps/{workspace.corpus}/{_name(step, key)}"


def _run(workspace: Workspace, run: str | None = None) -> str:
    return f"runs/{workspace.corpus}/{run or workspace.run}"
