"""What a person reads while a command works."""

import logging
import os

import pytest

from flows.commands.models import _say_decision
from flows.commands.output import say_next
from flows.terminal import Terminal
from schemas.decisions import Decisions
from schemas.workspace import CHECKOUT
from tasks.retrieval.retriever import Answer, Hit


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


@pytest.mark.parametrize(("answer_from", "told"), [(None, True), (0.98, False)])
def test_a_choice_says_why_a_sure_answer_is_not_given(answer_from, told):
    """0.96, and yet a choice: no probability keeps the promise on so few held-out queries."""
    decisions = Decisions.model_construct(answer_from=answer_from, held_out=11, max_wrong=0.05)
    hits = [Hit("Where do I park?", 0.529, "1"), Hit("What are your opening hours?", 0.103, "2")]

    (line,) = _say_decision(Answer(hits, "clarify", 0.96, hits), decisions)

    assert "probability of 0.96" in line
    assert ("answers nothing directly: no probability keeps at most 5% wrong on 11 held-out queries" in line) is told
