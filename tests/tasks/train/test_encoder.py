"""A frozen encoder beside the towers, from its files to a published model; the encoder is real, and tiny."""

import json
import logging
import os
import shutil
import subprocess
import time

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest

from schemas.edits import Edit
from schemas.errors import SettingsError, StaleFile
from tasks.registry import ModelRegistry
from tasks.retrieval.edits import edit_live
from tasks.retrieval.model_files import read_arrays
from tasks.retrieval.retriever import Model, Retriever
from tasks.retrieval.text_encoder import TextEncoder
from tasks.train.choosing import further_cuts
from tasks.train.data import read_prepared
from tasks.train.encoder_files import is_whole, make_encoder, making, settle_encoder
from tasks.train.training import train_candidate
from tests.tasks.conftest import publish
from tests.tasks.prepare.toy import PAIRS, file_bytes
from tests.tasks.train.tiny_bert import write_bert

TEXTS = [text for pair in PAIRS for text in pair]


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """Folder of a tiny BERT that knows the toy corpus's characters."""
    return write_bert(tmp_path_factory.mktemp("bert") / "bert", TEXTS)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Folder of what encoders are made into, for all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def beside(small, bert):
    """Give settings with the encoder beside the tower, as it is."""

    def settings(model=None, **sections):
        return small(model={"encoder": str(bert), "fine_tune": False, **(model or {})}, **sections)

    return settings


@pytest.fixture
def train(prepared, cache, tmp_path):
    """Train below a folder of its own; return the report and the candidate."""

    def run(settings, name="out", told=lambda done, most: None):
        out, partial = tmp_path / name, tmp_path / f"{name}-partial"
        out.mkdir()
        partial.mkdir()
        report = train_candidate(prepared, out, partial, settings, lambda *_: None, cache=cache, on_encoded=told)
        return report, out / "candidate"

    return run


def torch_vectors(bert, texts, pooling):
    """Return (n, d) vectors of unit length as transformers computes them."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokeniser, model = AutoTokenizer.from_pretrained(bert), AutoModel.from_pretrained(bert).eval()
    rows = []
    for text in texts:
        with torch.no_grad():
            states = model(**tokeniser(text, return_tensors="pt")).last_hidden_state[0]
        rows.append((states[0] if pooling == "cls" else states.mean(dim=0)).numpy())
    array = np.array(rows)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_the_graph_computes_what_transformers_does(beside, bert, cache, pooling):
    """To what eight bits hold; in company as alone, to the last bit."""
    model = settle_encoder(beside({"pooling": pooling}).model)
    encoder = TextEncoder(make_encoder(model, cache), model)
    texts = ["怎么退票", "wifi 退", "灵", "请问怎么办理手机银行", "办理手机", "手机银行"]

    found = encoder.vectors(texts)

    assert (found * torch_vectors(bert, texts, pooling)).sum(axis=1).min() > 0.99
    assert [encoder.vectors([text])[0].tolist() for text in texts] == found.tolist()


def test_a_graph_of_before_takes_one_text_at_a_time(beside, cache, tmp_path):
    """It rounds by the largest number of a batch, and does not say that it rounds by that of a token."""
    model = settle_encoder(beside().model)
    folder = shutil.copytree(make_encoder(model, cache), tmp_path / "before")
    graph = onnx.load(folder / "encoder.onnx")
    del graph.metadata_props[:]
    (folder / "encoder.onnx").unlink()
    onnx.save(graph, folder / "encoder.onnx")

    before, now = (TextEncoder(each, model) for each in (folder, make_encoder(model, cache)))

    assert [len(batch) for batch in before._batches([4, 5, 4])] == [1, 1, 1]
    assert list(now._batches([4, 5, 4])) == [[0, 2], [1]]
    assert before.vectors(TEXTS[:9]).tolist() == now.vectors(TEXTS[:9]).tolist()


@pytest.mark.parametrize("name", ["encoder.onnx", "tokenizer.json", "sha256.json"])
@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(file.read_bytes()[:-9])])
def test_a_damaged_graph_is_made_anew(beside, tmp_path, name, damage):
    """As a power cut may leave it; it would else stop every night."""
    settings = settle_encoder(beside().model)
    folder = make_encoder(settings, tmp_path)
    before = TextEncoder(folder, settings).vectors(TEXTS[:3])
    damage(folder / name)
    assert not is_whole(folder)

    assert make_encoder(settings, tmp_path) == folder

    assert is_whole(folder)
    np.testing.assert_array_equal(TextEncoder(folder, settings).vectors(TEXTS[:3]), before)


def test_what_a_killed_process_was_making_is_deleted_a_day_later(tmp_path):
    """Another process may be making something at this moment."""
    for name, age in ("old", 100_000), ("new", 1_000):
        (tmp_path / f".making-{name}").mkdir()
        os.utime(tmp_path / f".making-{name}", (time.time() - age,) * 2)

    with making(tmp_path) as scratch:
        assert {path.name for path in tmp_path.iterdir()} == {".making-new", scratch.name}
    assert {path.name for path in tmp_path.iterdir()} == {".making-new"}


def test_a_full_disk_is_no_fault_of_the_encoder(beside, tmp_path, monkeypatch):
    """Nobody is told to name another one."""

    def fill(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("torch.onnx.export", fill)
    with pytest.raises(OSError, match="No space left"):
        make_encoder(settle_encoder(beside().model), tmp_path)


@pytest.mark.parametrize("kilobytes", [100, 204, 220, 244, 264])
def test_a_disk_that_fills_on_the_way_is_no_fault_of_the_encoder_either(beside, tmp_path, kilobytes):
    """A real disk; the graph in 32 bits has 71 kB. What writes a file may leave half of it there without a word."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", disk]).returncode:
        pytest.skip("needs the right to mount a disk")
    try:
        with pytest.raises(OSError, match="No space left"):
            make_encoder(settle_encoder(beside().model), disk)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_of_two_that_mend_a_graph_the_first_is_kept(beside, tmp_path, monkeypatch):
    """It is whole by the time that the second takes the damaged one away."""
    settings = settle_encoder(beside().model)
    folder = make_encoder(settings, tmp_path)
    whole = shutil.copytree(folder, tmp_path / "whole")
    (folder / "encoder.onnx").write_bytes(b"")
    replace = os.replace

    def replace_late(source, target):
        replace(source, target)
        if target.name == "damaged":
            shutil.copytree(whole, folder)

    monkeypatch.setattr("tasks.train.encoder_files.os.replace", replace_late)
    assert make_encoder(settings, tmp_path) == folder
    assert is_whole(folder)
    assert not list(folder.parent.glob(".making-*"))


def test_long_texts_go_through_in_smaller_parts(beside, cache):
    """Memory grows with the square of their length."""
    settings = settle_encoder(beside({"max_tokens": 64}).model)
    encoder = TextEncoder(make_encoder(settings, cache), settings)

    assert [len(part) for part in encoder._batches([10] * 40)] == [32, 8]
    assert [len(part) for part in encoder._batches([1024] * 10)] == [4, 4, 2]
    assert [len(part) for part in encoder._batches([9000] * 2)] == [1, 1]


def test_without_a_share_nothing_is_encoded(beside, train):
    """A fixed share of 0 is no encoder, whichever it serves."""
    told = list[tuple[int, int]]()
    for name, serve in enumerate(("encoder", "bag")):
        settings = beside({"encoder_share": 0.0, "serve": serve, "fine_tune": None, "encoder": "/gone/and/not/read"})
        assert settle_encoder(settings.model).encoder is None
        report, candidate = train(settings, str(name), lambda *done: told.append(done))
        assert not (candidate / "encoder").exists()
        assert Model(candidate).card.model.encoder is None
        assert not report.shares
    assert not told
    card = candidate / "model.json"  # as versions were published that had chosen no encoder
    content = json.loads(card.read_bytes())
    card.write_text(json.dumps(content | {"model": content["model"] | {"serve": "bag"}}), "utf-8")
    assert Model(candidate)


def test_making_a_graph_says_nothing_and_silences_nobody(beside, tmp_path, caplog):
    """Its library warns by the root logger; warnings of ours come after it."""
    make_encoder(settle_encoder(beside().model), tmp_path)
    assert caplog.text == ""
    logging.getLogger("dssm.steps").warning("heard")
    assert "heard" in caplog.text


def test_prefix_and_pooling_come_from_the_encoders_own_files(beside, bert, tmp_path):
    """As sentence-transformers writes them; settings go before, and e5 is known by its name."""
    folder = shutil.copytree(bert, tmp_path / "own")
    (folder / "pool").mkdir()
    modules = [{"type": "sentence_transformers.models.Transformer", "path": ""}]
    modules += [{"type": "sentence_transformers.models.Pooling", "path": "pool"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "pool" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    prompts = {"prompts": {"query": "search_query: ", "document": "d: "}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    named = shutil.copytree(bert, tmp_path / "multilingual-e5-small")

    def settled(**model):
        made = settle_encoder(beside(model).model)
        return made.pooling, made.encoder_prefix

    assert settled(encoder=str(folder)) == ("cls", "search_query: ")
    assert settled(encoder=str(folder), pooling="mean", encoder_prefix="") == ("mean", "")
    assert settled(encoder=str(named)) == ("mean", "query: ")
    assert settled() == ("mean", "")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("modules.json", [{"type": "sentence_transformers.models.Dense", "path": "2"}], "asks for Dense"),
        ("modules.json", "{", "cannot be read"),
    ],
)
def test_an_encoder_that_asks_for_more_is_refused(beside, bert, tmp_path, file, content, message):
    """By what its own files name, rather than give other vectors than its makers meant."""
    folder = shutil.copytree(bert, tmp_path / "own")
    (folder / file).write_text(content if isinstance(content, str) else json.dumps(content))

    with pytest.raises(SettingsError, match=message):
        settle_encoder(beside({"encoder": str(folder)}).model)


def test_the_prefix_is_part_of_a_text(beside, cache):
    """Otherwise e5 gets texts that it was not trained on."""
    plain, prefixed = (settle_encoder(beside({"encoder_prefix": prefix}).model) for prefix in ("", "退票 "))
    folder = make_encoder(plain, cache)

    left = TextEncoder(folder, prefixed).vectors(["wifi"])
    right = TextEncoder(folder, plain).vectors(["退票 wifi"])

    assert left.tolist() == right.tolist()


def test_scores_are_those_of_towers_and_encoder(beside, train, prepared):
    """The weighted mean of both cosines, also of a query that the towers do not know: theirs is 0."""
    rows = pq.read_table(prepared / "train.parquet")
    scores = {}
    for share in (0.0, 0.5, 1.0):
        model = {"encoder_share": share, "exemplars": 0, "ensemble": 2}
        served = Model(train(beside(model), str(share))[1])
        scores[share] = served.scores([*rows["query"].to_pylist(), "퀴즈"])
        of_rows = served.cosines_of(served.encoder.read_prepared(rows))
        np.testing.assert_allclose(of_rows, scores[share][:-1], atol=1e-6)

    np.testing.assert_allclose(scores[0.5], (scores[0.0] + scores[1.0]) / 2, atol=1e-5)
    assert np.abs(scores[0.0] - scores[1.0]).max() > 0.1
    assert not scores[0.0][-1].any()
    assert scores[1.0][-1].any()


def test_a_candidate_answers_by_its_own_files(beside, train, bert, tmp_path, small):
    """The folder that the encoder came from is gone; without a share of it, nothing of it is published."""
    copy = shutil.copytree(bert, tmp_path / "copy")
    _, whole = train(beside({"encoder": str(copy), "encoder_share": 0.7}), "whole")
    _, without = train(beside({"encoder": str(copy), "encoder_share": 0.0}), "without")
    shutil.rmtree(copy)

    model, tower = Model(whole), Model(without)

    assert model.search(["怎么退票"])[0][0].score <= 1 + 1e-6
    assert tower.card.model.encoder is None
    assert not (without / "encoder").exists()
    _, plain = train(small(), "plain")
    same = [file.name for file in plain.iterdir() if file.name != "model.json"]
    assert {name: (without / name).read_bytes() for name in same} == {
        name: (plain / name).read_bytes() for name in same
    }


def test_a_version_that_adapters_made_answers_on(beside, train):
    """They are no setting any more; their encoder is one like any other."""
    _, candidate = train(beside({"encoder_share": 0.7}))
    before = Model(candidate).scores(TEXTS)
    file = candidate / "model.json"
    card = json.loads(file.read_bytes())
    file.write_text(json.dumps(card | {"model": card["model"] | {"encoder_adapters": "on"}}))

    assert Model(candidate).scores(TEXTS).tolist() == before.tolist()


def test_a_damaged_encoder_is_named(beside, train):
    """As every file of a model: by its name, and before the first query."""
    _, candidate = train(beside({"encoder_share": 0.7}))
    graph = candidate / "encoder" / "encoder.onnx"
    content = graph.read_bytes()
    graph.unlink()  # its other name, in the cache, stays whole
    graph.write_bytes(content[: len(content) // 2])

    with pytest.raises(StaleFile, match=candidate.name):
        Model(candidate)


def test_shares_are_chosen_on_the_validation_cut_and_told(beside, train):
    """Of eight shares of the encoder, each with four of the kept queries; the choice is one of them, 0 possible."""
    report, candidate = train(beside())
    chosen = (report.chosen["encoder_share"], report.chosen["exemplar_weight"])

    assert len(report.shares) == 32
    assert chosen in {(score.encoder, score.queries) for score in report.shares}
    assert Model(candidate).card.encoder_share == chosen[0]
    assert {score.encoder for score in report.shares} >= {0.0, 1.0}


def test_of_few_rows_further_cuts_are_judged_together(beside, train, prepared):
    """Some twenty validation rows are a toss: four more draws of about as many, no two alike, count as well."""
    settings = beside()
    data = read_prepared(prepared, settings.model)
    masks = [data.validation, *(cut.validation for cut in further_cuts(data, settings))]
    seen = sum(mask.sum() for mask in masks)

    report, _ = train(settings)

    assert len({mask.tobytes() for mask in masks}) == len(masks) == 5
    assert 90 < seen < 130
    hits = np.array([score.recall_at_10 for score in report.shares]) * seen
    np.testing.assert_allclose(hits, hits.round(), atol=1e-6)
    single = hits / seen * data.validation.sum()
    assert not np.allclose(single, single.round())  # the cut of prepare alone cannot have said so


def test_an_encoder_that_is_fine_tuned_is_not_trained_again_for_further_cuts(beside, prepared):
    """Each costs minutes: the one cut of prepare has to do."""
    settings = beside()
    data = read_prepared(prepared, settings.model)
    tuned = settings.model.model_copy(update={"tower": "pretrained"})

    assert further_cuts(data, settings)
    assert not further_cuts(data, settings.model_copy(update={"model": tuned}))


def test_each_text_is_encoded_once_ever(beside, train, prepared, cache):
    """The second training finds all vectors in the cache, and gives the same bytes."""
    shutil.rmtree(cache / "vectors", ignore_errors=True)
    seen = []
    _, first = train(beside({"encoder_share": 0.5}), "first", lambda done, most: seen.append((done, most)))
    texts = {
        *pq.read_table(prepared / "train.parquet")["query"].to_pylist(),
        *pq.read_table(prepared / "classes.parquet")["standard_norm"].to_pylist(),
    }
    assert seen[-1] == (len(texts), len(texts))
    seen.clear()

    _, second = train(beside({"encoder_share": 0.5}), "second", lambda done, most: seen.append((done, most)))

    assert not seen
    assert file_bytes(first) == file_bytes(second)


def test_a_damaged_cache_costs_time_alone(beside, cache, caplog):
    """It is thrown away, said so, and made anew."""
    model = settle_encoder(beside().model)
    folder, kept = make_encoder(model, cache), cache / "damaged"
    first = TextEncoder(folder, model, cache=kept).vectors(["退票", "wifi"])
    (file,) = kept.iterdir()
    file.write_bytes(b"none" * 1000)

    with caplog.at_level(logging.WARNING, "dssm.vectors"):
        again = TextEncoder(folder, model, cache=kept).vectors(["退票", "wifi"])

    assert again.tolist() == first.tolist()
    assert any("encoded again" in record.getMessage() for record in caplog.records)
    counted = []
    TextEncoder(folder, model, cache=kept).vectors(["退票", "wifi"], lambda done, most: counted.append(done))
    assert not counted


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_standard_questions_are_edited_by_towers_and_encoder(beside, train, tmp_path, share):
    """As of a model without an encoder; a new vector has both in the shares that trained ones have."""
    _, candidate = train(beside({"encoder_share": share, "ensemble": 2}))
    registry = ModelRegistry(tmp_path / "models" / "toy")
    publish(registry, candidate)
    new, queries = "停车场在哪里", ["停车场怎么走", "停车要多久", "谁负责停车"]

    made = edit_live(registry, Edit(action="add", standard_question=new, similar_queries=queries))
    added = Retriever(registry.folder).model
    old, text, query = "如何办理餐食", "餐食要多少钱", "餐食在哪里需要多久"
    changes = {"text": text, "similar_queries": [query], "payload": {"answer": "有"}}
    edit_live(registry, Edit(action="edit", standard_question=old, **changes))
    edited = Retriever(registry.folder).model
    edit_live(registry, Edit(action="remove", standard_question=new))
    removed = Retriever(registry.folder).model

    assert registry.verify(made.version).edit
    assert [added.search([query])[0][0].standard_question for query in (new, *queries)] == [new] * 4
    assert edited.search([text])[0][0].payload == {"answer": "有"}
    assert edited.search([query])[0][0].standard_question == text
    assert old not in edited.standard_questions
    assert new not in [hit.standard_question for hit in removed.search([new], 20)[0]]
    if share:
        size = read_arrays(candidate)["encoder_projection"].shape[1]
        for model in (added, edited, removed):
            lengths = np.square(model.class_vectors[:, -size:]).sum(axis=1)
            np.testing.assert_allclose(lengths, share, atol=1e-5)
            np.testing.assert_allclose(np.square(model.class_vectors).sum(axis=1), 1, atol=1e-5)
