"""Where files lie, however DSSM_HOME is written, and the order of runs."""

from datetime import UTC, datetime, timedelta

import pytest

from schemas.errors import MachineFault, SettingsError
from schemas.workspace import default_home, make_home, sort_runs, store_server


@pytest.mark.parametrize("given", ["{}/x", "'{}/x'", '"{}/x"', " {}/x \n", "{}/x//"])
def test_quotes_and_blanks_around_a_home_are_none_of_it(given, tmp_path, monkeypatch):
    """As files of environments have them."""
    monkeypatch.setenv("DSSM_HOME", given.format(tmp_path))
    assert make_home() == tmp_path / "x"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "is set and empty"),
        ("$HOME/x", "no shell has replaced"),
        ("~nobody-of-that-name/x", "nobody's home"),
        ("x" * 300, "can be no folder: .*too long"),
        ("loop", "can be no folder: Symlink loop"),
        ("file", "is a file"),
        ("s3://bucket/home", "is an address; set it to a folder"),
        ("https://me:pa55@host/home", r"https://\*\*\*@host/home is an address"),
        ("file:///tmp/home", "is an address"),
    ],
)
def test_a_home_that_cannot_be_meant_is_refused(given, message, tmp_path, monkeypatch):
    """In one sentence each."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    monkeypatch.setenv("DSSM_HOME", given)
    with pytest.raises(SettingsError, match=message):
        default_home()


def test_a_home_that_cannot_be_written_to_is_told_before_anything_starts(monkeypatch):
    """Nobody may write there, root neither."""
    monkeypatch.setenv("DSSM_HOME", "/proc/self")
    with pytest.raises(MachineFault, match="may not be written to"):
        make_home()


def test_a_run_of_a_clock_that_was_ahead_is_the_oldest():
    """One of tomorrow is not: clocks of two machines differ."""
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y%m%d}-000000-cccccc"
    names = ["20310101-000000-aaaaaa", "20260101-000000-bbbbbb", tomorrow]
    assert sort_runs(reversed(names)) == names


@pytest.mark.parametrize("address", ["nonsense", "s3.example:9000", "https://"])
def test_a_server_of_the_store_without_an_address_is_refused(address, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    with pytest.raises(SettingsError, match="AWS_ENDPOINT_URL is no address of a server"):
        store_server()
