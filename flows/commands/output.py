"""What commands print: results on standard output, everything else on standard error."""

import shlex
import shutil
import sys
import traceback
from pathlib import Path
from typing import TextIO

from flows.environment import give_up
from flows.faults import as_fault
from flows.terminal import verbosity
from schemas.addresses import redact
from schemas.display import printable
from schemas.errors import MachineFault
from schemas.language import Words, read_words
from schemas.run import RunResult, Status


def print_table(header: list[str], rows: list[list[str]]) -> None:
    """Print a table; a file gets it unwrapped."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*header)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, 160)  # a file has no width to wrap at
    with console.capture() as drawn:
        console.print(table)
    write(sys.stdout, drawn.get())


def print_text(text: str, end: str = "\n") -> None:
    """Print a text; what a terminal would obey is escaped."""
    write(sys.stdout, printable(text) + end)


def say_next(command: str, words: Words | None = None) -> None:
    """Print what to type next, with this program called as it was: `.venv/bin/dssm` where the shell finds no `dssm`.

    Args:
        command: what follows `dssm`.
        words: of the corpus's language; English otherwise.
    """
    called = Path(sys.argv[0])
    found = shutil.which("dssm")
    typed = called.name == "dssm" and not (found and called.exists() and Path(found).samefile(called))
    words = words or read_words()
    print_text(words("terminal.next", command=f"{shlex.quote(sys.argv[0]) if typed else 'dssm'} {command}"))


def write(stream: TextIO, text: str) -> None:
    """Write to standard output or error; once nobody reads there any more (`| head -1`), to nowhere.

    Raises:
        MachineFault: standard output is on a disk that takes no more; whoever asked for it must not miss that.
    """
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        give_up(stream)
        if stream is sys.stdout and not isinstance(error, BrokenPipeError):
            raise MachineFault(f"standard output cannot be written: {error.strerror}; not all was said") from error


def show_files(result: RunResult) -> None:
    """Say on standard error what was read of each file: the first thing to look at when rows are missing."""
    if verbosity() == "quiet":
        return
    for file in result.files:
        write(sys.stderr, printable(f"{file.describe()}\n"))


def describe_failure(corpus: str, error: Exception) -> RunResult:
    """Turn an exception into a result: the owner's to mend (2), or the machine's and ours (3)."""
    fault = as_fault(error)
    if fault is None:
        write(sys.stderr, printable(redact("".join(traceback.format_exception(error)))))
        return RunResult(status="failed", corpus=corpus, error=redact(f"{type(error).__name__}: {error}"))
    status: Status = "rejected" if fault.exit_code == 2 else "failed"
    return RunResult(status=status, corpus=corpus, error=str(fault), run=fault.run, report=fault.report)
