"""Where the jobs of prepare run: here, in a pool of processes, or (tasks.cluster) on Ray.

A job is a call of a module's function. It depends on its arguments alone, leaves files, and returns little. So it may
run anywhere, in any order, and twice.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any, Protocol

from tasks.cluster import in_order


class Engine(Protocol):
    """Runs jobs."""

    def run(self, function: Callable[..., Any], jobs: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Yield `function(*job)` of each job, in the order of the jobs."""


OpenEngine = Callable[[], AbstractContextManager[Engine]]


class _Here:
    def run(self, function: Callable[..., Any], jobs: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        return (function(*job) for job in jobs)


class _Pool:
    def __init__(self, pool: ProcessPoolExecutor, processes: int) -> None:
        self._pool, self._ahead = pool, 2 * processes

    def run(self, function: Callable[..., Any], jobs: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        return in_order(partial(self._pool.submit, function), Future.result, jobs, self._ahead)


@contextmanager
def open_local(processes: int) -> Iterator[Engine]:
    """Lend an engine of so many processes. One process is this one."""
    if processes == 1:
        yield _Here()
        return
    # Not fork: the parent holds threads of Prefect and torch.
    with ProcessPoolExecutor(processes, get_context("spawn"), _end_with_parent) as pool:
        yield _Pool(pool, processes)


def _end_with_parent() -> None:
    """End this process when its parent is gone. A pool whose parent was killed would wait for work for ever."""
    parent = parent_process()

    def watch() -> None:
        if parent:
            parent.join()
            os._exit(1)

    Thread(target=watch, daemon=True).start()
