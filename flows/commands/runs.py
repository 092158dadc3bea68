"""Commands that run the flow, and look at its runs: run, check, compare, study."""

import glob
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from flows.commands.options import (
    AS_JSON,
    QUERY_COLUMN,
    QUESTION_COLUMN,
    QUESTIONS,
    SETTING,
    SOURCE,
    TEST_SOURCE,
    complete_corpus,
    load_settings,
    with_verbosity,
)
from flows.commands.output import describe_failure, print_table, print_text, say_next, show_files
from flows.commands.start import find_server, use_prefect
from flows.environment import say
from flows.faults import require_address_space
from flows.terminal import TERMINAL
from schemas.errors import PipelineError, SettingsError
from schemas.language import Words, read_words
from schemas.run import EXIT_CODES, RunResult

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("corpora", nargs=-1, metavar="[CORPUS]...", shell_complete=complete_corpus)
@click.option("--all", "every", is_flag=True, help="Every corpus of data/corpora.")
@SOURCE
@TEST_SOURCE
@QUESTIONS
@QUERY_COLUMN
@QUESTION_COLUMN
@SETTING
@click.option("--no-publish", "trial", is_flag=True, help="Train, measure and report; nothing goes live.")
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1), help="With --all: at a time.")
@AS_JSON
@with_verbosity
def run(corpora: Sequence[str], every: bool, trial: bool, processes: int, as_json: bool, **source: Any) -> int:  # noqa: ANN401 - click's values
    """Ingest, validate, prepare, train, evaluate and publish CORPUS.

    \b
    dssm run a                                     settings from data/corpora/a.toml
    dssm run a --set 'model.hidden_dims=[64]'      one of them changed
    dssm run bank --source train.csv --test-source test.csv
    dssm run a --set seed=7 --no-publish           an experiment; compare it: dssm compare RUN RUN
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
    for result in results if not every else []:  # the processes of all have said theirs
        show_files(result)
        TERMINAL.warn(result.warnings, said=[*result.reasons, result.error or ""])
    if as_json:
        one = results[0].model_dump() if len(corpora) == 1 else {"runs": [r.model_dump() for r in results]}
        print_text(json.dumps(one, ensure_ascii=False))
    else:
        _show_results(results)
    return max(EXIT_CODES[result.status] for result in results)


def _run_all(processes: int, pairs: Sequence[str]) -> list[RunResult]:
    """Run every corpus in a process of its own, as the flow train-all; return the best first."""
    from flows.corpora import find_tomls, parse_overrides, require_known

    require_known(parse_overrides(pairs))  # a typo costs no process
    if not find_tomls():
        raise SettingsError("no corpus to run: add data/corpora/NAME.toml")
    find_server()
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
        result = describe_failure(name, error)
        say(result.error or "")
        return result


def _train(name: str, source: dict[str, Any]) -> RunResult:
    require_address_space("run")
    corpus = load_settings(name, source)
    _require_files(corpus)
    find_server()
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


def _require_files(corpus: Any) -> None:  # noqa: ANN401 - CorpusSettings, imported late
    """Miss a file within a second, before Prefect is imported or a server started; tell who is told of runs."""
    from flows.corpora import require_files
    from flows.messages import send_message

    try:
        require_files(corpus)
    except PipelineError as fault:
        send_message(f"{corpus.name}: Rejected", str(fault))
        raise


def _show_results(results: Sequence[RunResult]) -> None:
    def show(value: float | None) -> str:
        return "" if value is None else f"{value:.3f}"

    rows = []
    for r in results:
        best = max((figures["recall_at_10"] for figures in r.baselines.values()), default=None)
        total = f"{sum(r.seconds.values()):.0f} s" if r.seconds else ""
        rows.append([r.corpus, r.status, show(r.recall_at_1), show(r.recall_at_10), show(best), total])
    if len(results) > 1 or not results[0].error:  # one that came to nothing has had its message
        print_table(["corpus", "status", "recall@1", "recall@10", "best baseline", "time"], rows)
    for r in results:
        words = _words_of(r)
        status = r.status if words.language == "en" else words.name("status", r.status)
        for reason in r.reasons:
            print_text(words("terminal.reason", corpus=r.corpus, status=status, reason=reason))
        if r.report:
            print_text(words("terminal.report", corpus=r.corpus, file=r.report))
    if live := [r for r in results if r.status in ("published", "unchanged")]:
        say_next(f"query {live[0].corpus} {shlex.quote(_some_query(live[0]))}", _words_of(live[0]))
    for r in results:
        if r.status == "awaiting_approval":
            say_next(f"approve {r.corpus}", _words_of(r))
        elif r.status == "held" and r.report:
            print_text(_words_of(r)("terminal.held_override" if r.overrides else "terminal.held"))
            if r.overrides:
                say_next(_run_again(r.corpus, r.overrides), _words_of(r))


def _run_again(corpus: str, overrides: Sequence[str]) -> str:
    """Return the command that was typed, for one corpus and with more settings."""
    context = click.get_current_context()
    typed = ["run", corpus]
    for option in context.command.params:
        name = option.name or ""
        typed_so = context.get_parameter_source(name) == ParameterSource.COMMANDLINE and name in context.params
        if not isinstance(option, click.Option) or not typed_so or name in ("every", "processes"):
            continue
        value = context.params[name]
        for one in value if isinstance(value, tuple | list) else [value]:
            typed += [option.opts[-1]] if option.is_flag else [option.opts[-1], str(one)]
    return shlex.join([*typed, *(word for setting in overrides for word in ("--set", setting))])


def _words_of(result: RunResult) -> Words:
    """Return the words of the language that a run's settings name; English where it left none."""
    from schemas.workspace import SETTINGS_FILE, Workspace

    try:
        content = (Workspace.of(result.corpus, result.run or "").root / SETTINGS_FILE).read_bytes()
    except OSError:
        return read_words()
    return read_words(json.loads(content).get("language", "en"))


def _some_query(result: RunResult) -> str:
    """Return a query of the corpus itself, of middling length among its first."""
    import pyarrow.parquet as pq

    from schemas.outputs import IngestOutput
    from schemas.workspace import Workspace

    file = IngestOutput.of(Workspace.of(result.corpus, result.run or "")).questions
    try:
        rows = next(pq.ParquetFile(file).iter_batches(100, columns=["query"])).column(0).to_pylist()
    except (OSError, StopIteration):
        return "…"
    return str(sorted(rows, key=len)[len(rows) // 2])


@click.command()
@click.argument("corpus", required=False, shell_complete=complete_corpus)
@SOURCE
@TEST_SOURCE
@QUESTIONS
@QUERY_COLUMN
@QUESTION_COLUMN
@SETTING
@click.option("--apply", "todo", metavar="FILE", type=_FILE, help="A todo.xlsx or todo.csv, as you edited it.")
@click.option("--undo", is_flag=True, help="Take back what the last --apply did.")
@AS_JSON
@with_verbosity
def check(corpus: str | None, todo: Path | None, undo: bool, as_json: bool, **source: Any) -> int:  # noqa: ANN401 - click's values
    """Ingest and validate only: what is wrong with the rows of CORPUS, or of a file.

    \b
    dssm check a
    dssm check --source train.csv
    dssm check bank --apply todo.xlsx              what you accepted of the to-do list corrects the rows each night
    dssm check bank --undo                         take that back

    Your files are never changed: corrections lie in DSSM_HOME/corrections and are laid over the rows. docs/doctor.md
    says more.
    """
    if not corpus and not source["source"]:
        raise click.UsageError("name a corpus, or give --source FILE")
    if (todo or undo) and not corpus:
        raise click.UsageError("--apply and --undo go with a corpus")
    if todo and undo:
        raise click.UsageError("give --apply or --undo, not both")
    require_address_space("check")
    settings = load_settings(corpus or "checked", source)
    from flows.corpora import require_files

    require_files(settings)
    use_prefect()
    from flows.check import check_corpus

    if todo or undo:
        from flows.doctor import check_with, check_without

        outcome = check_with(settings, todo, say) if todo else check_without(settings, say)
    else:
        outcome = check_corpus(settings)
    show_files(outcome)
    if as_json:
        print_text(outcome.model_dump_json())
    else:
        warnings = "".join(f"\n  warning: {warning}" for warning in outcome.warnings)
        facts = {"corpus": outcome.corpus, "rows": outcome.rows, "classes": outcome.classes}
        print_text(read_words(settings.language)("terminal.usable", **facts) + warnings)
    return EXIT_CODES[outcome.status]


@click.command()
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
            print_text(json.dumps(facts | {"difference": difference, "model": one.evaluation.model.model_dump()}))
        return 0
    rows = []
    for one in found:
        model = one.evaluation.model
        figures = [f"{figure.value:.3f}" for figure in (model.recall_at_1, model.recall_at_10, model.mrr)]
        changed = "\n".join(f"{key} = {value}" for key, value in one.settings.items())
        rows.append([one.run, *figures, _say_ahead(one), changed])
    print_table(["run", "recall@1", "recall@10", "MRR", "recall@10 against the first", "settings that differ"], rows)
    return 0


def _say_ahead(one: Any) -> str:  # noqa: ANN401 - Experiment, imported late
    """Return how far a run is ahead of the first; empty of the first itself."""
    if not one.rows:
        return "no test row in common"
    d = one.difference
    return f"{d.value:+.3f} ({d.low:+.3f} to {d.high:+.3f}) on {one.rows} rows" if d else ""


def _find_run(name: str) -> Path:
    """Return the folder of a run, named by itself or by its path."""
    from schemas.workspace import default_home

    if Path(name).is_dir():
        return Path(name).resolve()
    found = sorted(default_home().glob(f"runs/*/{glob.escape(name)}"))
    if not found:
        there = sorted(default_home().glob("runs/*/*/evaluate"), key=lambda step: step.parent.name)
        newest = ", ".join(step.parent.name for step in there[:-4:-1])
        raise SettingsError(f"no run {name!r} below {default_home() / 'runs'}; the newest there: {newest or 'none'}")
    return found[-1]


@click.command()
@click.option("--corpus", "corpora", metavar="NAME", multiple=True, help="Run it on this corpus; may be repeated.")
@click.option("--full", is_flag=True, help="The LSTM in every experiment of the article, not only in its table.")
@SETTING
@AS_JSON
@with_verbosity
def study(corpora: Sequence[str], full: bool, pairs: Sequence[str], as_json: bool) -> int:
    """Re-run the article's experiments, and say which of its findings reproduce.

    \b
    dssm study                                     on the bundled corpora A, B and C
    dssm study --corpus bank                       on your own
    dssm study --corpus c --set training.epochs=2  a quick look

    What is finished is re-used: after an interruption the same command goes on.
    """
    from flows.corpora import load_corpus, parse_overrides, require_files, require_known

    changes = parse_overrides(pairs)
    require_known(changes)
    for name in corpora:  # a typo costs no server
        require_files(load_corpus(name, changes))
    find_server()
    from flows.study import start_study, study_folder

    done = start_study(corpora, full, changes)
    folder = study_folder(done.name)
    if as_json:
        files = {"report": str(folder / "report.html"), "file": str(folder / "study.json")}
        print_text(json.dumps({"status": "studied", **files, **done.model_dump(mode="json")}, ensure_ascii=False))
        return 0
    _show_study(done, folder)
    return 0


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
    print_table([*header, "oscillation", "rank"], rows)
    for finding in done.findings:
        print_text(f"{finding.verdict}: {finding.subject}\n  {finding.ours}")
    print_text(f"report of the study: {folder / 'report.html'}")
