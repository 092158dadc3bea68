"""An encoder that is fine-tuned on the corpus before it stands beside the towers; it is real, and tiny."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.retrieval.retriever import Model
from tasks.train.data import read_prepared
from tasks.train.encoder_files import settle_encoder
from tasks.train.joined import encode_corpus
from tasks.train.training import _settle_fine_tune, train_candidate
from tasks.train.tuned import Tuner
from tests.tasks.prepare.toy import PAIRS
from tests.tasks.train.tiny_bert import write_bert

TEXTS = [text for pair in PAIRS for text in pair]


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """Folder of a tiny BERT that knows the toy corpus's characters."""
    return write_bert(tmp_path_factory.mktemp("bert") / "bert", TEXTS)


@pytest.fixture
def settings(small, bert):
    """Give settings with the encoder beside the tower; a tiny one wants large steps."""

    def settled(model=None, **training):
        made = small(
            model={"encoder": str(bert), **(model or {})}, training={"encoder_learning_rate": 1e-2, **training}
        )
        return made.model_copy(update={"model": settle_encoder(made.model)})

    return settled


@pytest.fixture
def data(prepared, settings):
    """The toy corpus."""
    return read_prepared(prepared, settings().model)


@pytest.fixture
def train(prepared, tmp_path):
    """Train below a folder of its own; return report, candidate, and the steps of fine-tuning that were told."""

    def run(settings, name="out"):
        out, partial, told = tmp_path / name, tmp_path / "partial", list[tuple[int, int]]()
        out.mkdir()
        partial.mkdir(exist_ok=True)
        folders = {"cache": tmp_path / "cache", "on_tuned": lambda *step: told.append(step)}
        report = train_candidate(prepared, out, partial, settings, lambda *_: None, **folders)
        return report, out / "candidate", told

    return run


def margin(vectors, labels):
    """Return how much nearer the vectors of one standard question lie to each other than to those of others."""
    cosines, same = vectors @ vectors.T, labels[:, None] == labels[None]
    others = ~np.eye(len(labels), dtype=bool)
    return cosines[same & others].mean() - cosines[~same].mean()


def test_queries_of_one_standard_question_are_drawn_together(prepared, settings, data, tmp_path):
    """Also those that it has not seen, by the graph that answers."""
    rows, held = np.flatnonzero(~data.validation), np.flatnonzero(data.validation)
    frozen = encode_corpus(prepared, settings(), tmp_path / "cache", lambda done, most: None)

    tuned = Tuner(prepared, settings(), tmp_path / "copies").learn(data, rows)

    for some in (rows, held):
        assert margin(tuned.queries[some], data.labels[some]) > 1.5 * margin(frozen.queries[some], data.labels[some])
    np.testing.assert_allclose(np.linalg.norm(tuned.queries, axis=1), 1, atol=1e-5)
    assert (tuned.folder / "encoder.onnx").read_bytes() != (frozen.folder / "encoder.onnx").read_bytes()


def test_rows_that_are_held_out_teach_nothing(prepared, settings, data, tmp_path):
    """Whatever their standard questions are: what is chosen on them would otherwise be too good."""
    rows = np.flatnonzero(~data.validation)
    labels = np.where(data.validation, (data.labels + 1) % len(data.classes), data.labels)

    first = Tuner(prepared, settings(), tmp_path / "first").learn(data, rows)
    second = Tuner(prepared, settings(), tmp_path / "second").learn(replace(data, labels=labels), rows)

    assert first.queries.tolist() == second.queries.tolist()


def test_a_copy_is_made_once(prepared, settings, data, tmp_path):
    """An interrupted training that has made it takes it up; where it is gone or damaged it is made anew."""
    told = list[tuple[int, int]]()
    tuner = Tuner(prepared, settings(), tmp_path, lambda *step: told.append(step))
    rows = np.arange(len(data.labels))
    first = tuner.learn(data, rows)
    steps = tuner.steps(data, rows)
    assert told == [(step + 1, steps) for step in range(steps)]

    again = tuner.learn(data, rows)

    assert len(told) == steps
    assert again.queries.tolist() == first.queries.tolist()
    shutil.rmtree(first.folder.parent)
    assert tuner.learn(data, rows).queries.tolist() == first.queries.tolist()
    file = first.folder.parent / "vectors.safetensors"
    whole = file.read_bytes()
    for damaged in (whole[:-9], whole[:-900] + bytes(900)):
        file.write_bytes(damaged)
        assert tuner.learn(data, rows).queries.tolist() == first.queries.tolist()
    assert len(told) == 4 * steps


def test_without_two_texts_of_one_standard_question_nothing_is_fine_tuned(settings, data):
    """A contrast would take its steps and learn nothing."""
    single = np.array([np.flatnonzero(data.labels == label)[0] for label in range(len(data.classes))])
    alone = replace(data, labels=data.labels[single])

    def settled(**training):
        return _settle_fine_tune(settings(**training), alone).model.fine_tune

    assert settled()  # beside the own text of each
    assert not settled(own_texts=False)
    assert _settle_fine_tune(settings(own_texts=False), data).model.fine_tune


def test_steps_do_not_grow_with_the_rows(prepared, settings, data, tmp_path):
    """Of many rows, not all pass; of few, each does five times."""
    tuner, rows = Tuner(prepared, settings(), tmp_path), np.arange(len(data.labels))
    assert 5 <= tuner.steps(data, rows) < tuner.steps(data, np.tile(rows, 3)) < 80
    assert tuner.steps(data, np.tile(rows, 1000)) == 80


def test_what_was_fine_tuned_answers(prepared, settings, train):
    """The report tells the steps and what the frozen encoder finds; a version keeps no vectors for other nights."""
    report, candidate, told = train(settings({"encoder_share": 0.7}))
    model, texts = Model(candidate), pq.read_table(prepared / "train.parquet")["query"].to_pylist()

    assert report.chosen["fine_tuning_steps"] == told[-1][1] > 0
    assert {"chosen", "frozen"} <= set(report.ablation())
    assert {score.fine_tuned for score in report.shares} == {True, False}
    assert model.card.model.fine_tune
    cache = candidate.parent.parent / "cache" / "vectors"
    kept = {file.name: file.stat().st_size for file in cache.iterdir()}
    before = model.scores(texts)
    model.remember(cache, 2)
    assert model.scores(texts).tolist() == before.tolist()
    assert {file.name: file.stat().st_size for file in cache.iterdir()} == kept


@pytest.mark.slow
def test_the_frozen_encoder_answers_where_it_is_better(settings, train):
    """Steps that are far too large spoil the copy: the validation cuts say so."""
    report, candidate, told = train(settings({"encoder_share": 1.0}, encoder_learning_rate=1.0))

    assert told
    assert report.chosen["fine_tuning_steps"] == 0
    assert Model(candidate).card.model.fine_tune is False
    plain, same, _ = train(settings({"encoder_share": 1.0, "fine_tune": False}, encoder_learning_rate=1.0), "plain")
    assert "fine_tuning_steps" not in plain.chosen
    assert (candidate / "encoder" / "encoder.onnx").read_bytes() == (same / "encoder" / "encoder.onnx").read_bytes()


@pytest.mark.parametrize(("fine_tune", "rows", "tuned"), [(None, 1, True), (None, 17, False), (True, 17, True)])
def test_few_rows_are_fine_tuned_on(settings, data, fine_tune, rows, tuned):
    """Up to sixteen a standard question in the mean, unless the settings say otherwise."""
    from tasks.train.training import _settle_fine_tune

    many = replace(data, labels=np.repeat(np.arange(len(data.classes)), rows))

    assert _settle_fine_tune(settings({"fine_tune": fine_tune}), many).model.fine_tune == tuned
    assert not _settle_fine_tune(settings({"serve": "bag"}), data).model.fine_tune


def test_a_model_of_before_answers_on(settings, train):
    """Its card knows nothing of fine-tuning."""
    _, candidate, _ = train(settings({"encoder_share": 0.7, "fine_tune": False}))
    before = Model(candidate).scores(TEXTS)
    card = json.loads((candidate / "model.json").read_bytes())
    del card["model"]["fine_tune"]
    (candidate / "model.json").write_text(json.dumps(card))

    assert Model(candidate).scores(TEXTS).tolist() == before.tolist()
