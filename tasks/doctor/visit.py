"""The doctor's visit to one run: what it finds stands beside the report, as health.html, todo.xlsx and todo.csv."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq

from schemas.doctor import Action, Diagnosis, DoctorState, Receipt, Traffic
from schemas.language import read_words
from schemas.manifest import write_atomically
from schemas.outputs import EvaluateOutput, PrepareOutput, TrainOutput
from schemas.run import RunResult, Status
from schemas.settings import CorpusSettings
from schemas.workspace import DIAGNOSIS_FILE, HEALTH_FILE, RESULT_FILE, Workspace
from tasks.doctor.advice import sort_actions
from tasks.doctor.case import MOST_ROWS, Case, read_features
from tasks.doctor.diagnosis import Evidence, diagnose
from tasks.doctor.drafts import Writer, draft
from tasks.doctor.health import render_health
from tasks.doctor.log import read_log
from tasks.doctor.memory import change_state, read_state
from tasks.doctor.receipts import settle
from tasks.doctor.sheet import write_todo
from tasks.doctor.traffic import find_warnings
from tasks.doctor.unanswered import mine, watch
from tasks.retrieval.features import Tokeniser
from tasks.retrieval.normalise import normalise
from tasks.retrieval.retriever import Model

LOG_QUERIES = 50_000  # the newest of the log
_UNSURE = 0.5  # chance that a row which the candidate still doubts after its training is wrong
_WORDING_ROWS = 100_000  # above, splits and rewrites are looked for by dssm doctor alone


def visit(
    corpus: CorpusSettings,
    workspace: Workspace,
    evidence: Evidence | None = None,
    status: Status | None = None,
) -> Diagnosis:
    """Write health.html, diagnosis.json and the to-do list of an evaluated run, and return the diagnosis.

    Args:
        corpus: its settings.
        workspace: of the run.
        evidence: of models that had not seen the rows; None: a quick look, from what the run has left.
        status: what became of its candidate; None: as run.json says.
    """
    prepared, evaluated = PrepareOutput.of(workspace), EvaluateOutput.of(workspace)
    case, state = Case.read(prepared, evaluated), _settle(corpus, workspace)
    evidence = evidence or _look(corpus, workspace, case, state)
    tokeniser, words = Tokeniser(corpus.text), read_words(corpus.language)
    traffic, asked_for = _read_traffic(corpus, workspace, case, state)
    evidence = replace(
        evidence,
        cut=lambda query: tokeniser.words(normalise(query)),
        trust=state.trust,
        more=[*evidence.more, *asked_for],
    )
    held = (status or _read_status(workspace)) == "held"
    said = diagnose(corpus.name, workspace.run, case, evidence, words).model_copy(update={"held": held})
    if traffic:
        said = said.model_copy(update={"traffic": traffic, "warnings": find_warnings(traffic, corpus.doctor, words)})
    _write(corpus, workspace, said, state)
    return said


def add_drafts(corpus: CorpusSettings, workspace: Workspace, said: Diagnosis, writer: Writer, most: int) -> Diagnosis:
    """Write page and list anew with queries that a language model drafts for the neediest standard questions.

    Args:
        corpus: its settings.
        workspace: of the run.
        said: the diagnosis.
        writer: the language model.
        most: standard questions.

    Raises:
        MachineFault: it does not answer.
    """
    case = Case.read(PrepareOutput.of(workspace), EvaluateOutput.of(workspace))
    examples: dict[str, list[str]] = {}
    for query, label in zip(case.queries, case.labels.tolist(), strict=True):
        examples.setdefault(case.texts[label], []).append(query)
    feeding = [one for one in said.actions if one.kind == "feed"][:most]
    model, words = Model(TrainOutput.of(workspace).candidate), read_words(corpus.language)
    drafted = draft(feeding, examples, writer, model, words)
    said = said.model_copy(update={"actions": sort_actions([*said.actions, *drafted])})
    _write(corpus, workspace, said, read_state(workspace))
    return said


def _write(corpus: CorpusSettings, workspace: Workspace, said: Diagnosis, state: DoctorState) -> None:
    write_atomically(workspace.root / DIAGNOSIS_FILE, said.model_dump_json(indent=1).encode())
    files = write_todo(workspace.root, said.actions, read_words(corpus.language)) if said.actions else []
    finished = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    page = render_health(said, corpus.language, state.receipts, files, finished)
    write_atomically(workspace.root / HEALTH_FILE, page.encode())


def _read_status(workspace: Workspace) -> Status | None:
    file = workspace.root / RESULT_FILE
    return RunResult.model_validate_json(file.read_bytes()).status if file.exists() else None


def _look(corpus: CorpusSettings, workspace: Workspace, case: Case, state: DoctorState) -> Evidence:
    """Return what is known without a model of its own."""
    suspects = pq.read_table(EvaluateOutput.of(workspace).suspects).to_pylist()
    known = set(case.texts)
    return Evidence(
        curve=state.curve,
        suspects=[
            (row["query"], row["standard_question"], row["suggested"], _UNSURE)
            for row in suspects
            if {row["standard_question"], row["suggested"]} <= known
        ],
        bags=read_features(PrepareOutput.of(workspace)) if len(case.labels) <= min(_WORDING_ROWS, MOST_ROWS) else None,
    )


def _read_traffic(
    corpus: CorpusSettings, workspace: Workspace, case: Case, state: DoctorState
) -> tuple[Traffic | None, list[Action]]:
    """Return what the query log says, where the settings name one: how it differs, and what nobody answers."""
    if not corpus.doctor.query_log:
        return None, []
    model = Model(TrainOutput.of(workspace).candidate)
    log = read_log(Path(corpus.doctor.query_log), corpus.name)[-LOG_QUERIES:]
    return watch(corpus, model, case, log), mine(corpus, workspace, model, log, state)


def _settle(corpus: CorpusSettings, workspace: Workspace) -> DoctorState:
    """Return what is remembered, once this run has said what came of what was applied before it."""
    state = read_state(workspace)
    if not corpus.publish.go_live or not [one for one in state.receipts if _is_due(one, workspace.run)]:
        return state
    after = Case.read(PrepareOutput.of(workspace), EvaluateOutput.of(workspace))

    def close(state: DoctorState) -> DoctorState:
        receipts = [_close(one, workspace, after) if _is_due(one, workspace.run) else one for one in state.receipts]
        return state.model_copy(update={"receipts": [one for one in receipts if one]})

    return change_state(workspace, close)


def _is_due(receipt: Receipt, run: str) -> bool:
    return receipt.outcome is None and receipt.batch < run  # ids sort by time


def _close(receipt: Receipt, workspace: Workspace, after: Case) -> Receipt | None:
    """Return a receipt with its outcome; None: the run before it is deleted, and nothing can be said."""
    earlier = workspace.model_copy(update={"run": receipt.run})
    prepared, evaluated = PrepareOutput.of(earlier), EvaluateOutput.of(earlier)
    if not (evaluated.ranked.exists() and prepared.test.exists()):
        return None
    return settle(receipt, workspace.run, Case.read(prepared, evaluated), after)
