"""A fine-tuned encoder through the whole pipeline: `dssm run`, what is live, and when it is trained anew."""

import json
import shutil

import pytest

from flows.corpora import load_corpus
from schemas.errors import SettingsError
from tasks.retrieval.retriever import Retriever
from tests.conftest import PAIRS, TOY, fast_words, make_settings, write_table
from tests.tasks.train.tiny_bert import write_bert

TEXTS = [text for pair in PAIRS for text in pair]
TINY = {"model__tower": "pretrained", "publish__max_drop_vs_baseline": 1.0}


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """Folder of a tiny BERT that knows the toy corpus's characters."""
    return write_bert(tmp_path_factory.mktemp("bert") / "bert", TEXTS)


@pytest.mark.slow
def test_dssm_run_publishes_it_and_dssm_query_needs_neither_folder_nor_hub(command, bert):
    """From a folder named as the working directory has it, which is then deleted."""
    write_table(command.folder / "train.csv", PAIRS)
    folder = shutil.copytree(bert, command.folder / "bert")
    changes = {**TINY, "model__encoder": "bert", "training__encoder_learning_rate": 3e-3, "training__epochs": 10}

    ran = command("run", "bank", "--source", "train.csv", *fast_words(**changes), "--json")
    shutil.rmtree(folder)
    asked = command("query", "bank", "我要退票", "--top", "3", "--json")

    assert ran.code == 0, ran.err
    result = json.loads(ran.out)
    assert (result["status"], result["classes"]) == ("published", len(TOY))
    assert result["recall_at_1"] > 2 / len(TOY)  # twice chance, after ten epochs from random weights
    version = command.home / "models" / "bank" / result["version"]
    manifest = json.loads((version / "manifest.json").read_text("utf-8"))
    assert {"encoder/config.json", "encoder/model.safetensors", "encoder/tokenizer.json"} < set(manifest["files"])
    assert f"the encoder {folder} fine-tuned" in (version / "README.md").read_text("utf-8")
    assert asked.code == 0, asked.err
    assert len(json.loads(asked.out)["results"]) == 3
    assert "Traceback" not in ran.err + asked.err


@pytest.mark.slow
def test_a_bag_learns_from_a_log_and_a_longer_one_trains_anew(flow, toy_csv, bert, tmp_path):
    """Its bytes are part of what a training is made from; what goes live holds token vectors, and no graph."""
    log = tmp_path / "log.txt"
    log.write_text("怎么退掉车票\n帮我退票\n", "utf-8")
    changes = {"model__encoder": str(bert), "model__encoder_share": 0.6, "model__serve": "bag"}
    changes |= {"source__unlabelled": str(log), "publish__max_drop_vs_baseline": 1.0, "publish__max_drop_vs_live": 1.0}
    first = flow(make_settings(toy_csv, **changes))

    again = flow(make_settings(toy_csv, **changes))
    log.write_text("怎么退掉车票\n帮我退票\n请问密码忘了怎么办\n", "utf-8")
    longer = flow(make_settings(toy_csv, **changes))

    assert (first.status, again.status) == ("published", "unchanged")
    assert "train" in again.reused
    assert "train" not in longer.reused
    assert "ingest" in longer.reused
    assert Retriever.live("toy").search(["我要退票"], top=3)[0]


@pytest.mark.slow
def test_another_encoder_is_trained_anew_and_a_moved_one_is_not(flow, toy_csv, bert, tmp_path):
    """Its bytes decide, not its path."""
    copy = shutil.copytree(bert, tmp_path / "copy")
    first = flow(make_settings(toy_csv, model__encoder=str(bert), **TINY))

    moved = flow(make_settings(toy_csv, model__encoder=str(copy), **TINY))
    write_bert(copy, TEXTS, seed=1)
    other = flow(make_settings(toy_csv, model__encoder=str(copy), publish__max_drop_vs_live=1.0, **TINY))

    assert (first.status, moved.status, other.status) == ("published", "unchanged", "published")
    assert "train" in moved.reused
    assert "train" not in other.reused
    assert "prepare" in other.reused
    assert Retriever.live("toy").search(["我要退票"], top=3)[0]


def test_a_missing_encoder_ends_the_run_before_anything_is_read(flow, toy_csv):
    """As a matter of settings."""
    with pytest.raises(SettingsError, match=r"model\.encoder = '/nosuch/bert': there is no such folder"):
        flow(make_settings(toy_csv, model__encoder="/nosuch/bert", **TINY))

    (run,) = (flow.home / "runs" / "toy").iterdir()
    assert {step.name for step in run.iterdir()} == {"run.json", "report.html"}


def test_a_local_encoder_is_found_from_the_folder_of_the_toml(home, bert):
    """As its source is; what is no folder there stays a name at the hub."""
    (home / "corpora").mkdir()
    shutil.copytree(bert, home / "corpora" / "org" / "bert")
    for name, encoder in (("near", "org/bert"), ("far", "org/other")):
        toml = f'source = {{ path = "a.csv" }}\nmodel = {{ tower = "pretrained", encoder = "{encoder}" }}\n'
        (home / "corpora" / f"{name}.toml").write_text(toml, "utf-8")

    assert load_corpus("near").model.encoder == str(home / "corpora" / "org" / "bert")
    assert load_corpus("far").model.encoder == "org/other"
