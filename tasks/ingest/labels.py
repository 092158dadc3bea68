"""Rows whose label is not one plain text: several labels, a list, an object, an annotator's no. Pure."""

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tasks.ingest.tables import SIGN, BadRow, Pairs, as_text
from tasks.ingest.values import parse_texts, parse_value, texts

MULTIPLE_LABELS = "several labels"
NESTED = "nested value"
REJECTED = "rejected by its annotator"
HELD_OUT = "row of a test part"
OUT_OF_SCOPE = "out of scope"
TEMPLATE = "template, no query"
NO_DASH = "example without a dash"

LABEL_REMEDIES = {
    MULTIPLE_LABELS: "a query has one standard question; --set source.multiple_labels=explode makes a row for each, "
    "=keep leaves 'a;b' one",
    NESTED: "write one text in place of the object or list",
    REJECTED: "nothing: only what was accepted is trained on",
    HELD_OUT: "nothing: tests are never trained on; to measure by them, write them to a file for --test-source",
    TEMPLATE: "write out what it stands for: the tool it is of generates its sentences",
    NO_DASH: "begin every line of examples with '- ', as Rasa reads them",
    OUT_OF_SCOPE: "nothing: they belong to no standard question",
}

# Line (or number of the item, from 1), query, standard question; a row that cannot be used, with its reason.
# An empty query stands for a standard question without any: it stays retrievable by its text.
Imported = tuple[int, str, str] | BadRow


class Unasked(NamedTuple):
    """A standard question that a file names without a row: it stays retrievable by its text."""

    question: str


_JOINTS = "#|;；\n"  # between labels in one cell, each of which is one of its own elsewhere; and, as often
_DOUBTFUL = ",，、+&"  # part of a name: told, and taken apart only if that is asked for
_EXAMPLES = 3
_JOINED, _WIDELY_JOINED = re.compile(f"[{_JOINTS}]"), re.compile(f"[{_JOINTS}{_DOUBTFUL}]")
_LIST = re.compile(rf"(?:^|{SIGN})[ \t]*\[")
_MAX_JOINED = 100_000  # rows that wait until all labels are known


def plain_row(line: int, query: object, label: object) -> Imported:
    """Return the row of a query and its label as they stand in a document; lists and objects are no texts."""
    if isinstance(query, (dict, list)) or isinstance(label, (dict, list)):
        return BadRow(line, NESTED, as_text(query), as_text(label))
    return line, as_text(query), as_text(label)


def label_rows(line: int, query: str, labels: Sequence[str], *, explode: bool) -> Iterator[Imported]:
    """Yield the row of a query with its labels: with several, one row for each if `explode`, else set aside.

    Without a label the standard question is empty, which is set aside under its own reason.
    """
    labels = list(dict.fromkeys(labels))
    if len(labels) > 1 and not explode:
        yield BadRow(line, MULTIPLE_LABELS, query, ", ".join(labels))
        return
    yield from ((line, query, label) for label in labels or [""])


def read_labels(text: str) -> list[str] | None:
    """Return the labels that a cell holds: those of a JSON list or of an object of choices, else its own text.

    None: an object or list of which no labels can be made.
    """
    value = parse_value(text)
    if value is None:
        return [text]
    if isinstance(value, dict):
        value = value.get("choices", value)
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):  # rich text
        return parse_texts(text)
    values = value if isinstance(value, list) else [value]
    return None if any(isinstance(one, (dict, list)) for one in values) else texts(values)


def read_queries(text: str) -> list[str]:
    """Return the queries that a cell holds: those of a list of texts, else its own text."""
    found = parse_texts(text) if text.lstrip().startswith("[") else None
    return [text] if found is None else texts(found) or [""]


def take_lists_apart(batches: Iterable[Pairs], *, explode: bool) -> Iterator[Pairs]:
    """Yield the rows with one query and one label each, where a cell holds a JSON list or an object of choices.

    Several labels are exploded, or set aside.
    """
    return (_without_lists(pairs, explode) for pairs in batches)


def take_query_lists_apart(batches: Iterable[Pairs]) -> Iterator[Pairs]:
    """Yield a row for each query of a cell that holds a list of them, whatever stands beside it."""
    for pairs in batches:
        labels = [[label] for label in pairs.questions]
        yield _spread(pairs, labels, [read_queries(query) for query in pairs.queries], explode=True)


def take_joined_apart(batches: Iterable[Pairs], *, explode: bool) -> Iterator[Pairs]:
    """Yield the rows with one label each, where several are joined by a sign and each is a label of its own elsewhere.

    Rows whose label may be such come last: only then are all labels known.
    """
    joints, joint = (_JOINTS + _DOUBTFUL, _WIDELY_JOINED) if explode else (_JOINTS, _JOINED)
    known = set[str]()
    waiting = list[Pairs]()
    rows = 0
    for pairs in batches:
        if not any(sign in pairs.all_questions for sign in joints):  # most tables have none, and are searched at once
            known.update(pairs.questions)
            yield pairs
            continue
        new = set(pairs.questions) - known
        joined = {label for label in new if joint.search(label)} if rows < _MAX_JOINED else set[str]()
        known |= new - joined
        if joined:
            waiting.append(_pick(pairs, [at for at, label in enumerate(pairs.questions) if label in joined]))
            rows += len(waiting[-1].lines)
            rest = [at for at, label in enumerate(pairs.questions) if label not in joined]
            pairs = _pick(pairs, rest, pairs.bad)
        yield pairs
    for pairs in waiting:
        yield _split_joined(pairs, known, explode)


def describe_joined(rows: Mapping[str, int]) -> list[str]:
    """Return a warning of labels that may be several: a sign joins others, each of which is a label too.

    Args:
        rows: of each label.
    """
    together = "".join(rows)
    suspects = rows if any(sign in together for sign in _JOINTS + _DOUBTFUL) else ()
    joined = [label for label in suspects if _WIDELY_JOINED.search(label) and len(_parts(label, rows)) > 1]
    if not joined:
        return []
    examples = ", ".join(repr(label) for label in joined[:_EXAMPLES])
    return [
        f"{len(joined)} standard questions of {sum(rows[label] for label in joined)} rows are others joined by a sign "
        f"({examples}). If these rows have several labels, --set source.multiple_labels=explode makes a row for each; "
        "if the joined text is one name, --set source.multiple_labels=keep ends this warning"
    ]


def _without_lists(pairs: Pairs, explode: bool) -> Pairs:
    odd = set(pairs.questions) if any(opening in pairs.all_questions for opening in "[{(") else ()
    labels = {label: read_labels(label) for label in odd if label.lstrip()[:1] in ("[", "{", "(")}
    labels = {label: found for label, found in labels.items() if found != [label]}
    if not labels and not ("[" in pairs.all_queries and _LIST.search(pairs.all_queries)):
        return pairs
    chosen = [labels.get(label, [label]) for label in pairs.questions]
    return _spread(pairs, chosen, [read_queries(query) for query in pairs.queries], explode)


def _split_joined(pairs: Pairs, known: set[str], explode: bool) -> Pairs:
    """Split the labels of which every part is a label of its own."""
    joints = _JOINTS + _DOUBTFUL if explode else _JOINTS
    chosen = {label: _parts(label, known, joints) for label in set(pairs.questions)}
    return _spread(pairs, [chosen[label] for label in pairs.questions], [[query] for query in pairs.queries], explode)


def _parts(label: str, known: Container[str], joints: str = _JOINTS + _DOUBTFUL) -> list[str]:
    for joint in joints:
        parts = [part.strip() for part in label.split(joint)]
        if len(parts) > 1 and all(part in known for part in parts):
            return parts
    return [label]


def _spread(pairs: Pairs, labels: Sequence[list[str] | None], queries: Sequence[list[str]], explode: bool) -> Pairs:
    """Return a row for each query and label of a row; without any label, or with several, it is set aside."""
    positions, spread = list[int](), Pairs([], [], [], list(pairs.bad))
    lines = list[int]()
    for at, (line, found) in enumerate(zip(pairs.lines, labels, strict=True)):
        for query in queries[at]:
            rows = (
                [BadRow(line, NESTED, query, pairs.questions[at])]
                if found is None
                else label_rows(line, query, found, explode=explode)
            )
            for row in rows:
                if isinstance(row, BadRow):
                    spread.bad.append(row)
                    continue
                positions.append(at)
                lines.append(line)
                spread.queries.append(row[1])
                spread.questions.append(row[2])
    payload = {name: [cells[at] for at in positions] for name, cells in pairs.payload.items()}
    return Pairs(lines, spread.queries, spread.questions, spread.bad, payload)


def _pick(pairs: Pairs, positions: list[int], bad: list[BadRow] | None = None) -> Pairs:
    return Pairs(
        [pairs.lines[at] for at in positions],
        [pairs.queries[at] for at in positions],
        [pairs.questions[at] for at in positions],
        bad or [],
        {name: [cells[at] for at in positions] for name, cells in pairs.payload.items()},
    )
