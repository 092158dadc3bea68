"""What steps hand over is read as what it is."""

import pytest

from schemas.ingest import IngestFacts
from schemas.manifest import StepManifest
from schemas.outputs import DriftOutput, EvaluateOutput, IngestOutput, PrepareOutput, StepOutput
from schemas.workspace import STEPS, Workspace

KINDS = StepOutput.__subclasses__()


def test_every_step_with_files_has_an_output_of_its_own():
    """Publish leaves its files with the run and with the version."""
    assert [kind.step for kind in KINDS] == [step for step in STEPS if step != "publish"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_output_names_each_of_its_files_once_and_inside_its_folder(kind, tmp_path):
    """Two files of one name would be one file."""
    output = kind.of(Workspace.of("toy", "run-1", tmp_path))
    files = [getattr(output, name) for name, value in vars(kind).items() if isinstance(value, property)]

    assert output.folder == tmp_path / "runs" / "toy" / "run-1" / kind.step
    assert files
    assert {file.parent for file in files} == {output.folder}
    assert len(set(files)) == len(files)


def test_facts_are_read_back_as_what_was_counted(tmp_path):
    """They lie in the manifest as JSON."""
    facts = IngestFacts(
        rows=3, test_rows=0, classes=2, quarantined=1, quarantined_test=0, reasons={}, files=[], warnings=["careful"]
    )
    StepManifest(step="ingest", key="k", files=[], facts=facts.model_dump()).write(tmp_path)

    assert IngestOutput(tmp_path).read_facts() == facts


def test_epochs_are_found_in_their_order(tmp_path):
    """Also with three digits."""
    prepared = PrepareOutput(tmp_path)
    for epoch in (10, 2, 0):
        prepared.negatives(epoch).mkdir(parents=True)

    assert prepared.epochs() == [prepared.negatives(epoch) for epoch in (0, 2, 10)]


def test_what_need_not_be_there_is_none(tmp_path):
    """No golden queries, and nothing live to compare with."""
    assert EvaluateOutput(tmp_path).read_golden() is None
    assert DriftOutput(tmp_path).read_drift() is None
