"""The service that starts runs: what it says of the server and of its own end. The rest is among tests of operation."""

import threading

from flows import serving


def test_a_service_that_ends_does_not_blame_the_server(home, monkeypatch, capsys):
    """Its own server ends with it: that is no outage, after which anything would start by itself."""
    ended = threading.Event()

    def answers(_api):
        ended.set()  # while it is asked
        return False

    monkeypatch.setattr(serving, "answers", answers)
    serving._watch([], "http://127.0.0.1:9/api", ended)
    assert capsys.readouterr().err == ""


def test_a_service_says_that_it_is_stopped(prefect_server, capsys, monkeypatch):
    """Its last line: what is due starts no more."""

    def interrupted(_ids, _api):
        raise KeyboardInterrupt

    monkeypatch.setattr(serving, "_serve", interrupted)
    try:
        serving.serve([], "http://127.0.0.1:9/api")
    except KeyboardInterrupt:
        pass
    assert capsys.readouterr().err.endswith("dssm: stopped; what is due starts when dssm serve is started again\n")
