"""Options that several commands have, and the settings that they make."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from flows.terminal import VERBOSITY


def complete_corpus(_context: click.Context, _option: click.Parameter, begun: str) -> list[str]:
    """Return the corpora whose name begins so, for the shell."""
    from flows.corpora import find_tomls
    from schemas.workspace import default_home
    from tasks.registry import list_corpora

    return sorted(name for name in {*find_tomls(), *list_corpora(default_home())} if name.startswith(begun))


def complete_setting(_context: click.Context, _option: click.Parameter, begun: str) -> list[str]:
    """Return the settings whose dotted name begins so, for the shell; of a single one its default, too.

    A shell puts a space behind a single word, and a value would be a word of its own.
    """
    from flows.corpora import default_value, known_keys

    found = [key for key in known_keys() if key.startswith(begun)]
    return [f"{key}=" for key in found] + [f"{key}={default_value(key)}" for key in found if len(found) == 1]


def with_verbosity(command: Callable[..., int]) -> Callable[..., int]:
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


SOURCE = click.option(
    "--source", metavar="FILE", multiple=True, help="File, folder or address of the rows; may be repeated."
)
TEST_SOURCE = click.option(
    "--test-source", metavar="FILE", help="Official held-out rows: never altered, never trained on."
)
QUESTIONS = click.option("--questions", metavar="FILE", help="List of standard questions (columns id, text).")
QUERY_COLUMN = click.option(
    "--query-column", metavar="NAME", multiple=True, help="Column of the queries; may be repeated."
)
QUESTION_COLUMN = click.option("--question-column", metavar="NAME", help="Column of the standard questions.")
SETTING = click.option(
    "--set",
    "pairs",
    metavar="KEY=VALUE",
    multiple=True,
    shell_complete=complete_setting,
    help="Change a setting, e.g. model.hidden_dims=[64].",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="End standard output with one JSON object.")


FILTER = click.option(
    "--filter", "filters", metavar="FIELD=VALUE", multiple=True, help="Only those; also >= and <=; may be repeated."
)
VALID_AT = click.option(
    "--valid-at", metavar="MOMENT", default="now", show_default=True, help="2026-01-31T18:00; any: valid or not."
)


def read_filters(filters: Sequence[str], valid_at: str) -> tuple[Any, Any]:
    """Return what the two options above say, as `Model.search` takes it."""
    from schemas.filters import parse_filters, parse_valid_at

    try:
        return parse_filters(filters), parse_valid_at(valid_at)
    except ValueError as error:
        raise click.UsageError(f"--valid-at: {error}") from None


def load_settings(name: str, source: dict[str, Any]) -> Any:  # noqa: ANN401 - CorpusSettings, imported late
    """Return the settings of a corpus with what the options above change, by the names of their parameters."""
    from flows.corpora import absolute, load_corpus, merge, parse_overrides
    from schemas.workspace import make_home

    make_home()
    _refuse_empty(source)
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


def _refuse_empty(source: dict[str, Any]) -> None:
    """An option with nothing behind it is a variable of a script that was not set, not a wish for the default."""
    for name, value in source.items():
        name = "set" if name == "pairs" else name
        for one in [value] if isinstance(value, str) else value or ():
            if not str(one).strip():
                raise click.UsageError(f"--{name.replace('_', '-')} is empty; give a value, or leave it out")
