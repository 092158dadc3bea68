"""What the log says that the corpus lacks, with a real model."""

from pathlib import Path

import numpy as np
import pytest

from schemas.doctor import DoctorState
from schemas.outputs import EvaluateOutput, PrepareOutput
from schemas.workspace import Workspace
from tasks.doctor.case import Case
from tasks.doctor.log import Asked
from tasks.doctor.unanswered import find_answered, mine, sure_score, watch
from tasks.doctor.visit import visit
from tasks.evaluate.candidate import evaluate_files
from tasks.retrieval.retriever import Model
from tests.conftest import TOY, make_settings

PARKING = ["机场停车场怎么收费", "机场停车场收费标准", "机场停车场一天收费多少", "停车场收费怎么算机场"]


@pytest.fixture(scope="module")
def run(candidate: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The run of the toy candidate, as far as evaluate."""
    workspace = Workspace.of("toy", "20261126-000000-abcdef", tmp_path_factory.mktemp("home"))
    workspace.root.parent.mkdir(parents=True)
    workspace.root.symlink_to(candidate.parents[1])
    workspace.step("evaluate").mkdir(exist_ok=True)
    settings = make_settings(Path("toy.csv"))
    evaluate_files(workspace.step("prepare"), candidate, workspace.step("evaluate"), settings)
    return workspace


def asked(text, **more):
    """Return a query of the log."""
    return Asked(text, text, **more)


def test_what_nobody_answers_is_one_group_and_what_the_corpus_has_is_none(run, candidate):
    """Four queries about parking, among queries that the corpus has word for word."""
    settings, known = make_settings(Path("toy.csv")), [queries.split()[0] for queries in TOY.values()]
    log = [asked(text) for text in [*PARKING, *known, PARKING[0]]]

    groups = mine(settings, run, Model(candidate), log, DoctorState())

    (new,) = [one for one in groups if set(one.new_queries) == set(PARKING)]
    assert new.kind == "new"
    assert "5 times" in new.why


def test_what_a_person_said_is_right_is_added_there(run, candidate):
    """Unless the corpus has it."""
    settings = make_settings(Path("toy.csv"))
    log = [asked("停车怎么办", right="如何改签"), asked("怎么改签", right="如何改签")]

    (told,) = mine(settings, run, Model(candidate), log, DoctorState())

    assert (told.kind, told.standard_question, told.new_queries) == ("add", "如何改签", ["停车怎么办"])


def test_what_was_answered_with_a_low_score_is_looked_at_all_the_same(run, candidate):
    """Nobody complained, and no standard question is about parking."""
    log = [asked(text, decision="answer") for text in PARKING]

    (new,) = mine(make_settings(Path("toy.csv")), run, Model(candidate), log, DoctorState())

    assert new.kind == "new"


def test_a_model_that_is_never_sure_answers_nothing(run, candidate):
    """Held-out rows that are all wrong: no score is enough."""
    case = Case.read(PrepareOutput.of(run), EvaluateOutput.of(run))
    wrong = Case(**{**vars(case), "ranks": np.full(len(case.ranks), 5)})
    model = Model(candidate)
    model.decisions = None

    assert sure_score(model, wrong) == float("inf")
    assert find_answered(model, wrong, ["怎么退票"]) == set()
    right = Case(**{**vars(case), "ranks": np.zeros(len(case.ranks), np.int64)})
    assert find_answered(model, right, [case.asked[0]]) == {case.asked[0]}


def test_traffic_asks_the_model_where_the_log_says_nothing(run, candidate):
    """Words that the corpus lacks are new; standard questions that nobody asks for are counted."""
    case = Case.read(PrepareOutput.of(run), EvaluateOutput.of(run))
    log = [asked(text, at="2026-11-24T08:00:00Z", decision="handover") for text in PARKING]
    said = watch(make_settings(Path("toy.csv")), Model(candidate), case, log)

    assert said.unanswered_share == 1
    assert "停车场" in [word for word, _ in said.new_words]
    assert said.never_asked >= len(TOY) - len(PARKING)


def test_the_health_report_shows_the_log_that_the_settings_name(run, tmp_path):
    """Section, warning and groups; without it nothing of the sort."""
    log = tmp_path / "queries.txt"
    log.write_text("\n".join(PARKING), "utf-8")

    assert visit(make_settings(Path("toy.csv")), run).traffic is None
    said = visit(make_settings(Path("toy.csv"), doctor__query_log=str(log)), run)

    page = (run.root / "health.html").read_text("utf-8")
    assert "What customers ask now" in page
    assert said.warnings
    assert all(warning.split(",")[0] in page for warning in said.warnings)
    assert [one for one in said.actions if one.kind in ("new", "add")]


def test_a_run_without_held_out_rows_is_read(tmp_path):
    """One row a standard question: ranked.parquet is empty, and the page is written."""
    from tasks.ingest.corpus import ingest_corpus
    from tasks.prepare.corpus import prepare_corpus
    from tasks.train.training import train_candidate
    from tests.conftest import write_table

    rows = [(queries.split()[0], question) for question, queries in TOY.items()]
    settings, run = make_settings(write_table(tmp_path / "one.csv", rows)), Workspace.of("toy", "run", tmp_path)
    for step in ("ingest", "prepare", "train", "evaluate"):
        run.step(step).mkdir(parents=True)
    (tmp_path / "partial").mkdir()
    ingest_corpus(settings.source, run.step("ingest"), tmp_path, 1)
    prepare_corpus(run.step("ingest"), run.step("prepare"), settings)
    train_candidate(run.step("prepare"), run.step("train"), tmp_path / "partial", settings, lambda epoch, most: None)
    evaluate_files(run.step("prepare"), run.step("train") / "candidate", run.step("evaluate"), settings)

    assert visit(settings, run).tested == 0
