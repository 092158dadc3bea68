"""Old runs and unfinished work, deleted when a newer run has come to its end."""

import logging
import os
import shutil
import time
from collections.abc import Iterable, Set
from datetime import timedelta
from pathlib import Path

from schemas.workspace import RESULT_FILE, Workspace, sort_runs
from tasks.locks import take_lock

_LOGGER = logging.getLogger("dssm.publish")
CHECK = "-check"  # ends the name of a run that only checks: those are counted by themselves
ABANDONED = timedelta(days=14)  # unfinished work that nobody took up for so long


def choose_surplus(ended: Iterable[str], this: str, keep: int, spare: Set[str]) -> list[str]:
    """Return the oldest of the runs that have ended beyond `keep`, never this one or one of `spare`."""
    others = sort_runs(run for run in ended if run != this)
    return [run for run in others if run not in spare][: max(0, len(others) + 1 - keep)]


def prune_runs(workspace: Workspace, keep: int, spare: Set[str] = frozenset()) -> list[str]:
    """Delete the oldest runs (or checks, if this is one) of the corpus beyond `keep`, and what was abandoned.

    Never this run or one of `spare`, nor one that may still be at work: it has no run.json yet, and is not old.
    """
    kind = workspace.run.endswith(CHECK)
    alike = [run for run in workspace.runs.glob("[!.]*/") if run.name.endswith(CHECK) == kind]
    ended = [run.name for run in alike if (run / RESULT_FILE).exists() or _is_old(run)]
    surplus = [workspace.runs / run for run in choose_surplus(ended, workspace.run, keep, spare)]
    for run in surplus:
        try:
            shutil.rmtree(run)
        except OSError as error:  # it is tried again after the next run
            _LOGGER.warning("old run %s was not deleted: %s", run, error)
    for folder in workspace.partial.glob("*/"):
        if _is_old(folder) and not _in_use(folder):
            shutil.rmtree(folder, ignore_errors=True)
    return [run.name for run in surplus if not run.exists()]


def _is_old(folder: Path) -> bool:
    return time.time() - folder.stat().st_mtime > ABANDONED.total_seconds()


def _in_use(folder: Path) -> bool:
    if (lock := take_lock(folder / "lock", wait=False)) is None:
        return True
    os.close(lock)
    return False
