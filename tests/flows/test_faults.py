"""Errors of others, said so that a person can act on them."""

import asyncio
import errno
import os
import shutil
import sqlite3
from concurrent.futures.process import BrokenProcessPool

import httpx
import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors import SafetensorError

from flows.api.front import Front, Keys
from flows.api.metrics import Metrics
from flows.faults import as_fault
from schemas.errors import CorpusRejected, StaleFile
from schemas.service import ErrorAnswer, Limits

HIDDEN = "[Errno 28] No space left on device: 'model.json'"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "Error writing bytes to file", "train.parquet"),
        OSError(errno.EROFS, "Read-only file system"),
        PermissionError(errno.EACCES, "Permission denied", "data"),
        SafetensorError('I/O error: Os { code: 28, kind: StorageFull, message: "No space left on device" }'),
        OSError(errno.EDQUOT, "Disk quota exceeded", "train.parquet"),
        OSError(errno.EFBIG, "File too large", "train.parquet"),
        sqlite3.OperationalError("database or disk is full"),
        shutil.Error([("model.json", ".partial/model.json", HIDDEN)]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_disk_that_cannot_be_written_is_a_fault_of_the_machine(error):
    """Exit 3, what to do; also where a library hides the error's number."""
    fault = as_fault(error)

    assert fault is not None
    assert fault.exit_code == 3
    assert "cannot write" in str(fault)
    assert "run the same command again" in str(fault)
    outer = RuntimeError("a step failed")
    outer.__cause__ = error
    assert str(as_fault(outer)) == str(fault), "also where another error hides it"


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOTDIR, errno.ETIMEDOUT])
def test_a_disk_that_fails_is_a_fault_of_the_machine(number):
    """As a broken one, or one whose server went away, says it."""
    fault = as_fault(OSError(number, os.strerror(number), "/mnt/data/rows.csv"))

    assert fault is not None
    assert (fault.exit_code, "/mnt/data/rows.csv" in str(fault), os.strerror(number) in str(fault)) == (3, True, True)


def test_an_error_for_the_owner_stays_as_it_is():
    """It is the finished message."""
    error = CorpusRejected("none of the rows is usable")

    assert as_fault(error) is error


@pytest.mark.parametrize("error", [KeyError("weight"), ValueError("shapes"), FileNotFoundError(errno.ENOENT, "gone")])
def test_a_fault_of_ours_is_not_dressed_up(error):
    """Nobody foresaw it: its traceback is shown."""
    assert as_fault(error) is None


def of_torch():
    torch.empty(1 << 50)


def of_numpy():
    np.empty(1 << 50)


def of_arrow():
    pa.allocate_buffer(1 << 50)


@pytest.mark.parametrize("allocate", [of_torch, of_numpy, of_arrow])
def test_libraries_say_each_in_its_way_that_memory_ran_out(allocate):
    """A petabyte, really asked for."""
    with pytest.raises(Exception) as error:  # noqa: PT011 - each has its own
        allocate()
    assert "out of memory" in str(as_fault(error.value))


def test_what_cannot_be_read_is_not_said_to_be_written(tmp_path, monkeypatch):
    """A file of another user, and one that cannot be made."""
    (tmp_path / "rows.csv").write_text("")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.R_OK)  # of a user who is not root
    there, new = (
        PermissionError(errno.EACCES, "Permission denied", str(tmp_path / name)) for name in ("rows.csv", "x")
    )

    assert str(as_fault(there)).startswith(f"cannot read {tmp_path}/rows.csv: Permission denied")
    assert str(as_fault(new)).startswith(f"cannot write {tmp_path}/x: Permission denied")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        BrokenProcessPool("a process died"),
        torch.OutOfMemoryError("CUDA"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("CUDA error: out of memory"),
        SafetensorError("I/O error: Cannot allocate memory (os error 12)"),
    ],
    ids=str,
)
def test_memory_that_ran_out_names_the_settings_that_need_it(error):
    """Here, in a worker that the system killed, or on a GPU: lowering them is what a person can do."""
    assert "model.ensemble" in str(as_fault(error))


@pytest.mark.parametrize(
    ("error", "status", "kind", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "live.json"), 503, "machine", "cannot write live.json"),
        (StaleFile("version 3 is damaged"), 503, "machine", "version 3 is damaged"),
        (MemoryError(), 503, "machine", "out of memory"),
        (KeyError("weight"), 500, "fault", "a fault of ours"),
    ],
)
def test_a_service_tells_what_its_machine_lacks_from_a_fault_of_ours(error, status, kind, says, caplog):
    """The first may pass, and needs no traceback in the log."""

    async def app(_scope, _receive, _send):
        raise error

    async def ask():
        front = Front(app, Limits(), Keys([]), Metrics())
        async with httpx.AsyncClient(transport=httpx.ASGITransport(front), base_url="http://x") as client:
            return await client.post("/v1/toy/search")

    answer = asyncio.run(ask())
    said = ErrorAnswer.model_validate_json(answer.content).error
    assert (answer.status_code, said.kind, said.message.startswith(says)) == (status, kind, True), said.message
    assert ("Traceback" in caplog.text) == (status == 500)
    assert ("Retry-After" in answer.headers) == (status == 503)


def test_a_server_with_a_password_names_the_variable():
    """As Prefect's client says it; the traceback of a library would bury what is to be set."""
    error = RuntimeError("Client error '401 Unauthorized' for url 'http://127.0.0.1:4200/api/csrf-token'")

    assert "PREFECT_API_AUTH_STRING" in str(as_fault(error))
