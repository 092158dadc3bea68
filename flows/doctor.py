"""`dssm check --apply`, `dssm check --undo`, `dssm doctor` and `dssm mine`: without Prefect's server."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from flows.check import check_corpus
from flows.train_corpus import new_run
from schemas.corrections import Correction, corrections_file
from schemas.errors import PipelineError
from schemas.run import RunResult
from schemas.settings import CorpusSettings
from schemas.workspace import Workspace
from tasks.doctor.memory import apply_todo, undo_last

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
    forecast = sum(one.gain or 0 for one in made)
    say(
        f"{corpus.name}: {_count(made)} of {todo.name} correct the rows from the next run on, forecast: recall@10 "
        f"{forecast:+.1f} points; they lie in {corrections_file(workspace.home, corpus.name)}. Take them back: "
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


def _count(made: Sequence[Correction]) -> str:
    counts = Counter(one.do for one in made)
    names = {"add": "added", "move": "moved", "remove": "removed", "rename": "renamed"}
    return f"{len(made)} corrections ({', '.join(f'{counts[do]} {name}' for do, name in names.items() if counts[do])})"
