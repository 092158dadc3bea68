"""Statistics of small corpora that can be counted by eye, and of random ones against plain Python."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.settings import Validation
from schemas.tables import QUESTIONS
from tasks.validate import profile as module
from tasks.validate.profile import BrokenContractError, find_repeats, profile_corpus, read_rows, shorten
from tests.tasks.validate.conftest import shuffled_pairs

SETTINGS = Validation()


def test_a_corpus_of_seven_rows_is_counted(ingested):
    """Every figure can be checked by eye."""
    pairs = [
        ("怎么退票", "退票"), ("怎么退票", "退票"), ("怎么退票", "改签"), ("能改吗", "改签"),
        ("退票", "退票"), ("æ€Žä¹ˆ", "其他"), ("长" * 301, "退票"),
    ]  # fmt: skip
    bad = [("train.csv", 9, "train", "empty query", "", "退票"), ("test.csv", 2, "test", "empty query", "", "退票")]
    profile = profile_corpus(ingested(pairs, unused=["没有"], quarantine=bad), SETTINGS)

    expected = {
        "rows": 7, "classes": 3, "classes_without_rows": 1, "min_class_rows": 1, "median_class_rows": 2,
        "max_class_rows": 4, "one_row_classes": 1, "small_classes": 2, "small_class_share": 2 / 3, "imbalance": 2,
        "largest_class_share": 4 / 7, "twin_classes": 0, "long_rows": 1, "long_share": 1 / 7,
        "max_query_characters": 301, "mean_query_characters": (4 * 3 + 3 + 2 + 6 + 301) / 7,
        "damaged_rows": 1, "damaged_classes": 0, "distinct_queries": 5, "duplicate_rows": 1,
        "conflict_rows": 3, "query_is_class_share": 1 / 7, "quarantined_rows": 1, "quarantined_share": 1 / 8,
        "quarantined: empty query": 1, "batch_diversity": None,
    }  # fmt: skip
    assert {key: profile.statistics[key] for key in expected} == pytest.approx(expected)
    assert profile.class_sizes == {"退票": 4, "改签": 2, "其他": 1}
    assert [each.line for each in profile.offenders["conflicts"].kept] == [2, 3, 4]
    assert [each.line for each in profile.offenders["duplicates"].kept] == [3]
    assert profile.offenders["damaged"].kept[0].text == "“æ€Žä¹ˆ”, repaired: “怎么”"
    assert profile.offenders["quarantined"].kept[0].text == "empty query: 退票"


def test_labels_that_a_line_break_tells_apart_are_twins(ingested):
    """In Chinese a broken line leaves a blank; between other words it means something."""
    labels = ["如何\n提前还款", "如何提前还款", "如何 提前 还款", "开通 App 通知", "开通App通知", "re pay", "repay"]
    profile = profile_corpus(ingested([(f"q{at}", label) for at, label in enumerate(labels)]), SETTINGS)
    assert profile.statistics["twin_classes"] == 3


def test_repeats_and_conflicts_equal_those_counted_with_dictionaries():
    """2,000 rows of 300 queries and 5 classes, against the definition."""
    rng = np.random.default_rng(4)
    hashes, codes = rng.integers(0, 300, 2000).astype(np.uint64), rng.integers(0, 5, 2000)
    distinct, duplicates, conflicts = find_repeats(hashes, codes)

    seen, repeated = set(), []
    for row, pair in enumerate(zip(hashes.tolist(), codes.tolist(), strict=True)):
        repeated += [row] if pair in seen else []
        seen.add(pair)
    classes = Counter(query for query, _ in seen)
    assert distinct == len(classes)
    assert duplicates.tolist() == repeated
    assert sorted(conflicts.tolist()) == [row for row, query in enumerate(hashes.tolist()) if classes[query] > 1]
    assert (np.diff(hashes[conflicts]) != 0).sum() == len(set(hashes[conflicts].tolist())) - 1


@pytest.mark.parametrize("size", [0, 1])
def test_nothing_repeats_in_nothing(size):
    """Empty frames are where reduceat bites."""
    distinct, duplicates, conflicts = find_repeats(np.zeros(size, np.uint64), np.zeros(size, np.int32))

    assert (distinct, duplicates.size, conflicts.size) == (size, 0, 0)


def test_batches_and_row_groups_change_nothing(ingested, monkeypatch):
    """Statistics and offenders are the same when a batch holds 7 rows and a row group 50."""
    pairs = [*shuffled_pairs(300), ("Ã©tÃ© Ã©tÃ©", "如何办理业务1"), ("请问第3个问题怎么办", "如何办理业务0")]
    folder = ingested(pairs)
    whole = profile_corpus(folder, SETTINGS)
    table = pq.read_table(folder / "questions.parquet")
    pq.write_table(table, folder / "questions.parquet", row_group_size=50)
    monkeypatch.setattr(module, "_BATCH_ROWS", 7)

    assert profile_corpus(folder, SETTINGS) == whole
    assert read_rows(folder / "questions.parquet", np.array([0, 49, 50, 299]))["line"].to_pylist() == [2, 51, 52, 301]


def test_offenders_are_capped_and_counted(ingested, monkeypatch):
    """Ten long rows, three kept: the count is complete."""
    monkeypatch.setattr(module, "OFFENDERS_KEPT", 3)
    profile = profile_corpus(ingested([("长" * 400 + str(i), "a") for i in range(10)]), SETTINGS)

    assert profile.offenders["long"].total == 10
    assert [each.row_id for each in profile.offenders["long"].kept] == [0, 1, 2]


def test_a_damaged_standard_question_damages_its_rows(ingested):
    """The class is what customers would be answered with."""
    profile = profile_corpus(ingested([("怎么退票", "é€€ç¥¨"), ("改签", "改签")]), SETTINGS)

    assert profile.statistics["damaged_rows"] == profile.statistics["damaged_classes"] == 1
    assert profile.offenders["damaged"].kept[0].text == "“é€€ç¥¨”, repaired: “退票”"


def test_examples_cannot_steer_a_terminal():
    """Queries are typed by strangers; escape sequences and line breaks are shown as dots and spaces."""
    assert shorten("a\x1b[2J\nb" + "x" * 100, 12) == "a·[2J bxxxx…"


def replace(folder, column, values, kind=None):
    table = pq.read_table(folder / "questions.parquet")
    place = table.schema.get_field_index(column)
    array = pa.array(values, kind or table.schema.field(place).type)
    table = table.set_column(place, pa.field(column, array.type), array)
    pq.write_table(table, folder / "questions.parquet")


@pytest.mark.parametrize(
    ("column", "values", "kind", "message"),
    [
        ("query", [1, 2], pa.int64(), "column 'query' of questions.parquet is int64, not string"),
        ("query_norm", ["a", " "], None, "'query_norm' is blank in 1 row.*e.g. row 1"),
        ("query", ["a", None], None, "'query' is missing in 1 row.*e.g. row 1"),
        ("row_id", [0, 2], None, "row_id does not count"),
        ("standard_question", ["a", "z"], None, "1 standard question.*does not list, e.g. “z”"),
    ],
)
def test_a_broken_contract_is_named(ingested, column, values, kind, message):
    """Whatever ingest promises is checked before a kernel stumbles over it."""
    folder = ingested([("q", "a"), ("r", "b")])
    replace(folder, column, values, kind)

    with pytest.raises(BrokenContractError, match=message):
        profile_corpus(folder, SETTINGS)


def test_a_lone_surrogate_is_named(ingested):
    """Great Expectations would raise for the whole corpus, far from the row."""
    folder = ingested([("q", "a"), ("r", "b")])
    bad = pa.array([b"q", b"\xed\xa0\x80"]).view(pa.string())
    table = pq.read_table(folder / "questions.parquet")
    pq.write_table(table.set_column(1, QUESTIONS.field("query"), bad), folder / "questions.parquet")

    with pytest.raises(BrokenContractError, match=r"rows 0 to 1 .* no valid UTF-8"):
        profile_corpus(folder, SETTINGS)


def test_a_missing_column_is_named(ingested):
    """The columns that are there are listed."""
    folder = ingested([("q", "a")])
    table = pq.read_table(folder / "questions.parquet").drop_columns("query_norm")
    pq.write_table(table, folder / "questions.parquet")

    with pytest.raises(BrokenContractError, match="no column 'query_norm'; it has row_id, query,"):
        profile_corpus(folder, SETTINGS)
