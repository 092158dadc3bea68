"""The `dssm` command. Heavy imports wait inside the commands: `dssm --help` answers in a blink."""

import glob
import io
import json
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

from flows.environment import say
from flows.faults import as_fault, require_address_space
from flows.signals import (
    INTERRUPTED,
    end_without_memory,
    exit_on_signals,
    interrupt_on_signals,
    leave_soon,
    leave_without_memory,
)
from flows.terminal import TERMINAL, VERBOSITY, verbosity
from schemas.addresses import redact
from schemas.display import printable
from schemas.errors import SettingsError, SourceError, StaleFile
from schemas.run import EXIT_CODES, RunResult
from schemas.suggestions import did_you_mean, nearest

_CHUNK, _LONGEST_LINE = 1 << 16, 1 << 20  # bytes


class _Commands(click.Group):
    """The commands; one that is not there is answered with the nearest that is."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first word names."""
        near = nearest(args[0], self.list_commands(ctx), cutoff=0.5)
        if near and args[0] not in self.commands and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}{did_you_mean(args[0], near)}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dssm-pipeline")
def cli() -> None:
    """Train, measure and publish the model that finds the standard question for a query.

    \b
    Start with:  dssm run c                     the bundled corpus C
                 dssm run bank --source FILE    your own rows: columns query, standard_question
                 dssm query bank "怎么退票"      ask the live model
    """


def _complete_corpus(_context: click.Context, _option: click.Parameter, begun: str) -> list[str]:
    """Return the corpora whose name begins so, for the shell."""
    from flows.corpora import find_tomls
    from schemas.workspace import default_home
    from tasks.registry import list_corpora

    return sorted(name for name in {*find_tomls(), *list_corpora(default_home())} if name.startswith(begun))


def _complete_setting(_context: click.Context, _option: click.Parameter, begun: str) -> list[str]:
    """Return the settings whose dotted name begins so, for the shell."""
    from flows.corpora import known_keys

    return [f"{key}=" for key in known_keys() if key.startswith(begun)]


def _with_verbosity(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options -v and -q."""

    def say_so(_context: click.Context, _option: click.Parameter, chosen: str | None) -> None:
        if chosen:
            os.environ[VERBOSITY] = chosen

    options: dict[str, Any] = {"expose_value": False, "callback": say_so}
    loud = click.option(
        "-v", "--verbose", "loud", flag_value="verbose", help="Prefect's own log lines, too.", **options
    )
    quiet = click.option("-q", "--quiet", "quiet", flag_value="quiet", help="The result alone.", **options)
    return loud(quiet(command))


@cli.command()
@click.argument("corpora", nargs=-1, metavar="[CORPUS]...", shell_complete=_complete_corpus)
@click.option("--all", "every", is_flag=True, help="Every corpus of data/corpora.")
@click.option("--source", metavar="FILE", multiple=True, help="File, folder or address of the rows; may be repeated.")
@click.option("--test-source", metavar="FILE", help="Official held-out rows: never altered, never trained on.")
@click.option("--questions", metavar="FILE", help="List of standard questions (columns id, text).")
@click.option("--query-column", metavar="NAME", multiple=True, help="Column of the queries; may be repeated.")
@click.option("--question-column", metavar="NAME", help="Column of the standard questions.")
@click.option(
    "--set",
    "pairs",
    metavar="KEY=VALUE",
    multiple=True,
    shell_complete=_complete_setting,
    help="Change a setting, e.g. model.hidden_dims=[64].",
)
@click.option("--no-publish", "trial", is_flag=True, help="Train, measure and report; nothing goes live.")
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1), help="With --all: at a time.")
@click.option("--json", "as_json", is_flag=True, help="End standard output with one JSON object.")
@_with_verbosity
def run(corpora: Sequence[str], every: bool, trial: bool, processes: int, as_json: bool, **source: Any) -> int:  # noqa: ANN401 - click's values
    """Ingest, validate, prepare, train, evaluate and publish CORPUS.

    \b
    dssm run a                                     settings from data/corpora/a.toml
    dssm run a --set model.hidden_dims=[64]             one of them changed
    dssm run bank --source train.csv --test-source test.csv
    dssm run a --set model.hidden_dims=[64] --no-publish    an experiment; compare it: dssm compare RUN RUN
    dssm run --all --processes 2                   every corpus in a process of its own, two at a time

    Exit codes: 0 published, unchanged, measured or awaiting approval; 1 held back by a gate; 2 bad usage, settings or
    data; 3 a fault of the machine or of ours; 130 interrupted.
    """
    if every == bool(corpora):
        raise click.UsageError("name a corpus, or give --all")
    if trial:
        source["pairs"] = [*source["pairs"], "publish.go_live=false"]
    if (every or len(corpora) > 1) and any(value for key, value in source.items() if key != "pairs"):
        raise click.UsageError("--source and what describes it go with one corpus")
    results = _run_all(processes, source["pairs"]) if every else [_run_one(name, source) for name in corpora]
    for result in results if not every else []:  # the processes of all have told theirs
        _tell_files(result)
        TERMINAL.warn(result.warnings, told=[*result.reasons, result.error or ""])
    if as_json:
        one = results[0].model_dump() if len(corpora) == 1 else {"runs": [r.model_dump() for r in results]}
        _print(json.dumps(one, ensure_ascii=False))
    else:
        _show_results(results)
    return max(EXIT_CODES[result.status] for result in results)


def _run_all(processes: int, pairs: Sequence[str]) -> list[RunResult]:
    """Run every corpus in a process of its own, as the flow train-all; return the best first."""
    from flows.corpora import find_tomls, parse_overrides

    parse_overrides(pairs)  # a typo costs no process
    if not find_tomls():
        raise SettingsError("no corpus to run: add data/corpora/NAME.toml")
    _find_server()
    from flows.train_all import rank, train_all

    state = train_all(processes=processes, settings=list(pairs), return_state=True)
    outcome: Any = state.result(raise_on_failure=False)
    if isinstance(outcome, BaseException):
        raise outcome
    return rank(outcome)


def _run_one(name: str, source: dict[str, Any]) -> RunResult:
    """Run one corpus; what goes wrong becomes its result, so that the next one still runs."""
    try:
        return _train(name, source)
    except KeyboardInterrupt:
        raise
    except Exception as error:
        result = _describe_failure(name, error)
        say(result.error or "")
        return result


def _train(name: str, source: dict[str, Any]) -> RunResult:
    require_address_space()
    corpus = _load(name, source)
    _find_server()
    from prefect import tags

    from flows.deployments import TAG
    from flows.train_corpus import train_corpus

    with tags(TAG, name):
        state = train_corpus(corpus, return_state=True)
    outcome: Any = state.result(raise_on_failure=False)
    if isinstance(outcome, BaseException):
        raise outcome
    result: RunResult = outcome
    return result


def _find_server() -> None:
    """Give the runs of this command a Prefect server, the first time it is asked for."""
    _start_prefect()
    from flows.endings import tell_once
    from flows.server import use_server_for_runs

    tell_once()
    use_server_for_runs()


def _start_prefect() -> None:
    """Import Prefect, and let it say no more on the terminal than it is asked to."""
    from flows.environment import start_prefect
    from flows.terminal import take_over

    start_prefect()
    take_over()


def _load(name: str, source: dict[str, Any]) -> Any:  # noqa: ANN401 - CorpusSettings, imported late
    from flows.corpora import absolute, load_corpus, merge, parse_overrides

    here = Path.cwd()
    paths = [absolute(path, here) for path in source.get("source", ())]
    columns = list(source.get("query_column", ()))
    given = {
        "path": (paths[0] if len(paths) == 1 else paths) or None,
        "test_path": source.get("test_source") and absolute(source["test_source"], here),
        "questions_path": source.get("questions") and absolute(source["questions"], here),
        "query_column": columns[0] if len(columns) == 1 else columns,
        "question_column": source.get("question_column"),
    }
    overrides = {"source": {key: value for key, value in given.items() if value}}
    return load_corpus(name, merge(overrides, parse_overrides(source.get("pairs", ()))), own_source=bool(paths))


@cli.command()
@click.argument("corpus", required=False, shell_complete=_complete_corpus)
@click.option("--source", metavar="FILE", multiple=True, help="File, folder or address of the rows; may be repeated.")
@click.option("--query-column", metavar="NAME", multiple=True, help="Column of the queries; may be repeated.")
@click.option("--question-column", metavar="NAME", help="Column of the standard questions.")
@click.option(
    "--set", "pairs", metavar="KEY=VALUE", multiple=True, shell_complete=_complete_setting, help="Change a setting."
)
@click.option("--json", "as_json", is_flag=True, help="End standard output with one JSON object.")
@_with_verbosity
def check(corpus: str | None, as_json: bool, **source: Any) -> int:  # noqa: ANN401 - click's values
    """Ingest and validate only: what is wrong with the rows of CORPUS, or of a file.

    \b
    dssm check a
    dssm check --source train.csv
    """
    if not corpus and not source["source"]:
        raise click.UsageError("name a corpus, or give --source FILE")
    settings = _load(corpus or "checked", source)
    _start_prefect()
    from flows.check import check_corpus

    outcome = check_corpus(settings)
    _tell_files(outcome)
    if as_json:
        _print(outcome.model_dump_json())
    else:
        warnings = "".join(f"\n  warning: {warning}" for warning in outcome.warnings)
        _print(f"{outcome.corpus}: {outcome.rows} rows of {outcome.classes} standard questions can be used{warnings}")
    return EXIT_CODES[outcome.status]


@cli.command()
@click.argument("corpus", shell_complete=_complete_corpus)
@click.argument("text", required=False)
@click.option("--file", "file", metavar="FILE", help="Queries, one a line (UTF-8); - for standard input.")
@click.option("--top", default=10, show_default=True, type=click.IntRange(1), help="How many standard questions.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per query.")
def query(corpus: str, text: str | None, file: str | None, top: int, as_json: bool) -> int:
    """Ask the live model of CORPUS for the standard questions nearest to TEXT.

    \b
    dssm query bank "怎么提前还款" --top 5
    dssm query bank --file queries.txt --json
    """
    if (text is None) == (file is None):
        raise click.UsageError("give one TEXT, or --file FILE")
    from schemas.errors import NothingLive
    from tasks.retrieval.retriever import Retriever

    registry = _registry(corpus)
    try:
        retriever = Retriever(registry)
    except NothingLive:
        _require_published(registry)
        raise
    for queries in [[text]] if text is not None else _read_lines(file or "-"):
        for asked, hits in zip(queries, retriever.search(queries, top), strict=True):
            if as_json:
                results = [{"standard_question": hit.standard_question, "score": round(hit.score, 6)} for hit in hits]
                _print(json.dumps({"query": asked, "results": results}, ensure_ascii=False))
            else:
                _print(
                    "\n".join([asked] * (file is not None) + [f"  {h.score:6.3f}  {h.standard_question}" for h in hits])
                )
    return 0


@cli.command()
@click.argument("corpus", shell_complete=_complete_corpus)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--repair", is_flag=True, help="Rebuild a damaged live.json from the versions.")
def models(corpus: str, as_json: bool, repair: bool) -> int:
    """List the versions of CORPUS, and what was live when, by which run and why; newest first.

    What was live stays in that history when its version has been pruned (publish.keep_versions). Damaged versions are
    named on standard error; they are never live.
    """
    from schemas.errors import NothingLive

    registry = _registry(corpus)
    if repair:
        _repair(registry)
    registry.follow()
    live, versions = registry.cached_live(), registry.cached_versions()
    damaged = registry.cached_damaged() | _harmed_among(registry, (live.version, live.pending))
    if not versions and not damaged:
        _require_published(registry)
    for why in damaged.values():
        say(f"set aside: {why}")
    if not versions:
        raise NothingLive(f"no version of corpus {corpus!r} yet; make one: dssm run {corpus}")
    if as_json:
        found = {"versions": [v.model_dump() for v in versions], "history": [p.model_dump() for p in live.periods()]}
        _print(json.dumps({"live": live.model_dump(), **found, "damaged": damaged}, ensure_ascii=False))
        return 0
    withdrawn = {one.version for one in live.withdrawn}
    marks = {live.version: "live", live.pending: "awaits approval"}
    rows = []
    for v in reversed(versions):
        state = marks.get(v.version) or ("withdrawn" if v.version in withdrawn else "")
        state += ", damaged" if v.version in damaged else ""
        rows.append([v.version, state, f"{v.recall_at_1:.3f}", f"{v.recall_at_10:.3f}", str(v.test_rows), v.run])
    _table(["version", "state", "recall@1", "recall@10", "test rows", "made by run"], rows)
    kept = {v.version for v in versions} | damaged.keys()
    history = [
        [p.since, p.until or "now", p.version + ("" if p.version in kept else " (pruned)"), p.why, p.run or ""]
        for p in reversed(live.periods())
    ]
    if history:
        _table(["live from", "until", "version", "why", "made by run"], history)
    return 0


@cli.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per run.")
def compare(runs: Sequence[str], as_json: bool) -> int:
    """Compare RUNs of a corpus: what was set differently, and how recall@10 differs from that of the first.

    \b
    dssm run bank --no-publish --set training.epochs=4
    dssm compare 20261124-081147-7c83aa 20261125-081147-1b2c3d

    The interval (95 %) is paired: of the test rows that both were measured on. A RUN is its folder, or its name.
    """
    from tasks.evaluate.experiments import compare_runs

    found = compare_runs([_find_run(run) for run in runs])
    if as_json:
        for one in found:
            difference = one.difference and one.difference.model_dump()
            facts = {"corpus": one.corpus, "run": one.run, "settings": one.settings, "rows": one.rows}
            _print(json.dumps(facts | {"difference": difference, "model": one.evaluation.model.model_dump()}))
        return 0
    rows = []
    for one in found:
        model, d = one.evaluation.model, one.difference
        figures = [f"{figure.value:.3f}" for figure in (model.recall_at_1, model.recall_at_10, model.mrr)]
        told = f"{d.value:+.3f} ({d.low:+.3f} to {d.high:+.3f}) on {one.rows} rows" if d else ""
        changed = "\n".join(f"{key} = {value}" for key, value in one.settings.items())
        rows.append([one.run, *figures, told, changed])
    _table(["run", "recall@1", "recall@10", "MRR", "recall@10 against the first", "settings that differ"], rows)
    return 0


def _find_run(name: str) -> Path:
    """Return the folder of a run, named by itself or by its path."""
    from schemas.workspace import default_home

    if Path(name).is_dir():
        return Path(name).resolve()
    found = sorted(default_home().glob(f"runs/*/{glob.escape(name)}"))
    if not found:
        raise SettingsError(
            f"no run {name!r} below {default_home() / 'runs'}; the last line of a run names its report there"
        )
    return found[-1]


@cli.command()
@click.argument("corpus", shell_complete=_complete_corpus)
@click.option("--source", metavar="FILE", multiple=True, required=True, help="Its rows; may be repeated.")
@click.option("--test-source", metavar="FILE", help="Official held-out rows.")
@click.option("--questions", metavar="FILE", help="List of standard questions (columns id, text).")
@click.option("--query-column", metavar="NAME", multiple=True, help="Column of the queries; may be repeated.")
@click.option("--question-column", metavar="NAME", help="Column of the standard questions.")
def init(corpus: str, **source: Any) -> int:  # noqa: ANN401 - click's values
    """Look at the rows of a new CORPUS, and write its TOML: what was found, and what you may want to change.

    \b
    dssm init bank --source train.csv
    """
    settings = _load(corpus, source)
    _start_prefect()
    from flows.init import write_toml

    file, found = write_toml(settings)
    _tell_files(found)
    _print(f"{corpus}: {found.rows} rows of {found.classes} standard questions; settings written to {file}")
    _print(f"next: dssm run {corpus}")
    return 0


@cli.command()
@click.argument("corpus", shell_complete=_complete_corpus)
@click.option("--to", metavar="VERSION", help="Go back to this version; the one live before otherwise.")
def rollback(corpus: str, to: str | None) -> int:
    """Take the live version of CORPUS back; the same inputs never publish it again."""
    registry = _registry(corpus)
    _require_published(registry)
    manifest = registry.change(lambda update: update.roll_back(to))
    _print(f"{corpus}: version {manifest.version} is live again (recall@10 {manifest.recall_at_10:.3f})")
    return 0


@cli.command()
@click.argument("corpus", shell_complete=_complete_corpus)
def approve(corpus: str) -> int:
    """Make the version of CORPUS that waits for approval live."""
    registry = _registry(corpus)
    _require_published(registry)
    manifest = registry.change(lambda update: update.approve())
    _print(f"{corpus}: version {manifest.version} is live (recall@10 {manifest.recall_at_10:.3f})")
    _announce_approved(registry.folder, manifest)
    return 0


def _announce_approved(folder: Path, manifest: Any) -> None:  # noqa: ANN401 - VersionManifest, imported late
    """Tell Prefect, where a server answers, that a version went live: others wait for that event."""
    from flows.environment import start_prefect

    start_prefect()
    from flows.announcements import announce, send_message
    from flows.server import answers, server_address, use_server

    file = folder / manifest.version / "settings.json"
    settings = json.loads(file.read_bytes()) if file.exists() else {}
    figures = {name: getattr(manifest, name) for name in ("version", "run", "recall_at_1", "recall_at_10", "test_rows")}
    if answers(server_address()):
        with use_server(start=False):
            result = RunResult(status="published", corpus=manifest.corpus, **figures)
            announce(result, settings.get("publish", {}).get("on_published"))
    send_message(f"{manifest.corpus}: Published", f"version {manifest.version}, approved")


@cli.command()
@click.option("--corpus", "corpora", metavar="NAME", multiple=True, help="Run it on this corpus; may be repeated.")
@click.option("--full", is_flag=True, help="The LSTM in every experiment of the article, not only in its table.")
@click.option(
    "--set",
    "pairs",
    metavar="KEY=VALUE",
    multiple=True,
    shell_complete=_complete_setting,
    help="Change a setting of every experiment.",
)
@click.option("--json", "as_json", is_flag=True, help="End standard output with one JSON object.")
@_with_verbosity
def study(corpora: Sequence[str], full: bool, pairs: Sequence[str], as_json: bool) -> int:
    """Re-run the article's experiments, and say which of its findings reproduce.

    \b
    dssm study                                     on the bundled corpora A, B and C
    dssm study --corpus bank                       on your own
    dssm study --corpus c --set training.epochs=2  a quick look

    What is finished is re-used: after an interruption the same command goes on.
    """
    from flows.corpora import parse_overrides

    changes = parse_overrides(pairs)
    _find_server()
    from flows.study import start_study, study_folder

    done = start_study(corpora, full, changes)
    folder = study_folder(done.name)
    if as_json:
        files = {"report": str(folder / "report.html"), "file": str(folder / "study.json")}
        _print(json.dumps({"status": "studied", **files, **done.model_dump(mode="json")}, ensure_ascii=False))
        return 0
    _show_study(done, folder)
    return 0


@cli.command()
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


@cli.command()
@_with_verbosity
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
    deployments, broken = _describe(None)
    if not deployments:
        raise SettingsError("\n".join(broken.values()) or "no corpus to serve: add data/corpora/NAME.toml")
    _start_prefect()
    from flows.server import use_server
    from flows.serving import apply
    from flows.serving import serve as serve_deployments

    with use_server(start=True) as server:
        where = f"started at {server.ui}, log in {server.log}" if server.log else f"already answers at {server.ui}"
        _print(f"Prefect server: {where}")
        _show_changes(apply(deployments, broken, take_over), done=True)
        _print(f"open {server.ui}/deployments; Ctrl-C ends it")
        serve_deployments(deployments, server.api)
    return 0


@cli.command(context_settings={"auto_envvar_prefix": "DSSM_API", "show_default": True})
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
    without it anybody who reaches the port may ask. docs/service.md says more.
    """
    from flows.api.server import listen, read_keys, serve, start_options

    for name in corpora:
        _registry(name)
    options = start_options(corpora, read_keys(os.environ.get("DSSM_API_KEYS")), **given)
    with listen(host, port) as opened:
        address = f"http://{f'[{host}]' if ':' in host else host}:{opened.getsockname()[1]}"
        if not options.keys and not host.startswith(("127.", "localhost", "::1")):
            say("anybody who reaches this address may ask; DSSM_API_KEYS=KEY,KEY closes it")
        _print(f"open {address}/; Ctrl-C ends it")
        serve(options, opened, workers)
    return 0


@cli.command()
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


@cli.command()
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
        _print(f"open {server.ui}/deployments")
    return 2 if broken else 0


@cli.command()
@click.argument("section", required=False)
def settings(section: str | None) -> int:
    """Explain every setting of a corpus, as Markdown: description, bounds and default.

    \b
    dssm settings                                  all of them, docs/settings.md
    dssm settings model                            those of one section
    """
    from schemas.reference import section_names, settings_page

    if section is not None and section not in section_names():
        raise click.UsageError(f"there is no section {section!r}; there are {', '.join(filter(None, section_names()))}")
    _print(settings_page(section).rstrip())
    return 0


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
        _print(f"{verb:>9}  {change.key}" + ("" if lines or not change.details else f"  {'; '.join(change.details)}"))
        for line in lines:
            _print(f"{'':>11}{line}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; what goes wrong is one message on standard error."""
    try:
        _run_command(list(sys.argv[1:] if arguments is None else arguments))
    except SystemExit as end:
        leave_without_memory(end.code)
        raise


def _run_command(words: Sequence[str]) -> NoReturn:
    name = _corpus_of(words)
    for stream in (sys.stdout, sys.stderr):  # of a terminal that knows no Chinese
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="escape")
    interrupt_on_signals()
    as_json = "--json" in words and words[0] in ("run", "check")
    lost = RunResult(status="failed", corpus=name, error="out of memory").model_dump_json() + "\n"
    end_without_memory(lost if as_json else "")
    try:
        code = cli.main(words, prog_name="dssm", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except (KeyboardInterrupt, click.Abort):
        leave_soon()
        result = RunResult(status="failed", corpus=name, error="interrupted")
        code = INTERRUPTED
    except click.ClickException as error:
        result = RunResult(status="rejected", corpus=name, error=redact(error.format_message()))
        error.show(said := io.StringIO())
        _write(sys.stderr, printable(redact(said.getvalue())))
        code = 2
    except Exception as error:
        result = _describe_failure(name, error)
        say(result.error or "")
        code = EXIT_CODES[result.status]
    if as_json:
        _print(json.dumps(result.model_dump(), ensure_ascii=False))  # pydantic refuses a name that is no UTF-8
    sys.exit(code)


def _corpus_of(words: Sequence[str]) -> str:
    """Return the first corpus that a command line names, for the JSON of one that ends before it is parsed."""
    command = cli.commands.get(words[0]) if words else None
    options = command.params if command else []
    valued = {name for option in options for name in option.opts if not getattr(option, "is_flag", True)}
    pairs = pairwise(words)
    return next((word for before, word in pairs if not word.startswith("-") and before not in valued), "")


def _describe_failure(corpus: str, error: Exception) -> RunResult:
    """Turn an exception into a result: the owner's to mend (2), or the machine's and ours (3)."""
    fault = as_fault(error)
    if fault is None:
        _write(sys.stderr, printable(redact("".join(traceback.format_exception(error)))))
        return RunResult(status="failed", corpus=corpus, error=redact(f"{type(error).__name__}: {error}"))
    return RunResult(status="rejected" if fault.exit_code == 2 else "failed", corpus=corpus, error=str(fault))


def _repair(registry: Any) -> None:  # noqa: ANN401 - ModelRegistry, imported late
    """Rebuild live.json and say what answers now."""
    name, live = registry.corpus, registry.repair()
    if live is None:
        _print(f"{name}: live.json is whole; nothing to repair")
        return
    _print(
        f"{name}: live.json was rebuilt; live is {live.version or 'nothing'}, and {len(live.history)} change(s) of "
        f"what was live are known. If that is not the right one: dssm rollback {name} --to VERSION"
    )


def _harmed_among(registry: Any, names: Sequence[str | None]) -> dict[str, str]:  # noqa: ANN401 - as above
    """Return what is wrong with the files of some versions, by name; those of a store were checked when they came."""
    found = {}
    for name in names:
        if name is None or registry.has_store:
            continue
        try:
            registry.verify(name)
        except StaleFile as error:
            found[name] = str(error)
    return found


def _registry(corpus: str) -> Any:  # noqa: ANN401 - ModelRegistry, imported late
    """Return the registry of a corpus; SettingsError where nothing was ever published, as far as this disk knows."""
    from flows.corpora import NAME
    from tasks.registry import ModelRegistry

    if not NAME.fullmatch(corpus):
        raise SettingsError(f"{corpus!r} is no name of a corpus: lower-case letters, digits, - and _ make one")
    registry = ModelRegistry.of(corpus)
    if not registry.has_store:  # what a store has is known when it has been asked
        _require_published(registry)
    return registry


def _require_published(registry: Any) -> None:  # noqa: ANN401 - ModelRegistry, imported late
    """Refuse a corpus of which nothing was ever published."""
    from schemas.workspace import default_home
    from tasks.registry import list_corpora

    if not registry.exists():
        known = ", ".join(list_corpora(default_home())) or "none"
        raise SettingsError(
            f"no model of corpus {registry.corpus!r} in DSSM_HOME = {default_home()}; there are: {known}. Make one: "
            f"dssm run {registry.corpus}, or set DSSM_HOME to where it lies"
        )


def _read_lines(file: str) -> Iterator[list[str]]:
    """Yield the lines of a file as they come, a few at a time: who writes into a pipe waits for the answer."""
    number, rest = 0, b""
    try:
        with open(0 if file == "-" else file, "rb", closefd=file != "-") as stream:
            while chunk := stream.read1(_CHUNK):
                *lines, rest = (rest + chunk).split(b"\n")  # not splitlines: a query may hold other separators
                if len(rest) > _LONGEST_LINE:
                    raise SourceError(f"{file}:{number + len(lines) + 1} has over {_LONGEST_LINE:,} bytes: no query")
                yield [_decode(line, file, number + place) for place, line in enumerate(lines, 1)]
                number += len(lines)
    except OSError as error:
        raise SourceError(f"cannot read {file}: {error.strerror}; give a text file with one query a line") from error
    if rest:
        yield [_decode(rest, file, number + 1)]


def _decode(line: bytes, file: str, number: int) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise SourceError(f"{file} is not UTF-8 (line {number}, byte {error.start}); save it as UTF-8") from error


def _show_results(results: Sequence[RunResult]) -> None:
    def show(value: float | None) -> str:
        return "" if value is None else f"{value:.3f}"

    rows = []
    for r in results:
        best = max((figures["recall_at_10"] for figures in r.baselines.values()), default=None)
        total = f"{sum(r.seconds.values()):.0f} s" if r.seconds else ""
        rows.append([r.corpus, r.status, show(r.recall_at_1), show(r.recall_at_10), show(best), total])
    if len(results) > 1 or results[0].report:  # one that came to nothing has had its message
        _table(["corpus", "status", "recall@1", "recall@10", "best baseline", "time"], rows)
    for r in results:
        for reason in r.reasons:
            _print(f"{r.corpus} is {r.status}: {reason}")
        if r.report:
            _print(f"report of {r.corpus}: {r.report}")
    if live := [r for r in results if r.status in ("published", "unchanged")]:
        _print(f"next: dssm query {live[0].corpus} {shlex.quote(_some_query(live[0]))}")


def _some_query(result: RunResult) -> str:
    """Return a query of the corpus itself, one of its first and short."""
    import pyarrow.parquet as pq

    from schemas.outputs import IngestOutput
    from schemas.workspace import Workspace

    file = IngestOutput.of(Workspace.of(result.corpus, result.run or "")).questions
    try:
        rows = next(pq.ParquetFile(file).iter_batches(100, columns=["query"])).column(0).to_pylist()
    except (OSError, StopIteration):
        return "…"
    return str(min(rows, key=len))


def _show_study(done: Any, folder: Path) -> None:  # noqa: ANN401 - schemas.study.Study, imported late
    rows = []
    for m in done.experiments:
        article, small = m.experiment.article_recall_at_10, m.small_recall_at_10
        figures = [m.loss_fall, m.reducible_fall, m.oscillation]
        rows.append(
            [
                m.experiment.name,
                m.experiment.title,
                "" if article is None else f"{article:.2f}",
                f"{m.recall_at_10.value:.3f} ({m.recall_at_10.low:.3f}-{m.recall_at_10.high:.3f})",
                f"{m.recall_at_1.value:.3f}",
                "" if small is None else f"{small.value:.3f}",
                *(f"{figure:.1%}" for figure in figures),
                f"{m.effective_rank:.0f}",
            ]
        )
    header = ["experiment", "", "article", "recall@10", "recall@1", "1-3 rows", "loss fell", "of reducible"]
    _table([*header, "oscillation", "rank"], rows)
    for finding in done.findings:
        _print(f"{finding.verdict}: {finding.subject}\n  {finding.ours}")
    _print(f"report of the study: {folder / 'report.html'}")


def _table(header: list[str], rows: list[list[str]]) -> None:
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
    _write(sys.stdout, drawn.get())


def _print(text: str, end: str = "\n") -> None:
    _write(sys.stdout, printable(text) + end)


def _write(stream: TextIO, text: str) -> None:
    """Write to standard output or error; once nobody reads there any more (`| head -1`), to nowhere."""
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _tell_files(result: RunResult) -> None:
    """Say on standard error what was read of each file: the first thing to look at when rows are missing."""
    if verbosity() == "quiet":
        return
    for file in result.files:
        _write(sys.stderr, printable(f"{file.describe()}\n"))


if __name__ == "__main__":
    main()
