"""What a person reads while a command works."""

import logging
import os

import pytest

from flows.commands.output import say_next
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


def test_lines_of_modules_without_prefect_are_heard():
    """The root's level, warnings, is for packages."""
    assert logging.getLogger("dssm.cluster").isEnabledFor(logging.INFO)


@pytest.mark.parametrize(
    ("called", "path", "typed"),
    [
        ("own/dssm", "/nowhere", "own/dssm"),  # as make run does, in a shell that knows no dssm
        ("own/dssm", "other", "own/dssm"),  # one of another checkout
        ("own/dssm", "own", "dssm"),
        ("-m", "/nowhere", "dssm"),
    ],
)
def test_what_to_type_next_can_be_typed(called, path, typed, tmp_path, monkeypatch, capsys):
    """Followed literally."""
    for folder in ("own", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "dssm").write_text("#!/bin/sh\n", "utf-8")
        os.chmod(tmp_path / folder / "dssm", 0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / path))
    monkeypatch.setattr("sys.argv", [called, "run", "c"])

    say_next("query c 怎么")

    assert capsys.readouterr().out == f"next: {typed} query c 怎么\n"
