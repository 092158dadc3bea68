"""The live version on the candidate's test rows: which answer of it is the right one, and which rows count."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.evaluate.comparison import compare_with_live
from tasks.evaluate.training_queries import TRAINED_ON, list_trained_on
from tasks.retrieval.model_files import DECISIONS
from tasks.retrieval.retriever import Model
from tests.conftest import make_settings


@pytest.fixture
def compared(candidate, toy_csv, tmp_path):
    """Compare two versions of the same vectors, after changes to the ids and texts of either."""
    live, prepared = tmp_path / "live", tmp_path / "prepared"
    shutil.copytree(candidate, live)
    shutil.copytree(candidate.parent.parent / "prepare", prepared)
    test = pq.read_table(prepared / "test.parquet")
    ranked = {"rank": np.zeros(len(test), np.int64), "decision": ["answer"] * len(test)}
    pq.write_table(pa.table(ranked), tmp_path / "ranked.parquet")

    def compare():
        return compare_with_live(prepared, tmp_path / "ranked.parquet", Model(live), live, make_settings(toy_csv))

    return live, prepared, compare


def change(file: Path, column: str, values) -> None:
    """Replace a column of a table; `values` says how from the old ones."""
    table = pq.read_table(file)
    place = table.schema.get_field_index(column)
    values = pa.array(values(table[column].to_pylist()), table.schema.field(column).type)
    pq.write_table(table.set_column(place, table.schema.field(column), values), file)


def number(ids):
    """Return an id for each, as a list of standard questions may have it."""
    return [str(n) for n, _ in enumerate(ids)]


def test_a_renamed_standard_question_is_found_by_its_id(compared):
    """A rename is not a new class: what the live version answers is as right as before."""
    live, prepared, compare = compared
    change(live / "standard_questions.parquet", "id", number)
    change(prepared / "classes.parquet", "id", number)
    before = compare()
    assert before.live.recall_at_1.value > 0.5

    for file in ("classes", "test"):
        change(prepared / f"{file}.parquet", "standard_question", lambda texts: [f"{text}？" for text in texts])
    assert compare() == before


def test_ids_that_are_but_places_do_not_mislead(compared):
    """A standard question more shifts the id of every one after it; their texts are what they were."""
    live, prepared, compare = compared
    before = compare()
    change(live / "standard_questions.parquet", "id", number)
    change(prepared / "classes.parquet", "id", lambda ids: [str(n + 1) for n, _ in enumerate(ids)])

    assert compare() == before


def test_rows_that_either_was_trained_on_say_nothing(compared):
    """The candidate, too, may know a row by heart: one of an official test file, new in the training file."""
    live, prepared, compare = compared
    rows = compare().difference.rows
    change(prepared / "test.parquet", "in_train", lambda seen: [True, True, *seen[2:]])
    shutil.rmtree(prepared / "train.parquet")
    (prepared / "train.parquet").mkdir()
    learnt = pq.read_table(prepared / "test.parquet", columns=["query"]).slice(1, 3)
    pq.write_table(learnt, prepared / "train.parquet" / "part-00000.parquet")
    (live / TRAINED_ON).write_bytes(list_trained_on(prepared))

    found = compare()
    assert (found.difference.rows, found.seen_rows, found.live.rows) == (rows - 4, 4, rows)


def test_direct_answers_are_compared_where_both_promise_the_same(compared):
    """The candidate answers every row, and rightly; the live version, of few held-out rows, answers none directly."""
    live, _, compare = compared
    found = compare().decided

    assert found.rows == compare().difference.rows
    assert (found.live_answered, found.more_right.gain.value, found.fewer_wrong.gain.value) == (0, 1, 0)
    change_promise(live, max_wrong=0.2)
    assert compare().decided is None
    (live / DECISIONS).unlink()
    assert compare().decided is None


def change_promise(live: Path, **changes: float) -> None:
    """Let a version promise something else."""
    promised = json.loads((live / DECISIONS).read_bytes()) | changes
    (live / DECISIONS).write_text(json.dumps(promised))
