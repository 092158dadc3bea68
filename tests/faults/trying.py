"""One bad input, tried in a process of its own, and what is to be thought of how it ended."""

import json
import os
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Verdict = Literal["right", "unclear", "traceback", "silent", "memory", "leak"]
#: What is wanted: `refused` with exit 2, `told` (refused, warned of, or rows set aside), `read`, or `any` clear end.
Wanted = Literal["refused", "told", "read", "any", "faulted"]

MOST_MEMORY = 1 << 30  # bytes
_MOST_SECONDS = 60  # on a machine that has nothing else to do
_LONGEST, _MOST_LINES = 2000, 12  # of a message


@dataclass(frozen=True)
class Case:
    """A bad input: what is made of it, the words of the command, and what is wanted."""

    kind: str
    name: str
    make: Callable[[Path], object]  # in the folder where the command starts
    words: tuple[str, ...]
    wanted: Wanted
    says: str = ""  # a pattern of the message
    rows: int | None = None  # that are in it, where nothing is to be told
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    before: Callable[[], object] = bool  # what the process does before it is the command


@dataclass(frozen=True)
class End:
    """How a case ended."""

    case: Case
    code: int
    out: str
    err: str
    memory: int  # bytes, at most
    verdict: Verdict
    why: str = ""


def try_case(case: Case, folder: Path, command: Callable[[list[str]], object]) -> End:
    """Return how `command` ends, in a fork of this process that has what it imports."""
    work, home = folder / "work", folder / "home"
    work.mkdir(parents=True)
    home.mkdir()
    case.make(work)
    sys.stdout.flush()
    sys.stderr.flush()
    pipes = [os.pipe() for _ in ("out", "err")]  # no files: a case may allow none
    if not (child := os.fork()):
        _be(case, work, home, command, [write for _, write in pipes])
    for _, write in pipes:
        os.close(write)
    with ThreadPoolExecutor(len(pipes)) as pool:
        reads = [pool.submit(_read, read) for read, _ in pipes]
        code, memory = _wait(child)
        out, err = (read.result().decode("utf-8", "replace") for read in reads)
    left = [out, err, *_texts_below(home)] if case.secrets else []
    verdict, why = judge(case, code, out, err, memory, left)
    return End(case, code, out, err, memory, verdict, why)


def _read(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read()


def _be(case: Case, work: Path, home: Path, command: Callable[[list[str]], object], outputs: list[int]) -> None:
    """Be the process of a command, and end."""
    code = 70
    try:
        for number, output in zip((1, 2), outputs, strict=True):
            os.dup2(output, number)
        os.chdir(work)
        os.environ.update({"DSSM_HOME": str(home), **case.environment})
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        case.before()
        command(list(case.words))
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:
        with suppress(OSError):
            os.write(2, traceback.format_exc().encode())
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(code)


def _wait(child: int) -> tuple[int, int]:
    """Return a child's exit code and the memory it had; one that takes too long is killed."""
    until = time.monotonic() + _MOST_SECONDS * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    while True:
        ended, status, used = os.wait4(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), used.ru_maxrss * 1024
        if time.monotonic() > until or _resident(child) > 2 * MOST_MEMORY:
            os.kill(child, signal.SIGKILL)
            until += 3600
        time.sleep(0.005)


def _resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:  # it has just ended
        return 0


def _texts_below(folder: Path) -> Iterable[str]:
    return [file.read_bytes().decode("utf-8", "replace") for file in folder.rglob("*") if file.is_file()]


def judge(case: Case, code: int, out: str, err: str, memory: int, left: Iterable[str]) -> tuple[Verdict, str]:
    """Return what is to be thought of an end, worst first, and why."""
    if any(secret in text for text in left for secret in case.secrets):
        return "leak", "a secret was written"
    if memory > MOST_MEMORY:
        return "memory", f"{memory / 1e6:.0f} MB"
    if "Traceback (most recent call last)" in out + err or code not in (0, 1, 2, 3):
        return "traceback", f"exit {code}: {err.strip()[-300:]}"
    said = "\n".join(line for line in err.splitlines() if line.startswith(("dssm:", "Usage", "Error", "Try", "  ")))
    if code == 0 and case.wanted in ("refused", "faulted"):
        return "silent", "accepted"
    if code == 0:
        return _judge_accepted(case, out, err)
    if case.wanted == "read" or ((code == 3) != (case.wanted == "faulted") and case.wanted != "any"):
        return "unclear", f"exit {code}: {err.strip()[-300:]}"
    if not re.search(case.says, err, re.DOTALL):
        return "unclear", f"does not say {case.says!r}: {err.strip()[-300:]}"
    if not said or len(said) > _LONGEST or said.count("\n") >= _MOST_LINES:
        return "unclear", f"{len(said)} characters in {said.count(chr(10)) + 1} lines: {said[:300]}"
    return "right", ""


def _judge_accepted(case: Case, out: str, err: str) -> tuple[Verdict, str]:
    if not out.rstrip().endswith("}"):
        return "right", ""
    found = json.loads(out.splitlines()[-1])
    told = bool(found.get("warnings") or found.get("quarantined"))
    whole = case.rows is not None and found.get("rows") == case.rows
    if case.wanted == "told" and not told and not whole:
        return "silent", f"{found.get('rows')} rows, nothing told"
    if case.wanted == "read" and case.rows is not None and not whole:
        return "silent", f"{found.get('rows')} rows instead of {case.rows}"
    return "right", ""
