"""A small file that several processes or machines change."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from schemas.corrections import Correction, corrections_path, parse_corrections, write_lines
from schemas.errors import MachineFault, SettingsError
from schemas.workspace import Workspace
from tasks.doctor.memory import change_state, read_state, undo_last
from tasks.shared_file import SharedFile

PATH = "corrections/bank.jsonl"


@pytest.fixture(params=["disk", "store"])
def file(request, tmp_path):
    """One on this disk, and one in a store, of which nothing lies here."""
    if request.param == "store":
        request.getfixturevalue("store")
    yield SharedFile(tmp_path, PATH)
    assert request.param == "disk" or not list(tmp_path.rglob("*.jsonl"))


def test_no_change_is_lost(file):
    """Eight at once, each adds a line to what it has read."""
    assert file.read() is None
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: file.change(lambda content: (content or b"") + b"%d\n" % n), range(8)))

    assert sorted(file.read().split()) == [b"%d" % n for n in range(8)]
    file.change(lambda content: None)
    assert file.read() is None


def test_what_fails_changes_nothing(file):
    """The one who makes the change finds that it cannot be."""
    file.change(lambda content: b"before")

    def fail(content):
        raise SettingsError(f"not {content!r}")

    with pytest.raises(SettingsError, match="not b'before'"):
        file.change(fail)
    assert file.read() == b"before"


def test_a_file_that_others_change_all_the_time_is_named(store, tmp_path):
    """By its address; nothing is changed."""
    file, turn = SharedFile(tmp_path, PATH), iter(range(100))

    def overtaken(content):
        store.write(PATH, b"%d" % next(turn))
        return b"mine"

    with pytest.raises(MachineFault, match=f"{store.address}/{PATH} is changed by other machines"):
        file.change(overtaken)
    assert file.read() != b"mine"


def test_what_is_applied_on_one_machine_is_undone_on_another(store, tmp_path):
    """Corrections and receipts lie in the store, as versions and edits do; a damaged memory is set aside there."""
    one, other = (Workspace.of("bank", "run-1", tmp_path / name) for name in ("one", "other"))
    made = [Correction(batch=batch, do="add", standard_question="A", query=batch) for batch in ("b", "c")]
    SharedFile(one.home, corrections_path("bank")).change(lambda _: write_lines(made))
    change_state(one, lambda state: state)

    assert undo_last(other) == made[1:]
    assert parse_corrections(SharedFile(one.home, corrections_path("bank")).read(), "") == made[:1]
    undo_last(one)
    with pytest.raises(SettingsError, match=f"there is no {store.address}/corrections/bank.jsonl"):
        undo_last(other)

    store.write("corrections/bank.doctor.json", b"{")
    assert read_state(other).receipts == []
    assert store.read("corrections/bank.doctor.damaged") == b"{"
