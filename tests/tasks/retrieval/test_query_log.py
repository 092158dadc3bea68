"""Lines of JSON in files that turn over."""

import json
import threading
from pathlib import Path

from tasks.retrieval.query_log import QueryLog


def write(file: Path, numbers: range, **options: int) -> None:
    """Note some lines, and wait until they are written."""
    log = QueryLog(file, **options)
    log.start()
    for number in numbers:
        log.add({"n": number, "query": "x" * 50})
    log.stop()


def numbers_in(*files: Path) -> list[int]:
    """Return what stands in files, in order."""
    return [json.loads(line)["n"] for file in files for line in file.read_text("utf-8").splitlines()]


def test_a_full_file_is_turned_over_and_old_ones_go(tmp_path):
    """The newest lines are in the file without a number, whole; two older files are kept."""
    for start in range(0, 100, 5):
        write(tmp_path / "q.jsonl", range(start, start + 5), most_bytes=600, keep=2)

    assert numbers_in(tmp_path / "q.jsonl") == list(range(90, 100))
    assert numbers_in(tmp_path / "q.jsonl.2", tmp_path / "q.jsonl.1") == list(range(70, 90))
    assert not (tmp_path / "q.jsonl.3").exists()


def test_several_write_to_one_file(tmp_path):
    """As workers do: no line is torn or lost, across turns."""
    file = tmp_path / "q.jsonl"
    options = {"most_bytes": 3000, "keep": 50}
    threads = [
        threading.Thread(target=lambda n=n: write(file, range(n, n + 100), **options)) for n in range(0, 400, 100)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(numbers_in(*tmp_path.glob("q.jsonl*"))) == list(range(400))


def test_a_disk_that_cannot_be_written_costs_lines_and_nothing_else(tmp_path, caplog):
    """Counted, told once, and written again when the disk is back."""
    lost, folder = [], tmp_path / "log"
    log = QueryLog(folder / "q.jsonl", on_loss=lost.append)
    log._write([{"n": 1}])
    log._write([{"n": 2}, {"n": 3}])
    folder.mkdir()
    log._write([{"n": 4}])

    assert sum(lost) == 3
    assert caplog.text.count("cannot be written") == 1
    assert numbers_in(folder / "q.jsonl") == [4]


def test_more_than_can_wait_are_counted_as_lost(tmp_path):
    """Who asks does not wait for the disk."""
    lost: list[int] = []
    log = QueryLog(tmp_path / "q.jsonl", on_loss=lost.append)
    for number in range(10_050):
        log.add({"n": number})

    assert sum(lost) == 50
