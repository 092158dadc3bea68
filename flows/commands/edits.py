"""Commands that change standard questions of the live version without training: add, edit, remove, edits."""

import json
from collections.abc import Callable
from typing import Any

import click

from flows.commands.models import find_registry, local_time, require_published
from flows.commands.options import complete_corpus
from flows.commands.output import print_table, print_text
from flows.environment import say
from schemas.errors import SourceError

_MOST_LINES = 100_000  # of a file of similar queries


def _with_edit_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command what a standard question has."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="One JSON object."),
        click.option("--field", "fields", metavar="NAME=VALUE", multiple=True, help="Of the payload; NAME=: none."),
        click.option("--answer", metavar="TEXT", help="What the bot says."),
        click.option("--similar-queries", "file", metavar="FILE", help="One a line (UTF-8); - for standard input."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("corpus", shell_complete=complete_corpus)
@click.argument("text")
@click.option("--id", "identity", metavar="ID", help="Its id; its text otherwise.")
@_with_edit_options
def add(corpus: str, text: str, identity: str | None, **given: Any) -> int:  # noqa: ANN401 - click's values
    """Add a standard question to the live version of CORPUS within seconds, without training.

    \b
    dssm add bank "如何开通数字人民币" --similar-queries queries.txt --answer "在应用里点钱包"
    dssm add bank "如何开通数字人民币" --field category=钱包 --field channel=App --field channel=微信

    It is a version like any other: dssm models shows it, dssm rollback takes it back. Every following run adds it to
    the export again, and trains it, until the export has it: dssm edits lists what waits, and drops one.
    """
    return _edit(corpus, "add", text, given, id=identity)


@click.command()
@click.argument("corpus", shell_complete=complete_corpus)
@click.argument("text")
@click.option(
    "--text",
    "new",
    metavar="TEXT",
    help="What it is called from now on; the text of before is kept as a similar query.",
)
@_with_edit_options
def edit(corpus: str, text: str, new: str | None, **given: Any) -> int:  # noqa: ANN401 - click's values
    """Change a standard question of the live version of CORPUS within seconds: its text, queries, answer, fields.

    \b
    dssm edit bank "提前还款" --text "如何提前还款"
    dssm edit bank "提前还款" --similar-queries more.txt --answer "在应用里点还款" --field valid_until=2026-12-31

    Similar queries are added to those it has. What holds of dssm add holds here, too.
    """
    return _edit(corpus, "edit", text, given, text=new)


@click.command()
@click.argument("corpus", shell_complete=complete_corpus)
@click.argument("text")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def remove(corpus: str, text: str, as_json: bool) -> int:
    """Remove a standard question from the live version of CORPUS within seconds; dssm rollback brings it back."""
    return _edit(corpus, "remove", text, {"as_json": as_json})


@click.command()
@click.argument("corpus", shell_complete=complete_corpus)
@click.option("--drop", metavar="TEXT", help="Forget the edit of this standard question: the next run has none.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def edits(corpus: str, drop: str | None, as_json: bool) -> int:
    """List what was added, edited and removed of CORPUS that its export does not have yet, as of the last run.

    \b
    dssm edits bank
    dssm edits bank --drop "如何开通数字人民币"

    What is dropped stays in the live version until the next run, which goes by the export alone.
    """
    from tasks.retrieval.edits import drop_edit, live_overlay

    registry = find_registry(corpus)
    require_published(registry)
    overlay = drop_edit(registry, drop).overlay if drop is not None else live_overlay(registry)
    if drop is not None and not as_json:
        print_text(f"{corpus}: the next run does without the edit of {drop!r}; until then the live version keeps it")
    if as_json:
        print_text(json.dumps({"corpus": corpus, **overlay.model_dump(mode="json")}, ensure_ascii=False))
    elif overlay.edits:
        print_table(
            ["edited", "what", "similar queries"],
            [[local_time(e.at), e.describe(), "\n".join(e.similar_queries[:3])] for e in overlay.edits],
        )
    else:
        print_text(f"{corpus}: nothing was edited that the export does not have")
    return 0


def _read_queries(file: str) -> list[str]:
    """Return the different queries of a file; of too many, one more than an edit takes, which refuses them."""
    from tasks.retrieval.edits import MOST_QUERIES
    from tasks.retrieval.lines import read_lines

    found, number = dict[str, None](), 0
    for lines in read_lines(file):
        found |= dict.fromkeys(filter(None, map(str.strip, lines)))
        number += len(lines)
        if number > _MOST_LINES:  # a program that never ends
            raise SourceError(f"{file} has over {_MOST_LINES:,} lines; at most {MOST_QUERIES} queries go in one edit")
        if len(found) > MOST_QUERIES:
            break
    if not found:
        raise SourceError(f"{file} holds no query; give a text file with one query a line")
    return [*found][: MOST_QUERIES + 1]


def _edit(corpus: str, action: str, name: str, given: dict[str, Any], **more: Any) -> int:  # noqa: ANN401 - click's
    """Make an edit, and say what came of it."""
    from schemas.edits import Edit, read_fields
    from tasks.retrieval.edits import describe_elsewhere, edit_live

    registry = find_registry(corpus)
    require_published(registry)
    queries = _read_queries(given["file"]) if given.get("file") else []
    payload = read_fields(given.get("fields", ()))
    if given.get("answer") is not None:
        payload["answer"] = given["answer"] or None
    wanted = {"standard_question": name.strip(), "similar_queries": queries, "payload": payload, **more}
    made = edit_live(registry, Edit.model_validate({"action": action, **wanted}))
    for warning in made.warnings:
        say(f"warning: {corpus}: {warning}")
    if given["as_json"]:
        facts: dict[str, Any] = {"corpus": corpus, "version": made.version, "edit": made.edit.model_dump(mode="json")}
        facts["standard_questions"] = made.standard_questions
        facts["expected"] = made.expected and made.expected.model_dump()
        facts["warnings"] = made.warnings
        facts["elsewhere"] = made.elsewhere
        print_text(json.dumps(facts, ensure_ascii=False))
        return 0
    print_text(
        f"{corpus}: {made.edit.describe()}: live in version {made.version}, which has {made.standard_questions:,} "
        "standard questions"
    )
    if made.expected:
        print_text(made.expected.describe())
    elif action == "add" and not queries:
        print_text(
            "it is found by its text alone, which no test row measures; give it what customers type: --similar-queries"
        )
    elif action != "remove":
        print_text("how often it is found was not measured: no test row is of a standard question with as many rows")
    if made.elsewhere:
        print_text(describe_elsewhere(made.elsewhere))
    print_text(f"the next runs do the same to the export until it says so itself: dssm edits {corpus}")
    return 0
