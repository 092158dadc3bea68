"""A step that takes too long."""

import signal
import time
from threading import Thread

import pytest

from schemas.errors import MachineFault
from tasks.limits import time_limit

SOON = 0.1 / 60  # minutes


def test_what_takes_too_long_is_ended_with_the_setting_to_raise():
    """Whatever waits there: a server that never answers, a loop."""
    began = time.monotonic()
    with (
        pytest.raises(MachineFault, match=r"train took longer than 0\.00\d+ minutes.*limits\.train"),
        time_limit("train", SOON),
    ):
        time.sleep(60)
    assert time.monotonic() - began < 10
    time.sleep(0.2)  # nothing rings any more


def test_who_catches_it_is_told_again(monkeypatch):
    """Some code goes on after any error."""
    monkeypatch.setattr("tasks.limits._AGAIN_SECONDS", 0.05)
    caught = []

    def stubborn():
        with time_limit("ingest", SOON):
            try:
                time.sleep(60)
            except MachineFault as error:
                caught.append(error)
            time.sleep(60)

    with pytest.raises(MachineFault):
        stubborn()
    assert len(caught) == 1


def test_another_alarm_reaches_its_own_handler_and_has_it_back():
    """A thread without memory rings so, see flows.signals."""
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append("rung"))
    try:
        with time_limit("train", 1):
            signal.raise_signal(signal.SIGALRM)
        signal.raise_signal(signal.SIGALRM)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert rung == ["rung", "rung"]


def test_other_threads_have_no_limit():
    """Signals are for the main thread alone."""
    done = []

    def work():
        with time_limit("train", SOON):
            time.sleep(0.3)
        done.append(True)

    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
