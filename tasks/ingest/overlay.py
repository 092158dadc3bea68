"""Edits made since the last export, taken into the rows of a corpus: until the export has them, a night undoes none."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.edits import Edit, Taken, Value
from schemas.ingest import IngestFacts
from schemas.manifest import write_atomically
from schemas.outputs import IngestOutput
from schemas.tables import QUESTIONS, STANDARD_QUESTIONS
from tasks.ingest.corpus import ParquetSink
from tasks.ingest.groups import read_groups, write_groups
from tasks.ingest.payload import Cells, read_payload, write_payload
from tasks.ingest.tables import BATCH_ROWS
from tasks.retrieval.edits import SOURCE
from tasks.retrieval.normalise import normalise

_EXAMPLES = 3


@dataclass
class _Plan:
    """What is to be done to the rows."""

    ids: dict[str, str]  # of all standard questions, by text
    payload: Cells
    renamed: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    rows: list[tuple[str, str, int]] = field(default_factory=list)  # query, standard question, its place in the edit


def take_edits(output: IngestOutput, facts: IngestFacts, edits: Sequence[Edit]) -> IngestFacts:
    """Rewrite what ingest wrote as if the export had the edits, and write edits.json; return the new counts.

    Official test rows stay, each under what its standard question is called now.

    Args:
        output: of ingest, complete.
        facts: its counts.
        edits: those of the live version.
    """
    table = pq.read_table(output.standard_questions)
    plan = _Plan(dict(zip(table["standard_question"].to_pylist(), table["id"].to_pylist(), strict=True)), {})
    plan.payload = read_payload(output.payload)
    queries = _queries_of(output, {name for edit in edits for name in (edit.name, edit.standard_question)})
    left = list[Edit]()
    for edit in edits:  # in their order: one that is added may have the text that another had before
        if not _is_settled(edit, plan, queries):
            left.append(edit)
            _plan(edit, plan, queries)
    if left:
        facts = _rewrite(output, facts, plan)
    taken = Taken(edits=list(edits), left=left)
    if output.test.exists() and (renamed := taken.renamed(plan.ids)):
        _replace(output.test, (_rename(batch, renamed) for batch in _read(output.test)))
    write_atomically(output.edits, taken.model_dump_json(indent=1).encode())
    return facts.model_copy(update={"warnings": [*facts.warnings, *_describe(edits, left)]})


def _queries_of(output: IngestOutput, names: set[str]) -> dict[str, set[str]]:
    """Return the normalised queries of some standard questions."""
    found: dict[str, set[str]] = {name: set() for name in names}
    for batch in pq.ParquetFile(output.questions).iter_batches(columns=["query_norm", "standard_question"]):
        for query, name in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if name in found:
                found[name].add(query)
    return found


def _is_settled(edit: Edit, plan: _Plan, queries: dict[str, set[str]]) -> bool:
    """Whether the export says the same by now, or has nothing any more that could be changed."""
    there = edit.name in plan.ids
    if edit.action == "remove":
        return not there
    if edit.action == "edit" and edit.standard_question not in plan.ids and not there:
        return True
    renamed = edit.text is None or edit.standard_question not in plan.ids
    cells = plan.payload.get(edit.name, {})
    says = all(normalise(cells.get(name, "")) == normalise(_spell(value)) for name, value in edit.payload.items())
    return there and renamed and says and {normalise(one) for one in edit.similar_queries} <= queries[edit.name]


def _plan(edit: Edit, plan: _Plan, queries: dict[str, set[str]]) -> None:
    if edit.action == "remove":
        plan.removed.add(edit.name)
        plan.ids.pop(edit.name, None)
        return
    old, new = edit.standard_question, edit.name
    if edit.action == "edit" and old != new and old in plan.ids:
        identity = plan.ids.pop(old)
        plan.renamed[old] = new
        plan.ids.setdefault(new, new if identity == old else identity)
        plan.payload[new] = plan.payload.pop(old, {}) | plan.payload.get(new, {})
    if new not in plan.ids:
        free = edit.id and edit.id not in plan.ids.values()
        plan.ids[new] = str(edit.id) if free else new
    known = queries[old] | queries[new]
    rows = ((query, new, place) for place, query in enumerate(edit.similar_queries, 1))
    plan.rows += [row for row in rows if normalise(row[0]) not in known]
    cells = plan.payload.get(new, {}) | {name: _spell(value) for name, value in edit.payload.items()}
    plan.payload[new] = {name: cell for name, cell in cells.items() if cell}


def _spell(value: Value) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _rewrite(output: IngestOutput, facts: IngestFacts, plan: _Plan) -> IngestFacts:
    counts = _replace(output.questions, _edited_rows(output, plan))
    texts = sorted(plan.ids)
    with ParquetSink(output.standard_questions, STANDARD_QUESTIONS) as sink:
        sink.add(
            ([plan.ids[one] for one in texts], texts, [normalise(one) for one in texts], [counts[one] for one in texts])
        )
    groups = ([plan.renamed.get(name, name) for name in group] for group in read_groups(output))
    write_groups(output, [left for group in groups if len(left := sorted({*group} & plan.ids.keys())) > 1])
    output.payload.unlink(missing_ok=True)
    write_payload(output.payload, {text: cells for text, cells in plan.payload.items() if cells}, plan.ids)
    return facts.model_copy(update={"rows": counts.total(), "classes": len(texts)})


def _replace(file: Path, batches: Iterable[pa.RecordBatch]) -> Counter[str]:
    """Write other rows in place of a file's, numbered anew; return how many there are of each standard question."""
    counts = Counter[str]()
    partial = file.with_suffix(".partial")
    with ParquetSink(partial, QUESTIONS) as sink:
        for batch in batches:
            sink.add((range(counts.total(), counts.total() + len(batch)), *batch.columns[1:]))
            counts.update(batch["standard_question"].to_pylist())
    partial.replace(file)
    return counts


def _read(file: Path) -> Iterator[pa.RecordBatch]:
    yield from pq.ParquetFile(file).iter_batches(BATCH_ROWS)


def _rename(batch: pa.RecordBatch, renamed: Mapping[str, str]) -> pa.RecordBatch:
    names = pa.array([renamed.get(name, name) for name in batch["standard_question"].to_pylist()])
    at = batch.schema.get_field_index("standard_question")
    return batch.set_column(at, QUESTIONS.field("standard_question"), names)


def _edited_rows(output: IngestOutput, plan: _Plan) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the export as they are now, then those that were added."""
    for batch in _read(output.questions):
        keep = pa.array([name not in plan.removed for name in batch["standard_question"].to_pylist()])
        yield _rename(batch, plan.renamed).filter(keep)
    if plan.rows:
        queries, names, lines = (list(column) for column in zip(*plan.rows, strict=True))
        source = pa.DictionaryArray.from_arrays(pa.array([0] * len(names), pa.int32()), pa.array([SOURCE]))
        columns = [range(len(names)), queries, [normalise(one) for one in queries], names, source, lines]
        arrays = [
            one if isinstance(one, pa.Array) else pa.array(one, f.type)
            for one, f in zip(columns, QUESTIONS, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=QUESTIONS)


def _describe(edits: Sequence[Edit], left: Sequence[Edit]) -> list[str]:
    """Return what a person should know, one sentence each."""
    settled = [edit for edit in edits if edit not in left]
    lines = []
    if left:
        them = "it" if len(left) == 1 else "them"
        lines.append(
            f"{_count(left)} not in the export ({_list(left)}): put {them} there; until then every run does "
            "so by itself (dssm edits lists what waits, and drops one)"
        )
    if settled:
        lines.append(f"{_count(settled)} in the export by now ({_list(settled)}), and no longer kept beside it")
    return lines


def _count(edits: Sequence[Edit]) -> str:
    return f"{len(edits)} {'edit is' if len(edits) == 1 else 'edits are'}"


def _list(edits: Sequence[Edit]) -> str:
    return "; ".join(edit.describe() for edit in edits[:_EXAMPLES]) + ("; …" if len(edits) > _EXAMPLES else "")
