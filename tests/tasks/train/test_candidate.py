"""The final form of a model on disk."""

import json
import stat

import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.retrieval.features import TOKENISER
from tasks.retrieval.model_files import FORMAT, ModelCard, read_arrays, read_card, write_candidate
from tasks.retrieval.normalise import NORMALISER
from tasks.retrieval.retriever import Model
from tests.tasks.prepare.toy import prepare_rows

CARD = ModelCard(corpus="toy", text={}, model={"embedding_dim": 4, "ensemble": 2}, classes=12, features=3)


def some_arrays(prepared, table="vocabulary"):
    """Return random arrays of the shapes of a candidate of two towers."""
    random = np.random.default_rng(3)
    features = pq.read_metadata(prepared / f"{table}.parquet").num_rows
    return {
        "embeddings": random.normal(size=(features, 2, 4)).astype(np.float32),
        "classes": random.normal(size=(12, 2, 4)).astype(np.float32),
    }


@pytest.fixture
def candidate(prepared, tmp_path):
    """A candidate of random weights."""
    folder = tmp_path / "candidate"
    folder.mkdir()
    write_candidate(folder, CARD, prepared, some_arrays(prepared))
    return folder


def test_a_candidate_is_whole_and_holds_no_pickle(candidate):
    """JSON, safetensors and Parquet by their first bytes, nothing else."""
    starts = {file.name: file.read_bytes() for file in candidate.iterdir()}

    assert set(starts) == {"model.json", "model.safetensors", "standard_questions.parquet", "vocabulary.parquet"}
    assert json.loads(starts["model.json"])["corpus"] == "toy"
    assert starts["standard_questions.parquet"][:4] == starts["vocabulary.parquet"][:4] == b"PAR1"
    header = int.from_bytes(starts["model.safetensors"][:8], "little")
    assert set(json.loads(starts["model.safetensors"][8 : 8 + header])) >= {"embeddings", "classes"}


def test_every_file_may_be_read_by_whoever_may_read_the_folder(candidate):
    """Another user may serve the model."""
    modes = {stat.S_IMODE(file.stat().st_mode) for file in candidate.iterdir()}

    assert len(modes) == 1


def test_what_was_written_is_read_back(candidate, prepared):
    """The card as it was; embeddings in half precision, all else to the bit."""
    arrays, read = some_arrays(prepared), read_arrays(candidate)

    assert read_card(candidate) == CARD
    assert read["embeddings"].dtype == np.float16
    np.testing.assert_allclose(read["embeddings"], arrays["embeddings"], rtol=1e-3)
    np.testing.assert_array_equal(read["classes"], arrays["classes"])


def test_the_card_names_what_makes_texts_into_features(candidate):
    """Whoever serves it can see whether his own are the same."""
    card = json.loads((candidate / "model.json").read_bytes())

    assert (card["tokeniser"], card["normaliser"], card["format"]) == (TOKENISER, NORMALISER, FORMAT)


def test_standard_questions_stand_in_the_order_of_the_vectors(candidate, prepared):
    """With their ids and training rows."""
    columns = ["id", "standard_question", "rows"]

    found = pq.read_table(candidate / "standard_questions.parquet")

    assert found.equals(pq.read_table(prepared / "classes.parquet", columns=columns))


def test_an_lstm_takes_its_words_along_instead_of_n_grams(prepared, tmp_path):
    """Each tower has the table it reads."""
    card = CARD.model_copy(update={"model": CARD.model.model_copy(update={"tower": "lstm"})})

    write_candidate(tmp_path, card, prepared, some_arrays(prepared, "words"))

    assert (tmp_path / "words.parquet").read_bytes() == (prepared / "words.parquet").read_bytes()
    assert not (tmp_path / "vocabulary.parquet").exists()


def test_equal_arrays_give_equal_bytes(candidate, prepared, tmp_path):
    """Nothing of time or place is written."""
    again = tmp_path / "again"
    again.mkdir()
    write_candidate(again, CARD, prepared, some_arrays(prepared))

    assert {f.name: f.read_bytes() for f in again.iterdir()} == {f.name: f.read_bytes() for f in candidate.iterdir()}


def test_a_user_dictionary_travels_with_the_model(small, tmp_path):
    """The folder moves, the original is gone, and the words are still cut as they were in training."""
    dictionary = tmp_path / "words.txt"
    dictionary.write_text("灵犀宝\n", encoding="utf-8")
    settings = small(text={"user_dictionary": str(dictionary), "bigrams": False, "char_ngrams_cjk": None})
    pairs = [(f"灵犀宝怎么{word}", f"灵犀宝{word}说明") for word in ("买", "卖", "查", "退")]
    prepared = prepare_rows(tmp_path / "home", settings, pairs)
    classes = np.eye(4, dtype=np.float32)[:, None]
    features = pq.read_table(prepared / "vocabulary.parquet")["feature"].to_pylist()
    arrays = {"embeddings": np.ones((len(features), 1, 4), np.float32), "classes": classes}
    card = CARD.model_copy(
        update={"classes": len(classes), "text": settings.text, "model": CARD.model.model_copy(update={"ensemble": 1})}
    )
    (tmp_path / "made").mkdir()
    write_candidate(tmp_path / "made", card, prepared, arrays)

    dictionary.unlink()
    (tmp_path / "made").rename(tmp_path / "moved")

    assert (
        json.loads((tmp_path / "moved" / "model.json").read_bytes())["text"]["user_dictionary"] == "user_dictionary.txt"
    )
    numbers = Model(tmp_path / "moved").encoder.read(["灵犀宝"]).form.columns
    assert [features[number] for number in numbers] == ["w:灵犀宝"]
