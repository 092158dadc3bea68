"""Errors that a person is expected to act on, each with its exit code.

Each is raised with one finished string: what, where, how many, examples, what to do next. Secrets are removed when it
is made, since Prefect shows it in states and logs. Prefect may pickle it, and an exception with another ``__init__``
signature cannot be unpickled.
"""

from typing import ClassVar

from schemas.addresses import redact


class PipelineError(Exception):
    """Base of every error raised on purpose. `dssm` ends with its `exit_code`."""

    exit_code: ClassVar[int] = 2
    run: str | None = None  # that it has ended
    report: str | None = None  # file, of that run

    def __init__(self, *said: object) -> None:
        super().__init__(*(redact(one) if isinstance(one, str) else one for one in said))


class SettingsError(PipelineError):
    """The settings, or the words of the command line, are not valid."""


class FilterError(SettingsError):
    """A search was narrowed by a field that there is not, or by a value that it cannot hold."""


class EditError(SettingsError):
    """A standard question cannot be added, edited or removed so."""


class SourceError(PipelineError):
    """A source cannot be found or read as a table of queries. Retrying cannot help."""


class CorpusRejected(PipelineError):
    """The corpus was read and breaks its contract. Editing the corpus (or a bound) can help."""


class NothingLive(PipelineError):
    """There is no published model to do this with."""


class MachineFault(PipelineError):
    """Disk, server, memory: nothing is wrong with the data. The same command may work later."""

    exit_code = 3


class Unreachable(MachineFault):
    """The server of a source, or the way to it, fails. It may answer a moment later: such a step is tried again."""


class ProofBroken(PipelineError):
    """The pipeline's own output contradicts what it promises: a fault of ours, never of the data."""

    exit_code = 3


class StaleFile(PipelineError):
    """A file a step relies on is gone or altered since its manifest was written."""

    exit_code = 3
