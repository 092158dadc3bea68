"""An edit and the nights after it: trained, carried, settled, dropped."""

from pathlib import Path

import pytest

from schemas.edits import Edit
from schemas.outputs import IngestOutput, TrainOutput
from tasks.registry import ModelRegistry
from tasks.retrieval.edits import drop_edit, edit_live, live_overlay
from tasks.retrieval.retriever import Retriever
from tests.conftest import PAIRS, make_settings, write_table

pytestmark = pytest.mark.slow

NEW, QUERIES = "飞机上有网吗", ["飞机上能上网吗", "飞机上有wifi吗", "飞机上网吗"]
_LENIENT = {"publish__max_drop_vs_live": {"warn": 0.5, "stop": 0.6}}


def test_an_edit_outlives_the_night_until_the_export_has_it(flow, tmp_path):
    """Live at once; trained by the next run, which says so; then the export has it, and nothing is kept beside it."""
    file = write_table(tmp_path / "toy.csv", PAIRS)
    settings = make_settings(file, **_LENIENT)
    flow(settings)
    registry = ModelRegistry(flow.models)
    edited = edit_live(registry, Edit(action="add", standard_question=NEW, similar_queries=QUERIES))
    assert edited.expected is None, "no test row is of a standard question with so few queries"

    night = flow(settings)

    assert night.status == "published"
    assert any("1 edit is not in the export" in warning for warning in night.warnings)
    assert "Put what was edited since the export into it (1)" in (flow.run_folder(night) / "report.html").read_text(
        "utf-8"
    )
    assert live_overlay(registry) == edited.overlay
    model = Retriever(flow.models).model
    assert model.rows[model.standard_questions.index(NEW)] in (2, 3)  # of three, one may be held out
    assert flow(settings).status == "unchanged"

    write_table(file, [*PAIRS, *((query, NEW) for query in QUERIES)])
    later = flow(settings)
    assert any("1 edit is in the export by now" in warning for warning in later.warnings)
    assert later.status == "published"
    assert live_overlay(registry).edits == []


def test_what_is_edited_while_a_run_trains_is_in_its_version(flow, tmp_path, monkeypatch):
    """The run had read the export and no edit; its version has it all the same."""
    settings = make_settings(write_table(tmp_path / "toy.csv", PAIRS), **_LENIENT)
    flow(settings)
    registry = ModelRegistry(flow.models)
    real = TrainOutput.read_report

    def edit_first(self):
        """Read the report, as publish does when all is trained, after somebody has edited."""
        if not live_overlay(registry).edits:
            edit_live(registry, Edit(action="add", standard_question=NEW, similar_queries=QUERIES))
        return real(self)

    monkeypatch.setattr(TrainOutput, "read_report", edit_first)
    night = flow(settings.model_copy(update={"seed": 99}))

    assert night.status == "published"
    assert not IngestOutput(Path(flow.run_folder(night), "ingest")).edits.exists()
    assert Retriever(flow.models).search([NEW])[0][0].standard_question == NEW
    assert [edit.standard_question for edit in live_overlay(registry).edits] == [NEW]
    drop_edit(registry, NEW)
    assert live_overlay(registry).edits == []


def test_edits_that_cannot_be_read_bar_no_night(flow, tmp_path, caplog):
    """The version that holds them is damaged: it is told, and its successor goes live."""
    settings = make_settings(write_table(tmp_path / "toy.csv", PAIRS), **_LENIENT)
    flow(settings)
    registry = ModelRegistry(flow.models)
    made = edit_live(registry, Edit(action="add", standard_question=NEW, similar_queries=QUERIES))
    (flow.models / made.version / "overlay.json").write_text("{")

    night = flow(settings.model_copy(update={"seed": 99}))

    assert night.status == "published"
    assert "what was edited since the export cannot be read" in caplog.text
