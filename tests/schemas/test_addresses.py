"""Addresses: which may stand in settings, and that no secret of one is told."""

import pickle
from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas.addresses import check_address, expand, redact
from schemas.errors import SettingsError, SourceError
from schemas.settings import CorpusSettings
from schemas.workspace import store_address

SECRET = "pa55/w@rd:x"


@pytest.mark.parametrize(
    "address",
    [
        "reference://x.json",
        "simplecache::s3://bucket/x.csv",
        "filecache::http://host/x",
        "zip://a.csv::file:///tmp/a.zip",
        "file:///tmp/a::b",
        "github://org:repo@/x.csv",
        "git://repo",
        "python://os",
        "jupyter://host",
        "dask://x",
        "libarchive://x",
        "generic://x",
        "blockcache::file://x",
        "REFERENCE::x",
    ],
)
def test_an_address_of_another_kind_is_refused(address):
    """Some lead to files of their choice through a file of somebody else's, or unpickle what they cache."""
    with pytest.raises(ValueError, match="no address of this kind"):
        check_address(address)


@pytest.mark.parametrize("address", ["s3://a b/c.csv", "s3a:///c", "s3://银行/c.csv", "s3://${ID}:${KEY}@a b/c.csv"])
def test_an_address_of_no_bucket_is_refused(address):
    """Before anything is asked: the library's own message is half a page."""
    with pytest.raises(ValueError, match="no bucket has such a name"):
        check_address(address)


@pytest.mark.parametrize(
    "address",
    ["rows.csv", "/exports/a::b.csv", "/exports/c:d.csv", "bundled:c", "S3://bucket/*.csv", "s3://${BUCKET}/x", "s3://${ID}:${KEY}@my-bucket.a/x",
     "https://host:8443/x@y.csv",
     "https://host/x.csv?author=me&format=csv&keyword=y", "http://user@host/x", "sftp://host:22/x", "file:///x/y.csv",
     "https://${USER}:${PASSWORD}@host/x?token=${TOKEN}"],
)  # fmt: skip
def test_addresses_that_may_stand_in_settings(address):
    """Local names may hold anything."""
    assert check_address(address) == redact(address) == address


@pytest.mark.parametrize(
    "address",
    [
        f"http://user:{SECRET}@host/x.csv",
        "http://user:pa55@host:8080/x.csv",
        "https://me@corp.com:pa55@host/x.csv",
        "sftp://me@:pa55@host/x.csv",
        "http://user:pa/55@host/x.csv",
        "https://:pa55@host/x",
        "ssh://me:pa55@host/x",
        "s3://AKIA:pa55@bucket/x",
        "https://host/x.csv?token=pa55",
        "https://host/x.csv?format=csv&access_token=pa55#top",
        "https://host/x.csv?X-Amz-Credential=a&X-Amz-Signature=pa55",
        "https://host/x.csv?sv=1&sig=pa55",
        "https://host/x.csv?api_key=pa55&x=1",
        "https://host/x.csv?apikey=pa55",
        "https://host/x.csv?PASSWORD=pa55",
        "https://user:${NAME}pa55@host/x",
    ],
)
def test_an_address_that_holds_a_secret_is_refused_and_the_secret_is_not_told(address):
    """Every run records its settings; the message says how to pass it."""
    with pytest.raises(ValueError, match=r"environment variable and write \$\{NAME\}") as refused:
        check_address(address)
    for text in (
        str(refused.value),
        redact(address),
        redact(f"GET '{address}' failed"),
        redact(f"cannot read {Path(address)}: No such file"),  # of a word that was meant as a file
        str(SourceError(f"{address}")),
    ):
        assert "pa55" not in text
        assert "55@" not in text
    assert "host" in redact(address) or "bucket" in redact(address)


def test_settings_refuse_a_secret_wherever_an_address_stands():
    """Of four settings, also in a list; what Prefect would show of the error holds no secret, either."""
    secret = "http://user:pa55@host/x"
    for change in (
        {"source": {"path": secret}},
        {"source": {"path": ["a.csv", secret]}},
        {"source": {"path": "a.csv", "test_path": secret}},
        {"source": {"path": "a.csv", "questions_path": secret}},
        {"source": {"path": "a.csv"}, "publish": {"golden_path": secret}},
    ):
        with pytest.raises(ValidationError) as refused:
            CorpusSettings.model_validate({"name": "bank"} | change, context={"fill_defaults": True})
        assert "pa55" not in str(refused.value)


@pytest.mark.parametrize("address", ["os://x:1", "mine.module://x", "10.0.0.1", "ray://a:b@c:1", "x;y:1"])
def test_a_ray_address_is_a_host_and_a_port(address):
    """Ray imports what stands before :// as a module."""
    with pytest.raises(ValidationError, match="ray_address"):
        CorpusSettings.model_validate(
            {"name": "bank", "source": {"path": "a"}, "ray_address": address}, context={"fill_defaults": True}
        )


def test_what_was_put_into_an_address_is_hidden_in_whatever_is_told_later(monkeypatch):
    """Raw and as a URL has it; a password may hold what a URL escapes."""
    monkeypatch.setenv("BANK_PASSWORD", SECRET)
    monkeypatch.setenv("BANK_TOKEN", "t0ken-of-bank")
    url = expand("https://me:${BANK_PASSWORD}@host/x?t=${BANK_TOKEN}")

    assert url == "https://me:pa55%2Fw%40rd%3Ax@host/x?t=t0ken-of-bank"
    assert redact(f"login {SECRET} failed for t0ken-of-bank") == "login *** failed for ***"
    assert "pa55" not in redact(url)
    with pytest.raises(KeyError, match="NOT_THERE"):
        expand("https://${NOT_THERE}@host")


def test_an_error_that_was_redacted_survives_pickling():
    """Prefect pickles it."""
    error = SourceError("http://user:pa55@host/x is gone")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (SourceError, "http://***@host/x is gone")


def test_the_address_of_a_store_holds_no_secret(monkeypatch):
    """It stands in deployments, in messages and in names of folders."""
    monkeypatch.setenv("DSSM_STORE", "s3://AKIA:pa55@bucket/x")
    with pytest.raises(SettingsError, match="AWS_SECRET_ACCESS_KEY") as refused:
        store_address()
    assert "pa55" not in str(refused.value)
