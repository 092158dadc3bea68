"""Errors a person acts on, exit codes, and where files lie."""

import pickle
from typing import get_args

import pytest

from schemas import errors
from schemas.errors import PipelineError, SettingsError
from schemas.run import EXIT_CODES, RunResult, Status
from schemas.workspace import CHECKOUT, STEPS, Workspace, artifact_key, default_home

ERRORS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PipelineError)]


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_survives_pickling(kind):
    """Prefect passes them between processes; the message is the one finished string it was made with."""
    back = pickle.loads(pickle.dumps(kind("row 7 of train.csv: 没有标准问")))

    assert type(back) is kind
    assert str(back) == "row 7 of train.csv: 没有标准问"
    assert back.exit_code == kind.exit_code
    assert kind.__doc__


def test_exit_codes_tell_the_owners_faults_from_ours():
    """2: usage, settings or data; 3: the machine, or a broken promise of ours."""
    codes = {kind.__name__: kind.exit_code for kind in ERRORS if kind is not PipelineError}

    assert codes == {
        "SettingsError": 2,
        "FilterError": 2,
        "EditError": 2,
        "SourceError": 2,
        "CorpusRejected": 2,
        "NothingLive": 2,
        "MachineFault": 3,
        "Unreachable": 3,
        "ProofBroken": 3,
        "StaleFile": 3,
    }


def test_every_status_has_its_exit_code():
    """0 published, unchanged, awaiting approval or checked; 1 held; 2 rejected; 3 failed."""
    assert set(EXIT_CODES) == set(get_args(Status))
    assert [EXIT_CODES[status] for status in ("published", "unchanged", "awaiting_approval", "checked")] == [0] * 4
    assert [EXIT_CODES[status] for status in ("held", "rejected", "failed")] == [1, 2, 3]


def test_a_result_needs_no_more_than_status_and_corpus():
    """What was not reached is empty, and still there for a program that reads it."""
    result = RunResult(status="rejected", corpus="bank", error="no column")

    assert set(RunResult.model_validate_json(result.model_dump_json()).model_dump()) == set(RunResult.model_fields)
    assert (result.rows, result.warnings, result.baselines, result.seconds) == (None, [], {}, {})


def test_files_lie_below_one_root(tmp_path):
    """Given, else $DSSM_HOME, else data/ of the checkout; always absolute."""
    workspace = Workspace.of("bank", "r1", tmp_path)

    assert workspace.step("train") == tmp_path.resolve() / "runs" / "bank" / "r1" / "train"
    assert workspace.models == tmp_path.resolve() / "models" / "bank"
    assert list(tmp_path.iterdir()) == []  # to name a folder makes none


def test_the_root_is_that_of_the_environment(tmp_path, monkeypatch):
    """A relative one counts from where the program stands; an empty one is no root, and one that is not set ours."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DSSM_HOME", "elsewhere")
    assert Workspace.of("bank", "r1").home == tmp_path.resolve() / "elsewhere"

    monkeypatch.setenv("DSSM_HOME", "")
    with pytest.raises(SettingsError, match="DSSM_HOME is set and empty"):
        default_home()
    monkeypatch.delenv("DSSM_HOME")
    assert default_home() == CHECKOUT / "data"


def test_a_step_that_does_not_exist_is_refused(tmp_path):
    """With the names of those that do."""
    with pytest.raises(ValueError, match=f"no step 'deploy'; the steps are {', '.join(STEPS)}"):
        Workspace.of("bank", "r1", tmp_path).step("deploy")


def test_artifact_keys_are_what_prefect_takes():
    """Small letters, digits and dashes."""
    assert artifact_key("bank_zh", "recall") == "bank-zh-recall"
