"""A bag that learns from an encoder and answers without it; the encoder is real, and tiny."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from tasks.retrieval.retriever import Model
from tasks.retrieval.token_vectors import TOKENISER, TOKENS
from tasks.train import distilled
from tasks.train.data import read_prepared
from tasks.train.distilled import Distiller
from tasks.train.encoder_files import settle_encoder
from tasks.train.joined import encode_corpus, texts_of
from tasks.train.training import train_candidate
from tests.tasks.prepare.toy import PAIRS
from tests.tasks.train.tiny_bert import write_bert

TEXTS = [text for pair in PAIRS for text in pair]
LOG = ["怎么把票退掉", "退票怎么办理", "wifi 密码忘了", "手机银行怎么开", "请问密码怎么改", "灵"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """Folder of a tiny BERT that knows the toy corpus's characters."""
    return write_bert(tmp_path_factory.mktemp("bert") / "bert", [*TEXTS, *LOG])


@pytest.fixture
def settings(small, bert):
    """The token vectors have most of a cosine."""
    made = small(model={"encoder": str(bert), "encoder_share": 0.7, "serve": "bag"})
    return made.model_copy(update={"model": settle_encoder(made.model)})


@pytest.fixture
def distil(prepared, settings, tmp_path):
    """Make what distils, from the encoder's vectors or changed ones; give it, the vectors and the data."""
    encoded = encode_corpus(prepared, settings, tmp_path / "cache", lambda done, most: None)

    def run(log=(), change=lambda encoded: encoded):
        given = change(encoded)
        made = Distiller(prepared, settings, given, tmp_path / "made", tmp_path / "cache", log, lambda done, most: None)
        return made, given, read_prepared(prepared, settings.model)

    return run


def nearness(found, wanted):
    """Return the mean cosine of (n, d) vectors with those of the encoder, less their mean."""
    centred = wanted - wanted.mean(axis=0)
    return ((found * centred).sum(axis=1) / np.linalg.norm(centred, axis=1)).mean()


def test_sums_of_token_vectors_come_near_the_encoders(distil):
    """Of the queries it has learned from; of others nearer where the log holds them."""
    plain, encoded, data = distil()
    held, rows = np.flatnonzero(data.validation), np.flatnonzero(~data.validation)
    texts = pq.read_table(data.folder / "train.parquet")["query"].to_pylist()
    alike = [texts[row][:-1] for row in held]
    logged, _, _ = distil(alike)

    found, better = (one.learn(data, rows).queries for one in (plain, logged))

    assert nearness(found[rows], encoded.queries[rows]) > 0.9
    assert nearness(better[held], encoded.queries[held]) > nearness(found[held], encoded.queries[held])


def test_a_vocabulary_may_have_holes(prepared, small, tmp_path):
    """A line that stands twice in vocab.txt leaves its first number without a token."""
    folder = write_bert(tmp_path / "bert", [*TEXTS, *LOG], vocab_size=1000)
    tokens = (folder / "vocab.txt").read_text("utf-8").split()
    (folder / "vocab.txt").write_text("\n".join([*tokens[:6], *tokens[5:]]) + "\n", "utf-8")
    settings = small(model={"encoder": str(folder), "encoder_share": 0.7, "serve": "bag"})
    settings = settings.model_copy(update={"model": settle_encoder(settings.model)})
    encoded = encode_corpus(prepared, settings, tmp_path / "cache", lambda done, most: None)
    made = Distiller(prepared, settings, encoded, tmp_path / "made", tmp_path / "cache", [tokens[-1]], lambda *_: None)

    assert np.isfinite(made.learn(read_prepared(prepared, settings.model), np.arange(20)).queries).all()


def test_rows_that_are_held_out_teach_nothing(distil):
    """Whatever the encoder makes of them: what is chosen on them would otherwise be too good."""
    plain, _, data = distil()
    held, rows = np.flatnonzero(data.validation), np.flatnonzero(~data.validation)

    def spoil(encoded):
        queries = encoded.queries.copy()
        queries[held] = -queries[held]
        return replace(encoded, queries=queries)

    spoilt = distil(change=spoil)[0]

    assert spoilt.learn(data, rows).queries.tolist() == plain.learn(data, rows).queries.tolist()
    everything = np.arange(len(data.labels))
    assert not np.allclose(spoilt.learn(data, everything).queries, plain.learn(data, everything).queries)


def test_a_token_that_held_out_rows_alone_hold_is_not_known(distil, monkeypatch):
    """As it will be when a customer types one, of a vocabulary too large to keep whole."""
    monkeypatch.setattr(distilled, "_ALL_TOKENS", 0)
    made, _, data = distil()
    rows = np.array([0])
    learned = made.learn(data, rows)
    tokeniser = Tokenizer.from_file(str(learned.folder / TOKENISER))
    queries, standard = texts_of(data.folder)
    read = [set(tokeniser.encode(text, add_special_tokens=False).ids) for text in queries + standard]
    seen = set[int]().union(*(read[row] for row in rows), *read[len(queries) :])

    assert set(np.flatnonzero(load_file(learned.folder / TOKENS)["places"]).tolist()) == seen
    assert set[int]().union(*read) > seen


def test_rare_tokens_stay_where_there_are_very_many(distil, monkeypatch):
    """The most frequent are moved; the others are what the encoder makes of them alone."""
    made, encoded, data = distil()
    everything = np.arange(len(data.labels))
    whole = nearness(made.learn(data, everything).queries, encoded.queries)
    monkeypatch.setattr(distilled, "_MOST_MOVED", 10)
    some = nearness(made.learn(data, everything).queries, encoded.queries)
    monkeypatch.setattr(distilled, "_MOST_MOVED", 0)

    assert nearness(made.learn(data, everything).queries, encoded.queries) < some < whole


@pytest.mark.parametrize(
    ("kind", "decoder"), [(models.BPE, decoders.ByteLevel()), (models.Unigram, decoders.Metaspace()), (None, None)]
)
def test_a_token_begins_as_what_it_is_in_a_text(kind, decoder):
    """Whatever marks the beginning or the middle of a word; bytes are characters."""
    if kind is None:
        tokeniser = Tokenizer(models.WordPiece({"[UNK]": 0, "密码": 1, "pass": 2, "##word": 3}))
        tokeniser.decoder = decoders.WordPiece()
        assert [distilled._written(tokeniser, token) for token in (1, 2, 3)] == ["密码", "pass", "word"]
        return
    before = pre_tokenizers.ByteLevel() if kind is models.BPE else pre_tokenizers.Metaspace()
    names = ["".join(piece for piece, _ in before.pre_tokenize_str(text)) for text in ("密码", "password")]
    vocabulary = {name: number for number, name in enumerate(names)}
    tokeniser = Tokenizer(kind(vocabulary, []) if kind is models.BPE else kind([(name, 0.0) for name in names]))
    tokeniser.decoder = decoder
    assert [distilled._written(tokeniser, token) for token in (0, 1)] == ["密码", "password"]


def test_a_candidate_answers_without_the_encoder(settings, prepared, tmp_path):
    """Neither graph nor runtime, torch or transformers are there; a text without a known token has an answer."""
    (tmp_path / "out").mkdir()
    (tmp_path / "partial").mkdir()
    train_candidate(
        prepared,
        tmp_path / "out",
        tmp_path / "partial",
        settings,
        lambda *_: None,
        cache=tmp_path / "c",
        unlabelled=LOG,
    )
    candidate = tmp_path / "out" / "candidate"
    code = f"""
import sys
from pathlib import Path
from tasks.retrieval.retriever import Model
print(Model(Path({str(candidate)!r})).search(["怎么退票"])[0][0].standard_question)
assert not {{"onnxruntime", "torch", "transformers"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    rows = pq.read_table(prepared / "train.parquet")
    model = Model(candidate)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == model.search(["怎么退票"])[0][0].standard_question
    assert {file.name for file in (candidate / "encoder").iterdir()} == {"tokens.safetensors", "tokenizer.json"}
    assert (model.scores(rows["query"].to_pylist()).argmax(axis=1) == rows["class_id"].to_numpy()).mean() > 0.9
    assert len(model.search(["퀴즈"])) == 1
