"""What a person reads while a command works."""

import logging

import pytest

from flows.terminal import Terminal
from schemas.workspace import CHECKOUT


@pytest.mark.parametrize(
    ("module", "shown"),
    [("tasks/ingest/task.py", True), ("flows/train_corpus.py", True), (".venv/lib/python3/prefect/engine.py", False)],
)
def test_only_our_own_lines_are_printed(module, shown, capsys, monkeypatch):
    """Those of packages are not, also where their .venv lies in the checkout, as `make run` makes it."""
    monkeypatch.delenv("DSSM_VERBOSITY", raising=False)
    record = logging.LogRecord("prefect", logging.INFO, str(CHECKOUT / module), 1, "78 rows", None, None)
    Terminal().emit(record)
    assert ("78 rows" in capsys.readouterr().err) is shown
