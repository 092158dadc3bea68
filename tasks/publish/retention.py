"""Old runs and unfinished work, deleted when a newer run has come to its end. Pure but for the disk."""

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Set
from pathlib import Path

from schemas.workspace import RESULT_FILE, Workspace

_LOGGER = logging.getLogger("dssm.publish")
_ABANDONED = 14 * 24 * 3600  # unfinished work that nobody took up for so long, in seconds


def prune_runs(workspace: Workspace, keep: int, spare: Set[str] = frozenset()) -> list[str]:
    """Delete the oldest runs of the corpus beyond `keep`, and what was abandoned.

    Never this run or one of `spare`, nor one that may still be at work: it has no run.json yet, and is not old.
    """
    others = sorted(run for run in workspace.runs.glob("[!.]*/") if run.name != workspace.run)
    runs = [run for run in others if (run / RESULT_FILE).exists() or _is_old(run)]
    surplus = [run for run in runs if run.name not in spare][: max(0, len(runs) + 1 - keep)]
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
    return time.time() - folder.stat().st_mtime > _ABANDONED


def _in_use(folder: Path) -> bool:
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
