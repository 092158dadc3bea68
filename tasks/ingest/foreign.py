"""Foreign queries: what customers ask that is not of this corpus, such as the queries of another."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import SourceError
from schemas.outputs import ForeignOutput, IngestOutput
from schemas.settings import Source
from schemas.tables import FOREIGN
from tasks.ingest.addresses import find_files
from tasks.ingest.decoding import find_encoding, open_text
from tasks.ingest.input_file import InputFile, reading
from tasks.ingest.quarantine import separate
from tasks.ingest.sources import open_sources
from tasks.retrieval.hashing import keys, text_keys
from tasks.retrieval.normalise import normalise, normalise_all

_FEWEST, _MOST = 20, 20_000  # queries; half of them tune, half measure


def find_query_files(addresses: str | list[str], base: Path, setting: str) -> list[InputFile]:
    """Return the files of queries that have no standard question; `setting` names the addresses in messages.

    Raises:
        SourceError: there is none.
    """
    given = [addresses] if isinstance(addresses, str) else addresses
    return [file for one in given for file in find_files(one, base, setting)]


def write_foreign(files: list[InputFile], source: Source, ingested: Path, seed: int, folder: Path) -> int:
    """Write foreign.parquet, each query once, into `folder`; return how many there are. Of very many, some are drawn.

    Args:
        files: tables of any format that a source may have, or .txt with a query a line.
        source: names the encoding, where the settings name it.
        ingested: folder of ingest; queries of the corpus itself are left out.
        seed: of the draw.
        folder: where to.

    Raises:
        SourceError: a file cannot be read, or they hold too few queries.
    """
    texts = read_queries(files, source)
    own = pq.read_table(IngestOutput(ingested).questions, columns=["query"])["query"].to_pylist()
    texts = sorted(set(texts) - set(normalise_all(own)))
    if len(texts) < _FEWEST:
        raise SourceError(
            f"{', '.join(file.name for file in files)}: {len(texts)} queries that are not of the corpus itself, at "
            f"least {_FEWEST} are needed; give more in decisions.foreign_path, or leave it empty"
        )
    drawn = keys(seed, "foreign", text_keys(texts).view("int64"))
    order = drawn.argsort(kind="stable")[:_MOST]
    table = pa.table([[texts[place] for place in order]], schema=FOREIGN)
    pq.write_table(table, ForeignOutput(folder).queries, compression="zstd")
    return len(table)


def read_queries(files: list[InputFile], source: Source, most: int | None = None) -> list[str]:
    """Return the normalised queries of some files, each once.

    Args:
        files: tables of any format that a source may have, or .txt with a query a line.
        source: names the encoding, where the settings name it.
        most: of more, those that came last are returned; no more than these are held in memory.

    Raises:
        SourceError: a file cannot be read.
    """
    found = dict[str, None]()
    for text in (text for file in files for text in _read(file, source) if text):
        if most is not None:
            found.pop(text, None)  # what is asked again is as new as its last time
        found[text] = None
        if most is not None and len(found) > most:
            del found[next(iter(found))]
    return list(found)


def _read(file: InputFile, source: Source) -> Iterator[str]:
    """Yield the normalised queries of a file."""
    if file.suffix == ".txt":
        with reading(file), open_text(file, find_encoding(file, source.encoding)) as lines:
            yield from map(normalise, lines)
        return
    # The columns in the settings are those of the corpus; these tables come from elsewhere.
    elsewhere = Source(path=file.name, encoding=source.encoding)
    try:
        tables = open_sources(file, elsewhere, 0)
    except SourceError:
        tables = open_sources(file, elsewhere, 0, queries_alone=True)
    for opened in tables:
        as_list = opened.layout is not None and not opened.layout.columns.queries
        for pairs in opened.pairs:
            queries = pairs.questions if as_list else pairs.queries
            yield from separate(replace(pairs, queries=queries, questions=["-"] * len(queries)), set()).normalised
