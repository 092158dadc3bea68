"""Commands that tell the owner of a corpus what to do."""

import json
import shlex
from pathlib import Path

import click

from flows.commands.options import complete_corpus, with_verbosity
from flows.commands.output import print_text, say_next
from flows.commands.start import use_prefect
from flows.environment import say

_SHOWN = 10  # groups on the terminal


@click.command()
@click.argument("corpus", shell_complete=complete_corpus)
@click.option("--quick", is_flag=True, help="From the held-out rows alone, as every night: in seconds.")
@click.option(
    "--drafts",
    metavar="N",
    default=0,
    type=click.IntRange(0, 200),
    help="Let the language model of DSSM_LLM_URL draft queries for the N neediest standard questions.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object: the whole diagnosis.")
@with_verbosity
def doctor(corpus: str, quick: bool, drafts: int, as_json: bool) -> int:
    """Say what the owner of CORPUS should do next, what each thing will bring, and what came of the last ones.

    \b
    dssm doctor bank                               health.html and todo.xlsx, beside the report of the last run
    dssm check bank --apply todo.xlsx              what you accepted of it, from the next night on

    Models that have not seen a row judge it: which stand under the wrong standard question, and how fast recall grows
    with queries in this corpus. That takes about as long as a training. docs/doctor.md shows one week.
    """
    use_prefect()
    from flows.doctor import see_doctor
    from schemas.language import read_words
    from schemas.workspace import HEALTH_FILE
    from tasks.doctor.health import list_things, say_state

    said, run, settings = see_doctor(corpus, quick, drafts, say)
    if as_json:
        files = {"health": str(run.root / HEALTH_FILE), "todo": str(run.root / "todo.xlsx")}
        print_text(json.dumps(said.model_dump(mode="json") | files, ensure_ascii=False))
        return 0
    words = read_words(settings.language)
    print_text(say_state(said, words))
    for number, thing in enumerate(list_things(said, words), 1):
        print_text(f"  {number}. {thing.title}: {100 * thing.gain:+,.1f} {words('health.won', effort=thing.effort)}")
    print_text(words("terminal.health", file=run.root / HEALTH_FILE))
    if said.actions:
        print_text(words("terminal.accept"))
        say_next(f"check {corpus} --apply {shlex.quote(str(run.root / 'todo.xlsx'))}", words)
    return 0


@click.command()
@click.argument("corpus", shell_complete=complete_corpus)
@click.option(
    "--log",
    "log",
    metavar="FILE",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Queries, one a line, or the query log of dssm api.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object: every group with its queries.")
@with_verbosity
def mine(corpus: str, log: Path, as_json: bool) -> int:
    """Find what customers ask and CORPUS does not answer: new standard questions, and queries for existing ones.

    \b
    dssm mine bank --log queries.txt
    dssm mine bank --log queries.jsonl             the log of dssm api: its decisions and feedback count
    dssm check bank --apply mined.xlsx             what you accepted of it, from the next night on

    Queries that the live model did not answer are grouped by what they ask; each group is a row of mined.xlsx, with
    how often it was asked and what it will bring.
    """
    use_prefect()
    from flows.doctor import mine_log

    actions, files, words = mine_log(corpus, log)
    if as_json:
        found = [one.model_dump(mode="json") for one in actions]
        print_text(json.dumps({"groups": found, "files": [str(file) for file in files]}, ensure_ascii=False))
        return 0
    new = sum(one.kind == "new" for one in actions)
    print_text(words("terminal.mined", corpus=corpus, new=new, add=len(actions) - new))
    for one in actions[:_SHOWN]:
        facts = {"action": words.name("action", one.kind), "question": one.standard_question, "effort": one.effort}
        print_text(f"  {words('terminal.group', gain=100 * one.gain, **facts)}")
    if files:
        print_text(words("terminal.all_mined"))
        say_next(f"check {corpus} --apply {shlex.quote(str(files[-1]))}", words)
    return 0
