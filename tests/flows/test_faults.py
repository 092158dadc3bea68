"""Errors of others, said so that a person can act on them."""

import errno
import shutil
from concurrent.futures.process import BrokenProcessPool

import pytest
import torch
from safetensors import SafetensorError

from flows.faults import as_fault
from schemas.errors import CorpusRejected

HIDDEN = "[Errno 28] No space left on device: 'model.json'"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "Error writing bytes to file", "train.parquet"),
        OSError(errno.EROFS, "Read-only file system"),
        PermissionError(errno.EACCES, "Permission denied", "data"),
        SafetensorError('I/O error: Os { code: 28, kind: StorageFull, message: "No space left on device" }'),
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


def test_an_error_for_the_owner_stays_as_it_is():
    """It is the finished message."""
    error = CorpusRejected("none of the rows is usable")

    assert as_fault(error) is error


@pytest.mark.parametrize("error", [KeyError("weight"), ValueError("shapes"), FileNotFoundError(errno.ENOENT, "gone")])
def test_a_fault_of_ours_is_not_dressed_up(error):
    """Nobody foresaw it: its traceback is shown."""
    assert as_fault(error) is None


@pytest.mark.parametrize("error", [MemoryError(), BrokenProcessPool("a process died"), torch.OutOfMemoryError("CUDA")])
def test_memory_that_ran_out_names_the_settings_that_need_it(error):
    """Here, in a worker that the system killed, or on a GPU: lowering them is what a person can do."""
    assert "model.ensemble" in str(as_fault(error))


def test_a_server_with_a_password_names_the_variable():
    """As Prefect's client says it; the traceback of a library would bury what is to be set."""
    error = RuntimeError("Client error '401 Unauthorized' for url 'http://127.0.0.1:4200/api/csrf-token'")

    assert "PREFECT_API_AUTH_STRING" in str(as_fault(error))
