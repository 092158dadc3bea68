"""Rows of a table as pairs of a query and a standard question: wide rows melt into several. Pure."""

from collections.abc import Iterator

from tasks.ingest.layout import Layout
from tasks.ingest.tables import Batch, Pairs, Table


def read_pairs(table: Table, layout: Layout) -> Iterator[Pairs]:
    """Yield the rows of a table in bounded memory."""
    for batch in table.read(layout.selection):
        yield _melt(batch, layout)


def _melt(batch: Batch, layout: Layout) -> Pairs:
    count = len(layout.columns.queries)
    questions = batch.columns[count]
    payload = {layout.name(at): cells for at, cells in zip(layout.payload, batch.columns[count + 1 :], strict=True)}
    if count == 1 and batch.tails is None:
        return Pairs(batch.lines, batch.columns[0], questions, batch.bad, payload)
    if count == 0:
        return Pairs(batch.lines, [""] * len(questions), questions, batch.bad, payload)
    return _melt_wide(batch, count, payload)


def _melt_wide(batch: Batch, count: int, payload: dict[str, list[str]]) -> Pairs:
    """Return a pair per cell that is not blank; a row without any gives one pair with an empty query."""
    pairs = Pairs([], [], [], batch.bad, {name: [] for name in payload})
    lines: list[int] = []
    tails = batch.tails or [[]] * len(batch.lines)
    rows = zip(batch.lines, batch.columns[count], tails, *batch.columns[:count], strict=True)
    for at, (line, question, tail, *cells) in enumerate(rows):
        queries = [cell for cell in (*cells, *tail) if cell.strip()] or [""]
        lines += [line] * len(queries)
        pairs.queries.extend(queries)
        pairs.questions.extend([question] * len(queries))
        for name, kept in pairs.payload.items():
            kept.extend([payload[name][at]] * len(queries))
    return Pairs(lines, pairs.queries, pairs.questions, pairs.bad, pairs.payload)
