"""One week with the doctor: night, list, apply, night, receipt, undo; as the owner calls it."""

import csv
import json

import pyarrow.parquet as pq
import pytest

from schemas.doctor import Diagnosis, DoctorState
from schemas.outputs import IngestOutput
from schemas.workspace import Workspace
from tests.conftest import PAIRS, WEAKER, fast_words, write_table
from tests.tasks.doctor.test_sheet import edit

pytestmark = pytest.mark.slow


def test_a_week_with_the_doctor(command, tmp_path):
    """The to-do list corrects the rows, the next night says what came of it, and the owner's file stays as it is."""
    source = write_table(tmp_path / "bank.csv", PAIRS)
    before = source.read_bytes()
    night = ("run", "bank", "--source", source, *fast_words(**WEAKER), "--json")
    first = json.loads(command(*night).out.splitlines()[-1])
    folder = command.home / "runs" / "bank" / first["run"]
    assert {"health.html", "diagnosis.json"} <= {file.name for file in folder.iterdir()}

    looked = command("doctor", "bank", "--json")
    assert looked.code == 0, looked.err
    assert {"todo.csv", "todo.xlsx"} <= {file.name for file in folder.iterdir()}
    said = Diagnosis.model_validate_json(
        json.dumps({key: value for key, value in json.loads(looked.out).items() if key not in ("health", "todo")})
    )
    assert said.deep
    assert said.curve.measured

    todo = folder / "todo.csv"
    with todo.open(encoding="utf-8-sig", newline="") as stream:
        fed = [row for row in csv.DictReader(stream) if row["action"] == "feed"]
    edit(todo, feed={"accept": "no"})
    with todo.open(encoding="utf-8-sig", newline="") as stream:
        header, *rows = csv.reader(stream)
    row = next(row for row in rows if row[header.index("standard question")] == fed[0]["standard question"])
    row[header.index("accept")], row[header.index("new queries")] = "yes", "帮我看看这个怎么弄\n这个要怎么处理"
    with todo.open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream).writerows([header, row])
    applied = command("check", "bank", "--source", source, "--apply", todo)
    assert applied.code == 0, applied.err
    assert "2 corrections (2 added)" in applied.err
    assert f"{len(PAIRS) + 2} rows" in applied.out
    again = command("check", "bank", "--source", source, "--apply", todo)
    assert "has been applied before" in again.err

    second = json.loads(command(*night).out.splitlines()[-1])
    rows = pq.read_table(IngestOutput.of(Workspace.of("bank", second["run"], command.home)).questions).to_pylist()
    assert [row["query"] for row in rows[-2:]] == ["帮我看看这个怎么弄", "这个要怎么处理"]
    state = DoctorState.model_validate_json((command.home / "corrections" / "bank.doctor.json").read_bytes())
    (receipt,) = state.receipts
    assert (receipt.run, receipt.outcome.run, receipt.outcome.rows > 10) == (first["run"], second["run"], True)
    assert [(one.kind, one.standard_question) for one in receipt.promises] == [("feed", fed[0]["standard question"])]
    report = (folder.parent / second["run"] / "report.html").read_text("utf-8")
    assert "2 corrections of yours are laid over the source: 2 rows added" in report
    assert receipt.batch in (folder.parent / second["run"] / "health.html").read_text("utf-8")

    undone = command("check", "bank", "--source", source, "--undo")
    assert undone.code == 0, undone.err
    assert f"{len(PAIRS)} rows" in undone.out
    assert source.read_bytes() == before
    nothing = command("check", "bank", "--source", source, "--undo")
    assert (nothing.code, "nothing was applied" in nothing.err) == (2, True)


def test_what_has_the_same_answer_is_told_beside_the_recall_until_it_is_taken_back(command, tmp_path):
    """The owner says so in the list; rows and plain recall stay what they are."""
    source = write_table(tmp_path / "bank.csv", PAIRS)
    night = ("run", "bank", "--source", source, *fast_words(), "--json", "--no-publish")
    header = ["accept", "action", "standard question", "query", "change to", "new queries"]
    todo, refunds = tmp_path / "todo.csv", ("如何办理退票", "退票手续费怎么收")
    with todo.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, ["yes", "same answer", refunds[0], "", refunds[1], ""]])

    def run():
        folder = command.home / "runs" / "bank" / json.loads(command(*night).out.splitlines()[-1])["run"]
        evaluation = json.loads((folder / "evaluate" / "evaluation.json").read_bytes())
        return evaluation, (folder / "report.html").read_text("utf-8")

    first, _ = run()
    applied = command("check", "bank", "--source", source, "--apply", todo)
    second, report = run()
    command("check", "bank", "--source", source, "--undo")

    assert "1 corrections (1 grouped)" in applied.err
    assert "grouped" not in first
    assert second["grouped"]["rows"] == second["model"]["rows"] == first["model"]["rows"]
    assert second["grouped"]["recall_at_1"]["value"] >= second["model"]["recall_at_1"]["value"]
    assert "candidate, any of the same answer" in report
    assert "1 pairs with the same answer" in report
    assert not (command.home / "corrections" / "bank.jsonl").exists()


def test_a_list_that_breaks_the_corpus_is_not_kept(command, tmp_path):
    """Merged into one standard question, nothing could be trained: the corrections from before stay."""
    pairs = [(query, label) for query, label in PAIRS if label in ("如何办理退票", "如何改签")]
    source = write_table(tmp_path / "bank.csv", pairs)
    command("run", "bank", "--source", source, *fast_words(), "--json")
    header = ["accept", "action", "standard question", "query", "change to", "new queries"]
    todo = tmp_path / "todo.csv"
    with todo.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, ["yes", "merge", "如何改签", "", "如何办理退票", ""]])

    refused = command("check", "bank", "--source", source, "--apply", todo)

    assert refused.code == 2
    assert "Nothing of todo.csv was kept" in refused.err
    assert not (command.home / "corrections" / "bank.jsonl").exists()


def test_what_nobody_answers_becomes_a_new_standard_question(command, tmp_path):
    """Mined from a plain log, accepted, and found by the next model."""
    pairs = [pair for pair in PAIRS if pair[1] != "宠物可以托运吗"]
    hidden = [query for query, label in PAIRS if label == "宠物可以托运吗"]
    source, log = write_table(tmp_path / "bank.csv", pairs), tmp_path / "queries.txt"
    log.write_text("\n".join([*(f"{query}{end}" for query in hidden for end in ("", "呢", "啊")), "怎么退票"]), "utf-8")
    night = ("run", "bank", "--source", source, *fast_words(), "--json")
    first = json.loads(command(*night).out.splitlines()[-1])

    mined = command("mine", "bank", "--log", log, "--json")

    assert mined.code == 0, mined.err
    said = json.loads(mined.out)
    new = [one for one in said["groups"] if one["kind"] == "new"]
    assert new
    assert all(any(query in one for query in hidden) for group in new for one in group["new_queries"])
    edit(command.home / said["files"][0], new={"accept": "yes", "to": "宠物可以托运吗"})
    assert command("check", "bank", "--source", source, "--apply", said["files"][0]).code == 0
    second = json.loads(command(*night).out.splitlines()[-1])
    assert second["classes"] == first["classes"] + 1
    assert second["rows"] + second["test_rows"] == len(pairs) + sum(len(one["new_queries"]) for one in new)
