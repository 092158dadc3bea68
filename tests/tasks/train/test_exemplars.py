"""Training queries that a model keeps, and what they do to its scores."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.evaluate.candidate import TRAIN_ROWS, baseline_every, describe_left_out, evaluate_files, suspect_rows
from tasks.retrieval.exemplars import Exemplars
from tasks.retrieval.model_files import read_arrays
from tasks.retrieval.retriever import Model
from tasks.train.choosing import clearly_best
from tasks.train.data import read_prepared
from tasks.train.exemplars import keep_exemplars
from tasks.train.training import train_candidate

_X, _Y = [1.0, 0.0], [0.0, 1.0]


class Axes:
    """Encodes every text as the unit vector of its row, and every standard question as -1 everywhere."""

    members = 2

    def encode_rows(self, prepared, rows):
        """Return (2, n, 3): in both towers the place of the text's first word, say."""
        texts = prepared.queries.take(rows)
        return np.stack([np.eye(3, dtype=np.float32)[texts.words[texts.offsets[:-1]] % 3]] * 2)

    def class_vectors(self):
        """Return (2, 12, 3)."""
        return -np.ones((2, 12, 3), dtype=np.float32)


def unit(*vectors):
    """Return vectors of unit length."""
    array = np.array(vectors, dtype=np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def test_the_scores_are_the_mixture_in_closed_form():
    """One query on the x axis; two queries of the first standard question and one of the second, by hand."""
    kept = Exemplars.of(unit(_X, [1, 1], _Y)[:, None], np.array([0, 2, 3]))
    cosines = np.array([[0.2, 0.3]], dtype=np.float32)

    (scores,) = kept.mix(cosines, unit(_X), weight=0.25)

    near = [np.log(1 + np.exp(20 * (0.5**0.5 - 1))) - np.log(2), np.log(np.exp(-20)) - 0.6 * np.log(2)]
    assert scores == pytest.approx([0.75 * c + 0.25 * (1 + n / 20) for c, n in zip((0.2, 0.3), near, strict=True)])
    assert kept.mix(cosines, unit(_X), 0.0) == pytest.approx(cosines)


def test_a_near_query_brings_its_standard_question_forward():
    """The cosine prefers the second; a training query that says the same is of the first."""
    kept = Exemplars.of(unit(_X, _Y)[:, None], np.array([0, 1, 2]))
    cosines = np.array([[0.5, 0.6]], dtype=np.float32)

    assert kept.mix(cosines, unit(_X), 0.5).argmax() == 0
    assert kept.mix(cosines, unit(_Y), 0.5).argmax() == 1


def test_only_the_first_are_scored_anew_and_stay_in_front():
    """Forty standard questions: 20 by their queries, the other twenty behind them in the order of their cosines."""
    random = np.random.default_rng(0)
    cosines = random.uniform(-1, 1, size=(5, 40)).astype(np.float32)
    kept = Exemplars.of(unit(*random.normal(size=(40, 4)))[:, None], np.arange(41))

    scores = kept.mix(cosines, unit(*random.normal(size=(5, 4))), 0.9)

    for before, after in zip(cosines, scores, strict=True):
        old, new = np.argsort(-before), np.argsort(-after, kind="stable")
        assert set(new[:20]) == set(old[:20])
        assert new[:20].tolist() != old[:20].tolist()
        assert new[20:].tolist() == old[20:].tolist()
    assert scores.max() <= 1


def test_a_query_of_unknown_features_keeps_its_zeros():
    """Nothing is near to it."""
    kept = Exemplars.of(unit(_X, _X, _Y)[:, None], np.array([0, 2, 3]))
    queries = np.array([[0, 0], [1, 0]], dtype=np.float32)

    nothing, something = kept.mix(np.zeros((2, 2), dtype=np.float32), queries, 0.5)

    assert nothing.tolist() == [0, 0]
    assert something[0] > something[1]


def test_the_first_rows_of_each_standard_question_are_kept(prepared):
    """Three of its eight, in the order of the file; one that has none is its own."""
    data = read_prepared(prepared)
    rows = np.flatnonzero(data.labels != 5)[::-1]
    chosen = np.concatenate([rows[data.labels[rows] == k][:3] for k in range(12)])

    vectors, starts, numbers = keep_exemplars(Axes(), data, rows, 3)

    assert np.diff(starts).tolist() == [3] * 5 + [1] + [3] * 6
    expected = Axes().encode_rows(data, chosen).transpose(1, 0, 2)
    np.testing.assert_array_equal(np.delete(vectors, starts[5], axis=0), expected)
    assert (vectors[starts[5]] == -1).all()
    assert numbers.tolist() == np.insert(chosen, starts[5], -1).tolist()
    assert keep_exemplars(Axes(), data, rows, 0) is None


def test_too_many_standard_questions_keep_none(prepared, monkeypatch):
    """Memory is bounded: no more in all than there is room for, shared alike."""
    data = read_prepared(prepared)
    rows = np.arange(len(data.labels))
    monkeypatch.setattr("tasks.train.exemplars._MOST", 25)
    vectors, starts, _ = keep_exemplars(Axes(), data, rows, 32)
    assert (len(vectors), np.diff(starts).tolist()) == (24, [2] * 12)

    monkeypatch.setattr("tasks.train.exemplars._MOST", 11)
    assert keep_exemplars(Axes(), data, rows, 32) is None


def trained(prepared, folder, settings):
    """Train into `folder`; return the report."""
    folder.mkdir()
    (folder / "partial").mkdir()
    return train_candidate(prepared, folder, folder / "partial", settings, lambda epoch, most: None)


def test_what_was_chosen_is_reported_stored_and_served(prepared, small, tmp_path):
    """The weight stands in training.json and in the model; taking the kept queries away changes the answers."""
    report = trained(prepared, tmp_path / "a", small(model={"exemplars": 4, "exemplar_weight": 0.5}))
    folder = tmp_path / "a" / "candidate"
    queries = pq.read_table(prepared / "train.parquet")["query"].to_pylist()
    with_them = Model(folder).scores(queries)

    card = json.loads((folder / "model.json").read_bytes())
    arrays = read_arrays(folder)
    assert report.chosen["exemplar_weight"] == card["exemplar_weight"] == 0.5
    assert (arrays["exemplars"].dtype, len(arrays["exemplars"])) == (np.float16, arrays["exemplar_starts"][-1])
    assert len(arrays["exemplars"]) == 4 * 12

    (folder / "model.json").write_text(json.dumps(card | {"exemplar_weight": 0.0}))
    assert np.abs(Model(folder).scores(queries) - with_them).max() > 0.01


def test_none_are_kept_where_the_settings_say_so(prepared, small, tmp_path):
    """Neither on disk nor in the scores, and the report says 0."""
    report = trained(prepared, tmp_path / "a", small(model={"exemplars": 0}))

    assert report.chosen["exemplar_weight"] == 0
    assert "exemplars" not in read_arrays(tmp_path / "a" / "candidate")


@pytest.mark.parametrize("best", [0.0, 0.75])
def test_the_validation_cut_decides_how_much_they_count(prepared, small, tmp_path, monkeypatch, best):
    """Where only one weight leaves the right answers in front, that one is chosen, and goes into the model."""
    mix = Exemplars.mix

    def spoiled(self, cosines, queries, weight, *more):
        return mix(self, cosines, queries, weight, *more) if weight == best else -cosines

    monkeypatch.setattr(Exemplars, "mix", spoiled)
    report = trained(prepared, tmp_path / "a", small())

    assert report.chosen["exemplar_weight"] == best
    assert json.loads((tmp_path / "a" / "candidate" / "model.json").read_bytes())["exemplar_weight"] == best


def test_the_usual_choice_stands_unless_another_is_clearly_better():
    """By more than the standard error of the paired difference."""
    low, high = np.zeros(100), np.ones(100)

    assert clearly_best(np.array([low, high, low]), 0) == 1
    assert clearly_best(np.array([low, np.eye(1, 100)[0] - 0.5 * np.eye(1, 100, 1)[0]]), 0) == 0
    assert clearly_best(np.array([low, low]), 1) == 1


def test_a_training_query_is_not_its_own_witness(prepared, small, tmp_path, monkeypatch):
    """Rows that look mislabelled are found by the towers alone: each kept query would vouch for its own label."""
    settings = small(model={"exemplar_weight": 1.0}, training={"epochs": 1, "choose": False})
    trained(prepared, tmp_path / "a", settings)
    monkeypatch.setattr("tasks.evaluate.measure.expect_wrong", lambda *_: 1.0)

    evaluation = evaluate_files(prepared, tmp_path / "a" / "candidate", tmp_path, settings)

    model = Model(tmp_path / "a" / "candidate")
    rows = pq.read_table(prepared / "train.parquet")
    labels = rows["class_id"].to_numpy()
    doubted = model.cosines_of(model.encoder.read_prepared(rows)).argmax(axis=1) != labels
    vouched = model.scores(rows["query"].to_pylist()).argmax(axis=1) == labels
    assert (doubted & vouched).any()
    assert len(evaluation.suspects) == min(20, doubted.sum())
    monkeypatch.setattr("tasks.evaluate.candidate._SUSPECT_CELLS", 5 * len(model.ids))
    evaluation = evaluate_files(prepared, tmp_path / "a" / "candidate", tmp_path, settings)
    assert len(evaluation.suspects) == doubted[:5].sum()
    cells = evaluation.test_rows * (len(rows) + len(model.ids))
    monkeypatch.setattr("tasks.evaluate.candidate._BASELINE_CELLS", -(-cells // 2))
    evaluation = evaluate_files(prepared, tmp_path / "a" / "candidate", tmp_path, settings)
    assert evaluation.baselines["bm25"].rows == -(-evaluation.test_rows // 2) < evaluation.model.rows


def test_of_very_many_scores_only_those_of_the_first_rows_are_searched():
    """A million rows and 100,000 standard questions would be 10^11 of them."""
    assert suspect_rows(1_000_000, 100_000) == 42_949
    assert suspect_rows(1_000_000, 100) == TRAIN_ROWS
    assert suspect_rows(1000, 100) == 1000
    assert baseline_every(50_000, 1_000_000, 100_000) == 5
    assert baseline_every(43_000, 90_000, 10_000) == 2
    assert baseline_every(5_485, 54_844, 396) == baseline_every(0, 0, 0) == 1
    assert describe_left_out(5_485, 54_844, 396) == []
    assert describe_left_out(50_000, 1_000_000, 100_000) == [
        "baselines saw the first 250,000 of 1,000,000 training rows",
        "the search for mislabelled rows saw the first 42,949 of 1,000,000 training rows",
        "baselines ranked one of every 5 of the 50,000 test rows",
    ]
