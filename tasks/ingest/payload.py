"""What stands beside a standard question in its row: kept once for each, and looked through for what cannot be read."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.settings import Source
from schemas.tables import PAYLOAD
from tasks.ingest.column_names import REPLIES, key_of
from tasks.ingest.columns import begins_validity, ends_validity
from tasks.ingest.melting import shorten
from tasks.ingest.quarantine import SURROGATE
from tasks.ingest.tables import Pairs
from tasks.retrieval.payload import Payload, read_spans

Cells = dict[str, dict[str, str]]  # by standard question and column

_EXAMPLES = 3


def keep_payload(kept: Cells, pairs: Pairs) -> None:
    """Keep the first cell that is not blank, per standard question and column."""
    for name, cells in pairs.payload.items():
        for question, cell in zip(pairs.questions, cells, strict=True):
            if cell and (value := cell.strip()):
                kept.setdefault(question.strip(), {}).setdefault(name, value)


def write_payload(file: Path, payload: Mapping[str, Mapping[str, str]], classes: Iterable[str]) -> None:
    """Write what goes with the standard questions; no file if nothing does."""
    texts = sorted(text for text in classes if text in payload)
    if texts:
        rows = [json.dumps(_readable(payload[text]), ensure_ascii=False) for text in texts]
        pq.write_table(pa.table([texts, rows], schema=PAYLOAD), file, compression="zstd")


def type_payload(file: Path, classes: list[str], source: Source) -> Payload | None:
    """Return what `write_payload` wrote as fields of a model's standard questions; None: there is nothing."""
    if not (cells := read_payload(file)):
        return None
    rows = [cells.get(text, {}) for text in classes]
    names = {name for row in rows for name in row}
    return Payload.of(rows, source.timezone, _bounds(names), [name for name in names if key_of(name) in REPLIES])


def read_payload(file: Path) -> Cells:
    """Return what `write_payload` wrote; nothing where there is no file."""
    if not file.exists():
        return {}
    texts, found = (pq.read_table(file)[name].to_pylist() for name in ("standard_question", "payload"))
    return dict(zip(texts, map(json.loads, found), strict=True))


def find_doubts(payload: Mapping[str, Mapping[str, str]], source: Source) -> list[str]:
    """Return what is wrong with the validity of standard questions, one sentence each."""
    bounds = _bounds({name for row in payload.values() for name in row})
    spans, unread = read_spans([*payload.values()], bounds, source.timezone)
    doubts = [
        f"the column {name!r} holds {len(cells)} cells that are no dates ({_shown(cells)}): those standard questions "
        "are valid without that bound; write dates as 2026-01-31 or 2026-01-31 18:00"
        for name, cells in unread.items()
    ]
    never = [text for text, span in zip(payload, spans, strict=True) if span.is_empty]
    if never:
        doubts.append(
            f"{len(never)} standard questions end before they begin ({_shown(never)}), and are never found; correct "
            f"their {' and '.join(map(repr, bounds))}"
        )
    return doubts


def _bounds(names: Iterable[str]) -> dict[str, bool]:
    """Return the columns of validity among some; true: one date there is the last one."""
    return {name: ends_validity(name) for name in sorted(names) if begins_validity(name) or ends_validity(name)}


def _readable(cells: Mapping[str, str]) -> dict[str, str]:
    """Return the cells that UTF-8 can hold: marks of undecodable bytes are lone surrogates."""
    return {name: cell for name, cell in cells.items() if not SURROGATE.search(cell)}


def _shown(texts: list[str]) -> str:
    return ", ".join(repr(shorten(text)) for text in texts[:_EXAMPLES]) + (", …" if len(texts) > _EXAMPLES else "")
