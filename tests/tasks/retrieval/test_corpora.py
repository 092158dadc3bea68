"""What answers for several corpora, without the HTTP around it."""

from collections import Counter

import pytest

from tasks.registry import ModelRegistry
from tasks.retrieval import corpora as module
from tasks.retrieval.corpora import Corpora
from tasks.retrieval.retriever import Model
from tests.tasks.conftest import add, copy_candidate, publish


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Corpora that are new are looked for at every look."""
    monkeypatch.setattr(module, "_LIST_SECONDS", 0.0)


def registry_of(tmp_path, corpus):
    """Return the registry of a corpus below the test's home."""
    return ModelRegistry.of(corpus, tmp_path)


def test_all_that_are_live_are_loaded_and_renewed(tmp_path, candidate):
    """Also those that come later; what only waits for a person is none of them."""
    publish(registry_of(tmp_path, "one"), candidate)
    waiting = registry_of(tmp_path, "waiting")
    manifest = add(waiting, candidate)
    waiting.change(lambda update: update.wait_for_approval(manifest))
    corpora = Corpora(home=tmp_path)
    assert corpora.missing() == {"*": "still looking"}

    corpora.look()
    assert [one.manifest.corpus for one in corpora.served()] == ["one"]
    assert corpora.missing() == {}

    second = publish(registry_of(tmp_path, "one"), copy_candidate(candidate, tmp_path / "c", "second"))
    waiting.change(lambda update: update.approve())
    corpora.look()
    assert corpora.get("one").manifest == second
    assert corpora.get("one").model.version == second.version
    assert corpora.get("one").live_since == registry_of(tmp_path, "one").live().history[-1].at
    assert corpora.get("waiting").model.version == manifest.version


def test_once_ready_it_stays_so(tmp_path, candidate):
    """A corpus that goes live later and cannot be loaded is missing, but turns nobody else away."""
    corpora = Corpora(home=tmp_path)
    corpora.look()
    assert not corpora.ready
    publish(registry_of(tmp_path, "one"), candidate)
    corpora.look()
    assert corpora.ready

    broken = registry_of(tmp_path, "broken")
    (broken.folder / publish(broken, candidate).version / "model.json").unlink()
    corpora.look()
    assert list(corpora.missing()) == ["broken"]
    assert corpora.ready


def test_named_ones_are_waited_for(tmp_path, candidate):
    """Each is missing, with its reason, until it can be loaded; no other is looked at."""
    publish(registry_of(tmp_path, "other"), candidate)
    failed = Counter()
    corpora = Corpora(["bank"], tmp_path, on_failure=lambda name: failed.update([name]))
    corpora.look()

    assert "nothing is live for corpus 'bank'" in corpora.missing()["bank"]
    assert failed["bank"] == 1
    publish(registry_of(tmp_path, "bank"), candidate)
    corpora.look()
    assert corpora.missing() == {}
    assert corpora.get("other") is None


def test_a_version_that_cannot_be_loaded_leaves_the_old_one(tmp_path, candidate, caplog):
    """It is counted each time, told once, and stays ready."""
    registry, failed = registry_of(tmp_path, "bank"), Counter()
    first = publish(registry, candidate)
    corpora = Corpora(home=tmp_path, on_failure=lambda name: failed.update([name]))
    corpora.look()
    second = publish(registry, copy_candidate(candidate, tmp_path / "c", "second"))
    (registry.folder / second.version / "model.safetensors").unlink()
    corpora.look()
    corpora.look()

    assert corpora.get("bank").manifest == first
    assert corpora.missing() == {}
    assert failed == {"bank": 1}, "tried again after a second"
    assert caplog.text.count("answers on") == 1


def test_processes_hold_large_arrays_once(tmp_path, candidate):
    """The second maps what the first wrote, answers alike, and a new version takes the old one's files away."""
    registry, shared = registry_of(tmp_path, "bank"), tmp_path / "shared"
    publish(registry, candidate)
    first, second = (Corpora(home=tmp_path, shared=shared) for _ in range(2))
    for one in (first, second):
        one.look()
    model, again = first.get("bank").model, second.get("bank").model
    queries = ["怎么退票", "", "zzz", "我要改签"]

    assert model.search(queries) == again.search(queries) == Model(candidate).search(queries)
    files = {file.name for file in (shared / "bank").iterdir()}
    assert {name.split(".")[1] for name in files} >= {"embeddings", "classes"}
    mapped = next(line for line in open("/proc/self/maps") if ".embeddings." in line)
    assert "r--" in mapped

    publish(registry, copy_candidate(candidate, tmp_path / "c", "second"))
    first.look()
    assert not files & {file.name for file in (shared / "bank").iterdir()}
    assert again.search(queries) == model.search(queries), "who still has the old one answers on"


def test_without_room_to_share_each_holds_its_own(tmp_path, candidate, caplog):
    """A full disk costs memory, not answers."""
    registry = registry_of(tmp_path, "bank")
    publish(registry, candidate)
    (tmp_path / "shared").write_text("a file is in the way")
    corpora = Corpora(home=tmp_path, shared=tmp_path / "shared")
    corpora.look()

    assert corpora.get("bank").model.search(["退票"]) == Model(candidate).search(["退票"])
    assert "cannot be shared" in caplog.text
