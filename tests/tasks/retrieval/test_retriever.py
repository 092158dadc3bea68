"""What answers a query, from a candidate or the live version."""

import errno
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import NothingLive, SettingsError, StaleFile
from schemas.workspace import CHECKOUT
from tasks.registry import ModelRegistry
from tasks.retrieval import retriever
from tasks.retrieval.exemplars import Exemplars
from tasks.retrieval.features import TOKENISER
from tasks.retrieval.model_files import ModelCard, write_candidate
from tasks.retrieval.retriever import Model, Retriever
from tasks.train.data import read_prepared
from tasks.train.ensemble import Ensemble
from tests.conftest import RANDOM_TOWERS
from tests.tasks.prepare.toy import PAIRS, prepare_rows, toy_settings

QUERIES = ["怎么退票", "  我要改签？", "ＷiFi 行李", "", "！？", "zzz", *(query for query, _ in PAIRS[:20])]


def briefly_trained(home: Path, settings, epochs=2):
    """Prepare and train the toy corpus below `home`; return the candidate, its data, query and class vectors.

    The embeddings are rounded first to the half precision in which they are stored.
    """
    home.mkdir(parents=True, exist_ok=True)
    prepared = home / "prepared"
    if not prepared.exists():
        prepare_rows(home, settings)
    data = read_prepared(prepared)
    candidate = home / "candidate"
    candidate.mkdir()
    card = ModelCard(corpus="toy", text=settings.text, model=settings.model, classes=12, features=data.sizes.vocabulary)
    with Ensemble(data, np.arange(len(data.labels)), settings, "refit", epochs) as ensemble:
        for _ in range(epochs):
            ensemble.run_epoch()
        for fit in ensemble.groups:
            fit.tower.table.weight.copy_(fit.tower.table.weight.half().float())
        write_candidate(candidate, card, prepared, ensemble.arrays())
        return candidate, data, ensemble.encode(data.queries), ensemble.class_vectors()


def small(**model):
    """Return settings of a small model."""
    training = {"batch_size": 16, "learning_rate": 0.1, "feature_dropout": 0.1, "vector_dropout": 0.0, "threads": 1}
    return toy_settings(model={"embedding_dim": 16, "ensemble": 3} | model, training=training)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A candidate of three towers after a short training."""
    return briefly_trained(tmp_path_factory.mktemp("made"), small(), epochs=8)


@pytest.fixture
def candidate(made):
    """Folder of the candidate."""
    return made[0]


def renamed(candidate: Path, folder: Path, suffix: str) -> Path:
    """Copy a candidate with a suffix to every standard question, to tell versions apart."""
    folder.mkdir()
    for file in candidate.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    table = pq.read_table(folder / "standard_questions.parquet")
    texts = pa.array([text + suffix for text in table["standard_question"].to_pylist()])
    table = table.set_column(1, table.field(1), texts)
    pq.write_table(table, folder / "standard_questions.parquet")
    return folder


def publish(models: Path, candidate: Path) -> str:
    """Make a version of a candidate live; return its name."""
    with ModelRegistry(models).update() as update:
        manifest = update.add(candidate, {}, "run", (0.5, 0.9, 10))
        update.go_live(manifest, "published")
    return manifest.version


# --- the arithmetic


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"hidden_dims": [8], "activation": "tanh"},
        {"hidden_dims": [8, 6], "activation": "relu"},
        {"hidden_dims": [8], "activation": "gelu", "output_dim": 5},
        {"hidden_dims": [8], "activation": "none", "output_dim": 5},
        {"output_dim": 5},
        {"class_vectors": False},
        {"tower": "lstm"},
        {"tower": "lstm", "hidden_dims": [8], "output_dim": 5},
        {"tower": "lstm", "hidden_dims": [8, 6], "activation": "relu", "output_dim": 5},
    ],
    ids=str,
)
def test_scores_are_those_of_the_towers_in_training(tmp_path, model):
    """The mean cosine over the towers, from the text itself and from what prepare has read, to five digits."""
    folder, data, queries, classes = briefly_trained(tmp_path, small(**model), epochs=15)
    expected = np.einsum("sno,sko->nk", queries, classes) / 3
    rows = pq.read_table(tmp_path / "prepared" / "train.parquet")

    served = Model(folder)

    np.testing.assert_allclose(served.scores(rows["query"].to_pylist()), expected, atol=2e-5)
    np.testing.assert_allclose(served.cosines_of(served.encoder.read_prepared(rows)), expected, atol=2e-5)
    part = rows.slice(7, 5)
    np.testing.assert_allclose(served.cosines_of(served.encoder.read_prepared(part)), expected[7:12], atol=2e-5)
    assert expected.std() > 0.01  # not all alike, which would make the comparison empty
    assert (served.rows == np.bincount(data.labels, minlength=12)).all()


def test_a_text_is_normalised_before_it_is_read(candidate):
    """Width, case and white space do not matter."""
    plain, dressed = Model(candidate).scores(["wifi 退票", " ＷＩＦＩ　　退票 "])

    assert plain.tolist() == dressed.tolist()


# --- hits


@pytest.mark.parametrize("tower", RANDOM_TOWERS)
def test_batches_and_single_queries_are_answered_alike(tmp_path, tower):
    """In order, whatever stands beside them, also across blocks."""
    folder, *_ = briefly_trained(tmp_path, small(tower=tower, hidden=[8]))
    model = Model(folder)
    many = (QUERIES * 50)[:1100]  # more than a block

    together = model.search(many, top=4)
    alone = [model.search([query], top=4)[0] for query in QUERIES]

    for hits, single in zip(together, (alone * 50)[:1100], strict=True):
        assert [hit.standard_question for hit in hits] == [hit.standard_question for hit in single]
        assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in single], abs=1e-5)


def test_one_query_has_the_vector_that_it_has_among_others(candidate):
    """To the last bit."""
    encoder = Model(candidate).encoder

    together = encoder.vectors(encoder.read(QUERIES))

    for query, vector in zip(QUERIES, together, strict=True):
        assert encoder.vectors(encoder.read([query]))[0].tolist() == vector.tolist()


def test_among_very_many_standard_questions_the_same_are_found(candidate, monkeypatch):
    """Above a number of them, most are ruled out unread."""
    queries = ["我要退票", "", "改签流程", "没有这样的词 xyz"]
    monkeypatch.setattr(Exemplars, "of", lambda *_: None)  # so many cannot be kept
    few = Model(candidate).search(queries, top=5)
    monkeypatch.setattr(retriever, "_MANY", 1)
    many = Model(candidate).search(queries, top=5)

    assert [[hit.id for hit in hits] for hits in many] == [[hit.id for hit in hits] for hits in few]
    scores = [[hit.score for hit in hits] for hits in few]
    assert [hit.score for hits in many for hit in hits] == pytest.approx(np.concatenate(scores), abs=1e-6)


def test_a_trained_model_finds_what_was_asked(candidate):
    """Best first, with score and id, the right one in front."""
    (hits,) = Model(candidate).search(["请问签证怎么办"], top=3)

    assert hits[0].standard_question == "如何办理签证"
    assert hits[0].id == "如何办理签证"
    assert 1 >= hits[0].score > hits[1].score >= hits[2].score >= -1


def test_half_a_character_is_a_query_like_another(candidate):
    """As a bot that cuts texts by code units sends it."""
    (hits,) = Model(candidate).search(["退票\ud83d"], top=3)

    assert len(hits) == 3


@pytest.mark.parametrize("empty", ["", "   ", "\t\n", "\u200b"])
def test_an_empty_query_has_no_answer(candidate, empty):
    """Nothing was asked; its neighbours are answered all the same."""
    model = Model(candidate)

    nothing, something = model.search([empty, "退票"])

    assert nothing == []
    assert len(something) == 10
    assert model.search([]) == []


def test_no_more_hits_than_standard_questions(candidate):
    """Twelve of twelve when a hundred are asked for, each once; one when one is."""
    model = Model(candidate)

    assert sorted(hit.standard_question for hit in model.search(["退票"], 100)[0]) == model.standard_questions
    assert len(model.search(["退票"], 1)[0]) == 1
    with pytest.raises(ValueError, match="top must be at least 1"):
        model.search(["退票"], 0)


def test_ties_go_by_the_order_of_the_standard_questions(candidate):
    """A query of unknown features scores 0 everywhere: the first ones by text, the same for any `top`."""
    model = Model(candidate)

    for top in (1, 3, 12):
        (hits,) = model.search(["zzz"], top)
        assert [hit.standard_question for hit in hits] == model.standard_questions[:top]
        assert {hit.score for hit in hits} == {0.0}


# --- the live version


def test_without_a_live_version_the_message_says_what_to_do(tmp_path):
    """Nothing was ever published."""
    with pytest.raises(NothingLive, match=r"nothing is live for corpus 'bank' .*live\.json.*dssm run bank"):
        Retriever.live("bank", tmp_path)


def test_a_retriever_answers_from_the_live_version(tmp_path, candidate):
    """By name below a home: what the model of that folder says."""
    version = publish(tmp_path / "models" / "bank", candidate)

    retriever = Retriever.live("bank", tmp_path)

    assert retriever.version == version == ModelRegistry.of("bank", tmp_path).live().version
    assert retriever.search(QUERIES, 3) == Model(candidate).search(QUERIES, 3)


def test_the_home_is_that_of_the_environment(tmp_path, candidate, monkeypatch):
    """As `dssm query` finds it."""
    monkeypatch.setenv("DSSM_HOME", str(tmp_path))
    publish(tmp_path / "models" / "bank", candidate)

    assert Retriever.live("bank").search(["退票"])


def test_a_new_live_version_is_noticed(tmp_path, candidate):
    """At the next query, and so is the way back; a version that is not live yet is not answered from."""
    models = tmp_path / "models" / "toy"
    first = publish(models, candidate)
    retriever = Retriever(models)
    before = retriever.search(["签证"], 1)[0][0].standard_question

    with ModelRegistry(models).update() as update:
        update.add(renamed(candidate, tmp_path / "waiting", "?"), {}, "run", (0, 0, 0))
    assert retriever.search(["签证"], 1)[0][0].standard_question == before
    second = publish(models, renamed(candidate, tmp_path / "second", "!"))
    assert retriever.search(["签证"], 1)[0][0].standard_question == before + "!"
    assert retriever.version == second
    ModelRegistry(models).change(lambda update: update.roll_back())
    assert retriever.search(["签证"], 1)[0][0].standard_question == before
    assert retriever.version == first


def test_threads_are_answered_without_a_gap_while_versions_change(tmp_path, candidate):
    """Four threads search while five versions go live; every answer is whole and of one of them, the last at last."""
    models = tmp_path / "models" / "toy"
    publish(models, candidate)
    candidates = [renamed(candidate, tmp_path / f"c{number}", str(number)) for number in range(5)]
    retriever, done, answers, failures = Retriever(models), threading.Event(), [], []

    def ask():
        while not done.is_set():
            try:
                hits = retriever.search(["签证", "退票"], 12)
                answers.append({hit.standard_question[6:] for row in hits for hit in row})
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for new in candidates:
        publish(models, new)
        done.wait(0.1)
    done.set()
    for thread in threads:
        thread.join()

    assert failures == []
    assert all(len(versions) == 1 for versions in answers)  # no answer mixes two
    assert len(set.union(*answers)) > 1
    assert retriever.search(["签证"], 1)[0][0].standard_question.endswith("4")


def test_a_file_that_is_away_for_a_moment_is_taken_up_when_it_is_back(tmp_path, candidate, caplog, monkeypatch):
    """Warned about once, and tried again without another change of the pointer."""
    monkeypatch.setattr(retriever, "_RETRY_SECONDS", 0.01)
    models = tmp_path / "models" / "toy"
    first = publish(models, candidate)
    served = Retriever(models)
    second = publish(models, renamed(candidate, tmp_path / "second", "!"))
    file = models / second / "standard_questions.parquet"
    file.rename(tmp_path / "away")
    for _ in range(3):
        assert served.search(["签证"]) == Model(models / first).search(["签证"])
        time.sleep(0.02)
    (tmp_path / "away").rename(file)
    time.sleep(0.02)

    assert served.search(["签证"], 1)[0][0].standard_question.endswith("!")
    assert served.version == second
    assert caplog.text.count("standard_questions.parquet is gone") == 1


@pytest.mark.parametrize("pointer", [b"null", b"[]", b"3", b"", b'{"version": "../x"}', None, "a folder", "no folder"])
def test_a_damaged_pointer_silences_nobody_who_has_a_model(pointer, tmp_path, candidate, caplog, monkeypatch):
    """What is in memory answers on, one warning says why, and the next version is taken up."""
    monkeypatch.setattr(retriever, "_RETRY_SECONDS", 0.01)
    models = tmp_path / "models" / "toy"
    first = publish(models, candidate)
    served, content = Retriever(models), (models / "live.json").read_bytes()
    before = served.search(QUERIES)
    if pointer == "no folder":
        models.rename(tmp_path / "elsewhere")
        models.write_text("a file: everything below it is ENOTDIR")
    else:
        (models / "live.json").unlink()
        if pointer == "a folder":
            (models / "live.json").mkdir()
        elif pointer is not None:
            (models / "live.json").write_bytes(pointer)

    for _ in range(3):
        assert served.search(QUERIES) == before
        time.sleep(0.02)
    assert caplog.text.count(f"{first} answers on") == 1

    if pointer == "no folder":
        models.unlink()
        (tmp_path / "elsewhere").rename(models)
    elif pointer == "a folder":
        (models / "live.json").rmdir()
    (models / "live.json").write_bytes(content)
    second = publish(models, renamed(candidate, tmp_path / "second", "!"))
    assert served.search(["签证"], 1)[0][0].standard_question.endswith("!")
    assert served.version == second


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EACCES, errno.EIO, errno.ETIMEDOUT])
def test_a_disk_that_fails_silences_nobody_who_has_a_model(number, tmp_path, candidate, caplog, monkeypatch):
    """As the system says it of live.json on a network disk; one warning, and the next version is taken up."""
    monkeypatch.setattr(retriever, "_RETRY_SECONDS", 0.01)
    models = tmp_path / "models" / "toy"
    first = publish(models, candidate)
    served = Retriever(models)
    before = served.search(QUERIES)

    def fail(file, *_words, **_named):
        raise OSError(number, os.strerror(number), str(file))

    with monkeypatch.context() as broken:
        for name in ("stat", "lstat", "open", "read_bytes"):
            broken.setattr(Path, name, fail)
        broken.setattr(os, "stat", fail)
        for _ in range(3):
            assert served.search(QUERIES) == before
            time.sleep(0.02)
    assert caplog.text.count(f"{first} answers on") == 1
    assert os.strerror(number) in caplog.text
    second = publish(models, renamed(candidate, tmp_path / "second", "!"))
    time.sleep(0.02)
    assert (served.search(["签证"], 1)[0][0].standard_question[-1], served.version) == ("!", second)


def test_a_fresh_load_is_never_lost_to_retention(tmp_path, candidate):
    """A process of its own publishes and prunes without a pause; every load takes what is live by then."""
    models = tmp_path / "models" / "toy"
    publish(models, candidate)
    code = f"""
from pathlib import Path
from tasks.registry import ModelRegistry
registry = ModelRegistry(Path({str(models)!r}))
for _ in range(30):
    with registry.update() as update:
        update.go_live(update.add(Path({str(candidate)!r}), {{}}, "run", (0.5, 0.9, 10)), "published")
        update.prune(1)
"""
    publishing = subprocess.Popen([sys.executable, "-c", code], cwd=CHECKOUT)
    loaded = []
    while publishing.poll() is None:
        loaded.append(Retriever(models).version)

    assert publishing.returncode == 0
    assert len(loaded) > len(set(loaded)) > 10


def test_the_home_may_be_a_text(tmp_path, candidate):
    """As a configuration file has it."""
    version = publish(tmp_path / "models" / "bank", candidate)

    assert Retriever.live("bank", home=str(tmp_path)).version == version
    with pytest.raises(SettingsError, match="no name of a corpus"):
        Retriever.live("../bank", home=str(tmp_path))


@pytest.mark.parametrize("queries", ["退票", b"abc", None, 3, float("nan"), 3.5])
def test_a_bare_text_is_no_list_of_queries(queries, candidate):
    """It would be searched character by character."""
    with pytest.raises(TypeError, match=r"search takes a list of queries, got .*; write search\(\[text\]\)"):
        Model(candidate).search(queries)


@pytest.mark.parametrize("query", [None, 3, float("nan"), b"abc", ["退票"]])
def test_what_is_no_text_is_named_by_its_place(query, candidate):
    """A cell that was empty in a table is None or NaN."""
    with pytest.raises(TypeError, match="but query 1 is "):
        Model(candidate).search(["退票", query])


def test_any_iterable_of_texts_is_searched(candidate):
    """A generator, an array, a column."""
    model = Model(candidate)
    expected = model.search(["退票", "签证"], 2)

    assert model.search((text for text in ("退票", "签证")), 2) == expected
    assert model.search(np.array(["退票", "签证"]), np.int64(2)) == expected
    for top in ("3", None, 2.5, float("nan")):
        with pytest.raises(TypeError, match="top is the number of standard questions per query"):
            model.search(["退票"], top)


def test_a_retriever_that_is_pickled_loads_what_is_live_where_it_arrives(tmp_path, candidate):
    """So that a pool of processes can be handed one."""
    models = tmp_path / "models" / "toy"
    publish(models, candidate)
    sent = pickle.dumps(Retriever(models))
    second = publish(models, renamed(candidate, tmp_path / "second", "!"))

    assert pickle.loads(sent).version == second
    assert len(sent) < 1000


def test_a_child_of_a_fork_answers_and_follows_even_if_a_lock_was_held(tmp_path, candidate):
    """Whoever held it at that moment is not there to free it."""
    models = tmp_path / "models" / "toy"
    publish(models, candidate)
    served = Retriever(models)
    second = renamed(candidate, tmp_path / "second", "!")
    with served._lock:
        if not (child := os.fork()):
            publish(models, second)
            os._exit(0 if served.search(["签证"], 1)[0][0].standard_question.endswith("!") else 9)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("bytes_left", [0, 5, 100, 2000])
def test_a_damaged_new_version_does_not_take_the_old_one_down(tmp_path, candidate, caplog, bytes_left):
    """The one in memory answers on, and the log says which file to mend; who loads the damaged one is told, too."""
    models = tmp_path / "models" / "toy"
    first = publish(models, candidate)
    retriever = Retriever(models)
    before = retriever.search(QUERIES)
    torn = renamed(candidate, tmp_path / "torn", "!")
    (torn / "model.safetensors").write_bytes((torn / "model.safetensors").read_bytes()[:bytes_left])
    publish(models, torn)

    assert retriever.search(QUERIES) == before
    assert retriever.version == first
    assert "model.safetensors is damaged" in caplog.text
    with pytest.raises(StaleFile, match=r"model\.safetensors is damaged .*take another version"):
        Retriever(models)


@pytest.mark.parametrize(("key", "value"), [("tokeniser", "jieba-9"), ("normaliser", "none"), ("format", 0)])
def test_a_model_of_another_tokeniser_is_refused(tmp_path, candidate, key, value):
    """It would answer wrong without any error; the message names both and what to do."""
    folder = renamed(candidate, tmp_path / "other", "")
    card = json.loads((folder / "model.json").read_text("utf-8"))
    (folder / "model.json").write_text(json.dumps(card | {key: value}), "utf-8")

    with pytest.raises(
        StaleFile, match=rf"was made with {key} {value!r}, this code has .*run the corpus again"
    ) as error:
        Model(folder)
    assert key != "tokeniser" or TOKENISER in str(error.value)


def test_serving_a_bag_imports_none_of_what_trains(tmp_path, candidate):
    """In a process of its own, after a search: torch, Prefect, and pandas, which pyarrow likes to import."""
    publish(tmp_path / "models" / "bank", candidate)
    script = (
        "import sys; from tasks.retrieval.retriever import Retriever\n"
        "hits = Retriever.live('bank').search(['签证怎么办'], top=2)[0]\n"
        "print(len(hits), sorted({'torch', 'prefect', 'great_expectations', 'pandas', 'scipy'} & sys.modules.keys()))"
    )
    environment = {"DSSM_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}

    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )

    assert ended.stdout.strip() == "2 []", ended.stderr
