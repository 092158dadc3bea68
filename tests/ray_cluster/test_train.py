"""Training by Ray Train: the towers of one machine, bit for bit, also when a node dies in the middle."""

import shutil
import threading
import time

import numpy as np
import pytest

from schemas.errors import SettingsError
from tasks.train.cluster import train_on_ray
from tasks.train.data import read_prepared
from tasks.train.ensemble import Ensemble
from tasks.train.training import train_candidate
from tests.tasks.prepare.toy import PAIRS, file_bytes, prepare_rows
from tests.tasks.train.conftest import small_settings
from tests.tasks.train.tiny_bert import write_bert

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The toy corpus."""
    return prepare_rows(tmp_path_factory.mktemp("toy"), small_settings())


def test_two_nodes_train_what_one_machine_does_though_one_is_killed(tmp_path, prepared, cluster):
    """Two groups of towers on two nodes; one is killed in the refit, and its group goes on on the other."""
    settings = small_settings(model={"ensemble": 5, "embedding_dim": 8}, training={"epochs": 40, "choose": False})
    killed = []

    def kill() -> None:
        states = tmp_path / "ray" / "partial" / "refit"
        while not list(states.glob("group-*-epoch-0003.*")):
            time.sleep(0.01)
        cluster.remove_node(cluster.spare, allow_graceful=False)
        killed.append(len(list(states.glob("group-*-epoch-0040.*"))))

    for engine in ("local", "ray"):
        for part in ("out", "partial"):
            (tmp_path / engine / part).mkdir(parents=True)
        if engine == "ray":
            threading.Thread(target=kill, daemon=True).start()
        there = settings.model_copy(update={"engine": engine})
        train_candidate(prepared, tmp_path / engine / "out", tmp_path / engine / "partial", there, lambda *_: None)

    assert killed == [0]
    assert file_bytes(tmp_path / "ray" / "out") == file_bytes(tmp_path / "local" / "out")


def test_the_choice_is_the_same_on_a_cluster(tmp_path, prepared, cluster):
    """Epochs chosen, validation scores of each, and the weight of the exemplars."""
    settings = small_settings(model={"ensemble": 2, "embedding_dim": 8}, training={"epochs": 3})
    reports = []
    for engine in ("local", "ray"):
        for part in ("out", "partial"):
            (tmp_path / engine / part).mkdir(parents=True)
        there = settings.model_copy(update={"engine": engine})
        folders = tmp_path / engine / "out", tmp_path / engine / "partial"
        reports.append(train_candidate(prepared, *folders, there, lambda *_: None))

    assert reports[0] == reports[1]
    assert file_bytes(tmp_path / "ray" / "out") == file_bytes(tmp_path / "local" / "out")


def test_what_no_repetition_can_help_ends_the_training_with_its_own_message(tmp_path, prepared, cluster):
    """An encoder that its node does not have: said once, not tried eleven times and hidden in an error of Ray's."""
    pytest.importorskip("transformers", reason="transformers is not installed: pip install -e '.[pretrained]'")
    encoder = write_bert(tmp_path / "bert", [text for pair in PAIRS for text in pair])
    settings = small_settings(model={"tower": "pretrained", "encoder": str(encoder)}, engine="ray")
    data = read_prepared(prepared, settings.model)
    with Ensemble(data, np.arange(len(data.labels)), settings, "refit", 1) as ensemble:
        shutil.rmtree(encoder)
        with pytest.raises(SettingsError, match="cannot be loaded"):
            train_on_ray(ensemble, 1, tmp_path / "refit", settings, lambda: None)
