"""Commands that serve, and register what is served: server, serve, plan, deploy, api."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from flows.commands.models import find_registry
from flows.commands.options import with_verbosity
from flows.commands.output import print_text
from flows.commands.start import use_prefect
from flows.environment import say
from flows.signals import exit_on_signals
from schemas.errors import SettingsError
from schemas.workspace import default_home, make_home


@click.command()
@click.option("--host", metavar="ADDRESS", help="Where it listens; PREFECT_SERVER_API_HOST or 127.0.0.1 otherwise.")
@click.option("--port", type=click.IntRange(1, 65535), help="PREFECT_SERVER_API_PORT or 4200 otherwise.")
def server(host: str | None, port: int | None) -> int:
    """Run a Prefect server alone, set as dssm serve sets its own: no telemetry, nothing asked of the internet.

    \b
    dssm server                                    http://127.0.0.1:4200, until Ctrl-C
    dssm server --host 0.0.0.0                     for other machines, too
    """
    from flows.environment import start_prefect

    start_prefect()
    from flows.server import run_server

    exit_on_signals()
    try:
        run_server(host, port)
    except KeyboardInterrupt:
        pass
    return 0


@click.command()
@with_verbosity
@click.option("--take-over", is_flag=True, help="Also deployments of this server that belong to another DSSM_HOME.")
def serve(take_over: bool) -> int:
    """Run every corpus of data/corpora at its time: a Prefect server (unless one answers) and all deployments.

    \b
    dssm serve                                     until Ctrl-C, which ends everything it started
    PREFECT_API_URL=http://127.0.0.1:4201/api dssm serve

    A TOML that is not valid is named, and the other corpora are served; what the server has of that corpus stays,
    but none of its runs starts before the TOML is mended and `dssm serve` started again. After an outage the newest
    late run of a corpus is made up for, older ones are skipped. What a person pauses in the UI stays paused. How many
    corpora train at a time (one) is the concurrency limit dssm-training of the UI.
    """
    exit_on_signals()
    make_home()
    deployments, broken = _describe(None)
    if not deployments:
        raise SettingsError("\n".join(broken.values()) or "no corpus to serve: add data/corpora/NAME.toml")
    use_prefect()
    from flows.server import use_server
    from flows.serving import apply, leave_folder, only_service
    from flows.serving import serve as serve_deployments

    leave_folder()
    with only_service(default_home()), use_server(start=True) as server:
        where = f"started at {server.ui}, log in {server.log}" if server.log else f"already answers at {server.ui}"
        print_text(f"Prefect server: {where}")
        _show_changes(apply(deployments, broken, take_over), done=True)
        print_text(f"open {server.ui}/deployments; Ctrl-C ends it; started again, it takes up changed TOMLs")
        serve_deployments(deployments, server.api)
    return 0


@click.command(context_settings={"auto_envvar_prefix": "DSSM_API", "show_default": True})
@click.argument("corpora", nargs=-1, metavar="[CORPUS]...", envvar="DSSM_API_CORPORA")
@click.option("--host", default="127.0.0.1", help="Address to listen at; 0.0.0.0 for all of this machine.")
@click.option("--port", default=8000, type=click.IntRange(0, 65535), help="0: whichever is free.")
@click.option("--workers", default=1, type=click.IntRange(1, 256), help="Processes; one uses one core.")
@click.option("--max-body", "body_bytes", default=1 << 20, type=click.IntRange(1), help="Bytes of a request.")
@click.option("--max-batch", "batch", default=128, type=click.IntRange(1), help="Queries of a request.")
@click.option("--max-length", "characters", default=1000, type=click.IntRange(1), help="Characters of a query.")
@click.option("--max-top", "top", default=100, type=click.IntRange(1), help="Standard questions per query.")
@click.option("--concurrency", default=64, type=click.IntRange(1), help="Requests at a time, per process.")
@click.option("--body-timeout", "body_seconds", default=10.0, type=click.FloatRange(0.01), help="Seconds for a body.")
@click.option(
    "--query-log",
    metavar="FILE",
    envvar="DSSM_QUERY_LOG",
    type=click.Path(dir_okay=False, path_type=Path),
    help="JSON Lines of what is asked.",
)
@click.option(
    "--query-log-bytes",
    envvar="DSSM_QUERY_LOG_BYTES",
    default=100 << 20,
    type=click.IntRange(1),
    help="After which it is turned over.",
)
@click.option(
    "--query-log-digits",
    envvar="DSSM_QUERY_LOG_DIGITS",
    is_flag=True,
    help="Keep the digits of queries in it; # stands for each otherwise.",
)
def api(corpora: Sequence[str], host: str, port: int, workers: int, **given: Any) -> int:  # noqa: ANN401 - click's values
    """Answer queries over HTTP from what is live of CORPUS, or of every corpus, until SIGTERM or Ctrl-C.

    \b
    dssm api                                       every live corpus, http://127.0.0.1:8000
    dssm api bank --port 8080 --workers 4
    curl 127.0.0.1:8000/v1/bank/search -H 'Content-Type: application/json' -d '{"query": "怎么提前还款"}'

    A new live version is taken up without a gap. Every option may be set in the environment, too: DSSM_API_PORT,
    DSSM_API_BODY_BYTES, and DSSM_QUERY_LOG. DSSM_API_KEYS holds the keys that callers need, with commas between them;
    without it anybody who reaches the port may ask, and nobody may edit. With DSSM_API_EDIT_KEYS, too, these alone may
    edit. docs/service.md says more.
    """
    from flows.api.server import listen, read_keys, serve, start_options
    from tasks.registry import list_corpora

    for name in corpora:
        find_registry(name)
    keys = read_keys("DSSM_API_KEYS"), read_keys("DSSM_API_EDIT_KEYS")
    options = start_options(corpora, keys, **given)
    with listen(host, port) as opened:
        address = f"http://{f'[{host}]' if ':' in host else host}:{opened.getsockname()[1]}"
        if not options.keys and not host.startswith(("127.", "localhost", "::1")):
            say("anybody who reaches this address may ask; DSSM_API_KEYS=KEY,KEY closes it")
        if not corpora and not list_corpora(default_home()):
            say(f"nothing is live in DSSM_HOME = {default_home()} yet; what goes live is answered from then on")
        print_text(f"open {address}/; Ctrl-C ends it")
        serve(options, opened, workers)
    return 0


@click.command()
@click.option("--pool", metavar="NAME", help="Compare with deployments of this work pool, not with served ones.")
def plan(pool: str | None) -> int:
    """Show what `dssm deploy` (or `dssm serve`) would create, change and remove; nothing is done.

    Exit codes: 0, or 2 where a TOML is not valid.
    """
    deployments, broken = _describe(pool)
    from flows.deployments import compare
    from flows.server import answers, server_address, use_server
    from flows.serving import read_deployments

    found = []
    if answers(server_address()):
        with use_server(start=False):
            found = read_deployments()
    else:
        say(f"no Prefect server answers at {server_address()}: compared with an empty one")
    _show_changes(compare(deployments, found, broken), done=False)
    return 2 if broken else 0


@click.command()
@click.option(
    "--pool", metavar="NAME", help="Work pool whose workers run them; one of type process is made if need be."
)
@click.option("--take-over", is_flag=True, help="Also deployments of this server that belong to another DSSM_HOME.")
def deploy(pool: str | None, take_over: bool) -> int:
    """Register every corpus of data/corpora as a deployment, and remove those whose TOML, or schedule, is gone.

    \b
    dssm deploy --pool nightly
    prefect worker start --pool nightly

    Paths in the settings are absolute and DSSM_HOME is that of this command: a container sees the same folders under
    the same names. Without --pool the runs wait for `dssm serve`, which registers by itself.

    Exit codes: 0; 2 where a TOML is not valid (it is named, the others are registered); 3 no server answers.
    """
    deployments, broken = _describe(pool)
    from flows.server import use_server
    from flows.serving import apply

    with use_server(start=False) as server:
        _show_changes(apply(deployments, broken, take_over), done=True)
        print_text(f"open {server.ui}/deployments")
    return 2 if broken else 0


def _describe(pool: str | None) -> tuple[Any, dict[str, str]]:
    """Return the deployments of every sound TOML, and what is wrong with the others."""
    from flows.environment import start_prefect

    start_prefect()
    from flows.deployments import describe, load_corpora

    corpora, broken = load_corpora()
    return describe(corpora, pool), broken


def _show_changes(changes: Any, done: bool) -> None:  # noqa: ANN401 - of flows.deployments.Change, imported late
    """Print a line per deployment; what is wrong with a TOML goes to standard error."""
    verbs = {"create": "created", "change": "changed", "remove": "removed", "keep": "unchanged"}
    for change in changes:
        if change.action == "broken":
            say(f"{change.key} is left as it was: {change.details[0]}")
            continue
        verb = verbs[change.action] if done or change.action == "keep" else change.action
        lines = change.details if change.action == "change" else []
        print_text(
            f"{verb:>9}  {change.key}" + ("" if lines or not change.details else f"  {'; '.join(change.details)}")
        )
        for line in lines:
            print_text(f"{'':>11}{line}")
