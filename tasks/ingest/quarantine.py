"""Usable rows apart from unusable ones, batch by batch, with the reason of each. Pure."""

import re
from dataclasses import dataclass, replace
from functools import partial

from tasks.ingest.furniture import FOOTER, NOTE, OTHER_TABLE, REPEATED_HEADER
from tasks.ingest.labels import LABEL_REMEDIES
from tasks.ingest.tables import (
    ENDLESS,
    ERROR_CELL,
    KEPT_CHARACTERS,
    MAX_CELL_CHARACTERS,
    NO_VALUE,
    TOO_LONG,
    TORN,
    UNDECODABLE,
    UNDECODABLE_BYTES,
    BadRow,
    Pairs,
)
from tasks.retrieval.normalise import normalise, normalise_all

EMPTY_QUERY = "empty query"
EMPTY_QUESTION = "empty standard question"
EMPTY_NORMALISED = "query empty after normalising"
LONE_SURROGATE = "lone surrogate"
NUL_BYTE = "NUL byte"
ERROR_VALUE = "error value"
UNLISTED_ID = "id that the list lacks"
UNCOMPUTED = "formula without a stored value"

REMEDIES = {
    **LABEL_REMEDIES,
    TORN: "put cells that hold the delimiter, a line end or a quotation mark in double quotes",
    UNDECODABLE_BYTES: "export the file as UTF-8, or name its encoding in source.encoding",
    EMPTY_QUERY: "fill them in, or name the column of the queries with --query-column",
    EMPTY_QUESTION: "fill them in (unmerge merged cells), or name the column with --question-column",
    EMPTY_NORMALISED: "they hold nothing but invisible characters; export them again",
    LONE_SURROGATE: "half a character was cut off; export them again",
    NUL_BYTE: "the file was damaged as it was written; copy or export it again",
    ERROR_VALUE: "correct the formulas that show #N/A and its like, or clear these cells",
    UNLISTED_ID: "add it with its text to source.questions_path, or correct the rows",
    UNCOMPUTED: "open the workbook in Excel or LibreOffice and save it: a program wrote formulas that nobody computed",
    REPEATED_HEADER: "nothing: files were joined with their headers",
    NOTE: "nothing: it explains the columns",
    FOOTER: "nothing: it is no data",
    OTHER_TABLE: "give it a file or a sheet of its own, if it holds queries",
    TOO_LONG: f"a cell has at most source.max_cell_characters ({MAX_CELL_CHARACTERS:,} unless set); look for an "
    "unclosed quotation mark",
}
# What a spreadsheet shows in place of a value, also after it was exported as text; MySQL's word for no value.
_ERRORS = frozenset(("#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#名称?"))
_NO_TEXT = frozenset((*_ERRORS, "\\N"))
_OURS = re.compile(f"[{ERROR_CELL}{NO_VALUE}{ENDLESS}]")  # marks, no text of the cell
SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Separated:
    """The usable rows of a batch, column by column, and the others in the order of their lines."""

    lines: list[int]
    queries: list[str]
    normalised: list[str]  # never empty
    classes: list[str]  # trimmed, never empty
    bad: list[BadRow]


def separate(batch: Pairs, known_classes: set[str], most: int = MAX_CELL_CHARACTERS) -> Separated:
    """Return the usable rows of a batch, of texts of at most `most` characters.

    Classes in `known_classes` are not looked at again; it is extended by the good ones seen here.
    """
    queries, classes = batch.queries, list(map(str.strip, batch.questions))
    longest = max(map(len, queries), default=0)
    normalised = normalise_all(queries if longest <= KEPT_CHARACTERS else map(partial(_bounded, most), queries))
    new = set(classes) - known_classes
    bad_classes = {text for text in new if not is_usable_class(text, most)}
    known_classes |= new - bad_classes
    if not (batch.bad or bad_classes) and longest <= most and _all_usable(batch, normalised):
        return Separated(list(batch.lines), queries, normalised, classes, [])
    kept = Separated([], [], [], [], [])
    bad = list(batch.bad)
    for line, query, norm, label in zip(batch.lines, queries, normalised, classes, strict=True):
        reason = _find_reason(query, norm, label, label in bad_classes, most)
        if reason:
            bad.append(BadRow(line, reason, query, label))
            continue
        kept.lines.append(line)
        kept.queries.append(query)
        kept.normalised.append(norm)
        kept.classes.append(label)
    kept.bad.extend(sorted((_printable(row) for row in bad), key=lambda row: row.line))
    return kept


def _bounded(most: int, query: str) -> str:
    """Return the query; nothing for one too long for a cell, of which 65,000 would not fit into memory normalised."""
    return query if len(query) <= most and not query.startswith(ENDLESS) else ""


def _all_usable(batch: Pairs, normalised: list[str]) -> bool:
    """Whether no query is bad, in a few passes at the speed of C: nearly all batches are this good."""
    if not all(normalised):
        return False
    joined = batch.all_queries
    if ("#" in joined or "\\N" in joined) and not _NO_TEXT.isdisjoint(batch.queries):
        return False
    try:
        joined.encode()
    except UnicodeEncodeError:  # a lone surrogate, or our mark of undecodable bytes
        return False
    return "\0" not in joined


def _find_reason(query: str, norm: str, label: str, is_bad_class: bool, most: int) -> str | None:
    cells = (query, label) if is_bad_class else (query,)
    if any(UNDECODABLE in cell for cell in cells):
        return UNDECODABLE_BYTES
    if any(len(cell) > most or ENDLESS in cell for cell in cells):
        return TOO_LONG
    if any(ERROR_CELL in cell or cell in _ERRORS for cell in cells):
        return ERROR_VALUE
    if any(NO_VALUE in cell for cell in cells):
        return UNCOMPUTED
    if any(map(SURROGATE.search, cells)):
        return LONE_SURROGATE
    if any("\0" in cell for cell in cells):
        return NUL_BYTE
    if not norm or query in _NO_TEXT:
        return EMPTY_NORMALISED if query.strip() and norm == "" else EMPTY_QUERY
    return EMPTY_QUESTION if is_bad_class else None


def is_usable_class(text: str, most: int = MAX_CELL_CHARACTERS) -> bool:
    """Whether a trimmed text can be a standard question: readable, finite, and not only invisible characters."""
    return (
        len(text) <= most
        and "\0" not in text
        and text not in _NO_TEXT
        and not SURROGATE.search(text)
        and (text[:1].isalnum() or normalise(text) != "")  # normalising drops no letter and no digit
    )


def _printable(row: BadRow) -> BadRow:
    """Return the row with texts that UTF-8 can hold, cut to a length that can be looked at."""
    kept = [cell and _OURS.sub("", cell[:KEPT_CHARACTERS]) for cell in (row.query, row.question)]
    cells = [cell and SURROGATE.sub("\ufffd", cell) for cell in kept]
    return replace(row, query=cells[0], question=cells[1])
