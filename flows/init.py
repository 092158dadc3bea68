"""`dssm init`: look at a source, and write the TOML of a corpus, with what was found and what can be changed."""

import json
from datetime import UTC, datetime
from pathlib import Path

from flows.check import check_corpus
from flows.corpora import find_tomls
from schemas.errors import SettingsError
from schemas.manifest import write_atomically
from schemas.run import RunResult
from schemas.settings import CorpusSettings
from schemas.workspace import default_home


def write_toml(corpus: CorpusSettings) -> tuple[Path, RunResult]:
    """Write the TOML of a corpus from what its source holds; return it, and what was found.

    Raises:
        SettingsError: the corpus has a TOML already.
        PipelineError: the source cannot be used; nothing is written.
    """
    if there := find_tomls().get(corpus.name):
        raise SettingsError(f"{there} is there already; change it by hand, or choose another name")
    found = check_corpus(corpus)
    file = default_home() / "corpora" / f"{corpus.name}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, describe_toml(corpus, found).encode())
    return file, found


def describe_toml(corpus: CorpusSettings, found: RunResult) -> str:
    """Return the TOML: what has to stand in it, and as comments what a person is likely to change."""
    rows, first = found.rows or 0, next((file for file in found.files if file.role == "train"), None)
    columns = first.columns if first and len(first.columns) == 2 else []
    named = zip(("query_column", "question_column"), columns, strict=False)
    source = [f"path = {_text(corpus.source.path)}"]
    source += [f"test_path = {_text(corpus.source.test_path)}"] if corpus.source.test_path else []
    source += [f"questions_path = {_text(corpus.source.questions_path)}"] if corpus.source.questions_path else []
    source += [f"{key} = {_text(column)}" for key, column in named]
    return "\n".join(
        [
            f"# Corpus {corpus.name}, looked at on {datetime.now(UTC):%Y-%m-%d}: {rows:,} rows of "
            f"{found.classes or 0:,} standard questions, {found.quarantined or 0:,} set aside.",
            *(f"# warning: {' '.join(warning.split())}" for warning in found.warnings),
            "# Lines that begin with # are suggestions or the default; dssm settings explains every setting.",
            "",
            f"name = {_text(corpus.name)}",
            '# language = "zh"           # report, findings and reasons in Chinese',
            "",
            "[source]",
            *source,
            "",
            "[validate.min_rows]          # fewer rows than this: something is wrong with the export",
            f"warn = {max(2, rows * 8 // 10)}",
            f"stop = {max(2, rows // 2)}",
            "",
            "[publish]",
            "# go_live = false            # train, measure and report only",
            "# approval = true            # a person decides before a version goes live",
            '# golden_path = "golden.csv" # queries that must always find their standard question',
            "",
            "[schedule]",
            '# cron = "nightly"           # "30 3 * * *": at half past three; "never": only by hand',
            "",
        ]
    )


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)  # a TOML string, or list of them, is written as in JSON
