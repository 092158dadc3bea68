"""The file lock."""

import errno
import fcntl
import shutil
import subprocess
import sys

import pytest

from schemas.manifest import write_atomically
from schemas.workspace import CHECKOUT
from tasks.locks import locked, take_lock


def test_a_lock_that_another_one_has_is_not_waited_for_unless_told(tmp_path):
    """Of the same process, too: it belongs to whoever opened it."""
    with locked(tmp_path / "lock"):
        assert take_lock(tmp_path / "lock", wait=False) is None
        with pytest.raises(BlockingIOError, match="another process"), locked(tmp_path / "lock", wait=False):
            pass
    with locked(tmp_path / "lock", wait=False):
        pass


def test_a_lock_whose_folder_was_deleted_by_its_holder_is_none(tmp_path):
    """Who waited for it must not believe to have it."""
    folder = tmp_path / "work"
    folder.mkdir()
    code = (
        f"from pathlib import Path; from tasks.locks import take_lock; take_lock(Path({str(folder)!r}) / 'lock', True)"
    )
    with locked(folder / "lock"):
        waiting = subprocess.Popen([sys.executable, "-c", code], cwd=CHECKOUT, stderr=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(3)
        shutil.rmtree(folder)
    assert "FileNotFoundError" in waiting.communicate(timeout=60)[1]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_disk_without_locks_is_warned_about_once(number, tmp_path, monkeypatch, caplog):
    """As some network disks are: it works, for one run at a time."""

    def flock(*_):
        raise OSError(number, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    for _ in range(3):
        with locked(tmp_path / "lock"):
            pass
    assert caplog.text.count("has no locks (flock)") == 1


def test_another_fault_of_the_lock_is_raised(tmp_path, monkeypatch):
    """A disk that fails is no disk without locks."""

    def flock(*_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="broken"):
        take_lock(tmp_path / "lock", wait=True)


def test_a_disk_that_cannot_sync_folders_is_warned_about(tmp_path, monkeypatch, caplog):
    """The file itself is synced."""
    import os
    import stat

    sync = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(tmp_path / "file", b"content")
    write_atomically(tmp_path / "file", b"another")

    assert (tmp_path / "file").read_bytes() == b"another"
    assert caplog.text.count("cannot sync folders") == 1
