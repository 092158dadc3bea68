"""Commands about the settings of a corpus: init, settings."""

from typing import Any

import click

from flows.commands.options import QUERY_COLUMN, QUESTION_COLUMN, QUESTIONS, TEST_SOURCE, complete_corpus, load_settings
from flows.commands.output import print_text, say_next, show_files
from flows.commands.start import use_prefect


@click.command()
@click.argument("corpus", shell_complete=complete_corpus)
@click.option("--source", metavar="FILE", multiple=True, required=True, help="Its rows; may be repeated.")
@TEST_SOURCE
@QUESTIONS
@QUERY_COLUMN
@QUESTION_COLUMN
def init(corpus: str, **source: Any) -> int:  # noqa: ANN401 - click's values
    """Look at the rows of a new CORPUS, and write its TOML: what was found, and what you may want to change.

    \b
    dssm init bank --source train.csv
    """
    settings = load_settings(corpus, source)
    use_prefect()
    from flows.init import write_toml

    file, found = write_toml(settings)
    show_files(found)
    print_text(f"{corpus}: {found.rows} rows of {found.classes} standard questions; settings written to {file}")
    say_next(f"run {corpus}")
    return 0


@click.command()
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
    print_text(settings_page(section).rstrip())
    return 0
