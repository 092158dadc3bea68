"""A damaged file of a version, or a damaged pointer: one message that names it, never an answer, never a traceback."""

import json
import shutil
from pathlib import Path

import pytest

from schemas.errors import MachineFault, NothingLive, StaleFile
from tasks.registry import ModelRegistry
from tasks.retrieval.retriever import Model, Retriever
from tests.tasks.conftest import add, publish


def halve(file: Path) -> None:
    """Keep the first half."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def zero(file: Path) -> None:
    """As a disk that lost its cache leaves it."""
    file.write_bytes(bytes(file.stat().st_size))


def flip(file: Path) -> None:
    """One bit in the middle."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)


def swap_in_folder(file: Path) -> None:
    """A folder of that name."""
    file.unlink()
    file.mkdir()


def dangle(file: Path) -> None:
    """A link to nothing."""
    file.unlink()
    file.symlink_to("nowhere")


def lead_out(file: Path) -> None:
    """A link to the same bytes, elsewhere."""
    outside = shutil.copy(file, file.parents[3] / file.name)
    file.unlink()
    file.symlink_to(outside)


HARMS = {
    "truncated": halve,
    "empty": lambda file: file.write_bytes(b""),
    "zeroed": zero,
    "one bit": flip,
    "gone": Path.unlink,
    "a folder": swap_in_folder,
    "a link to nothing": dangle,
    "a link that leads out": lead_out,
    "text": lambda file: file.write_text("no JSON, no Parquet"),
}
FILES = ("manifest.json", "model.json", "model.safetensors", "standard_questions.parquet", "vocabulary.parquet")


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named_and_never_answers(name, harm, registry, candidate):
    """Forty-five ways; what to do stands in the message, and other versions stay usable."""
    first, second = publish(registry, candidate), publish(registry, candidate)
    HARMS[harm](registry.folder / second.version / name)

    named = r"\.(json|safetensors|parquet|txt) " if (name, harm) == ("manifest.json", "one bit") else name  # of a hash

    with pytest.raises(StaleFile, match=named) as raised:
        Retriever(registry)
    assert second.version in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not registry.is_whole(second.version)
    assert registry.is_whole(first.version)
    assert registry.change(lambda update: update.roll_back()).version == first.version
    assert Retriever(registry).version == first.version


@pytest.mark.parametrize("rewrite", [
    '{"recall_at_1": "high"}', '{"recall_at_1": NaN}', '{"test_rows": 1e999}', '{"files": {"../../x": "0"}}',
    '{"files": {"/etc/passwd": "0"}}', '{"files": ["model.json"]}', '{"version": "another"}', '{"version": 3}',
    '{"newer": 1}', '{"files": null}', '{"files": {}}', '{"corpus": "another"}',
])  # fmt: skip
def test_a_manifest_of_wrong_types_is_damaged(rewrite, registry, candidate):
    """JSON, but no manifest."""
    version = publish(registry, candidate).version
    file = registry.folder / version / "manifest.json"
    raw = file.read_text().rstrip().removesuffix("}").rstrip()
    file.write_text(f"{raw},{rewrite.removeprefix('{')}")  # a key given twice: the last one counts

    with pytest.raises(StaleFile, match=r"manifest\.json is damaged \("):
        registry.fetch(version)
    assert list(registry.damaged()) == [version]
    assert registry.versions() == []


def rewrite_card(folder: Path, **changes: object) -> None:
    """Change keys of model.json; one that is None goes."""
    raw = json.loads((folder / "model.json").read_text()) | changes
    (folder / "model.json").write_text(json.dumps({key: value for key, value in raw.items() if value is not None}))


@pytest.mark.parametrize(("changes", "message"), [
    ({"format": 2, "layout": "new", "model": {"newer": 1}}, "was made with format 2, this code has 1"),
    ({"model": None}, r"model\.json is damaged \(model: "),
    ({"classes": "many"}, r"model\.json is damaged \(classes: "),
    ({"classes": 10**30}, "damaged"),
    ({"classes": 11}, "vectors, 12 texts, 11 in model.json"),
    ({"exemplar_weight": float("nan")}, r"model\.json is damaged \(exemplar_weight: "),
    ({"exemplar_weight": 1e300}, r"model\.json is damaged \(exemplar_weight: "),
    ({"newer": 1}, r"model\.json is damaged \(newer: not known to this version of dssm\)"),
    ({"text": []}, r"model\.json is damaged \(text: "),
])  # fmt: skip
def test_a_model_that_was_written_wrong_is_refused(changes, message, candidate, tmp_path):
    """Its files are those of its manifest, yet no model that this code has: the format is looked at before the keys."""
    folder = Path(shutil.copytree(candidate, tmp_path / "model"))
    rewrite_card(folder, **changes)

    with pytest.raises(StaleFile, match=message) as raised:
        Model(folder)
    assert str(folder) in str(raised.value)


def test_arrays_that_are_no_numbers_or_do_not_fit_are_refused(candidate, tmp_path):
    """Whoever wrote them: they would rank anything first."""
    from safetensors.numpy import load_file, save_file

    arrays = load_file(candidate / "model.safetensors")
    for name, change in {
        "no number that a model has": {"classes": arrays["classes"] * float("nan")},
        "embeddings holds what is no number": {"embeddings": arrays["embeddings"] * float("inf")},
        "a vector of length 20": {"classes": arrays["classes"] * arrays["classes"].dtype.type(20)},
        "features, but": {"embeddings": arrays["embeddings"][1:]},
        "11 vectors": {"classes": arrays["classes"][1:]},
        "damaged": {"classes": arrays["classes"][:, :, :-1].copy()},
    }.items():
        folder = tmp_path / name.replace(" ", "-")
        shutil.copytree(candidate, folder)
        save_file(arrays | change, folder / "model.safetensors")
        with pytest.raises(StaleFile, match=name):
            Model(folder)


# --- live.json


def with_version(value: object) -> bytes:
    """A pointer that names it."""
    return json.dumps({"version": value, "history": [], "withdrawn": [], "pending": None}).encode()


POINTERS = {
    "empty": b"", "half": b'{"version": "2026', "null": b"null", "a list": b"[]", "a number": b"3", "no keys": b"{}",
    "null history": b'{"version": null, "history": null}', "a number for a version": with_version(3),
    "a path": with_version("../other"), "an absolute path": with_version("/tmp"), "hidden": with_version(".lock"),
    "no text": bytes(200), "not UTF-8": b"\xff\xfe{}", "deep": b"[" * 100_000,
    "a newer key": b'{"version": null, "x": 1}',
}  # fmt: skip


def damage_pointer(registry: ModelRegistry, harm: str) -> None:
    """Do it."""
    if harm == "a folder":
        swap_in_folder(registry.pointer)
    elif harm == "a link to nothing":
        dangle(registry.pointer)
    elif harm == "gone":
        registry.pointer.unlink()
    else:
        registry.pointer.write_bytes(POINTERS[harm])


@pytest.mark.parametrize("harm", [*POINTERS, "a folder", "a link to nothing", "gone"])
def test_a_damaged_pointer_is_one_message_and_repair_brings_everything_back(harm, registry, candidate, candidates):
    """Nothing is published over it; history, withdrawals and what waits are as before."""
    publish(registry, candidate)
    publish(registry, candidates("two"))
    registry.change(lambda update: update.roll_back())
    waiting = add(registry, candidates("three"))
    registry.change(lambda update: update.wait_for_approval(waiting))
    before = registry.live()
    damage_pointer(registry, harm)

    for reading in (registry.live, registry.versions, lambda: Retriever(registry), lambda: add(registry, candidate)):
        with pytest.raises(StaleFile, match=r"live\.json is damaged \(.*dssm models toy --repair"):
            reading()
    assert registry.repair() == before == registry.live()
    assert registry.repair() is None
    assert Retriever(registry).version == before.version


@pytest.mark.parametrize("harm", [*POINTERS, "a folder", "a link to nothing"])
def test_without_a_backup_what_can_be_read_is_kept(harm, registry, candidate, candidates):
    """A corpus of an earlier version has none: the newest whole version goes live."""
    first, second = publish(registry, candidate), publish(registry, candidates("two"))
    (registry.folder / ".live.backup.json").unlink()
    (registry.folder / first.version / "model.json").write_bytes(b"")
    damage_pointer(registry, harm)

    live = registry.repair()

    assert live is not None
    assert (live.version, live.history[-1].why) == (second.version, "repaired")
    assert Retriever(registry).version == second.version


def test_a_history_in_a_pointer_that_names_nonsense_is_kept(registry, candidate, candidates):
    """Entry by entry: one that cannot be read goes."""
    first, second = publish(registry, candidate), publish(registry, candidates("two"))
    (registry.folder / ".live.backup.json").unlink()
    raw = json.loads(registry.pointer.read_bytes())
    raw |= {"version": 3, "history": [*raw["history"], {"version": "../x"}, None]}
    registry.pointer.write_text(json.dumps(raw))

    live = registry.repair()

    assert live is not None
    assert [entry.version for entry in live.history] == [first.version, second.version]
    assert live.version == second.version


def test_a_pointer_at_a_version_that_is_not_whole_is_repaired_to_the_one_before(registry, candidate, candidates):
    """A withdrawn one is no way out."""
    first, second, third = (publish(registry, candidates(name)) for name in ("one", "two", "three"))
    registry.change(lambda update: update.roll_back())
    assert registry.live().version == second.version
    shutil.rmtree(registry.folder / second.version)

    live = registry.repair()

    assert live is not None
    assert live.version == first.version
    assert third.version in {one.version for one in live.withdrawn}


def test_nothing_published_is_nothing_to_repair(registry):
    """Nor is a pointer made."""
    assert registry.repair() is None
    assert not registry.pointer.exists()
    with pytest.raises(NothingLive):
        Retriever(registry)


def test_a_folder_that_cannot_be_read_is_said_so(registry, candidate):
    """Not: missing."""
    publish(registry, candidate)
    shutil.rmtree(registry.folder)
    registry.folder.write_text("a file where the folder was")

    assert registry.exists()
    with pytest.raises(MachineFault, match=r"cannot read .*live\.json: Not a directory"):
        registry.live()
    with pytest.raises(MachineFault, match="is in the way of the folder"):
        add(registry, candidate)


# --- one torn file bars nothing


def test_a_torn_manifest_of_an_old_version_bars_nothing(registry, candidate, candidates, caplog):
    """It is named and set aside: publishing, pruning and the way back go on."""
    versions = [publish(registry, candidates(name)) for name in ("one", "two", "three")]
    torn = versions[1].version
    (registry.folder / torn / "manifest.json").write_bytes(b'{"version": "20')
    (registry.folder / "notes of a person").mkdir()

    assert [m.version for m in registry.versions()] == [versions[0].version, versions[2].version]
    assert list(registry.damaged()) == [torn]
    assert torn in registry.damaged()[torn]
    assert registry.change(lambda update: update.roll_back()).version == versions[0].version
    assert f"version {torn} is set aside" in caplog.text
    publish(registry, candidates("four"))
    registry.change(lambda update: update.prune(1))
    assert (registry.folder / torn).is_dir(), "a person looks at it"


def test_where_no_version_is_whole_the_pointer_is_rebuilt_all_the_same(registry, candidate, candidates):
    """So that the next run can publish: history and withdrawals are not lost with the files."""
    version = publish(registry, candidate).version
    before = registry.live()
    (registry.folder / version / "model.safetensors").write_bytes(b"")
    assert registry.repair() is None
    registry.pointer.write_bytes(b"")

    assert registry.repair() == before
    assert publish(registry, candidates("two")).version == registry.live().version
