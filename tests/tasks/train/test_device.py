"""Where a training computes. The `meta` device stands for a GPU: it only knows shapes, and refuses most CPU tensors."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from schemas.errors import SettingsError
from schemas.settings import LOSSES
from tasks.retrieval.device import CPU, Device, device_of, give_back_memory
from tasks.retrieval.normalise import normalise
from tasks.train.cluster import settle_device
from tasks.train.data import read_prepared
from tasks.train.trainer import Trainer
from tasks.train.training import train_candidate
from tests.tasks.prepare.toy import PAIRS
from tests.tasks.train.tiny_bert import write_bert

TOWERS = {
    "bag": {"tower": "bag", "hidden_dims": []},
    "bag with layers": {"tower": "bag", "hidden_dims": [8]},
    "lstm": {"tower": "lstm", "hidden_dims": [8, 6]},
    "pretrained": {"tower": "pretrained", "hidden_dims": [8]},
}


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """Folder of a tiny BERT that knows the toy corpus's characters, without dropout: each device draws its own."""
    texts = [normalise(text) for pair in PAIRS for text in pair]
    without = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return write_bert(tmp_path_factory.mktemp("bert") / "bert", texts, **without)


@pytest.fixture
def settings(small, bert):
    """Give settings of a kind of tower, with other choices of training and loss."""

    def of(tower, training=None, **sections):
        encoder = {"encoder": str(bert)} if tower == "pretrained" else {}
        return small(model=TOWERS[tower] | encoder, training={"epochs": 2} | (training or {}), **sections)

    return of


def fit_of(folder, settings, device):
    data = read_prepared(folder, settings.model)
    return Trainer(data, np.arange(len(data.labels)), settings, "refit/0", 2, device)


@pytest.mark.parametrize("tower", ["bag", "bag with layers", "lstm"])  # transformers looks into what it computes
@pytest.mark.parametrize("loss", LOSSES)
def test_all_that_a_step_touches_lies_where_the_training_computes(prepared, settings, tower, loss):
    fit = fit_of(prepared, settings(tower, loss={"kind": loss}), Device(torch.device("meta")))
    with pytest.raises(NotImplementedError, match="copy out of meta") as raised:
        fit.run_epoch()
    assert raised.traceback[-1].name == "run_epoch"  # only there, after the last step, the losses are fetched
    assert {tensor.device.type for tensor in fit.state().values()} == {"meta"}


def _has_bfloat16_lstm():
    """Whether torch can; without AVX-512 it cannot."""
    try:
        with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
            torch.nn.LSTM(16, 16, batch_first=True)(torch.zeros(2, 3, 16))
    except RuntimeError:
        return False
    return True


@pytest.mark.parametrize("tower", ["bag with layers", "lstm", "pretrained"])
def test_bfloat16_changes_the_layers_products_and_little_else(prepared, settings, tower):
    if tower == "lstm" and not _has_bfloat16_lstm():
        pytest.skip("torch has no LSTM in bfloat16 for this processor; trainings take bfloat16 on GPUs alone")
    losses = {}
    for precision, mixed in (("float32", False), ("bfloat16", True)):
        fit = fit_of(prepared, settings(tower, {}), Device(CPU.kind, mixed))
        losses[precision] = [fit.run_epoch()[0] for _ in range(2)]
        assert {tensor.dtype for tensor in fit.state().values()} == {torch.float32}
        assert fit.class_vectors().dtype == np.float32
    assert losses["bfloat16"] != losses["float32"]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.02)


def test_a_bag_without_layers_has_no_products_to_round(prepared, settings):
    first, second = (fit_of(prepared, settings("bag", {}), Device(CPU.kind, mixed)) for mixed in (False, True))
    assert first.run_epoch() == second.run_epoch()


def test_auto_takes_what_the_machine_has(settings):
    found = device_of(settings("bag"), multiplies=False).kind.type
    assert found == ("cuda" if torch.cuda.is_available() else "cpu")
    assert device_of(settings("lstm", {"device": "cpu"}), multiplies=True) == CPU


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_a_settings_error(prepared, settings, tmp_path):
    with pytest.raises(SettingsError, match=r"training\.device = 'cuda', but torch .* sees no GPU"):
        train_candidate(prepared, tmp_path, tmp_path, settings("bag", {"device": "cuda"}), lambda *_: None)


@pytest.mark.parametrize(
    ("device", "gpus", "taken"), [("auto", 1, "cpu"), ("auto", 2, "cuda"), ("cpu", 2, "cpu"), ("cuda", 2, "cuda")]
)
def test_on_a_cluster_each_group_of_towers_has_a_gpu_or_none(settings, device, gpus, taken):
    assert settle_device(settings("bag", {"device": device}), 2, gpus).training.device == taken


def test_a_cluster_with_too_few_gpus_is_a_settings_error(settings):
    with pytest.raises(SettingsError, match="a GPU for each of 2 groups of members, but the cluster has 1"):
        settle_device(settings("bag", {"device": "cuda"}), 2, 1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("tower", TOWERS)
def test_a_gpu_learns_what_a_cpu_learns(prepared, settings, tower):
    there, here = (fit_of(prepared, settings(tower, {}), Device(torch.device(device))) for device in ("cuda", "cpu"))
    assert there.run_epoch()[0] == pytest.approx(here.run_epoch()[0], rel=1e-2)
    assert np.abs(there.class_vectors() - here.class_vectors()).max() < 0.05


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's own")
def test_freed_memory_goes_back_to_the_system():
    """200 MB in pieces too small to be mapped, freed below one that stays."""
    pieces = [bytearray(100_000) for _ in range(2000)]
    last = bytearray(100_000)
    del pieces
    before = resident_mb()

    give_back_memory()

    assert before - resident_mb() > 100, len(last)


def resident_mb():
    """Return how much of this process is in memory."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
