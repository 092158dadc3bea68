"""The whole room: from ingest's files to prepared Parquet."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.tables import CLASSES, TEST, TRAIN, VOCABULARY, WORDS, negatives_schema
from tasks.prepare import blocks, corpus
from tasks.prepare.corpus import prepare_corpus
from tasks.prepare.parts import ROWS, write_table
from tasks.retrieval.features import TOKENISER, UNKNOWN_WORD, Tokeniser
from tasks.retrieval.normalise import normalise
from tasks.validate.near_duplicates import near_duplicates
from tasks.validate.ordering import order_z
from tests.tasks.prepare.toy import PAIRS, file_bytes, ingest_rows, prepare_rows, toy_settings

SHARES = {"test_share": 0.25, "validation_share": 0.25}
TEST_PAIRS = [("退票  怎么办", "如何办理退票"), ("全新的问题", "如何办理签证"), ("怎么退款", "没有的标准问")]


def read(folder, name):
    """Return one prepared table."""
    return pq.read_table(folder / f"{name}.parquet")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The toy corpus, split by us; shared by tests that only read."""
    return prepare_rows(tmp_path_factory.mktemp("own"), toy_settings(split=SHARES))


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """The toy corpus with an official test file."""
    return prepare_rows(tmp_path_factory.mktemp("official"), toy_settings("test.csv"), PAIRS, TEST_PAIRS)


def test_a_part_is_one_row_group(tmp_path):
    """Chance gives it more or fewer rows than it should have; training holds as many groups as a window touches."""
    write_table(tmp_path / "part.parquet", pa.table({"row_id": np.arange(ROWS + 1000)}))

    assert pq.read_metadata(tmp_path / "part.parquet").num_row_groups == 1


def test_files_keep_their_contracts(prepared):
    """Columns, types and nullability are those of schemas.tables."""
    contracts = {"train": TRAIN, "test": TEST, "classes": CLASSES, "vocabulary": VOCABULARY, "words": WORDS}
    for name, contract in contracts.items():
        table = read(prepared, name)
        table.validate(full=True)
        assert table.schema.equals(contract), name
        assert not any(column.null_count for column in table.columns)


def test_every_epoch_has_its_negatives_in_the_order_of_the_rows(prepared):
    """Four files of four negatives by default, and no two alike."""
    train = read(prepared, "train")
    files = sorted((prepared / "negatives").iterdir())
    tables = [pq.read_table(file) for file in files]

    assert [file.name for file in files] == [f"epoch-{epoch:03d}.parquet" for epoch in range(4)]
    for table in tables:
        assert table.schema.equals(negatives_schema(4))
        assert table["row_id"].equals(train["row_id"])
        assert table["class_id"].equals(train["class_id"])
    assert not tables[0]["negatives"].equals(tables[1]["negatives"])


def test_every_row_is_on_one_side_and_its_class_is_its_text(prepared):
    """Row ids are those of ingest; class_id is the place in classes.parquet."""
    train, test = read(prepared, "train"), read(prepared, "test")
    texts = read(prepared, "classes")["standard_question"].to_pylist()

    assert sorted(train["row_id"].to_pylist() + test["row_id"].to_pylist()) == list(range(len(PAIRS)))
    for table in (train, test):
        for row, query, label in zip(*(table[c].to_pylist() for c in ("row_id", "query", "class_id")), strict=True):
            assert (query, texts[label]) == PAIRS[row]
    assert texts == sorted(texts)
    assert len(test) == 24  # 2 of 8 rows of each of 12 classes
    assert sum(train["validation"].to_pylist()) in range(12, 25)  # 1.5 of 6


def test_queries_are_in_one_place_only(prepared):
    """Neither the test nor the validation cut shares a query with the rows trained on."""
    train, test = read(prepared, "train"), read(prepared, "test")
    queries, cut = np.array(train["query"].to_pylist()), train["validation"].to_numpy()

    assert not set(queries[cut]) & set(queries[~cut])
    assert not set(map(normalise, test["query"].to_pylist())) & set(queries)
    assert not any(test["in_train"].to_pylist())


def test_the_order_by_standard_question_is_gone(tmp_path, prepared):
    """The source is ordered, and stays so only where the shuffle is switched off."""
    ordered = prepare_rows(tmp_path, toy_settings(split=SHARES | {"shuffle": False}))

    assert order_z(read(ordered, "train")["class_id"].to_numpy()).z > 6
    assert order_z(read(prepared, "train")["class_id"].to_numpy()).z < 6
    assert read(ordered, "train")["row_id"].to_pylist() == sorted(read(prepared, "train")["row_id"].to_pylist())


def test_rows_hold_what_the_tokeniser_says(prepared):
    """Words by their number, features increasing and of unit length."""
    train, words = read(prepared, "train"), read(prepared, "words")["word"].to_pylist()
    vocabulary = read(prepared, "vocabulary")["feature"].to_pylist()
    tokeniser = Tokeniser(toy_settings().text)

    assert words[0] == UNKNOWN_WORD
    for row in train.slice(0, 10).to_pylist():
        expected, found = tokeniser.words(row["query"]), tokeniser.features(row["query"])
        assert [words[number] for number in row["words"]] == expected
        assert [vocabulary[number] for number in row["features"]] == sorted(set(found) & set(vocabulary))
        assert np.linalg.norm(row["weights"]) == pytest.approx(1)


@pytest.mark.parametrize(("given", "least"), [(None, 1), (2, 2)])
def test_the_vocabulary_counts_distinct_training_and_standard_texts(tmp_path, given, least):
    """Of few rows features of one text are kept by default; test queries are not looked at."""
    prepared = prepare_rows(tmp_path, toy_settings(split=SHARES, text={"min_texts": given}))
    tokeniser = Tokeniser(toy_settings().text)
    texts = {*read(prepared, "train")["query"].to_pylist(), *read(prepared, "classes")["standard_norm"].to_pylist()}
    bags = [set(tokeniser.features(text)) for text in texts]

    counts = {row["feature"]: row["texts"] for row in read(prepared, "vocabulary").to_pylist()}

    assert counts == {f: n for f in set().union(*bags) if (n := sum(f in bag for bag in bags)) >= least}


def test_min_texts_and_text_switches_reach_the_vocabulary(tmp_path, prepared):
    """A higher bound keeps less; a switch removes a kind."""
    text = {"min_texts": 2, "bigrams": False}
    other = read(prepare_rows(tmp_path, toy_settings(split=SHARES, text=text)), "vocabulary")["feature"].to_pylist()
    base = read(prepared, "vocabulary")["feature"].to_pylist()

    assert set(other) < {feature for feature in base if not feature.startswith("b:")}
    assert not any(feature.startswith("b:") for feature in other)


def test_classes_carry_their_rows_and_near_duplicates(tmp_path):
    """Near-duplicates by the setting's threshold; a row of one never has the other as a negative."""
    pairs = [(f"{q}{n}", c) for c, q in (("如何退票呢", "退"), ("如何退票吗", "票"), ("改签", "改")) for n in range(6)]
    settings = toy_settings(negatives={"near_duplicate": 0.6}, split=SHARES)
    prepared = prepare_rows(tmp_path, settings, pairs)
    classes, train = read(prepared, "classes"), read(prepared, "train")

    assert classes["standard_question"].to_pylist() == ["如何退票吗", "如何退票呢", "改签"]
    assert classes["near_duplicates"].to_pylist() == near_duplicates(classes["standard_norm"].to_pylist(), 0.6)
    assert classes["near_duplicates"].to_pylist() == [[1], [0], []]
    assert classes["rows"].to_pylist() == np.bincount(train["class_id"].to_numpy()).tolist()
    negatives = read(prepared / "negatives", "epoch-000")
    drawn = {0: set(), 1: set(), 2: set()}
    for label, row in zip(negatives["class_id"].to_pylist(), negatives["negatives"].to_pylist(), strict=True):
        drawn[label] |= set(row)
    assert drawn == {0: {2}, 1: {2}, 2: {0, 1}}


@pytest.mark.parametrize(
    ("negatives", "files", "width"),
    [({"per_row": 7}, 4, 7), ({"epochs_drawn": 2}, 2, 4), ({"sampler": "first_n"}, 4, 4)],
)
def test_settings_of_negatives_are_heeded(tmp_path, negatives, files, width):
    """Number, epochs and sampler."""
    folder = prepare_rows(tmp_path, toy_settings(negatives=negatives)) / "negatives"
    tables = [pq.read_table(file) for file in sorted(folder.iterdir())]

    assert len(tables) == files
    assert tables[0].schema.equals(negatives_schema(width))
    assert tables[0].equals(tables[1]) == (negatives.get("sampler") == "first_n")


def test_an_official_test_file_is_never_altered(official):
    """Its rows stand as given and in order; a standard question we do not have is class -1."""
    test, classes = read(official, "test"), read(official, "classes")["standard_question"].to_pylist()

    assert list(zip(test["query"].to_pylist(), test["standard_question"].to_pylist(), strict=True)) == TEST_PAIRS
    assert test["class_id"].to_pylist() == [classes.index("如何办理退票"), classes.index("如何办理签证"), -1]
    assert test["line"].to_pylist() == [2, 3, 4]
    assert sorted(read(official, "train")["row_id"].to_pylist()) == list(range(len(PAIRS)))  # and nothing is held out


def test_overlap_with_an_official_test_is_counted_not_removed(tmp_path):
    """Equal after normalising counts: width, case and white space do not hide a repeat."""
    settings = toy_settings("test.csv")
    ingested = ingest_rows(tmp_path, settings, [("Ａbc", "x"), ("d", "y"), ("e", "y")], [("aBC ", "x"), ("f", "z")])
    prepared = tmp_path / "prepared"
    prepared.mkdir()

    facts = prepare_corpus(ingested, prepared, settings)

    assert read(prepared, "test")["in_train"].to_pylist() == [True, False]
    assert (facts.rows, facts.test_rows, facts.overlap_rows, facts.unknown_test_rows) == (3, 2, 1, 1)
    assert (facts.official_test, facts.classes, facts.untested_classes) == (True, 2, 1)
    assert [warning.split(" test row(s) ")[0] for warning in facts.warnings] == ["1", "1"]


def test_facts_count_what_lies_on_disk(tmp_path):
    """Every number is that of the files."""
    settings = toy_settings(split=SHARES)
    ingested = ingest_rows(tmp_path, settings, PAIRS)
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    facts = prepare_corpus(ingested, prepared, settings)

    assert facts.rows == len(read(prepared, "train"))
    assert facts.validation_rows == sum(read(prepared, "train")["validation"].to_pylist())
    assert (facts.test_rows, facts.classes, facts.untested_classes) == (24, 12, 0)
    assert facts.features == len(read(prepared, "vocabulary"))
    assert facts.words == len(read(prepared, "words")) - 1
    assert (facts.negatives_per_row, facts.epochs_drawn, facts.tokeniser) == (4, 4, TOKENISER)
    assert facts.warnings == []


def prepare_again(tmp_path, name, ingested, settings, processes=1, **given):
    """Prepare into a folder of its own; return the bytes of its files."""
    (tmp_path / name).mkdir()
    prepare_corpus(ingested, tmp_path / name, settings, processes, **given)
    return file_bytes(tmp_path / name)


@pytest.mark.slow
def test_equal_inputs_give_equal_bytes_whoever_does_the_work(tmp_path, monkeypatch):
    """Prepared twice, a few characters at a time, in blocks of other sizes, in many parts, by two and by four."""
    monkeypatch.setattr(corpus, "ROWS", 16)
    settings = toy_settings(split=SHARES)
    ingested = ingest_rows(tmp_path, settings, PAIRS)

    made = [prepare_again(tmp_path, name, ingested, settings) for name in ("one", "again")]
    monkeypatch.setattr("tasks.retrieval.codes._PIECE", 30)
    made.append(prepare_again(tmp_path, "pieces", ingested, settings))
    for rows in (1, 7):
        monkeypatch.setattr(corpus, "BLOCK_ROWS", rows)
        made.append(prepare_again(tmp_path, f"blocks of {rows}", ingested, settings))
    monkeypatch.setattr(corpus, "_MANY_ROWS", 10)
    monkeypatch.setattr(corpus, "_SMALL_BLOCK_ROWS", 8)
    made += [prepare_again(tmp_path, f"pool of {n}", ingested, settings, n) for n in (2, 4)]

    assert all(one == made[0] for one in made)
    assert sum(name.startswith("train.parquet/part-") for name in made[0]) == 5  # of 72 rows
    assert len(made[0]) == 4 + 5 * (1 + 4)


def test_parts_put_together_are_the_rows_as_shuffled(tmp_path, monkeypatch, prepared):
    """Whether the shuffled rows lie in one file or in five, they are the same rows in the same order."""
    monkeypatch.setattr(corpus, "ROWS", 16)

    split = prepare_rows(tmp_path, toy_settings(split=SHARES))

    assert len(list((split / "train.parquet").iterdir())) == 5
    for name in ("train", "negatives/epoch-000", "negatives/epoch-003"):
        assert read(split, name).equals(read(prepared, name))


def test_an_interrupted_prepare_cuts_only_what_is_left(tmp_path, monkeypatch):
    """Killed while it cut the third block, it leaves two; the next one takes them up, and the bytes are the same."""
    settings = toy_settings(split=SHARES)
    ingested = ingest_rows(tmp_path, settings, PAIRS)
    expected = prepare_again(tmp_path, "whole", ingested, settings)
    monkeypatch.setattr(corpus, "BLOCK_ROWS", 20)
    cut, done = blocks._cut, []

    def killed_at_the_third(texts, text):
        done.append(len(texts))
        if len(done) == 3:
            raise KeyboardInterrupt
        return cut(texts, text)

    monkeypatch.setattr(blocks, "_cut", killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        prepare_again(tmp_path, "killed", ingested, settings, scratch=tmp_path / "scratch")

    again = prepare_again(tmp_path, "resumed", ingested, settings, scratch=tmp_path / "scratch")

    assert again == expected
    assert len(done) == 3 + 4  # three blocks of rows and one of standard questions


def test_no_more_rows_are_held_out_than_are_needed(tmp_path):
    """Of many rows a tenth would be measured for nothing."""
    pairs = [(f"{pattern}{n}", question) for pattern, question in PAIRS for n in range(12)]
    settings = toy_settings(split={"max_test_rows": 100, "max_validation_rows": 100})

    prepared = prepare_rows(tmp_path, settings, pairs)  # 1,152 rows, of which a tenth is 115

    assert len(read(prepared, "test")) in range(85, 115)
    assert sum(read(prepared, "train")["validation"].to_pylist()) in range(85, 115)


def test_the_seed_changes_split_shuffle_and_negatives(tmp_path, prepared):
    """And nothing of the classes but their number of rows."""
    other = prepare_rows(tmp_path, toy_settings(split=SHARES, seed=14))

    assert set(read(other, "test")["row_id"].to_pylist()) != set(read(prepared, "test")["row_id"].to_pylist())
    assert read(other, "train")["row_id"].to_pylist() != read(prepared, "train")["row_id"].to_pylist()
    columns = ["standard_question", "near_duplicates"]
    assert read(other, "classes").select(columns).equals(read(prepared, "classes").select(columns))


def test_negatives_are_keyed_on_rows_not_on_the_shuffle(tmp_path):
    """The same row draws the same negatives whether or not the file is shuffled."""
    drawn = []
    for shuffle in (True, False):
        folder = prepare_rows(tmp_path / str(shuffle), toy_settings(split={"shuffle": shuffle})) / "negatives"
        table = pq.read_table(folder / "epoch-001.parquet").sort_by("row_id")
        drawn.append(table["negatives"].to_pylist())

    assert drawn[0] == drawn[1]


def test_a_corpus_of_single_rows_has_no_test_and_lends_to_validation(tmp_path):
    """Every class has one row: nothing can be tested, and the choice still sees some of them."""
    pairs = [(f"问题{n}", f"标准{n}") for n in range(40)]
    prepared = prepare_rows(tmp_path, toy_settings(split={"validation_share": 0.5}), pairs)

    assert len(read(prepared, "test")) == 0
    assert read(prepared, "test").schema.equals(TEST)
    assert 10 < sum(read(prepared, "train")["validation"].to_pylist()) < 30


def test_a_listed_class_without_rows_is_a_class(tmp_path):
    """It has features, no rows, and serves as a negative."""
    (tmp_path / "list.csv").write_text("id,text\nq1,退票\nq2,改签\nq3,选座\n", encoding="utf-8")
    settings = toy_settings().model_copy(
        update={"source": toy_settings().source.model_copy(update={"questions_path": "list.csv"})}
    )
    prepared = prepare_rows(tmp_path, settings, [(f"退{n}", "退票") for n in range(9)] + [("改", "改签")])
    classes = read(prepared, "classes")
    spare = classes["standard_question"].to_pylist().index("选座")

    assert classes["id"].to_pylist()[spare] == "q3"
    assert classes["rows"].to_pylist()[spare] == 0
    assert len(classes["words"].to_pylist()[spare]) > 0
    drawn = pa.concat_tables(pq.read_table(file) for file in (prepared / "negatives").iterdir())
    assert spare in drawn["negatives"].combine_chunks().flatten().to_pylist()
