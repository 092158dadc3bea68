"""The `dssm` command. Heavy imports wait inside the commands: `dssm --help` answers in a blink."""

import io
import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import NoReturn

import click

from flows.commands import corpora, doctor, edits, explain, models, runs, servers
from flows.commands.output import describe_failure, print_text, write
from flows.environment import let_warnings_be_warnings, say
from flows.signals import (
    INTERRUPTED,
    end_without_memory,
    interrupt_on_signals,
    leave_soon,
    leave_without_memory,
)
from schemas.addresses import redact
from schemas.display import printable
from schemas.errors import MachineFault, SettingsError
from schemas.run import EXIT_CODES, RunResult
from schemas.suggestions import did_you_mean, nearest


class _Commands(click.Group):
    """The commands; one that is not there is answered with the nearest that is."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their first sentence whole; click would cut each to a line."""
        rows = [(name, self.commands[name].get_short_help_str(limit=1000)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first word names."""
        near = nearest(args[0], self.list_commands(ctx), cutoff=0.5)
        if near and args[0] not in self.commands and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}{did_you_mean(args[0], near)}")
        return super().resolve_command(ctx, args)


def _show_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    """Show the version and exit."""
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            found = version("dssm-pipeline")
        except PackageNotFoundError:  # an environment that answers queries alone
            found = version("dssm-serving")
        print_text(f"dssm, version {found}")
        ctx.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Train, measure and publish the model that finds the standard question for a query.

    \b
    Start with:  dssm run c                     the bundled corpus C
                 dssm run bank --source FILE    your own rows: columns query, standard_question
                 dssm query bank "怎么退票"      ask the live model
    """


for _command in (
    *(runs.run, runs.check, runs.compare, runs.study),
    *(doctor.doctor, doctor.mine),
    *(corpora.init, corpora.settings),
    *(models.query, models.diff, models.models, models.rollback, models.approve, models.decline),
    explain.explain,
    *(edits.add, edits.edit, edits.remove, edits.edits),
    *(servers.serve, servers.server, servers.plan, servers.deploy, servers.api),
):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; what goes wrong is one message on standard error."""
    let_warnings_be_warnings()
    try:
        _run_command(list(sys.argv[1:] if arguments is None else arguments))
    except SystemExit as end:
        leave_without_memory(end.code)
        raise


def _run_command(words: Sequence[str]) -> NoReturn:
    name = _corpus_of(words).encode("utf-8", "backslashreplace").decode()
    _open_streams()
    for stream in (sys.stdout, sys.stderr):  # of a terminal that knows no Chinese
        if isinstance(stream, io.TextIOWrapper):
            try:
                "é".encode(stream.encoding, "escape")
                stream.reconfigure(errors="escape")
            except UnicodeError:  # PYTHONIOENCODING=idna, undefined: no encoding for text
                stream.reconfigure(encoding="utf-8", errors="escape")
    interrupt_on_signals()
    as_json = "--json" in words and words[0] in ("run", "check")
    lost = RunResult(status="failed", corpus=name, error="out of memory").model_dump_json() + "\n"
    end_without_memory(lost if as_json else "")
    try:
        _require_text(words)
        _require_folder()
        code = cli.main(words, prog_name="dssm", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except (KeyboardInterrupt, click.Abort):
        leave_soon()
        result = RunResult(status="failed", corpus=name, error="interrupted")
        code = INTERRUPTED
    except click.ClickException as error:
        result = RunResult(status="rejected", corpus=name, error=redact(error.format_message()))
        error.show(said := io.StringIO())
        write(sys.stderr, printable(redact(said.getvalue())))
        code = 2
    except Exception as error:
        result = describe_failure(name, error)
        say(result.error or "")
        code = EXIT_CODES[result.status]
    if as_json:
        try:
            print_text(result.model_dump_json())
        except MachineFault as fault:
            say(str(fault))
            code = fault.exit_code
    sys.exit(code)


def _require_text(words: Sequence[str]) -> None:
    """Refuse words of other bytes than UTF-8: no settings, no JSON and no database can hold them."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            raise SettingsError(
                f"the word {os.fsencode(word)!r} is not UTF-8: type a text again on a terminal in UTF-8; rename a "
                "file, or name its folder"
            ) from error


def _require_folder() -> None:
    """Refuse to start in a folder that somebody has deleted: relative paths count from there."""
    try:
        os.getcwd()
    except FileNotFoundError as error:
        raise SettingsError("the folder that this command was started in is gone; change to another one") from error


def _open_streams() -> None:
    """Open the standard streams that are closed (`2>&-`): Python has none there, and the next file would be it."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))


def _corpus_of(words: Sequence[str]) -> str:
    """Return the first corpus that a command line names, for the JSON of one that ends before it is parsed."""
    command = cli.commands.get(words[0]) if words else None
    options = command.params if command else []
    valued = {name for option in options for name in option.opts if not getattr(option, "is_flag", True)}
    pairs = pairwise(words)
    return next((word for before, word in pairs if not word.startswith("-") and before not in valued), "")


if __name__ == "__main__":
    main()
