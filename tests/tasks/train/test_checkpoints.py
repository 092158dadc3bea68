"""Checkpoints that are not what was written: thrown away with a warning that names them, and the training goes on."""

import itertools
import json
import logging
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from tasks.train.checkpoints import before, load_checkpoint, load_record, save_checkpoint, save_record
from tasks.train.training import train_candidate
from tests.tasks.prepare.toy import file_bytes


class Ended(Exception):
    """Stands for whatever ends a training."""


def tear(file):
    """Leave the first half."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(file):
    """Leave nothing."""
    file.write_bytes(b"")


def zero(file):
    """Leave zeros, as a disk does after a power cut."""
    file.write_bytes(bytes(file.stat().st_size))


def flip(file):
    """Change one bit in the middle."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def scribble(file):
    """Write something else over it."""
    file.write_bytes(b"not a checkpoint\n" * 100)


def nest(file):
    """Write JSON that nests too deep for a parser."""
    file.write_bytes(b"[" * 100_000)


def make_folder(file):
    """Put a folder in its place."""
    file.unlink()
    (file / "inside").mkdir(parents=True)


def dangle(file):
    """Put a link to nowhere in its place."""
    file.unlink()
    file.symlink_to(file.parent / "nowhere")


def spoil(file):
    """Write numbers that are none, in the form of a checkpoint."""
    with safe_open(file, framework="pt") as stored:
        tensors, metadata = {name: stored.get_tensor(name) for name in stored.keys()}, stored.metadata()
    first = next(iter(tensors))
    tensors[first] = torch.full_like(tensors[first], float("nan"))
    save_file(tensors, file, metadata)


DAMAGES = [tear, empty, zero, flip, scribble, nest, make_folder, dangle]


@pytest.fixture
def run(prepared, tmp_path):
    """Train below `tmp_path`, perhaps until an epoch of a phase has ended; return the folder of the output."""

    def train(settings, name="run", stop=None):
        out, partial = tmp_path / name / "out", tmp_path / name / "partial"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        partial.mkdir(exist_ok=True)

        def on_epoch(epoch, most):
            if (epoch.phase, epoch.epoch) == stop:
                raise Ended

        train_candidate(prepared, out, partial, settings, on_epoch)
        return out

    return train


@pytest.fixture
def settings(small):
    """Give settings whose every epoch leaves a checkpoint."""
    return small(training={"checkpoint_seconds": 0})


@pytest.fixture(scope="module")
def unbroken():
    """Keep the bytes of an unbroken training, which all tests of this module share."""
    return {}


@pytest.mark.parametrize(
    ("name", "damage", "both"),
    [
        *itertools.product(["choose.safetensors", "refit.safetensors"], [*DAMAGES, spoil], [False]),
        *(
            pytest.param(*one, marks=pytest.mark.slow)
            for one in itertools.product(["choose.safetensors", "refit.safetensors"], [*DAMAGES, spoil], [True])
        ),
        *itertools.product(["chosen.json"], DAMAGES, [False]),
    ],
)
def test_a_damaged_checkpoint_is_named_and_the_training_ends_as_if_unbroken(
    run, settings, unbroken, tmp_path, caplog, name, damage, both
):
    """From the one before, or from the start; the bytes are those of a training that nobody stopped."""
    if not unbroken:
        unbroken.update(file_bytes(run(settings, "unbroken")))
    with pytest.raises(Ended):
        run(settings, stop=("choose", 4) if name == "choose.safetensors" else ("refit", 4))
    damaged = [tmp_path / "run" / "partial" / name]
    if both:
        damaged.append(before(damaged[0]))
    for file in damaged:
        damage(file)

    with caplog.at_level(logging.WARNING, "dssm.train"):
        out = run(settings)

    assert file_bytes(out) == unbroken
    warned = [record.getMessage() for record in caplog.records if record.name == "dssm.train"]
    assert len(warned) == len(damaged)
    for file, message in zip(damaged, warned, strict=True):
        assert message.startswith(f"checkpoint {file} is thrown away: ")
        assert "\n" not in message


def replace_by(make):
    """Return what puts something else in the place of a file."""

    def damage(file):
        file.unlink()
        make(file)

    return damage


def forget(file):
    """Write a checkpoint of this training that has no record."""
    save_checkpoint(file, STATE, "", "x")
    with safe_open(file, framework="pt") as stored:
        metadata = stored.metadata()
    before(file).unlink()
    del metadata["record"]
    save_file(STATE, file, metadata)


def shrink(file):
    """Write numbers of a kind that NumPy does not know."""
    save_file(STATE | {"a": STATE["a"].bfloat16()}, file, {"identity": "x", "record": "1", "sha256": "0"})


@pytest.mark.parametrize(
    "damage",
    [
        *(replace_by(make) for make in (os.mkfifo, lambda file: file.symlink_to("/dev/zero"), Path.mkdir)),
        replace_by(lambda file: file.symlink_to(file.name)),
        lambda file: os.truncate(file, 100 << 30),
        forget,
        shrink,
    ],
    ids=["pipe", "endless", "folder", "loop", "100 GB", "no record", "bfloat16"],
)
def test_what_is_no_checkpoint_neither_stops_nor_holds_up_a_training(damage, tmp_path):
    """It is thrown away, and the next one is written in its place."""
    file, record = tmp_path / "c.safetensors", tmp_path / "c.json"
    state = {name: tensor.clone() for name, tensor in STATE.items()}
    save_checkpoint(file, STATE, "1", "x")
    damage(file)
    assert load_checkpoint(file, state, "x", int) is None
    save_record(record, {"a": 1}, "x")
    damage(record)
    assert load_record(record, "x", dict) is None
    partial = file.with_suffix(".partial")
    if damage is not forget:
        partial.touch()
        damage(partial)
    save_checkpoint(file, STATE, "2", "x")
    assert load_checkpoint(file, state, "x", int) == 2


def test_a_checkpoint_of_another_training_is_thrown_away(run, settings, small, tmp_path, caplog):
    """Same shapes, another seed: its weights would be taken for ours."""
    other = small(seed=14, training={"checkpoint_seconds": 0})
    expected = file_bytes(run(settings, "unbroken"))
    for name, chosen in (("ours", settings), ("theirs", other)):
        with pytest.raises(Ended):
            run(chosen, name, stop=("refit", 3))
    shutil.copytree(tmp_path / "theirs" / "partial", tmp_path / "ours" / "partial", dirs_exist_ok=True)

    with caplog.at_level(logging.WARNING, "dssm.train"):
        out = run(settings, "ours")

    assert file_bytes(out) == expected
    assert sum("it is of another training" in record.getMessage() for record in caplog.records) >= 2


STATE = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(4)}


def fresh():
    """Return tensors of the same shapes, all zero."""
    return {name: torch.zeros_like(tensor) for name, tensor in STATE.items()}


def test_numbers_that_are_none_are_thrown_away_even_with_a_right_checksum(tmp_path, caplog):
    """They were written so; what is before them is taken."""
    save_checkpoint(tmp_path / "c.safetensors", STATE, "1", "x")
    save_checkpoint(tmp_path / "c.safetensors", STATE | {"a": STATE["a"] / 0}, "2", "x")
    state = fresh()

    assert load_checkpoint(tmp_path / "c.safetensors", state, "x", int) == 1
    assert torch.equal(state["a"], STATE["a"])
    assert "'a' holds numbers that are none" in caplog.text


@pytest.mark.parametrize("other", [{"a": torch.zeros(3, 2)}, {"b": torch.tensor(4.0)}, {"c": torch.zeros(1)}])
def test_other_shapes_and_types_change_nothing(tmp_path, other):
    """Not a tensor of the state is touched."""
    save_checkpoint(tmp_path / "c.safetensors", {k: v for k, v in (STATE | other).items() if k != "c"}, "1", "x")
    state = fresh() | {name: tensor for name, tensor in other.items() if name == "c"}

    assert load_checkpoint(tmp_path / "c.safetensors", state, "x", int) is None
    assert all((tensor == 0).all() for tensor in state.values())
    assert list(tmp_path.iterdir()) == []


def test_a_crash_between_two_replacements_leaves_the_one_before(tmp_path):
    """The newest was set aside, and the new one not yet put in its place."""
    file = tmp_path / "c.safetensors"
    save_checkpoint(file, STATE, "7", "x")
    os.replace(file, before(file))

    assert load_checkpoint(file, fresh(), "x", int) == 7


@pytest.mark.parametrize("content", [b"null", b"[]", b"3", b"{}", b'{"sha256":1}', b'{"record":{}}', b"\xff", b""])
def test_records_of_any_other_form_are_thrown_away(tmp_path, content, caplog):
    """JSON or not."""
    file = tmp_path / "chosen.json"
    save_record(file, {"epochs": 3}, "x")
    assert load_record(file, "x", dict) == {"epochs": 3}
    assert load_record(file, "y", dict) is None
    file.write_bytes(content)

    assert load_record(file, "x", dict) is None
    assert f"checkpoint {file} is thrown away" in caplog.text
    assert not file.exists()


def test_a_record_with_a_changed_number_is_thrown_away(tmp_path):
    """It is JSON still."""
    file = tmp_path / "chosen.json"
    save_record(file, {"epochs": 3}, "x")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"record": {"epochs": 4}}))

    assert load_record(file, "x", dict) is None
