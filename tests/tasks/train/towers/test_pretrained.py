"""The pretrained tower, with a tiny BERT of random weights."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from schemas.errors import SettingsError, StaleFile
from schemas.workspace import CHECKOUT
from tasks.retrieval.device import CPU
from tasks.retrieval.normalise import normalise
from tasks.retrieval.pretrained import Encoder, Encodings, Tokeniser
from tasks.retrieval.retriever import Model
from tasks.train.data import read_prepared
from tasks.train.ensemble import Ensemble
from tasks.train.towers import Sizes
from tasks.train.towers.pretrained import PretrainedTower, identify, pin
from tasks.train.trainer import Trainer
from tasks.train.training import train_candidate
from tests.tasks.prepare.toy import PAIRS, file_bytes
from tests.tasks.train.tiny_bert import write_bert

TEXTS = [text for pair in PAIRS for text in pair]


@pytest.fixture(scope="session")
def bert(tmp_path_factory):
    """Folder of a tiny BERT, with dropout, that knows the toy corpus's characters."""
    return write_bert(tmp_path_factory.mktemp("bert") / "bert", TEXTS)


@pytest.fixture
def tiny(small, bert):
    """Give settings that fine-tune it."""

    def settings(model=None, training=None, **sections):
        model = {"tower": "pretrained", "encoder": str(bert), **(model or {})}
        slow = {"epochs": 4, "learning_rate": 0.02, "encoder_learning_rate": 3e-3, "vector_dropout": 0.0}
        return small(model=model, training=slow | (training or {}), **sections)

    return settings


def fit_of(folder, settings):
    """Return a fresh fit on all rows."""
    data = read_prepared(folder, settings.model)
    return Trainer(data, np.arange(len(data.labels)), settings, "refit/0", settings.training.epochs)


def trained(folder, settings, epochs=2):
    """Return a fit after some epochs."""
    fit = fit_of(folder, settings)
    for _ in range(epochs):
        fit.run_epoch()
    return fit


def run(prepared, home, settings, on_epoch=lambda epoch, most: None):
    """Train below `home`; return the report and the folder of the output."""
    out, partial = home / "out", home / "partial"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    partial.mkdir(exist_ok=True)
    return train_candidate(prepared, out, partial, settings, on_epoch), out


def tower_of(model):
    """Return a fresh tower and its tokeniser."""
    tokenise = Tokeniser(model)
    return PretrainedTower(model, Sizes(0, tokenise.size), torch.Generator().manual_seed(0), CPU), tokenise


# --- learning


@pytest.mark.parametrize(
    "loss",
    [{"kind": "softmax_all"}, {"kind": "sampled_softmax", "gamma": 10.0}, {"kind": "softmax_target", "gamma": 1.0}],
    ids=str,
)
def test_every_loss_teaches_the_encoder(prepared, tiny, loss):
    """Without class vectors, so that nothing but the encoder can learn; from chance to most queries in front."""
    fit = fit_of(prepared, tiny({"class_vectors": False}, {"epochs": 15}, loss=loss))
    before = fit.loss_without_dropout()

    for _ in range(15):
        fit.run_epoch()

    assert fit.loss_without_dropout() < 0.6 * before
    scores = np.einsum("sno,sko->nk", fit.encode(fit.prepared.queries), fit.class_vectors())
    assert (scores.argmax(axis=1) == fit.prepared.labels).mean() > 0.75  # chance: 1 in 12


@pytest.mark.parametrize("case", ["one part", "many parts", "too many to keep", "moved since"])
def test_gradients_are_those_of_one_pass_through_all_texts(bert, tiny, monkeypatch, case):
    """However the texts are split, the weights get what torch finds for the whole, under dropout; also when late."""
    monkeypatch.setattr("tasks.retrieval.pretrained._PART", 1024 if case == "one part" else 30)
    monkeypatch.setattr("tasks.retrieval.pretrained._KEPT", 30 if case == "too many to keep" else 4096)
    model = tiny().model
    tower, tokenise = tower_of(model)
    texts = tokenise(["退票", "怎么改签", "我要行李发票选座积分", "", "会员"])
    random = np.random.default_rng(5)
    encodings = Encodings(tower.encoder, texts, random)
    assert (encodings._kept is None) == (case == "too many to keep")
    if case == "moved since":  # gradients are then those where the weights are, not where they were
        tower.encoder.steps += 1
        for weight in tower._steps.weights.values():
            weight.data.mul_(1.2)
    target = torch.linspace(-1, 1, 5 * 16).view(1, 5, 16)

    (tower(encodings) * target).sum().backward()
    encodings.step(0.0)

    found = {name: weight.grad.clone() for name, weight in tower._steps.weights.items() if weight.grad is not None}
    tower._steps._optimiser.zero_grad()
    vectors = torch.zeros(5, 16)
    for part, seed in zip(encodings._parts, encodings._seeds, strict=True):
        vectors[torch.from_numpy(part)] = tower.encoder.encode(texts.take(part), seed)
    (vectors * target[0]).sum().backward()
    assert len(encodings._parts) == (1 if case == "one part" else 2)
    assert torch.allclose(encodings.leaf[0], vectors) == (case != "moved since")
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, tower._steps.weights[name].grad, msg=name)
    assert found["embeddings.word_embeddings.weight"].abs().max() > 1e-3


def test_the_learning_rate_rises_and_falls(tiny):
    """A tenth of the steps up, the rest down; it starts and ends at 0, where nothing moves."""
    tower, tokenise = tower_of(tiny().model)
    rates = []
    for left in (1.0, 0.95, 0.9, 0.45, 0.0):
        before = {name: weight.detach().clone() for name, weight in tower._steps.weights.items()}
        encodings = tower.embed(tokenise(["退票", "改签"]), 0.0, np.random.default_rng(0))
        tower(encodings)[0, 0].sum().backward()
        encodings.step(0.0)
        tower.finish_step(left, 1e-3)
        rates.append(tower._steps._optimiser.param_groups[0]["lr"])
        moved = any(not torch.equal(before[name], weight) for name, weight in tower._steps.weights.items())
        assert moved == (0 < left < 1)

    assert rates == pytest.approx([0, 0.5e-3, 1e-3, 0.5e-3, 0])


@pytest.mark.parametrize(
    ("model", "training"),
    [
        ({"pooling": "cls"}, {}),
        ({"max_tokens": 4}, {}),
        ({"hidden_dims": [8]}, {}),
        ({"output_dim": 5}, {}),
        ({}, {"encoder_learning_rate": 1e-3}),
    ],
    ids=str,
)
def test_each_setting_changes_what_is_learnt(prepared, tiny, model, training):
    """Without a change the vectors are the same to the last bit, whatever the global random state was."""
    torch.manual_seed(1)
    base = trained(prepared, tiny()).class_vectors()
    torch.manual_seed(2)
    again = trained(prepared, tiny()).class_vectors()
    other = trained(prepared, tiny(model, training)).class_vectors()

    assert base.tobytes() == again.tobytes()
    assert other.shape != base.shape or not np.allclose(base, other, atol=1e-4)


def test_the_encoders_own_dropout_is_drawn_in_training_and_only_there(bert, tiny):
    """With gradient two draws differ; without, two passes are equal."""
    tower, tokenise = tower_of(tiny().model)
    texts, random = tokenise(TEXTS[:5]), np.random.default_rng(0)

    first, second = (tower.embed(texts, 0.0, random).leaf for _ in range(2))
    with torch.no_grad():
        third, fourth = (tower.embed(texts, 0.0, random).leaf for _ in range(2))

    assert not torch.allclose(first, second, atol=1e-3)
    assert torch.equal(third, fourth)


def test_a_text_does_not_depend_on_the_texts_beside_it(tiny):
    """Padding is masked, in states and in their mean."""
    for pooling in ("mean", "cls"):
        tower, tokenise = tower_of(tiny({"pooling": pooling}).model)
        together = tower.encoder.vectors(tokenise(TEXTS[:9]))
        alone = np.concatenate([tower.encoder.vectors(tokenise([text])) for text in TEXTS[:9]])

        np.testing.assert_allclose(together, alone, atol=1e-5)


def test_a_long_text_is_cut(tiny):
    """At max_tokens, [CLS] and [SEP] among them."""
    texts = Tokeniser(tiny({"max_tokens": 5}).model)(["退票", "怎么改签行李"])

    assert np.diff(texts.offsets).tolist() == [4, 5]
    assert texts.words[[0, 3, 4, 8]].tolist() == [2, 3, 2, 3]


def test_standard_questions_pass_through_the_encoder_no_more_often_than_queries(prepared, tiny, monkeypatch):
    """Twelve of them and four rows a step: in every third step, however often a bag's texts would pass."""
    monkeypatch.setattr("tasks.train.towers.tower._CLASSES_EVERY", 1)
    fit, drawn = fit_of(prepared, tiny(training={"batch_size": 4})), []
    draw = Encodings.draw

    def count(encodings, dropout, random):
        drawn.append(len(encodings.leaf[0]) if hasattr(encodings, "leaf") else 0)
        draw(encodings, dropout, random)

    monkeypatch.setattr(Encodings, "draw", count)
    fit.run_epoch()

    steps = -(-len(fit.sampler.rows) // 4)
    assert drawn.count(12) == -(-steps // 3) - 1  # beside the first time
    assert drawn.count(0) == steps + 1


def test_parameters_are_counted(prepared, tiny, bert):
    """Those of the encoder, 16 * 8 + 8 of a layer, 12 class vectors of 8."""
    fit = fit_of(prepared, tiny({"hidden_dims": [8]}))
    encoder = sum(weight.numel() for weight in fit.tower.encoder.module.parameters())

    assert fit.parameters == encoder + 16 * 8 + 8 + 12 * 8
    assert encoder > 5000


# --- the candidate


@pytest.mark.parametrize("model", [{}, {"pooling": "cls", "hidden_dims": [8], "output_dim": 5}], ids=str)
def test_scores_are_those_of_the_tower_in_training(prepared, tiny, bert, tmp_path, monkeypatch, model):
    """From the files of the candidate alone: the folder that the encoder came from is gone."""
    copy = shutil.copytree(bert, tmp_path / "copy")
    learning = {"choose": False, "epochs": 12, "encoder_learning_rate": 1e-2}
    settings = tiny(model | {"encoder": str(copy)}, learning)
    kept = {}
    arrays = Ensemble.arrays

    def keep(ensemble):
        data = read_prepared(prepared, settings.model)
        kept.update(queries=ensemble.encode(data.queries), classes=ensemble.class_vectors())
        return arrays(ensemble)

    monkeypatch.setattr(Ensemble, "arrays", keep)
    report, out = run(prepared, tmp_path / "run", settings)
    shutil.rmtree(copy)
    rows = pq.read_table(prepared / "train.parquet")

    served = Model(out / "candidate")

    expected = np.einsum("sno,sko->nk", kept["queries"], kept["classes"])
    read = served.encoder.read([normalise(query) for query in rows["query"].to_pylist()])
    np.testing.assert_allclose(served.cosines_of(read), expected, atol=1e-5)
    np.testing.assert_allclose(served.cosines_of(served.encoder.read_prepared(rows)), expected, atol=1e-5)
    assert expected.std() > 0.01
    assert served.search(["签证怎么办", ""], top=3)[1] == []
    assert report.parameters > 5000


def test_a_candidate_is_whole_and_does_not_say_where_it_came_from(prepared, tiny, bert, tmp_path):
    """Two trainings from folders of other names have equal bytes; other users may read every file."""
    first = run(prepared, tmp_path / "first", tiny())[1]
    moved = shutil.copytree(bert, tmp_path / "moved")
    second = run(prepared, tmp_path / "second", tiny({"encoder": str(moved)}))[1]

    files = file_bytes(first)
    assert files == file_bytes(second)
    assert {name.removeprefix("candidate/") for name in files} == {
        "training.json",
        "model.json",
        "decisions.json",
        "model.safetensors",
        "standard_questions.parquet",
        "encoder/config.json",
        "encoder/model.safetensors",
        "encoder/tokenizer.json",
        "encoder/tokenizer_config.json",
    }
    assert json.loads(files["candidate/model.json"])["model"]["encoder"] == "encoder"
    mask = os.umask(0)
    os.umask(mask)
    modes = {stat.S_IMODE(file.stat().st_mode) for file in first.rglob("*") if file.is_file()}
    assert modes == {0o666 & ~mask}


def test_the_fine_tuned_encoder_is_an_ordinary_hugging_face_folder(prepared, tiny, bert, tmp_path):
    """Another program reads it without us, and its weights have moved."""
    from transformers import AutoModel, AutoTokenizer

    folder = run(prepared, tmp_path, tiny(training={"choose": False}))[1] / "candidate" / "encoder"

    before, after = (AutoModel.from_pretrained(place).state_dict() for place in (bert, folder))
    assert not torch.allclose(before["embeddings.word_embeddings.weight"], after["embeddings.word_embeddings.weight"])
    assert (
        AutoTokenizer.from_pretrained(folder)("退票")["input_ids"]
        == AutoTokenizer.from_pretrained(bert)("退票")["input_ids"]
    )


@pytest.mark.parametrize("lost", ["encoder/tokenizer.json", "encoder/model.safetensors", "encoder"])
def test_a_damaged_version_is_told_apart_from_wrong_settings(prepared, tiny, tmp_path, lost):
    """It is the machine's fault, and must not bar its successor."""
    candidate = run(prepared, tmp_path, tiny(training={"choose": False, "epochs": 1}))[1] / "candidate"
    shutil.rmtree(candidate / lost) if (candidate / lost).is_dir() else (candidate / lost).unlink()

    with pytest.raises(StaleFile, match=r"candidate is damaged: .*encoder"):
        Model(candidate)


def test_threads_are_answered_alike(tiny):
    """A tokeniser that is set anew for every call may be used by one thread at a time."""
    tower, tokenise = tower_of(tiny().model)
    expected = tower.encoder.vectors(tokenise(TEXTS))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: tower.encoder.vectors(tokenise(TEXTS)), range(40)))

    assert all(np.array_equal(vectors, expected) for vectors in found)


# --- interruptions


@pytest.mark.parametrize("loss", [{"kind": "softmax_all"}, {"kind": "sampled_softmax", "gamma": 10.0}], ids=str)
def test_a_checkpoint_is_all_that_training_needs(prepared, tiny, tmp_path, loss):
    """Two epochs, saved, taken up by a fresh ensemble for two more: the bytes of four in a row."""
    settings = tiny({"hidden_dims": [8]}, loss=loss)
    data = read_prepared(prepared, settings.model)
    rows = np.arange(len(data.labels))
    found = []
    for stop in (2, 4):
        with Ensemble(data, rows, settings, "refit", 4) as first:
            for _ in range(stop):
                first.run_epoch()
            first.save(tmp_path / "c.safetensors")
        with Ensemble(data, rows, settings, "refit", 4) as second:
            second.load(tmp_path / "c.safetensors")
            while len(second.done) < 4:
                second.run_epoch()
            second.write(tmp_path / f"encoder-{stop}")
            found.append((second.arrays()["classes"].tobytes(), second.done, file_bytes(tmp_path / f"encoder-{stop}")))

    assert found[0] == found[1]


@pytest.mark.slow
def test_a_killed_training_ends_with_the_bytes_of_an_unbroken_one(prepared, tiny, tmp_path):
    """A real process gets kill -9 in the refit; the next run takes up its checkpoint."""
    settings = tiny(training={"checkpoint_seconds": 0, "epochs": 8, "choose": False})
    (tmp_path / "settings.json").write_text(settings.model_dump_json(), "utf-8")
    for folder in (tmp_path / "gone", tmp_path / "killed" / "partial"):
        folder.mkdir(parents=True)
    words = [sys.executable, "-m", "tests.tasks.train.interrupted"]
    paths = [prepared, tmp_path / "gone", tmp_path / "killed" / "partial", tmp_path / "settings.json"]
    with subprocess.Popen([*words, *map(str, paths)], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        for said in process.stdout:
            if said.strip() == "refit 3":
                process.kill()
                break
    assert process.returncode == -signal.SIGKILL
    told = []

    _, out = run(prepared, tmp_path / "killed", settings, lambda epoch, most: told.append((epoch.phase, epoch.epoch)))

    assert told[0] >= ("refit", 3)
    assert file_bytes(out) == file_bytes(run(prepared, tmp_path / "unbroken", settings)[1])


# --- what a person may get wrong


def without(bert, folder, *names):
    """Copy the encoder, but for some files."""
    shutil.copytree(bert, folder, ignore=shutil.ignore_patterns(*names))
    return str(folder)


def trial(model):
    """Load tokeniser and encoder."""
    Encoder(model, Tokeniser(model).size)


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("vocab.txt", "has no fast tokeniser; its files .* must lie beside its weights"),
        ("*.safetensors", "its model cannot be loaded: .*no file named"),
        ("*", "its tokeniser cannot be loaded: "),
    ],
)
def test_an_incomplete_folder_is_refused_before_any_training(prepared, tiny, bert, tmp_path, lost, message):
    """What is missing, and where."""
    encoder = without(bert, tmp_path / "part", lost)

    with pytest.raises(SettingsError, match=rf"model\.encoder = '{encoder}'.*{message}"):
        run(prepared, tmp_path / "run", tiny({"encoder": encoder}), on_epoch=lambda *_: pytest.fail("it trained"))


def test_weights_that_are_a_pickle_are_refused(tiny, bert, tmp_path):
    """Whoever unpickles runs what the file says."""
    folder = without(bert, tmp_path / "pickled", "*.safetensors")
    torch.save(load_file(f"{bert}/model.safetensors"), f"{folder}/pytorch_model.bin")

    with pytest.raises(SettingsError, match=r"its model cannot be loaded: .*safetensors"):
        trial(tiny({"encoder": folder}).model)


def test_a_text_longer_than_the_encoder_can_read_is_refused(tiny):
    """The tiny BERT has 64 positions."""
    with pytest.raises(
        SettingsError, match=r"cannot read a text of model\.max_tokens = 65 tokens .*lower model\.max_tokens"
    ):
        trial(tiny({"max_tokens": 65}).model)
    trial(tiny({"max_tokens": 64}).model)


def test_weights_of_another_model_are_refused(tiny, bert, tmp_path):
    """A config of three layers over weights of two would train from chance, silently; a missing pooler matters not."""
    for name, change in (("deeper", {"num_hidden_layers": 3}), ("other", {"vocab_size": 9})):
        folder = shutil.copytree(bert, tmp_path / name)
        config = json.loads((folder / "config.json").read_text("utf-8"))
        (folder / "config.json").write_text(json.dumps(config | change), "utf-8")
        with pytest.raises(SettingsError, match=r"lacks 16 weights, e\.g\. encoder\.layer\.2|cannot be loaded"):
            trial(tiny({"encoder": str(folder)}).model)
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(bert, tmp_path / "headless")
    weights = load_file(folder / "model.safetensors")
    save_file({n: w for n, w in weights.items() if "pooler" not in n}, folder / "model.safetensors", {"format": "pt"})
    poolers = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        headless = Encoder(tiny({"encoder": str(folder)}).model, 9).module
        poolers.append(headless.pooler.dense.weight.tolist())  # drawn: it is written with the rest
    assert poolers[0] == poolers[1]


def test_an_encoder_with_a_decoder_is_refused(tiny, bert, tmp_path):
    """It would give the decoder's states."""
    from transformers import BartConfig, BartModel

    folder = tmp_path / "bart"
    shape = {
        f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in (("layers", 1), ("attention_heads", 2))
    }
    BartModel(BartConfig(vocab_size=60, d_model=16, **shape)).save_pretrained(folder)
    with pytest.raises(SettingsError, match="has a decoder, too; name an encoder such as BERT"):
        Encoder(tiny({"encoder": str(folder)}).model, 60)


def test_without_the_extra_the_message_says_how_to_install_it(prepared, tiny, tmp_path, monkeypatch):
    """In training and in serving, where it is no damage of the version."""
    candidate = run(prepared, tmp_path, tiny(training={"choose": False, "epochs": 1}))[1] / "candidate"
    monkeypatch.setitem(sys.modules, "transformers", None)

    for attempt in (lambda: read_prepared(prepared, tiny().model), lambda: Model(candidate), lambda: pin("org/name")):
        with pytest.raises(SettingsError, match=r"needs transformers, .*pip install .*'\.\[pretrained\]'"):
            attempt()


# --- which encoder it is


def test_a_folder_is_its_files_wherever_it_lies(bert, tmp_path):
    """Another path is the same encoder; another byte is another one; hidden files and folders do not matter."""
    assert pin(str(bert)) == str(bert)
    copy = shutil.copytree(bert, tmp_path / "copy")
    (copy / ".git").mkdir()
    (copy / ".DS_Store").write_text("x")
    assert identify(str(copy)) == identify(str(bert))

    (copy / "vocab.txt").write_text((copy / "vocab.txt").read_text("utf-8") + "好\n", "utf-8")
    assert identify(str(copy)) != identify(str(bert))


@pytest.fixture
def cached(bert):
    """Lay the encoder into the cache of the hub, as a download of `main` leaves it; return name and commit."""
    name, commit = "org/tiny", "c0ffee" + 34 * "0"
    folder = Path(os.environ["HF_HOME"]) / "hub" / "models--org--tiny"
    shutil.copytree(bert, folder / "snapshots" / commit)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    yield name, commit
    shutil.rmtree(folder)


def test_a_hub_name_is_pinned_to_its_commit_and_read_from_the_cache_offline(cached, tiny, bert):
    """The commit is part of what the encoder is; a pinned name stays as it is."""
    name, commit = cached
    pinned = pin(name)
    model = tiny({"encoder": pinned}).model

    assert pinned == pin(pinned) == identify(pinned) == f"{name}@{commit}"
    here, there = (Encoder(m, Tokeniser(m).size) for m in (tiny().model, model))
    texts = Tokeniser(model)(TEXTS[:3])
    assert here.vectors(texts).tolist() == there.vectors(texts).tolist()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("org/other", "there is no such folder, and the hub does not give it .*name a folder that holds"),
        ("org/tiny@nosuch", "there is no such folder, and the hub does not give it"),
        ("/no/such/folder", "there is no such folder, and no model of the hub is called so"),
        ("no such/model", "there is no such folder, and no model of the hub is called so"),
    ],
)
def test_an_unknown_name_is_refused(cached, name, message):
    """Before any training; the message quotes it."""
    with pytest.raises(SettingsError, match=rf"model\.encoder = '{name}': {message}"):
        pin(name)


def test_a_folder_without_an_encoder_is_refused(tmp_path):
    """Before any file is read: the one meant may lie in it, or beside it."""
    for name in ("minilm", "e5"):
        (tmp_path / name).mkdir()
    (tmp_path / "minilm" / "config.json").write_text("{}", "utf-8")
    with pytest.raises(SettingsError, match=rf"{tmp_path}' holds no config\.json; .*did you mean {tmp_path}/minilm\?"):
        pin(str(tmp_path))
    with pytest.raises(SettingsError, match=r"holds no config\.json; name the folder in which it lies .*tokeniser$"):
        pin(str(tmp_path / "e5"))
    with pytest.raises(SettingsError, match=rf"there is no such folder, .*did you mean {tmp_path}/minilm\?"):
        pin(str(tmp_path / "minlm"))
