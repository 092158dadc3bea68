"""What a person reads while a command works."""

import logging
import os

import pytest

from flows.commands.models import _say_decision
from flows.commands.output import say_next
from flows.commands.runs import _say_ahead, _show_results, run
from flows.terminal import Terminal
from schemas.decisions import Decisions
from schemas.evaluation import Interval
from schemas.run import RunResult
from schemas.workspace import CHECKOUT
from tasks.evaluate.experiments import Experiment
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


@pytest.mark.parametrize(("shown", "line"), [(3, "offer the first 4 (--top 4 shows them)"), (10, "offer the first 4")])
def test_what_is_to_be_offered_can_be_seen(shown, line):
    """With --top 3 the fourth is not there."""
    hit = Hit("如何改签", 0.5, "Q1")
    answer = Answer(hits=[hit] * shown, decision="clarify", probability=0.5, offers=[hit] * 4)
    assert _say_decision(answer, None) == [f"  clarify: {line} (the first is right with a probability of 0.50)"]


def test_runs_without_a_common_row_are_not_just_left_empty():
    """The first run, compared with itself, is; of others it says why there is no figure."""
    beside = Interval(value=0.1, low=-0.1, high=0.3)
    runs = [Experiment("c", "r", None, {}, rows, found) for rows, found in ((9, None), (0, None), (9, beside))]
    assert [*map(_say_ahead, runs)] == ["", "no test row in common", "+0.100 (-0.100 to +0.300) on 9 rows"]


def test_a_run_that_waits_or_is_held_ends_with_what_to_type(home, capsys):
    """What was typed, with the settings that let the candidate pass; none where a gate has no such setting."""
    held = RunResult(status="held", corpus="bank", report="report.html", overrides=["publish.max_drop_vs_live=1"])
    typed = ["bank", "--source", "my rows.csv", "--set", "seed=7"]
    with run.make_context("run", typed):
        _show_results([held, RunResult(status="awaiting_approval", corpus="c")])
        _show_results([held.model_copy(update={"overrides": []})])
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("next", "to do"))]

    again = "run bank --source 'my rows.csv' --set seed=7 --set publish.max_drop_vs_live=1"
    assert said[1:3] == [f"next: dssm {again}", "next: dssm approve c"]
    assert said[0].startswith(said[3])
    assert len(said) == 4


def test_workers_of_prefect_do_not_tell_of_their_queues():
    """A command that ends waits for them; that is nothing to be warned of."""
    assert not logging.getLogger("EventsWorker").isEnabledFor(logging.WARNING)


@pytest.mark.parametrize(("answer_from", "told"), [(None, True), (0.98, False)])
def test_a_choice_says_why_a_sure_answer_is_not_given(answer_from, told):
    """0.96, and yet a choice: no probability keeps the promise on so few held-out queries."""
    decisions = Decisions.model_construct(answer_from=answer_from, held_out=11, max_wrong=0.05)
    hits = [Hit("Where do I park?", 0.529, "1"), Hit("What are your opening hours?", 0.103, "2")]

    (line,) = _say_decision(Answer(hits, "clarify", 0.96, hits), decisions)

    assert "probability of 0.96" in line
    assert ("answers nothing directly: no probability keeps at most 5% wrong on 11 held-out queries" in line) is told
