"""Several towers side by side."""

import numpy as np
import pytest

from schemas.errors import SettingsError
from tasks.train.data import read_prepared
from tasks.train.ensemble import Ensemble
from tests.conftest import RANDOM_TOWERS


def trained(folder, settings, epochs=2, phase="refit"):
    """Return the arrays and the records of an ensemble after some epochs on all rows."""
    data = read_prepared(folder)
    with Ensemble(data, np.arange(len(data.labels)), settings, phase, settings.training.epochs) as ensemble:
        for _ in range(epochs):
            ensemble.run_epoch()
        return {name: array.tobytes() for name, array in ensemble.arrays().items()}, ensemble.done


def shapes(folder, settings):
    """Return the shapes of the arrays of an untrained ensemble."""
    data = read_prepared(folder)
    with Ensemble(data, np.arange(len(data.labels)), settings, "refit", 1) as ensemble:
        return {name: array.shape for name, array in ensemble.arrays().items()}, data, ensemble.parameters()


@pytest.mark.parametrize("tower", RANDOM_TOWERS)
def test_the_number_of_threads_does_not_change_the_bytes(prepared, small, tower):
    """Fourteen towers, four groups: one after the other, two or all at a time."""
    model = {"ensemble": 14, "tower": tower, "hidden_dims": [8], "output_dim": 4}

    one, two, four = (trained(prepared, small(model=model, training={"threads": threads})) for threads in (1, 2, 4))

    assert one == two == four


def test_the_seed_changes_the_bytes(prepared, small):
    """And the phase does: the refit is no continuation of the choice."""
    base = trained(prepared, small())[0]

    assert trained(prepared, small())[0] == base
    assert trained(prepared, small(seed=14))[0]["embeddings"] != base["embeddings"]
    assert trained(prepared, small(), phase="choose")[0]["embeddings"] != base["embeddings"]


def test_groups_of_towers_are_independent(prepared, small):
    """The first eight of nine towers are those of a model of eight: what comes later changes nothing before it."""
    arrays = []
    for towers in (8, 9):
        data = read_prepared(prepared)
        settings = small(model={"ensemble": towers})
        with Ensemble(data, np.arange(len(data.labels)), settings, "refit", 6) as ensemble:
            ensemble.run_epoch()
            arrays.append(ensemble.arrays())

    assert (arrays[0]["classes"] == arrays[1]["classes"][:, :8]).all()
    assert (arrays[0]["embeddings"] == arrays[1]["embeddings"][:, :8]).all()
    similar = np.einsum("kso,kto->st", arrays[1]["classes"], arrays[1]["classes"]) / 12
    assert np.abs(similar - np.eye(9)).max() < 0.5  # no tower repeats another


def test_arrays_have_the_shapes_that_serving_expects(prepared, small):
    """Towers in the second place of tables, in the first of layers; six towers in two groups."""
    bag, data, parameters = shapes(prepared, small(model={"ensemble": 6, "hidden_dims": [8], "output_dim": 4}))
    lstm, _, _ = shapes(prepared, small(model={"ensemble": 6, "tower": "lstm", "hidden_dims": [5]}))

    assert bag == {
        "embeddings": (data.sizes.vocabulary, 6, 16),
        "classes": (12, 6, 4),
        "layers.weights.0": (6, 16, 8),
        "layers.biases.0": (6, 1, 8),
        "layers.weights.1": (6, 8, 4),
        "layers.biases.1": (6, 1, 4),
    }
    assert parameters == sum(map(np.prod, bag.values()))
    assert lstm == {
        "embeddings": (data.sizes.words, 6, 16),
        "classes": (12, 6, 5),
        "lstm.weight_ih_l0": (6, 20, 16),
        "lstm.weight_hh_l0": (6, 20, 5),
        "lstm.bias_ih_l0": (6, 20),
        "lstm.bias_hh_l0": (6, 20),
    }


def test_losses_are_means_over_towers(prepared, small):
    """Six towers in groups of four and two: each tower counts once."""
    data = read_prepared(prepared)
    with Ensemble(data, np.arange(len(data.labels)), small(model={"ensemble": 6}), "refit", 6) as ensemble:
        loss = ensemble.loss_without_dropout()
        parts = [fit.loss_without_dropout() for fit in ensemble.groups]
        towers = [fit.settings.model.ensemble for fit in ensemble.groups]

    assert sum(towers) == 6
    assert len(parts) > 1
    assert loss == pytest.approx(np.average(parts, weights=towers))


@pytest.mark.parametrize("tower", RANDOM_TOWERS)
def test_a_checkpoint_is_all_that_training_needs(prepared, small, tmp_path, tower):
    """Two epochs, saved, taken up by a fresh ensemble for two more: the bytes of four in a row."""
    settings = small(model={"ensemble": 5, "tower": tower, "hidden_dims": [8]})
    data = read_prepared(prepared)
    rows = np.arange(len(data.labels))
    with Ensemble(data, rows, settings, "refit", 6) as first:
        first.run_epoch()
        first.run_epoch()
        first.save(tmp_path / "c.safetensors")
    with Ensemble(data, rows, settings, "refit", 6) as second:
        second.load(tmp_path / "c.safetensors")
        second.run_epoch()
        second.run_epoch()
        resumed = {name: array.tobytes() for name, array in second.arrays().items()}, second.done

    assert resumed == trained(prepared, settings, epochs=4)
    assert [file.name for file in tmp_path.iterdir()] == ["c.safetensors"]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_training_that_diverged_ends_with_what_to_set(prepared, small, number):
    """Its numbers are none: nothing that comes after could be right."""
    data = read_prepared(prepared)
    with Ensemble(data, np.arange(len(data.labels)), small(), "refit", 6) as ensemble:
        ensemble.groups[0].class_embeddings.weight.fill_(number)
        with pytest.raises(SettingsError, match=r"after epoch 1 of refit.* set training\.learning_rate = 0\.04"):
            ensemble.run_epoch()
