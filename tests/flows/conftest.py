"""One run of the toy corpus in this process, and ways to look at what Prefect has of it."""

from pathlib import Path
from typing import Any

import pytest

from schemas.run import RunResult
from schemas.settings import CorpusSettings


class Flow:
    """Runs the main path under the harness in one DSSM_HOME."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, settings: CorpusSettings) -> RunResult:
        """Run to the end and return the result; a failure is raised."""
        return self.state(settings)[1]

    def state(self, settings: CorpusSettings) -> tuple[Any, RunResult]:
        """Run to the end and return Prefect's state and the result."""
        from flows.train_corpus import train_corpus

        state = train_corpus(settings, return_state=True)
        outcome = state.result(raise_on_failure=False)
        if isinstance(outcome, BaseException):
            raise outcome
        return state, outcome

    @property
    def models(self) -> Path:
        """Versions of the toy corpus."""
        return self.home / "models" / "toy"

    def run_folder(self, result: RunResult) -> Path:
        """Return the folder of a run."""
        assert result.run
        return self.home / "runs" / result.corpus / result.run


@pytest.fixture
def flow(prefect_server: None, home: Path) -> Flow:
    """The main path in an empty DSSM_HOME."""
    return Flow(home)
