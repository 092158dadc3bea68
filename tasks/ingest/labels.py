"""Rows whose label is not one plain text: several labels, none, or an annotator's no. Pure."""

from collections.abc import Iterator, Sequence

from tasks.ingest.tables import BadRow

MULTIPLE_LABELS = "several labels"
NESTED = "nested value"
REJECTED = "rejected by its annotator"
HELD_OUT = "row of a test part"
OUT_OF_SCOPE = "out of scope"

# Line (or number of the item, from 1), query, standard question; a row that cannot be used, with its reason.
# An empty query stands for a standard question without any: it stays retrievable by its text.
Imported = tuple[int, str, str] | BadRow


def label_rows(line: int, query: str, labels: Sequence[str], *, explode: bool) -> Iterator[Imported]:
    """Yield the row of a query with its labels: with several, one row for each if `explode`, else set aside.

    Without a label the standard question is empty, which is set aside under its own reason.
    """
    labels = list(dict.fromkeys(labels))
    if len(labels) > 1 and not explode:
        yield BadRow(line, MULTIPLE_LABELS, query, ", ".join(labels))
        return
    for label in labels or [""]:
        yield (line, query, label) if query.strip() else BadRow(line, "empty query", query, label)
