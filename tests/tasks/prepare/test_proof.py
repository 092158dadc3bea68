"""The proof: every promise of prepare, broken on disk on purpose."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from schemas.errors import ProofBroken
from schemas.tables import negatives_schema
from tasks.prepare.corpus import prepare_corpus
from tasks.prepare.proof import prove
from tests.tasks.prepare.toy import ingest_rows, toy_settings

CLASSES = 14
PAIRS = [
    (
        f"第{number}个问题{label}",
        ["如何办理退票业务吗", "如何办理退票业务呢"][label - 12] if label > 11 else f"标准问{label}号",
    )
    for label in range(CLASSES)
    for number in range(30)
]
SETTINGS = toy_settings(negatives={"near_duplicate": 0.7})


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """Prepared files that keep every promise."""
    home = tmp_path_factory.mktemp("proof")
    ingest_rows(home, SETTINGS, PAIRS)
    (home / "prepared").mkdir()
    prepare_corpus(home / "ingested", home / "prepared", SETTINGS)
    return home


@pytest.fixture
def home(honest, tmp_path):
    """A copy that a test may tamper with."""
    return shutil.copytree(honest, tmp_path / "home")


def check(home, settings=SETTINGS):
    """Prove the files below `home`."""
    return prove(home / "ingested", home / "prepared", settings)


def rewrite(home, name, change):
    """Replace one prepared table by what `change` makes of it."""
    file = home / "prepared" / f"{name}.parquet"
    table = pq.read_table(file)
    part = file / "part-00000.parquet" if file.is_dir() else file
    pq.write_table(change(table).cast(table.schema), part)


def replace(table, name, values):
    """Return the table with other values in one column."""
    return table.set_column(table.column_names.index(name), table.field(name), pa.array(values, table.field(name).type))


def rewrite_negatives(home, change, epochs=range(4)):
    """Replace the (rows, k) negatives of some epochs by `change(negatives, labels)`."""
    for epoch in epochs:
        file = home / "prepared" / "negatives" / f"epoch-{epoch:03d}.parquet"
        table = pq.read_table(file)
        labels = table["class_id"].to_numpy()
        drawn = np.array(table["negatives"].to_pylist(), dtype=np.int32)
        changed = change(drawn.copy(), labels)
        lists = pa.FixedSizeListArray.from_arrays(pa.array(changed.ravel()), changed.shape[1])
        schema = negatives_schema(changed.shape[1])
        changed_table = pa.table([table["row_id"], table["class_id"], lists], schema=schema)
        pq.write_table(changed_table, file / "part-00000.parquet")


def test_honest_files_are_proven(home):
    """Every statistic is there, and the suite is one of Great Expectations with a rule for each."""
    statistics, suite = check(home)

    assert statistics["order_z"] < 6
    assert statistics["negatives_z"] < 8
    zeros = set(statistics) - {"order_z", "negatives_z", "negatives_fewest", "negatives_most"}
    assert {name: statistics[name] for name in zeros} == dict.fromkeys(zeros, 0)
    assert (statistics["negatives_fewest"], statistics["negatives_most"]) == (4, 4)
    assert suite["name"] == "toy-prepared"
    assert {e["kwargs"]["column"] for e in suite["expectations"]} == set(statistics)


def test_rows_in_order_of_standard_question_are_found(home):
    """Also when the negatives follow the same order, so that nothing else is wrong."""
    order = pc.sort_indices(pq.read_table(home / "prepared" / "train.parquet")["class_id"])
    rewrite(home, "train", lambda table: table.take(order))
    for epoch in range(4):
        rewrite(home, f"negatives/epoch-{epoch:03d}", lambda table: table.take(order))

    with pytest.raises(ProofBroken, match=r"broke 1 of .*\n  the order by standard question is gone: order_z = \d"):
        check(home)


def test_where_the_shuffle_is_off_its_proof_does_not_apply(home):
    """The study of the harm is not stopped by the proof against it."""
    settings = SETTINGS.model_copy(update={"split": SETTINGS.split.model_copy(update={"shuffle": False})})
    order = pc.sort_indices(pq.read_table(home / "prepared" / "train.parquet")["class_id"])
    rewrite(home, "train", lambda table: table.take(order))
    for epoch in range(4):
        rewrite(home, f"negatives/epoch-{epoch:03d}", lambda table: table.take(order))

    assert check(home, settings)[0]["order_z"] is None


def test_a_row_with_its_own_class_as_negative_is_found(home):
    """One of 6,000 negatives suffices."""

    def own_class(drawn, labels):
        drawn[5, 2] = labels[5]
        return drawn

    rewrite_negatives(home, own_class, [3])

    with pytest.raises(ProofBroken, match=r"no negative is the row's class or nearly equal to it: .* = 1"):
        check(home)


def test_a_near_duplicate_as_negative_is_found(home):
    """The first two classes in order of text differ in one character and may not oppose each other."""

    def near_duplicate(drawn, labels):
        drawn[np.flatnonzero(labels == 0)[0], 0] = 1
        return drawn

    rewrite_negatives(home, near_duplicate, [1])

    with pytest.raises(ProofBroken, match=r"broke 1 of .*\n  no negative is the row's class or nearly equal to it"):
        check(home)


@pytest.mark.parametrize("lost", [[2], [0, 1, 2, 3]])
def test_a_missing_epoch_is_found(home, lost):
    """One of four, or all."""
    for epoch in lost:
        shutil.rmtree(home / "prepared" / "negatives" / f"epoch-{epoch:03d}.parquet")

    with pytest.raises(ProofBroken, match=f"every epoch has its draw: epochs_lost = {len(lost)}"):
        check(home)


def test_another_number_of_negatives_is_found(home):
    """The number is part of the column's type; one file with three of four breaks the promise."""
    rewrite_negatives(home, lambda drawn, _: drawn[:, :3], [0])

    with pytest.raises(ProofBroken, match="every row has at least 4 negatives: negatives_fewest = 3"):
        check(home)


def test_more_negatives_than_promised_are_found(home):
    """Five, where the settings say four."""
    rewrite_negatives(home, lambda drawn, _: np.hstack([drawn, drawn[:, :1]]))

    with pytest.raises(ProofBroken, match="no row has more than 4 negatives: negatives_most = 5"):
        check(home)


def test_negatives_in_another_order_than_the_rows_are_found(home):
    """Training joins them by place."""
    rewrite(home, "negatives/epoch-000", lambda table: table.take(list(range(len(table)))[::-1]))

    with pytest.raises(ProofBroken, match="negatives stand in the order of the rows: negatives_misplaced = "):
        check(home)


def test_negatives_for_too_few_rows_are_found(home):
    """A file that ends early is misplaced from there on."""
    rewrite(home, "negatives/epoch-000", lambda table: table.slice(0, len(table) - 3))

    with pytest.raises(ProofBroken, match="negatives stand in the order of the rows: negatives_misplaced = 3"):
        check(home)


def test_negatives_that_are_not_uniform_are_found(home):
    """A quarter of all draws moved to one allowed class, which breaks nothing else."""

    def skewed(drawn, labels):
        drawn[:, 0] = np.where(labels == 3, 4, 3)
        return drawn

    rewrite_negatives(home, skewed)

    with pytest.raises(ProofBroken, match=r"broke 1 of .*\n  negatives are uniform over what a row may draw"):
        check(home)


def test_first_n_negatives_are_not_held_to_be_uniform(home):
    """The article's sampler is not random and the settings say so; as random ones they would be found."""
    first_n = toy_settings(negatives={"near_duplicate": 0.7, "sampler": "first_n"})
    shutil.rmtree(home / "prepared")
    (home / "prepared").mkdir()
    prepare_corpus(home / "ingested", home / "prepared", first_n)

    assert check(home, first_n)[0]["negatives_z"] is None
    with pytest.raises(ProofBroken, match="negatives are uniform"):
        check(home)


def test_a_leaked_test_query_is_found(home):
    """Also when it is written in another way than in training."""
    query = pq.read_table(home / "prepared" / "train.parquet")["query"][0].as_py()
    rewrite(home, "test", lambda t: replace(t, "query", [f" {query.upper()}　", *t["query"].to_pylist()[1:]]))

    with pytest.raises(ProofBroken, match="no test query is also a training query: test_queries_in_train = 1"):
        check(home)


def test_overlap_with_an_official_test_is_no_broken_promise(home):
    """It is the owner's file: counted and warned about elsewhere."""
    official = toy_settings("test.csv", negatives={"near_duplicate": 0.7})
    ingested = ingest_rows(home / "official", official, PAIRS, PAIRS[:9])
    prepared = home / "official" / "prepared"
    prepared.mkdir()
    prepare_corpus(ingested, prepared, official)

    assert prove(ingested, prepared, official)[0]["test_queries_in_train"] is None


def test_lost_and_repeated_rows_are_found(home):
    """A row that stands twice replaces another one."""
    rows = len(pq.read_table(home / "prepared" / "test.parquet"))
    rewrite(home, "test", lambda table: table.slice(0, rows - 2))
    rewrite(home, "train", lambda t: replace(t, "row_id", [t["row_id"][1].as_py(), *t["row_id"].to_pylist()[1:]]))

    with pytest.raises(ProofBroken) as error:
        check(home)
    assert "every usable row is in train or in test: rows_lost = 2" in str(error.value)
    assert "no row is in train twice: rows_repeated = 1" in str(error.value)
    assert "corpus 'toy'" in str(error.value)
