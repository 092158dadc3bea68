"""Golden queries: the owner's table of queries that must always find their standard question.

Nothing is set aside here: one wrong row ends the run before anything is trained.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.corrections import Correction
from schemas.edits import Taken
from schemas.errors import SourceError
from schemas.outputs import GoldenOutput, IngestOutput
from schemas.settings import Source
from schemas.suggestions import nearest, tell_apart
from schemas.tables import GOLDEN
from tasks.ingest.addresses import find_files
from tasks.ingest.corrections import Overlay
from tasks.ingest.input_file import InputFile
from tasks.ingest.quarantine import separate
from tasks.ingest.sources import open_sources
from tasks.retrieval.normalise import normalise

_EXAMPLES = 3
_Row = TypeVar("_Row")


def find_golden_files(address: str, base: Path) -> list[InputFile]:
    """Return the files of golden queries.

    Raises:
        SourceError: there is none, or the address is a bundled corpus.
    """
    files = find_files(address, base, "publish.golden_path")
    if bundled := [file.name for file in files if file.bundled]:
        raise SourceError(f"publish.golden_path is a table of queries of yours, not a bundled corpus ({bundled[0]})")
    return files


def read_golden(
    files: list[InputFile],
    source: Source,
    standard_questions: list[str],
    corrections: Sequence[Correction] = (),
    edited: Taken | None = None,
) -> pa.Table:
    """Read golden queries as GOLDEN, each query once.

    Args:
        files: tables of any format that a source may have.
        source: names the columns, where the settings name them.
        standard_questions: of the corpus.
        corrections: the owner's, which may have renamed some.
        edited: what was edited since the export, which may have renamed some, too.

    Raises:
        SourceError: a file is no table or has no rows; rows are unusable, name a standard question that the corpus
            does not have, or contradict each other.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    asked: dict[str, dict[str, str]] = {}
    unusable, unknown, torn_between = list[str](), list[dict[str, str]](), list[str]()
    known, usable_classes, overlay = set(standard_questions), set[str](), Overlay(corrections, "")
    renamed = (edited or Taken()).renamed(known)
    for file in files:
        # The delimiter in the settings is that of the rows; this table may come from elsewhere.
        opened = open_sources(file, source.model_copy(update={"delimiter": None}), 0)
        for separated in (separate(pairs, usable_classes) for one in opened for pairs in one.pairs):
            unusable += [f"{file.name}:{row.line} {row.reason}" for row in separated.bad]
            corrected = map(overlay.rename, separated.classes)
            called = [renamed.get(text, text) for text in corrected]
            columns = zip(separated.lines, separated.queries, separated.normalised, called, strict=True)
            for line, query, norm, standard in columns:
                row = {"query": query, "standard_question": standard, "where": f"{file.name}:{line}"}
                if standard not in known:
                    unknown.append(row)
                elif (other := asked.setdefault(norm, row))["standard_question"] != standard:
                    torn_between.append(
                        f"“{query}” is “{other['standard_question']}” in {other['where']} and “{standard}” in "
                        f"{row['where']}"
                    )
                rows.setdefault((norm, standard), row)
    name = ", ".join(file.name for file in files)
    _refuse(name, "row(s) cannot be read", unusable, "correct them")
    _refuse(
        name,
        "golden row(s) name a standard question that the corpus does not have",
        unknown,
        "correct them, or bring back those standard questions in the source",
        lambda row: (
            f"{row['where']} “{row['standard_question']}”{_nearest(row['standard_question'], standard_questions)}"
        ),
    )
    _refuse(name, "golden query(s) have two right answers", torn_between, "keep one of each")
    if not rows:
        raise SourceError(f"{name} holds no golden query; fill it in, or leave publish.golden_path empty")
    return pa.Table.from_pylist(list(rows.values()), GOLDEN)


def write_golden(
    files: list[InputFile], source: Source, ingested: Path, folder: Path, corrections: Sequence[Correction] = ()
) -> int:
    """Read golden queries and write golden.parquet into `folder`; return how many there are.

    Args:
        files: of the golden queries.
        source: names the columns, where the settings name them.
        ingested: folder of ingest.
        folder: where to.
        corrections: as `read_golden` takes them.
    """
    output = IngestOutput(ingested)
    known = pq.read_table(output.standard_questions, columns=["standard_question"])["standard_question"].to_pylist()
    table = read_golden(files, source, known, corrections, output.read_taken())
    pq.write_table(table, GoldenOutput(folder).queries, compression="zstd")
    return len(table)


def _refuse(name: str, what: str, rows: list[_Row], remedy: str, show: Callable[[_Row], str] = "{}".format) -> None:
    if rows:
        examples = "; ".join(map(show, rows[:_EXAMPLES])) + (", …" if len(rows) > _EXAMPLES else "")
        raise SourceError(f"{name}: {len(rows)} {what} ({examples}). Nothing ran: {remedy}")


def _nearest(text: str, known: list[str]) -> str:
    same = [one for one in known if normalise(one) == normalise(text)]
    near = same or nearest(text, known)
    return f" (did you mean “{tell_apart(text, near[0])}”?)" if near else ""
