"""Publish to a store again and again, killed before a later write to it each time. Run as a module, in its own process.

`python -m tests.tasks.killed_store BASE OLD NEW`: the n-th publishing goes to the store's prefix BASE/n, from a
disk of its own, where OLD is live; it is killed before its n-th request that changes the store, which is also after
the answer to the one before. The last state is of the publishing that was not killed. Prints how many there are.
"""

import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import s3fs

from tasks.registry import ModelRegistry
from tasks.update import Update
from tests.tasks.conftest import put


def arm(n: int) -> None:
    """Kill this process before its n-th request that changes the store."""
    call, left = s3fs.S3FileSystem._call_s3, n

    async def counted(self: Any, method: str, *words: Any, **named: Any) -> Any:
        nonlocal left
        if method.startswith(("put", "delete", "create", "upload", "complete", "copy")):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(0)
        return await call(self, method, *words, **named)

    s3fs.S3FileSystem._call_s3 = counted


def publish(candidate: Path) -> None:
    """Publish as the task does, keeping one version."""

    def action(update: Update) -> None:
        update.go_live(put(update, candidate), "published")
        update.prune(1)

    ModelRegistry.of("toy").change(action)


def main(base: str, old: Path, new: Path) -> None:
    """Kill the publishing before every write."""
    n, killed = 0, True
    while killed:
        n += 1
        if not (child := os.fork()):
            os.environ |= {"DSSM_STORE": f"{base}/{n}", "DSSM_HOME": tempfile.mkdtemp(dir=old.parent)}
            publish(old)
            arm(n)
            publish(new)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        killed = os.WIFSIGNALED(status)
        if not killed and os.waitstatus_to_exitcode(status):
            sys.exit(1)
    sys.stdout.write(f"{n}\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
