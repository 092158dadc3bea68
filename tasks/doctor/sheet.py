"""The to-do list as a sheet: written for the owner to work through, and read back when she has."""

import csv
import io
from collections.abc import Iterator, Sequence
from math import isfinite
from pathlib import Path

from openpyxl import load_workbook

from schemas.corrections import Correction
from schemas.doctor import Action
from schemas.errors import SourceError
from schemas.language import Words, read_words
from schemas.suggestions import did_you_mean, nearest
from tasks.evaluate.spreadsheets import FORMULA, write_lists
from tasks.ingest.archives import refuse_bombs
from tasks.retrieval.normalise import normalise

TODO, MINED = "todo", "mined"
TODO_FILES = (f"{TODO}.csv", f"{TODO}.xlsx")
COLUMNS = ("accept", "action", "standard_question", "query", "to", "new_queries", "why", "effort", "gain", "per_query")
_READ = ("accept", "action", "standard_question", "query", "to", "new_queries", "gain")
_YES = {"yes", "y", "x", "1", "true", "ok", "是", "对", "好", "√", "✓", "采纳", "同意"}
_NO = {"", "no", "n", "0", "false", "否", "不", "不采纳"}
_LONGEST_FILE, _LONGEST_TEXT = 64 << 20, 1000  # bytes; characters of a query or standard question


def write_todo(folder: Path, actions: Sequence[Action], words: Words, name: str = TODO) -> list[str]:
    """Write actions as name.csv and name.xlsx, and return their names."""
    header = [words(f"todo.{column}") for column in COLUMNS]
    rows = (
        (
            "",
            words.name("action", _kind(action)),
            action.standard_question,
            action.query,
            action.to,
            "\n".join(action.new_queries),
            action.why,
            action.effort,
            round(action.gain, 4),
            round(action.per_query, 5),
        )
        for action in actions
    )
    return write_lists(folder, name, header, rows)


def read_todo(file: Path, batch: str, known: Sequence[str]) -> list[Correction]:
    """Return the corrections that the accepted rows of a to-do list ask for.

    Args:
        file: todo.csv or todo.xlsx, as the owner has edited it, in either language.
        batch: name of this application.
        known: the standard questions of the corpus.

    Raises:
        SourceError: it cannot be read, or a row cannot be meant; the message names it, and nothing is applied.
    """
    corrections, wrong = list[Correction](), list[str]()
    names = set(known)
    for number, row in _read(file):
        try:
            made = _correct(row, batch, names)
        except ValueError as error:
            wrong.append(f"{file.name}:{number} {error}")
            continue
        names |= {one.to or one.standard_question for one in made if one.do in ("add", "move", "rename")}
        corrections += made
    if wrong:
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise SourceError(f"{'; '.join(wrong[:3])}{more}. Nothing was applied: correct the rows")
    if not corrections:
        raise SourceError(
            f"{file.name} accepts nothing: write yes into the column 'accept' of each row that you agree with, or new "
            "queries, a line each, beside those that want some"
        )
    return corrections


def _kind(action: Action) -> str:
    return "draft" if action.drafted else action.kind


def _read(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield number and cells of each row, by the names of COLUMNS."""
    rows = _read_rows(file)
    header = next(rows, [])
    titles = {read_words(language)(f"todo.{name}"): name for language in ("en", "zh") for name in COLUMNS}
    places = {titles[cell.strip()]: place for place, cell in enumerate(header) if cell.strip() in titles}
    if missing := [name for name in _READ[:-1] if name not in places]:
        raise SourceError(f"{file.name} lacks the column(s) {', '.join(missing)}: give one that dssm doctor wrote")
    if again := [cell for cell in header if cell.strip() in titles and header.count(cell) > 1]:
        raise SourceError(f"{file.name} has the column {again[0]!r} more than once: delete one")
    for number, cells in enumerate(rows, 2):
        row = {name: cells[place].strip() if place < len(cells) else "" for name, place in places.items()}
        if any(row.values()):
            yield number, row


def _read_rows(file: Path) -> Iterator[list[str]]:
    try:
        if file.exists() and not file.is_file():  # a pipe would be waited for
            raise SourceError(f"{file} is no file; name the todo.xlsx or todo.csv")
        with file.open("rb") as stream:
            content = stream.read(_LONGEST_FILE + 1)
    except OSError as error:
        raise SourceError(f"cannot read {file}: {error.strerror}; name the todo.xlsx or todo.csv") from error
    if len(content) > _LONGEST_FILE:
        raise SourceError(f"{file} has over {_LONGEST_FILE >> 20} MB: that is no to-do list")
    if content[:2] == b"PK":
        try:
            refuse_bombs(file.name, io.BytesIO(content))
            sheet = load_workbook(io.BytesIO(content), read_only=True).worksheets[0]
            yield from ([_text(cell) for cell in row] for row in sheet.iter_rows(values_only=True))
        except SourceError:
            raise
        except Exception as error:  # openpyxl raises whatever it stumbles over
            raise SourceError(f"{file} is no workbook that can be read ({error}); save it as .xlsx again") from error
        return
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise SourceError(f"{file} is neither UTF-8 nor GB18030; save it as CSV UTF-8")
    delimiter = max(",;\t", key=text.partition("\n")[0].count)  # Excel writes what its country has
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        yield from ([_bare(cell) for cell in row] for row in reader)
    except csv.Error as error:  # a cell of 128 kB, as after a quotation mark that is never closed
        raise SourceError(f"{file.name}:{reader.line_num} cannot be read ({error}); save it as .xlsx") from error


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _bare(cell: str) -> str:
    """Return a cell without the mark that keeps Excel from taking it for a formula."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(FORMULA) else cell


def _correct(row: dict[str, str], batch: str, known: set[str]) -> list[Correction]:
    """Return what one row asks for; ValueError: it cannot be meant."""
    accept = row["accept"].lower()
    if accept not in _YES | _NO:
        raise ValueError(f"accept is {row['accept']!r}: write yes or no")
    kind = _find_kind(row["action"])
    lines = [line.strip() for line in row["new_queries"].splitlines() if line.strip()]
    if accept not in _YES and not (accept == "" and kind == "feed" and lines):  # what she wrote, she means
        return []
    question, to = row["standard_question"], row["to"]
    if kind != "new" and question not in known:
        raise ValueError(f"no standard question {question!r}{did_you_mean(question, nearest(question, sorted(known)))}")
    if kind == "group" and to not in known:
        raise ValueError(f"no standard question {to!r}{did_you_mean(to, nearest(to, sorted(known)))}")
    for text in (to, *lines):
        _require(len(text) <= _LONGEST_TEXT, f"{text[:30]!r}… has {len(text)} characters, at most {_LONGEST_TEXT}")
        _require("\0" not in text, f"{text[:30]!r} holds a NUL")
    made = _make(kind, question, to, [line.strip() for line in row["query"].splitlines() if line.strip()], lines)
    gain = None if kind == "group" else _gain(row)  # it promises no recall
    return [
        Correction(batch=batch, action="feed" if kind == "draft" else kind, gain=gain if n == 0 else None, **one)
        for n, one in enumerate(made)
    ]


def _make(kind: str, question: str, to: str, queries: list[str], lines: list[str]) -> list[dict[str, object]]:
    """Return the corrections of one accepted row, without what they have in common."""
    if kind in ("feed", "add", "draft"):
        _require(lines, "new queries are missing: write them, a line each")
        return [_add(question, line, kind == "draft") for line in lines]
    if kind == "new":
        _require(to or question, "the new standard question is missing: write it into 'change to'")
        _require(lines, "new queries are missing: write them, a line each")
        return [_add(to or question, line) for line in lines]
    if kind == "fix":
        _require(queries, "the query is missing")
        moved = {"do": "move", "to": to} if to else {"do": "remove"}
        return [{"standard_question": question, "query": query, **moved} for query in queries]
    _require(to, "'change to' is missing: write the standard question")
    _require(normalise(to), f"{to!r} is no standard question")
    if kind == "split":
        _require(queries, "the queries of the part are missing")
        return [{"do": "move", "standard_question": question, "query": query, "to": to} for query in queries]
    _require(to != question, "'change to' is what it is called already")
    if kind == "group":
        return [{"do": "group", "standard_question": question, "to": to}]
    renamed: dict[str, object] = {"do": "rename", "standard_question": question, "to": to}
    return [renamed, _add(to, question)]  # its old text is what some customers say


def _add(question: str, query: str, drafted: bool = False) -> dict[str, object]:
    if not normalise(query):
        raise ValueError(f"{query!r} is no query")
    return {"do": "add", "standard_question": question, "query": query, "drafted": drafted}


def _require(given: object, why: str) -> None:
    if not given:
        raise ValueError(why)


def _find_kind(said: str) -> str:
    kinds = ("feed", "merge", "group", "split", "fix", "rewrite", "new", "add", "draft")
    names = {read_words(language).name("action", kind): kind for language in ("en", "zh") for kind in kinds}
    names |= {kind: kind for kind in kinds}
    if said not in names:
        raise ValueError(f"action is {said!r}: one of {', '.join(kinds)}")
    return names[said]


def _gain(row: dict[str, str]) -> float | None:
    try:
        gain = float(row.get("gain", "").replace(",", "."))
    except ValueError:
        return None
    return gain if isfinite(gain) else None
