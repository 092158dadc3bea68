"""`dssm check --apply`, `dssm check --undo`, `dssm doctor` and `dssm mine`: without Prefect's server."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from flows.check import check_corpus
from flows.train_corpus import new_run
from schemas.corrections import Correction, corrections_path
from schemas.doctor import Action, Diagnosis
from schemas.errors import PipelineError, SettingsError, StaleFile
from schemas.language import Words, read_words
from schemas.paths import read_file
from schemas.run import RunResult
from schemas.settings import CorpusSettings
from schemas.workspace import SETTINGS_FILE, Workspace
from tasks.doctor.drafts import Writer
from tasks.doctor.log import read_log
from tasks.doctor.memory import apply_todo, latest_run, read_state, undo_last
from tasks.doctor.sheet import MINED, write_todo
from tasks.doctor.unanswered import mine
from tasks.doctor.visit import add_drafts, visit
from tasks.retrieval.retriever import Retriever
from tasks.shared_file import SharedFile

Say = Callable[[str], None]


def check_with(corpus: CorpusSettings, todo: Path, say: Say) -> RunResult:
    """Apply a to-do list, and check the corpus with it; a corpus that is then rejected keeps the corrections it had.

    Raises:
        PipelineError: the list cannot be meant, or the corrected corpus is rejected.
    """
    workspace = Workspace.of(corpus.name, new_run())
    made = apply_todo(workspace, todo, workspace.run)
    if not made:
        say(f"{corpus.name}: all that {todo.name} accepts has been applied before")
        return check_corpus(corpus)
    try:
        result = check_corpus(corpus)
    except PipelineError as error:
        undo_last(workspace)
        raise type(error)(f"{error}\nNothing of {todo.name} was kept") from error
    where = SharedFile(workspace.home, corrections_path(corpus.name)).where
    forecast = sum(one.gain or 0 for one in made)
    say(
        f"{corpus.name}: {_count(made)} of {todo.name} correct the rows from the next run on, forecast: recall@10 "
        f"{forecast:+.1f} points; they lie in {where}. Take them back: "
        f"dssm check {corpus.name} --undo"
    )
    return result


def check_without(corpus: CorpusSettings, say: Say) -> RunResult:
    """Take back what was applied last, and check the corpus.

    Raises:
        PipelineError: nothing was applied, or the corpus is rejected.
    """
    made = undo_last(Workspace.of(corpus.name, new_run()))
    say(f"{corpus.name}: taken back: {_count(made)}")
    return check_corpus(corpus)


def see_doctor(name: str, quick: bool, drafts: int, say: Say) -> tuple[Diagnosis, Workspace, CorpusSettings]:
    """Write health.html and the to-do list of the newest run of a corpus; return the diagnosis, the run, its settings.

    Args:
        name: of the corpus.
        quick: from the held-out rows alone.
        drafts: standard questions that a language model drafts queries for; 0: nothing is sent anywhere.
        say: tells what is done.

    Raises:
        SettingsError: nothing was evaluated yet, or there is no language model.
    """
    run, corpus = _find_run(name)
    writer = Writer.from_environment() if drafts else None
    evidence = None
    if not quick:
        say(f"{name}: seven small models are trained, each asked about rows that it has not seen …")
        from tasks.doctor.examine import examine

        evidence = examine(corpus, run)
    said = visit(corpus, run, evidence)
    if writer:
        said = add_drafts(corpus, run, said, writer, drafts)
    return said, run, corpus


def mine_log(name: str, log: Path) -> tuple[list[Action], list[Path], Words]:
    """Return what a log says that a corpus lacks, the files of it beside the newest run's report, and its language.

    Raises:
        PipelineError: nothing is live, nothing was evaluated yet, or the log cannot be read.
    """
    run, corpus = _find_run(name)
    actions = mine(corpus, run, Retriever.live(name).model, read_log(log, name), read_state(run))
    words = read_words(corpus.language)
    files = write_todo(run.root, actions, words, MINED) if actions else []
    return actions, [run.root / file for file in files], words


def _find_run(name: str) -> tuple[Workspace, CorpusSettings]:
    run = latest_run(Workspace.of(name, new_run()))
    if run is None or not (run.root / SETTINGS_FILE).exists():
        raise SettingsError(f"no run of {name!r} was evaluated yet, or its files are deleted: dssm run {name}")
    file = run.root / SETTINGS_FILE
    try:  # an earlier version may have written it, with fewer settings
        return run, CorpusSettings.model_validate_json(read_file(file), context={"fill_defaults": True, "stored": True})
    except (OSError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise StaleFile(f"{file} is damaged ({why}); make another run: dssm run {name}") from error


def _count(made: Sequence[Correction]) -> str:
    counts = Counter[str](one.do for one in made)
    names = {"add": "added", "move": "moved", "remove": "removed", "rename": "renamed", "group": "grouped"}
    return f"{len(made)} corrections ({', '.join(f'{counts[do]} {name}' for do, name in names.items() if counts[do])})"
