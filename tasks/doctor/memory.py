"""What lies beside a corpus from run to run: the owner's corrections, and what the doctor remembers."""

import logging
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
from pydantic import ValidationError

from schemas.corrections import CORRECTIONS, Correction, corrections_path, parse_corrections, write_lines
from schemas.doctor import DoctorState
from schemas.errors import SettingsError, StaleFile
from schemas.manifest import StepManifest
from schemas.outputs import EvaluateOutput, PrepareOutput
from schemas.workspace import Workspace, sort_runs
from tasks.doctor.receipts import open_receipt
from tasks.doctor.sheet import read_todo
from tasks.shared_file import SharedFile

_STATE = "doctor.json"
_LOGGER = logging.getLogger("dssm.doctor")


def latest_run(workspace: Workspace) -> Workspace | None:
    """Return the newest run of the corpus that was evaluated and is whole; None: none was evaluated.

    Raises:
        StaleFile: each that was is damaged.
    """
    damage: StaleFile | None = None
    for name in reversed(sort_runs(folder.name for folder in workspace.runs.glob("*"))):
        run = workspace.model_copy(update={"run": name})
        try:
            for folder in (PrepareOutput.of(run).folder, EvaluateOutput.of(run).folder):
                StepManifest.read(folder).verify(folder)
        except FileNotFoundError:
            continue
        except (StaleFile, OSError, ValueError) as error:
            _LOGGER.warning("run %s is damaged and is passed over: %s", name, error)
            damage = damage or StaleFile(f"run {name} is damaged ({error}); make another one: dssm run {run.corpus}")
            continue
        return run
    if damage:
        raise damage
    return None


def read_state(workspace: Workspace) -> DoctorState:
    """Return what is remembered of a corpus, nothing where there is no file; one that is damaged is set aside."""
    file = _state_file(workspace)
    try:
        return _parse_state(file.read())
    except ValidationError as error:
        aside = file.set_aside()
        _LOGGER.warning("%s is damaged and was set aside as %s: %s", file.where, aside, error.errors()[0]["msg"])
        return DoctorState()


def change_state(workspace: Workspace, change: Callable[[DoctorState], DoctorState]) -> DoctorState:
    """Change what is remembered, one process at a time, and return it."""
    read_state(workspace)  # a damaged one is set aside
    state = DoctorState()

    def make(content: bytes | None) -> bytes:
        nonlocal state
        state = change(_parse_state(content))
        return state.model_dump_json(indent=1).encode()

    _state_file(workspace).change(make)
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
    corrections, made = _corrections_file(workspace), list[Correction]()

    def append(content: bytes | None) -> bytes | None:
        nonlocal made
        earlier = parse_corrections(content, corrections.where)
        there = {one.model_dump_json(exclude={"batch", "gain", "action"}) for one in earlier}
        read = read_todo(file, batch, _known(run, earlier))
        made = [one for one in read if one.model_dump_json(exclude={"batch", "gain", "action"}) not in there]
        return (content or b"") + write_lines(made) or None

    corrections.change(append)
    if any(one.gain is not None for one in made):
        receipt = open_receipt(batch, run.run, made, read_state(workspace).trust)
        change_state(workspace, lambda state: state.model_copy(update={"receipts": [*state.receipts, receipt]}))
    return made


def undo_last(workspace: Workspace) -> list[Correction]:
    """Take the last application of a to-do list back, and return what it was.

    Raises:
        SettingsError: there is nothing to take back.
    """
    file, last, taken = _corrections_file(workspace), "", list[Correction]()

    def drop(content: bytes | None) -> bytes | None:
        nonlocal last, taken
        corrections = parse_corrections(content, file.where)
        if not corrections:
            raise SettingsError(f"nothing was applied to {workspace.corpus!r}: there is no {file.where}")
        last = corrections[-1].batch
        taken = [one for one in corrections if one.batch == last]
        return write_lines([one for one in corrections if one.batch != last]) or None

    file.change(drop)
    change_state(
        workspace,
        lambda state: state.model_copy(update={"receipts": [one for one in state.receipts if one.batch != last]}),
    )
    return taken


def _known(run: Workspace, earlier: list[Correction]) -> list[str]:
    texts = pq.read_table(PrepareOutput.of(run).classes, columns=["standard_question"])["standard_question"].to_pylist()
    return [*texts, *(one.to or one.standard_question for one in earlier)]


def _corrections_file(workspace: Workspace) -> SharedFile:
    return SharedFile(workspace.home, corrections_path(workspace.corpus))


def _state_file(workspace: Workspace) -> SharedFile:
    return SharedFile(workspace.home, f"{CORRECTIONS}/{workspace.corpus}.{_STATE}")


def _parse_state(content: bytes | None) -> DoctorState:
    return DoctorState.model_validate_json(content) if content is not None else DoctorState()
