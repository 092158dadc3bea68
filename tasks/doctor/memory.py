"""What lies beside a corpus from run to run: the owner's corrections, and what the doctor remembers."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
from pydantic import ValidationError

from schemas.corrections import Correction, corrections_file, read_corrections, write_lines
from schemas.doctor import DoctorState
from schemas.errors import SettingsError
from schemas.manifest import write_atomically
from schemas.outputs import EvaluateOutput, PrepareOutput
from schemas.workspace import Workspace
from tasks.doctor.receipts import open_receipt
from tasks.doctor.sheet import read_todo
from tasks.locks import locked

_STATE = "doctor.json"
_LOGGER = logging.getLogger("dssm.doctor")


def latest_run(workspace: Workspace) -> Workspace | None:
    """Return the newest run of the corpus that was evaluated; None: there is none."""
    for folder in sorted(workspace.runs.glob("*"), reverse=True):
        run = workspace.model_copy(update={"run": folder.name})
        if EvaluateOutput.of(run).ranked.exists() and PrepareOutput.of(run).test.exists():
            return run
    return None


def read_state(workspace: Workspace) -> DoctorState:
    """Return what is remembered of a corpus, nothing where there is no file; one that is damaged is set aside."""
    file = _state_file(workspace)
    try:
        return DoctorState.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return DoctorState()
    except ValidationError as error:
        aside = file.replace(file.with_suffix(".damaged"))
        _LOGGER.warning("%s is damaged and was set aside as %s: %s", file, aside.name, error.errors()[0]["msg"])
        return DoctorState()


def change_state(workspace: Workspace, change: Callable[[DoctorState], DoctorState]) -> DoctorState:
    """Change what is remembered, one process at a time, and return it."""
    with _alone(workspace):
        state = change(read_state(workspace))
        write_atomically(_state_file(workspace), state.model_dump_json(indent=1).encode())
    return state


def apply_todo(workspace: Workspace, file: Path, batch: str) -> list[Correction]:
    """Append what the accepted rows of a to-do list ask for to the corrections, and return it.

    Args:
        workspace: of the corpus.
        file: the list, as the owner has edited it.
        batch: name of this application.

    Raises:
        SettingsError: nothing was evaluated yet.
        SourceError: the list cannot be meant; nothing is changed.
    """
    run = latest_run(workspace)
    if run is None:
        raise SettingsError(f"no run of {workspace.corpus!r} was evaluated yet: dssm run {workspace.corpus}")
    corrections = corrections_file(workspace.home, workspace.corpus)
    with _alone(workspace):
        earlier = read_corrections(corrections)
        made = read_todo(file, batch, _known(run, earlier))
        there = {one.model_dump_json(exclude={"batch", "gain", "action"}) for one in earlier}
        made = [one for one in made if one.model_dump_json(exclude={"batch", "gain", "action"}) not in there]
        if made:
            write_atomically(corrections, write_lines([*earlier, *made]))
    if any(one.gain is not None for one in made):
        receipt = open_receipt(batch, run.run, made, read_state(workspace).trust)
        change_state(workspace, lambda state: state.model_copy(update={"receipts": [*state.receipts, receipt]}))
    return made


def undo_last(workspace: Workspace) -> list[Correction]:
    """Take the last application of a to-do list back, and return what it was.

    Raises:
        SettingsError: there is nothing to take back.
    """
    file = corrections_file(workspace.home, workspace.corpus)
    with _alone(workspace):
        corrections = read_corrections(file)
        if not corrections:
            raise SettingsError(f"nothing was applied to {workspace.corpus!r}: there is no {file}")
        last = corrections[-1].batch
        kept = [one for one in corrections if one.batch != last]
        if kept:
            write_atomically(file, write_lines(kept))
        else:
            os.unlink(file)
    change_state(
        workspace,
        lambda state: state.model_copy(update={"receipts": [one for one in state.receipts if one.batch != last]}),
    )
    return [one for one in corrections if one.batch == last]


def _known(run: Workspace, earlier: list[Correction]) -> list[str]:
    texts = pq.read_table(PrepareOutput.of(run).classes, columns=["standard_question"])["standard_question"].to_pylist()
    return [*texts, *(one.to or one.standard_question for one in earlier)]


def _state_file(workspace: Workspace) -> Path:
    return corrections_file(workspace.home, workspace.corpus).with_name(f"{workspace.corpus}.{_STATE}")


@contextmanager
def _alone(workspace: Workspace) -> Iterator[None]:
    folder = corrections_file(workspace.home, workspace.corpus).parent
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / f".{workspace.corpus}.lock"):
        yield
