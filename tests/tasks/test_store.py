"""Objects in a real S3 server, and what a person reads when it does not do as it should."""

import errno
import os
import re
import subprocess
import sys
import urllib.request
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.errors import MachineFault, SettingsError, StaleFile
from schemas.workspace import default_home, models_root
from tasks import store as module
from tasks.store import Store, open_store
from tests.conftest import free_port


@pytest.fixture
def forget_clients():
    """Forget clients that were made with other variables, now and after the test."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    yield s3fs.S3FileSystem.clear_instance_cache
    s3fs.S3FileSystem.clear_instance_cache()


def test_objects_are_written_read_listed_and_deleted(store, tmp_path):
    """By their path below the address."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b").write_bytes(b"bb")
    store.write("x/a", b"a")
    store.push(tmp_path, "x", ["deep/b"])

    assert store.read("x/a") == b"a"
    assert store.read("x/nothing") is store.tag("x/nothing") is None
    assert {name: listed.size for name, listed in store.objects("x").items()} == {"a": 1, "deep/b": 2}
    assert not store.objects("x")["a"].is_older(timedelta(minutes=10))
    assert store.objects("x")["a"].tag == store.tag("x/a")
    assert store.children("x") == ["a", "deep"]
    assert store.children("nothing") == []
    store.pull("x", tmp_path / "got", ["a", "deep/b"])
    assert (tmp_path / "got" / "deep" / "b").read_bytes() == b"bb"
    store.delete(["x/a", "x/deep/b", "x/gone"])
    assert store.objects("x") == {}


def test_an_object_is_replaced_only_where_nobody_was_faster(store):
    """A tag that is no longer that of the object, or an object where there was none: nothing is written."""
    assert store.replace("pointer", b"1", None)
    assert not store.replace("pointer", b"2", None)
    tag = store.tag("pointer")
    assert store.replace("pointer", b"3", tag)
    assert not store.replace("pointer", b"4", tag)
    assert store.read("pointer") == b"3"
    store.delete(["pointer"])
    assert not store.replace("pointer", b"5", tag)


def test_a_write_refused_because_of_itself_has_happened(store):
    """Its answer was lost, the client tried again: what is there is what was to be written."""
    tag = store.tag("pointer")
    assert store.replace("pointer", b"mine", tag)
    assert store.replace("pointer", b"mine", tag)


def test_a_server_that_ignores_conditions_is_not_trusted(store, monkeypatch):
    """Some S3-compatible servers overwrite all the same: two machines at once would lose a version."""
    monkeypatch.setattr(Store, "_put_if", lambda self, path, content, tag: self.write(path, content) or True)
    monkeypatch.setattr(module, "_conditional_writes_of", module._conditional_writes_of.__wrapped__)

    with pytest.raises(MachineFault, match="takes no notice of If-Match"):
        store.replace("pointer", b"1", None)


def test_without_a_store_nothing_of_it_is_imported():
    """The local disk costs what it did."""
    code = "import sys, tasks.registry, tasks.steps; sys.exit('s3fs' in sys.modules or 'fsspec' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    assert open_store() is None


@pytest.mark.parametrize("address", ["/mnt/shared", "gs://bucket", "s3://", "bucket", "s3://a b/c", "s3:///c"])
def test_an_address_that_is_no_bucket_is_refused(address, monkeypatch):
    """With what to give instead."""
    monkeypatch.setenv("DSSM_STORE", address)
    with pytest.raises(SettingsError, match="give s3://bucket/prefix"):
        open_store()


def test_each_store_has_a_copy_of_its_own(store, monkeypatch):
    """What was published to one is never taken for what another one holds, nor for what is here alone."""
    roots = {models_root(default_home())}
    monkeypatch.setenv("DSSM_STORE", "s3://shared/another")
    roots.add(models_root(default_home()))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://another")
    roots.add(models_root(default_home()))
    monkeypatch.setenv("DSSM_STORE", " ")
    roots.add(models_root(default_home()))

    assert len(roots) == 4
    assert default_home() / "models" in roots


def test_a_bucket_that_is_not_there_is_a_wrong_setting(store, monkeypatch):
    """For every way to ask."""
    monkeypatch.setenv("DSSM_STORE", "s3://nosuch/prefix")
    missing = open_store()
    asked = [
        lambda: missing.read("x"),
        lambda: missing.tag("x"),
        lambda: missing.write("x", b""),
        lambda: missing.objects("x"),
        lambda: missing.children("x"),
        lambda: missing.replace("x", b"", None),
    ]
    for ask in asked:
        with pytest.raises(SettingsError, match="s3://nosuch/prefix: there is no such bucket"):
            ask()


def test_a_server_that_is_not_there_is_a_fault_of_the_machine(store, monkeypatch):
    """The same command works later."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(MachineFault, match=r"does not answer as it should.*run the same command again"):
        store.read("x")


def test_no_credentials_and_wrong_ones_are_named(store, s3_url, forget_clients, monkeypatch):
    """The first the client notices, the second the server."""
    enforce_credentials(s3_url, "0")
    try:
        with pytest.raises(MachineFault, match=r"refuses this machine.*AWS_ACCESS_KEY_ID"):
            store.objects("x")
    finally:
        enforce_credentials(s3_url, "inf")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    forget_clients()
    with pytest.raises(MachineFault, match=r"refuses this machine.*AWS_ACCESS_KEY_ID"):
        store.objects("x")


def test_an_object_that_is_gone_is_said_so(store, tmp_path):
    """A listing named it, somebody deleted it."""
    with pytest.raises(StaleFile, match=r"below s3://shared/.*/x is gone"):
        store.pull("x", tmp_path, ["nothing"])


def test_a_full_disk_is_not_the_stores_fault(store, tmp_path, monkeypatch):
    """A write that fails has the disk's own number, by which `flows.faults` knows it."""
    store.write("x/a", b"a" * 100_000)
    monkeypatch.setattr(module, "join_inside", lambda *_: Path("/dev/full"))  # a link there leads out
    with pytest.raises(OSError, match="No space left on device") as error:
        store.pull("x", tmp_path, ["a"])
    assert error.value.errno == errno.ENOSPC
    assert error.value.filename is None, "else the other test covers it"


def test_a_file_of_this_machine_keeps_its_name(store, tmp_path):
    """One that is gone or may not be read is no object of the store."""
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}/nothing"):
        store.push(tmp_path, "x", ["nothing"])
    with pytest.raises(PermissionError, match="/data/x"), store._asking():
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/data/x")  # root is refused nothing


def test_without_s3fs_the_message_says_what_to_install():
    """It is an extra."""
    code = """
import sys
sys.modules["s3fs"] = None
from tasks.store import Store
Store("s3://shared/x").read("x")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert re.search(r"SettingsError: DSSM_STORE=s3://shared/x needs s3fs.*'\.\[s3\]'", done.stderr)


def enforce_credentials(url: str, after: str) -> None:
    """Let the server check credentials from the next request on, or never."""
    kind = {"Content-Type": "text/plain"}
    urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset-auth", after.encode(), kind))
