"""An encoder that learns by low-rank adapters, from its layers to a published model; the encoder is real, and tiny."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from schemas.errors import SettingsError
from tasks.retrieval.retriever import Model
from tasks.train import choosing
from tasks.train.adapted import open_adapters
from tasks.train.adapters import Adaptable
from tasks.train.choosing import Shares
from tasks.train.data import read_prepared
from tasks.train.encoder_files import settle_encoder
from tasks.train.training import train_candidate
from tests.tasks.prepare.toy import PAIRS, file_bytes
from tests.tasks.train.tiny_bert import write_bert

TEXTS = [text for pair in PAIRS for text in pair]


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """Folder of a tiny BERT of four layers, of which three can learn."""
    return write_bert(tmp_path_factory.mktemp("bert") / "bert", TEXTS, num_hidden_layers=4)


@pytest.fixture
def beside(small, bert):
    """Give settings with the encoder beside the tower, its shares and all else settled."""

    def settings(**model):
        made = small(model={"encoder": str(bert), "encoder_share": 0.7, "encoder_adapters": "on", **model})
        return made.model_copy(update={"model": settle_encoder(made.model)})

    return settings


@pytest.fixture
def corpus(prepared):
    """Queries, their standard questions by number, and those by text."""
    rows = pq.read_table(prepared / "train.parquet")
    standard = pq.read_table(prepared / "classes.parquet")["standard_norm"].to_pylist()
    return rows["query"].to_pylist(), rows["class_id"].to_numpy().astype(np.int64), standard


def learned(settings, corpus, threads=1, name="test"):
    """Return the vectors before, by what has learned, and afterwards; and how far queries are from other questions."""
    queries, labels, standard = corpus
    adaptable = Adaptable(settings.model, queries + standard, threads)
    before, own = adaptable.vectors(), len(queries) + np.arange(len(standard))
    with adaptable.adapted(np.arange(len(queries)), labels, own, settings, name):
        inside = adaptable.vectors()
    return before, inside, adaptable.vectors()


def lead(vectors, labels):
    """Return how much nearer queries lie to those of their own standard question than to others, on average."""
    queries = vectors[: len(labels)] - vectors[: len(labels)].mean(axis=0)
    cosines = queries @ queries.T
    alike = labels[:, None] == labels[None]
    return (cosines[alike].mean() - cosines[~alike].mean()) / cosines.std()


def test_queries_of_one_standard_question_come_together(beside, corpus):
    """Inside; afterwards the encoder is to the last bit what it was."""
    before, inside, after = learned(beside(), corpus)

    assert lead(inside, corpus[1]) > lead(before, corpus[1]) + 0.02
    assert after.tolist() == before.tolist()


def test_what_is_learned_does_not_depend_on_the_threads(beside, corpus):
    """A part of a batch is the same, whoever computes it; another name draws otherwise."""
    alone, two, other = (
        learned(beside(), corpus, threads, name)[1] for threads, name in ((1, "a"), (2, "a"), (2, "b"))
    )

    assert alone.tolist() == two.tolist()
    assert alone.tolist() != other.tolist()


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_parts_give_what_the_whole_model_gives(beside, bert, corpus, pooling):
    """Cached states below, padding and threads change nothing but the last bits; nor does the prefix get lost."""
    from transformers import AutoModel, AutoTokenizer

    queries, _, standard = corpus
    settings = beside(pooling=pooling, encoder_prefix="退 ")
    found = Adaptable(settings.model, queries + standard, 2).vectors()

    tokeniser, model = AutoTokenizer.from_pretrained(bert), AutoModel.from_pretrained(bert).eval()
    for text, vector in zip(queries + standard, found, strict=True):
        with torch.no_grad():
            states = model(**tokeniser("退 " + text, return_tensors="pt")).last_hidden_state[0]
        whole = states[0] if pooling == "cls" else states.mean(dim=0)
        np.testing.assert_allclose(vector, whole / whole.norm(), atol=1e-5)


@pytest.fixture
def train(prepared, tmp_path):
    """Train below a folder of its own; return the report, the candidate and the folder of what was kept."""

    def run(settings, name):
        out, partial, cache = (tmp_path / f"{name}-{part}" for part in ("out", "partial", "cache"))
        out.mkdir()
        partial.mkdir(exist_ok=True)
        report = train_candidate(prepared, out, partial, settings, lambda *_: None, cache=cache)
        return report, out / "candidate", cache / "vectors"

    return run


def test_a_candidate_answers_by_what_has_learned(beside, train, corpus, tmp_path):
    """Its graph is its own; its vectors are kept by nobody; a run that was interrupted ends with the same bytes."""
    queries, labels, _ = corpus
    report, candidate, kept = train(beside(), "first")
    _, frozen, _ = train(beside(encoder_adapters="off"), "frozen")
    model = Model(candidate)
    before = {file.name for file in kept.iterdir()}
    model.remember(kept, 2)
    found = model.scores(queries).argmax(axis=1)

    assert (report.chosen["encoder_form"], model.card.model.encoder_adapters) == ("adapted", "on")
    assert all(score.adapted for score in report.shares)
    assert (candidate / "encoder" / "encoder.onnx").read_bytes() != (frozen / "encoder" / "encoder.onnx").read_bytes()
    assert Model(frozen).card.model.encoder_adapters == "off"
    assert (found == labels).mean() > 0.9
    assert {file.name for file in kept.iterdir()} == before
    (tmp_path / "again-partial").symlink_to(tmp_path / "first-partial")
    assert file_bytes(train(beside(), "again")[1]) == file_bytes(candidate)


def test_it_is_chosen_on_the_validation_cuts(beside, train):
    """Among all shares of the one and of the other; what is chosen is what is made."""
    report, candidate, _ = train(beside(encoder_share=None, encoder_adapters="auto"), "open")
    scores = [(score.encoder, score.queries, score.adapted) for score in report.shares]
    card = Model(candidate).card

    assert len(scores) == len(set(scores)) == 60  # 8 shares, with 4 of the kept queries; 7 again, adapted
    adapted = report.chosen["encoder_form"] == "adapted"
    assert (report.chosen["encoder_share"], report.chosen["exemplar_weight"], adapted) in scores
    assert card.encoder_share == report.chosen["encoder_share"]
    assert ("without_adapters" in report.ablation()) == adapted


def ranks(share, adapted):
    """Return the ranks of 200 rows, of which a share is found first; adapted, partly others."""
    return np.roll(np.where(np.arange(200) < 200 * share, 0, 20), 30 * adapted)


@pytest.mark.parametrize(
    ("tower", "frozen", "adapted", "chosen"),
    [
        (0.5, 0.7, 0.71, Shares(0.6, 0.5, adapted=True)),
        (0.5, 0.7, 0.7, Shares(0.6, 0.5, adapted=True)),  # as good
        (0.5, 0.7, 0.69, Shares(0.6, 0.5)),
        (0.7, 0.7, 0.71, Shares(0.0, 0.5)),  # of no clear use, whether it has learned or not
        (0.5, 0.5, 0.6, Shares(0.6, 0.5, adapted=True)),
    ],
)
def test_adapters_are_taken_unless_they_are_worse(tower, frozen, adapted, chosen):
    """Than the encoder as it is; where that is of no use, they have to be clearly better than none."""
    found = {Shares(0.0, 0.5): tower, Shares(0.6, 0.5): frozen, Shares(0.6, 0.5, adapted=True): adapted}

    assert choosing._best_shares({one: ranks(share, one.adapted) for one, share in found.items()}) == chosen


def test_auto_tries_where_that_is_done_in_minutes(beside, prepared):
    """And where there is something to choose on; "on" does in any case, "off" and no share never."""

    def opened(cuts, **model):
        return open_adapters(prepared, beside(**model), cuts) is not None

    assert opened(5, encoder_adapters="auto")
    assert not opened(0, encoder_adapters="auto")
    assert not opened(10**9, encoder_adapters="auto")
    assert opened(0)
    assert opened(10**9)
    assert not opened(5, encoder_adapters="off")
    assert not opened(5, encoder_share=0.0)


def test_layers_of_another_kind_are_left_alone(beside, bert, prepared, tmp_path):
    """Unless they are to learn: then it is said which encoder it is."""
    import shutil

    from transformers import DistilBertConfig, DistilBertModel

    folder = shutil.copytree(bert, tmp_path / "distil")
    words = len((folder / "vocab.txt").read_text("utf-8").splitlines())
    config = DistilBertConfig(
        vocab_size=words, dim=16, hidden_dim=32, n_heads=2, n_layers=2, max_position_embeddings=64
    )
    DistilBertModel(config).save_pretrained(folder)

    assert open_adapters(prepared, beside(encoder=str(folder), encoder_adapters="auto"), 1) is None
    with pytest.raises(SettingsError, match=r"distil.*are not those of BERT"):
        open_adapters(prepared, beside(encoder=str(folder)), 1)


def test_a_corpus_is_the_same_by_torch_and_by_its_files(beside, prepared, tmp_path):
    """To what eight bits hold: choices are made on the one, and the other is served."""
    settings = beside()
    data = read_prepared(prepared, settings.model)
    adapters = open_adapters(prepared, settings, 1)
    rows = np.flatnonzero(~data.validation)

    tried, made = adapters.try_out(data, rows, "test"), adapters.make(data, rows, "test", tmp_path / "made")

    assert (tried.queries * made.queries).sum(axis=1).min() > 0.99
    assert (tried.classes * made.classes).sum(axis=1).min() > 0.99
