"""`dssm` as another program calls it: standard output, standard error, exit codes."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from schemas.manifest import hash_file
from schemas.run import RunResult
from schemas.workspace import CHECKOUT
from tasks.registry import ModelRegistry
from tests.conftest import PAIRS, TOY, Command, Ended, fast_words, make_command, write_table

FIGURES = {"recall_at_1", "recall_at_5", "recall_at_10", "mrr", "macro_recall_at_10"}


def _join(value: list[str] | str) -> str | None:
    return " ".join(value) if isinstance(value, list) else ""


def only_json(ended: Ended) -> dict:
    """Return the one JSON object that standard output must be; standard error has no traceback."""
    assert ended.out.count("\n") == 1, ended.out
    assert "Traceback" not in ended.err, ended.err
    found = json.loads(ended.out)
    assert set(found) == set(RunResult.model_fields)
    RunResult.model_validate(found)
    return found


@pytest.fixture(scope="module")
def dssm(tmp_path_factory, server_url) -> Command:
    """`dssm` with one home for this module, in which corpus bank is published twice."""
    folder = tmp_path_factory.mktemp("cli")
    return make_command(folder, server_url)


@pytest.fixture(scope="module")
def held_out() -> list[tuple[str, str]]:
    """Rows that the official test file has, and train.csv has not; one repeats a training query."""
    return [*PAIRS[::7], PAIRS[1]]


@pytest.fixture(scope="module")
def bank(dssm, held_out) -> dict:
    """The result of `dssm run bank --source … --test-source … --json`."""
    write_table(dssm.folder / "train.csv", [pair for pair in PAIRS if pair not in PAIRS[::7]])
    write_table(dssm.folder / "test.csv", held_out)
    words = ["--source", "train.csv", "--test-source", "test.csv", *fast_words(), "--json"]
    ended = dssm("run", "bank", *words)
    assert ended.code == 0, ended.err
    return only_json(ended)


@pytest.fixture(scope="module")
def second_run(dssm, bank) -> Ended:
    """A second version, from the settings remembered beside the first: there is no TOML and no --source."""
    ended = dssm("run", "bank", "--set", "seed=7", "--set", "publish.max_drop_vs_live=1", "--json")
    assert ended.code == 0, ended.err
    return ended


@pytest.fixture(scope="module")
def bank_twice(second_run) -> dict:
    """Its result."""
    return only_json(second_run)


def test_a_published_run_says_all_of_the_contract(bank, dssm):
    """Other programs read these keys."""
    assert (bank["status"], bank["corpus"], bank["error"]) == ("published", "bank", None)
    assert (bank["classes"], bank["test_rows"], bank["quarantined"]) == (len(TOY), 14, 0)
    assert bank["rows"] == len(PAIRS) - 13
    assert all(0 <= bank[figure] <= 1 for figure in FIGURES)
    assert set(bank["baselines"]) == {"bm25", "tfidf"}
    assert all(set(figures) >= {"recall_at_1", "recall_at_10"} for figures in bank["baselines"].values())
    assert {"ingest", "validate", "prepare", "train", "evaluate"} <= set(bank["seconds"])
    assert Path(bank["report"]).is_file()
    assert (dssm.home / "models" / "bank" / bank["version"] / "manifest.json").is_file()
    assert any("repeat a training query" in warning for warning in bank["warnings"])


def test_recall_of_the_run_is_recall_of_dssm_query(bank, bank_twice, dssm, held_out):
    """What is measured is what is published: recomputed from what another program gets."""
    queries = "".join(f"{query}\n" for query, _ in held_out)
    (dssm.folder / "test.txt").write_text(queries, "utf-8")
    ended = dssm("query", "bank", "--file", "test.txt", "--top", "10", "--json")
    answers = [json.loads(line) for line in ended.out.splitlines()]

    assert [answer["query"] for answer in answers] == [query for query, _ in held_out]
    found = [[r["standard_question"] for r in answer["results"]] for answer in answers]
    ranks = [names.index(truth) if truth in names else 99 for names, (_, truth) in zip(found, held_out, strict=True)]
    for k in (1, 5, 10):
        assert bank_twice[f"recall_at_{k}"] == pytest.approx(sum(rank < k for rank in ranks) / len(ranks))


def test_settings_are_remembered_beside_the_model(bank, bank_twice, second_run):
    """A name without a TOML needs its --source once; the steps that --set does not touch are re-used."""
    assert bank_twice["version"] != bank["version"]
    assert bank_twice["rows"] == bank["rows"]
    (said,) = [line for line in second_run.err.splitlines() if " re-used, " in line]
    assert said.endswith(f": {', '.join(bank_twice['reused'])} of run {bank['run']}"), said
    assert "ingest" in bank_twice["reused"]


def test_one_query_is_answered_best_first(bank_twice, dssm):
    """--top counts the standard questions; more than there are gives all of them."""
    ended = dssm("query", "bank", "我要退票", "--top", "100000000000", "--json")

    (answer,) = [json.loads(line) for line in ended.out.splitlines()]
    assert {r["standard_question"] for r in answer["results"]} == set(TOY)
    assert all(r["id"] == r["standard_question"] for r in answer["results"]), "no list gave them ids"
    scores = [r["score"] for r in answer["results"]]
    assert scores == sorted(scores, reverse=True)
    for_people = dssm("query", "bank", "我要退票", "--top", "3")
    assert for_people.code == 0
    *hits, what_to_do = for_people.out.strip().splitlines()
    assert len(hits) == 3
    assert re.search(r"(answer|offer|hand over) .*\(the first is right with a probability of [01]\.\d\d\)", what_to_do)
    assert answer["decision"] in ("answer", "clarify", "handover")
    assert f"{answer['probability']:.2f}" in what_to_do
    assert dssm("query", "bank", "").out == "  hand over to a person\n", "there is no first"


def test_queries_that_another_version_answers_otherwise_are_listed(bank, bank_twice, dssm):
    """As often as they were asked; a version against itself changes nothing, and one that there is not is refused."""
    (dssm.folder / "asked.txt").write_text("".join(f"{query}\n" * 3 for query, _ in PAIRS), "utf-8")
    ended = dssm("diff", "bank", bank["version"], "live", "--log", "asked.txt", "--json")
    found = json.loads(ended.out)

    assert (found["before"], found["after"]) == (bank["version"], bank_twice["version"])
    assert (found["asked"], found["changed"]) == (3 * len(PAIRS), sum(group["asked"] for group in found["groups"]))
    assert [group["asked"] for group in found["groups"]] == sorted((g["asked"] for g in found["groups"]), reverse=True)
    for_people = dssm("diff", "bank", "live", bank_twice["version"], "--log", "asked.txt")
    assert for_people.out.startswith(f"0 of {3 * len(PAIRS)} queries change (0.0%)")
    unknown = dssm("diff", "bank", "live", "nosuch", "--log", "asked.txt")
    assert unknown.code == 2
    assert f"no version 'nosuch'; there are {bank['version']}" in unknown.err


@pytest.mark.parametrize("how", ["file", "stdin"])
def test_a_line_is_a_query_and_an_empty_line_has_no_results(how, bank_twice, dssm):
    """With a byte order mark, Windows line ends, and separators that are not line ends."""
    lines = ["怎么退票", "", "  ", "改签\u2028和退票", "end\x0bhere"]
    content = "\ufeff" + "".join(f"{line}\r\n" for line in lines)
    (dssm.folder / "odd.txt").write_bytes(content.encode())
    file = "odd.txt" if how == "file" else "-"
    ended = dssm("query", "bank", "--file", file, "--top", "2", "--json", stdin=None if how == "file" else content)

    answers = [json.loads(line) for line in ended.out.split("\n")[:-1]]
    assert [answer["query"] for answer in answers] == lines
    assert [len(answer["results"]) for answer in answers] == [2, 0, 0, 2, 2]
    assert [answer["decision"] for answer in answers][1:3] == ["handover", "handover"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["query", "bank", "--file", "nosuch.txt"], "cannot read nosuch.txt"),
        (["query", "bank", "--file", "."], "Is a directory"),
        (["query", "bank", "--file", "utf16.txt"], "utf16.txt is text in UTF-16"),
        (["query", "bank", "a\udcff"], "type a text again on a terminal in UTF-8"),
        (["query", "bank", "--file", "a\nb"], r"cannot read 'a\nb'"),
        (["query", "bank"], "TEXT, or --file"),
        (["query", "bank", "怎么", "--file", "odd.txt"], "TEXT, or --file"),
        (["query", "bank", "怎么", "--top", "0"], "x>=1"),
        (["query", "nosuch", "怎么"], "there are: bank"),
        (["query", "../models/bank", "怎么"], "no name of a corpus"),
        (["query", "bnk", "怎么"], "there are: bank; did you mean bank? Make one"),
        (["models", "nosuch"], "there are: bank. Make one"),
        (["models", "../bank"], "no name of a corpus"),
        (["rollback", "nosuch"], "there are: bank"),
        (["rollback", "bank", "--to", "nosuch"], "has no version 'nosuch'"),
        (["approve", "bank"], "waits for approval"),
        (["decline", "bank"], "waits for approval"),
        (["run"], "--all"),
        (["run", "bank", "--all"], "--all"),
        (["run", "a", "b", "--source", "train.csv"], "one corpus"),
        (["check"], "--source"),
        (["frobnicate"], "No such command"),
        (["qurey", "bank", "怎么"], "did you mean query?"),
        (["compare", "nosuch"], "no run 'nosuch'"),
    ],
    ids=_join,
)
def test_bad_usage_is_one_message_and_exit_2(words, message, bank_twice, dssm):
    """On standard error; nothing on standard output, and no traceback."""
    (dssm.folder / "utf16.txt").write_bytes("怎么退票\n".encode("utf-16"))
    ended = dssm(*words)

    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nosuch"], "Known: a, b, bank, c"),
        (["nosuch"], "home/corpora/nosuch.toml"),
        (["bnak"], "did you mean bank?"),
        (["../bank", "--source", "train.csv"], "name"),
        (["Bank", "--source", "train.csv"], "lower-case letters, digits"),
        (["new", "--source", "train.csv", "--set", "model.hiden=[64]"], "did you mean model.hidden_dims?"),
        (["new", "--source", "train.csv", "--set", "hidden=[64]"], "did you mean model.hidden_dims?"),
        (["new", "--source", "train.csv", "--set", "training.epochs=many"], "training.epochs"),
        (["new", "--source", "train.csv", "--set", "split.test_share=2"], "less than 0.9 (got 2)"),
        (
            ["new", "--source", "train.csv", "--set", "validate.min_rows=9"],
            "validate.min_rows.warn, validate.min_rows.stop",
        ),
        (["new", "--source", "train.csv", "--set", "model"], "section.key=value"),
        (["new", "--source", "train.csv", "--set", "name=other"], "the corpus is called 'new'"),
        (["ba-nk", "--source", "train.csv", "--set", "ba=1"], "ba: no such setting"),
        (["--source", "train.csv", "new", "--frobnicate"], "No such option"),
    ],
    ids=_join,
)
def test_settings_that_cannot_be_meant_are_a_rejection_in_json(words, message, bank_twice, dssm):
    """The object names the corpus, whatever stands before it, and the message; exit 2."""
    ended = dssm("run", *words, "--json")

    found = only_json(ended)
    assert (ended.code, found["status"]) == (2, "rejected")
    assert message in found["error"]
    assert found["corpus"] == next(word for word in words if word not in ("--source", "train.csv"))


def test_a_typo_of_set_is_blamed_on_set_and_a_path_of_it_counts_from_here(bank_twice, dssm):
    """Not on the TOML, which is right; another file of that name would be used without a word."""
    ended = dssm("run", "c", "--set", "model.hiden=[64]", "--set", "training.epochs=many", "--json")
    assert only_json(ended)["error"].startswith("--set: 2 setting(s)")
    words = dssm("check", "--source", "train.csv", "--set", "text.user_dictionary=words.txt")
    assert (words.code, str(dssm.folder / "words.txt") in words.err) == (2, True), words.err
    missing = dssm("run", "bank", "--set", "text.user_dictionary=words.txt", "--json")
    assert str(dssm.folder / "words.txt") in only_json(missing)["error"]


@pytest.mark.slow
def test_every_warning_and_rejection_stands_once_on_the_terminal(bank_twice, dssm):
    """Prefect's lines with -v; with -q there is the result alone."""
    words = ["run", "bank", "--set", "seed=7", "--set", "publish.max_drop_vs_live=1"]
    ended = dssm(*words)
    warnings = [line for line in ended.err.splitlines() if line.startswith("warning: ")]
    assert warnings, ended.err
    assert len(warnings) == len({line.removeprefix("warning: ").removeprefix("bank: ") for line in warnings})
    assert not any(word in ended.err for word in ("Finished in state", "great_expectations", "hook", "| INFO"))
    assert "Finished in state" in dssm(*words, "-v").err
    quiet = dssm(*words, "-q")
    assert (quiet.code, quiet.err) == (0, "")
    rejected = dssm("run", "bank", "--set", "validate.min_rows={warn = 9999, stop = 9999}")
    assert rejected.code == 2
    assert rejected.err.count("is rejected by") == 1


@pytest.mark.slow
def test_the_next_query_is_one_of_the_corpus_itself(bank_twice, dssm):
    ended = dssm("run", "bank", "--set", "seed=7", "--set", "publish.max_drop_vs_live=1", "-q")
    (line,) = [line for line in ended.out.splitlines() if line.startswith("next: ")]
    assert shlex.split(line)[-1] in [query for query, _ in PAIRS]


@pytest.mark.slow
def test_a_chinese_corpus_has_findings_verdicts_and_the_next_command_in_chinese(bank_twice, dssm):
    """What a person decides by is in the corpus's language; log lines, errors and what is said of files are English."""
    words = ["--set", "language=zh", "--set", "seed=7", "--set", "publish.max_drop_vs_live=1"]
    ended = dssm("run", "bank", *words, "--set", "training.learning_rate=1e-6", "--no-publish")
    said = [line for line in ended.err.splitlines() if line.startswith("warning: bank: ")]
    assert any("未收敛" in line for line in [*ended.err.splitlines(), ended.out]), ended
    assert not any(word in ended.err + ended.out for word in ("Not converged", "Chosen:", "next: ", "report of")), ended
    assert sum("未收敛" in line for line in said) <= 1, said
    assert "bank 的报告：" in ended.out
    checked = dssm("check", "bank", *words)
    assert re.search(r"bank：\d+ 行可用，12 个标准问", checked.out), checked
    again = dssm("run", "bank", *words, "-q")
    assert (again.code, "下一步：" in again.out) == (0, True), again


@pytest.mark.slow
def test_a_check_reads_test_rows_and_the_list_of_standard_questions_too(bank, dssm):
    (dssm.folder / "list.csv").write_text(f"id,text\nQ1,{next(iter(TOY))}\n", "utf-8")
    ended = dssm("check", "--source", "train.csv", "--test-source", "test.csv", "--questions", "list.csv")
    assert (ended.code, "test.csv (test)" in ended.err, "list.csv (questions)" in ended.err) == (0, True, True), ended


def test_a_service_of_a_home_without_models_says_so(command):
    """The likeliest mistake is another DSSM_HOME than that of the night."""
    service = command.start("api", "--port", "0")
    try:
        assert f"nothing is live in DSSM_HOME = {command.home} yet" in service.stderr.readline().decode()
    finally:
        service.terminate()
        service.wait(60)


@pytest.mark.slow
def test_an_experiment_publishes_nothing_and_is_compared_with_another(bank, bank_twice, dssm):
    """Measured and reported; of two runs the paired difference, and what was set differently."""
    live = dssm.home / "models" / "bank" / "live.json"
    before = live.read_bytes()
    trial = only_json(dssm("run", "bank", "--no-publish", "--set", "training.epochs=1", "--json"))
    assert (trial["status"], trial["version"], live.read_bytes() == before) == ("measured", None, True)
    assert Path(trial["report"]).is_file()

    ended = dssm("compare", bank["run"], trial["run"], "--json")
    first, second = map(json.loads, ended.out.splitlines())
    assert first["difference"] is None
    assert second["settings"]["training.epochs"] == "1"
    difference = trial["recall_at_10"] - bank["recall_at_10"]
    assert second["difference"]["value"] == pytest.approx(difference)
    assert second["difference"]["low"] <= difference <= second["difference"]["high"]
    assert trial["run"] in dssm("compare", bank["run"], trial["run"]).out


def test_a_rejected_run_leaves_its_result(bank_twice, dssm):
    ended = only_json(dssm("run", "bank", "--set", "validate.min_rows={warn = 9999, stop = 9999}", "--json"))
    newest = sorted((dssm.home / "runs" / "bank").iterdir())[-1]
    left = json.loads((newest / "run.json").read_text("utf-8"))
    assert (left["status"], left["error"]) == ("rejected", ended["error"])
    assert (ended["run"], ended["report"]) == (newest.name, str(newest / "report.html"))
    assert "9,999" in (newest / "report.html").read_text("utf-8")


def test_checking_needs_no_server(dssm, bank_twice):
    ended = dssm("check", "--source", "train.csv", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert ended.code == 0, ended.err
    missing = dssm("check", "--source", "nosuch.csv", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert (missing.code, missing.err.count("\n")) == (2, 1), missing.err
    assert "Correct --source" in missing.err or "did you mean" in missing.err
    unknown = dssm("study", "--corpus", "nosuch", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert (unknown.code, unknown.err.count("\n")) == (2, 1), unknown.err


@pytest.mark.parametrize(
    ("words", "changed", "said"),
    [
        ("check shop", "source.path=nosuch.csv", "nosuch.csv does not exist"),
        ("study --corpus shop", "source.path=nosuch.csv", "nosuch.csv does not exist"),
        ("run shop", "source.path=nosuch.csv", "nosuch.csv does not exist"),
        ("run shop", "source.path=bundled:z", "the bundled corpora are a, b, c"),
        ("run shop", "source.test_path=nosuch.csv", "Correct --test-source"),
        ("run shop", "source.questions_path=nosuch.csv", "Correct --questions"),
        ("run shop", "publish.golden_path=nosuch.csv", "Correct publish.golden_path"),
        ("run shop", "decisions.foreign_path=nosuch.csv", "Correct decisions.foreign_path"),
        ("run shop", "text.user_dictionary=nosuch.txt", "no file"),
        ("run shop", "model.encoder=nosuch/folder", "model.encoder"),
    ],
)
def test_what_is_not_there_is_missed_before_a_server_is_asked_for(words, changed, said, tmp_path):
    """Where no server could answer; all that comes of it is the message to the people who hear of runs."""
    command = make_command(tmp_path, "http://127.0.0.1:9/api")
    write_table(tmp_path / "good.csv", PAIRS)
    (command.home / "corpora").mkdir(parents=True)
    (command.home / "corpora" / "shop.toml").write_text(f'source.path = "{tmp_path / "good.csv"}"\n', "utf-8")
    ended = command(*words.split(), "--set", changed, DSSM_NOTIFY="nosuch://address")
    assert (ended.code, said in ended.err, "Traceback" in ended.err) == (2, True, False), ended.err
    assert ("message 'shop: Rejected' was not sent" in ended.err) is words.startswith("run"), ended.err
    assert not (command.home / "runs").exists()


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("dssm run ba", "bank"),
        ("dssm query bank --fi", "--file"),
        ("dssm run c --set model.hidd", "model.hidden_dims="),
        ("dssm run c --set model.hidd", "model.hidden_dims=[]"),  # with two, no shell ends the word
    ],
)
def test_the_shell_completes_corpora_options_and_settings(typed, completed, dssm, bank_twice):
    words = {"_DSSM_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    assert completed in dssm(**words).out.replace("plain,", "").split()


@pytest.mark.slow
def test_a_new_corpus_gets_a_toml_from_what_its_file_holds(dssm, bank_twice):
    """It loads, names file and columns, and is never overwritten."""
    ended = dssm("init", "fresh", "--source", "train.csv")
    file = dssm.home / "corpora" / "fresh.toml"
    try:
        assert ended.code == 0, ended.err
        assert str(file) in ended.out
        text = file.read_text("utf-8")
        assert f'path = "{dssm.folder / "train.csv"}"' in text
        assert 'query_column = "query"' in text
        checked = dssm("check", "fresh", "--json")
        assert (checked.code, json.loads(checked.out)["rows"]) == (0, 78), checked.err
        assert dssm("init", "fresh", "--source", "train.csv").code == 2
        assert file.read_text("utf-8") == text
    finally:
        file.unlink(missing_ok=True)


def test_who_writes_into_a_pipe_gets_each_answer_at_once(bank_twice, dssm):
    """Line by line: the program at the other end need not close it first."""
    words = [sys.executable, "-m", "flows.cli", "query", "bank", "--file", "-", "--json", "--top", "1"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, cwd=dssm.folder, env=dict(dssm.environment), **pipes) as process:
        for query in ("怎么退票", "我要改签"):
            process.stdin.write(f"{query}\n".encode())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["query"] == query
        process.stdin.close()
        assert process.wait(60) == 0


@pytest.mark.parametrize("home", ["", "  ", "~nosuchuser/x", "file"])
def test_a_home_that_cannot_be_meant_is_one_message(home, dssm, bank_twice):
    (dssm.folder / "file").touch()
    ended = dssm("models", "bank", DSSM_HOME=home)
    assert (ended.code, ended.err.count("\n"), "DSSM_HOME" in ended.err) == (2, 1, True), ended.err


def test_a_home_is_expanded_also_in_quotes(dssm, bank_twice):
    """As an env file has it, where no shell does it."""
    for home in ('"~/home"', " ~/home "):
        ended = dssm("models", "bank", DSSM_HOME=home, HOME=str(dssm.home.parent))
        assert ended.code == 0, ended.err


@pytest.mark.parametrize("name", ["some_bank", "some-bank"])
def test_corpora_that_prefect_cannot_tell_apart_are_refused(name, dssm, bank_twice, tmp_path):
    """_ and - are the same in the key of an artifact: two corpora would share their history."""
    other = name.translate({ord("_"): "-", ord("-"): "_"})
    shutil.copytree(dssm.home / "models" / "bank", dssm.home / "models" / other)
    ended = dssm("run", name, "--source", "train.csv", "--json")
    shutil.rmtree(dssm.home / "models" / other)

    assert ended.code == 2
    assert f"{other!r} and {name!r} collide" in only_json(ended)["error"]


def write_bad_corpora(folder: Path, corpora: Path) -> dict[str, str]:
    """Write corpora that cannot be used, with a TOML each; return a part of the message each must give."""
    rows = [(query, question) for query, question in PAIRS]
    write_table(folder / "column.csv", rows, ("foo", "bar"))
    write_table(folder / "one-class.csv", [pair for pair in rows if pair[1] == rows[0][1]])
    write_table(folder / "quarantine.csv", [(query, "") for query, _ in rows])
    write_table(folder / "header.csv", [])
    (folder / "empty.csv").write_bytes(b"")
    (folder / "binary.csv").write_bytes(bytes(range(256)) * 40)
    (folder / "torn.parquet").write_bytes(b"PAR1" + bytes(500))
    write_table(folder / "good.csv", rows)
    fine = "good.csv"
    bad = {
        "column": ("column.csv", "", "Columns found: 'foo', 'bar'"),
        "one-class": ("one-class.csv", "", "wanted: at least 2"),
        "quarantine": ("quarantine.csv", "", "none of the 91 train rows"),
        "header": ("header.csv", "", "a header and no rows"),
        "empty": ("empty.csv", "", "empty.csv is empty"),
        "binary": ("binary.csv", "", "binary file"),
        "torn": ("torn.parquet", "", "torn Parquet file"),
        "missing": ("nosuch.csv", "", "nosuch.csv does not exist"),
        "both": (fine, f'test_path = "{folder / fine}"', "one role only"),
        "target": (fine, '[loss]\nkind = "softmax_target"\ngamma = 1\ntarget = 0.99', "loss.target = 0.4046"),
    }
    corpora.mkdir(parents=True)
    for name, (file, more, _) in bad.items():
        (corpora / f"{name}.toml").write_text(f'[source]\npath = "{folder / file}"\n{more}\n', "utf-8")
    return {name: message for name, (_, _, message) in bad.items()}


@pytest.mark.slow
def test_bad_corpora_are_rejected_one_by_one_and_say_why(tmp_path, server_url):
    """One message each, exit 2, nothing live, the rest of the corpora still run; and what was wrong stays to read."""
    command = make_command(tmp_path, server_url)
    messages = write_bad_corpora(command.folder, command.home / "corpora")
    ended = command("run", *messages, "--json")

    assert ended.code == 2
    assert "Traceback" not in ended.err
    runs = {run["corpus"]: run for run in json.loads(ended.out)["runs"]}
    assert list(runs) == list(messages)
    for name, message in messages.items():
        assert runs[name]["status"] == "rejected", name
        assert message in runs[name]["error"]
        assert f"dssm: {runs[name]['error']}" in ended.err
    assert not list(command.home.glob("models/*/live.json"))
    assert list(command.home.glob("runs/quarantine/*/ingest.rejected/quarantine.parquet"))


@pytest.mark.slow
def test_all_corpora_run_in_processes_and_one_failure_stops_no_other(tmp_path, server_url):
    """The best stands first; each has a process and a run of its own; the worst of them is the exit code."""
    command = make_command(tmp_path, server_url)
    write_table(command.folder / "good.csv", PAIRS)
    (command.home / "corpora").mkdir()
    for name, file in {"a": "good.csv", "b": "nosuch.csv", "c": "good.csv"}.items():
        (command.home / "corpora" / f"{name}.toml").write_text(f'[source]\npath = "{command.folder / file}"\n', "utf-8")
    changes = fast_words()
    ended = command("run", "--all", "--processes", "2", *changes, "--json")

    assert ended.code == 2, ended.err
    runs = {run["corpus"]: run for run in json.loads(ended.out)["runs"]}
    assert [runs[name]["status"] for name in "abc"] == ["published", "rejected", "published"]
    assert list(runs)[-1] == "b", "those without a recall stand last"
    assert "nosuch.csv does not exist" in runs["b"]["error"]
    assert runs["a"]["recall_at_10"] == runs["c"]["recall_at_10"], "--set holds for all"
    table = command("run", "--all", *changes)
    assert [line.split("│")[1:3] for line in table.out.splitlines() if "unchanged" in line]
    assert table.out.count("unchanged") == 2


def test_checking_a_file_needs_no_name(dssm, bank_twice):
    """The one line for a person, and its warnings; nothing is trained."""
    ended = dssm("check", "--source", "train.csv")

    assert ended.code == 0
    assert ended.out.startswith("checked: 78 rows of 12 standard questions")
    assert "warning: ordering" in ended.out
    assert not (dssm.home / "models" / "checked").exists()


def test_people_read_a_table_of_versions_and_of_what_was_live_when(bank, bank_twice, dssm):
    """By which run, why, from when to when by this machine's clock; programs take --json, in UTC."""
    table = dssm("models", "bank", TZ="Asia/Shanghai").out
    found = json.loads(dssm("models", "bank", "--json").out)

    assert {v["version"] for v in found["versions"]} == {v.name for v in (dssm.home / "models" / "bank").glob("2*")}
    first, second = found["history"]
    assert [(p["version"], p["why"], p["run"]) for p in (first, second)] == [
        (run["version"], "published", run["run"]) for run in (bank, bank_twice)
    ]
    assert (first["until"], second["until"]) == (second["since"], None)
    newest, oldest = [line.split("│") for line in table.splitlines() if "published" in line]
    assert [cell.strip() for cell in newest[1:6]] == [
        in_shanghai(second["since"]),
        "now",
        second["version"],
        "published",
        second["run"],
    ]
    assert [cell.strip() for cell in oldest[1:3]] == [in_shanghai(first["since"]), in_shanghai(first["until"])]


def in_shanghai(moment: str) -> str:
    """Return a moment of UTC as a clock there shows it: 2026-11-26 02:11:07+08:00."""
    there = datetime.fromisoformat(moment) + timedelta(hours=8)
    return f"{there:%Y-%m-%d %H:%M:%S}+08:00"


def copy_home(dssm: Command, home: Path) -> Command:
    """Return the command with a DSSM_HOME that may be harmed."""
    shutil.copytree(dssm.home, home)
    return Command(home, dssm.folder, {**dssm.environment, "DSSM_HOME": str(home)})


@pytest.mark.slow
def test_rolling_back_and_forth(bank, bank_twice, dssm, tmp_path):
    """The pointer moves; the same inputs never publish what was taken back; --to brings it back on purpose."""
    here = copy_home(dssm, tmp_path / "home")
    back = here("rollback", "bank")

    assert back.code == 0
    assert bank["version"] in back.out
    assert json.loads(here("models", "bank", "--json").out)["live"]["version"] == bank["version"]
    again = here("run", "bank", "--set", "seed=7", "--set", "publish.max_drop_vs_live=1", "--json")
    assert again.code == 1
    assert f"rolled back as version {bank_twice['version']}" in only_json(again)["reasons"][0]
    assert here("rollback", "bank").code == 2
    forth = here("rollback", "bank", "--to", bank_twice["version"])
    assert (forth.code, bank_twice["version"] in forth.out) == (0, True)


def test_a_damaged_pointer_is_exit_3_until_it_is_repaired(bank_twice, dssm, tmp_path):
    """One line, no traceback, nothing published over it; and afterwards all is as it was."""
    here = copy_home(dssm, tmp_path / "home")
    pointer = here.home / "models" / "bank" / "live.json"
    before = json.loads(pointer.read_bytes())
    pointer.write_bytes(b"null")

    commands = [
        ("query", "bank", "怎么退票"),
        *((word, "bank") for word in ("models", "rollback", "approve", "decline", "run")),
    ]
    for words in commands:
        ended = here(*words)
        assert (ended.code, ended.err.count("dssm: "), "Traceback" in ended.err) == (3, 1, False), ended.err
        assert "live.json is damaged" in ended.err
        assert "dssm models bank --repair" in ended.err
    assert pointer.read_bytes() == b"null"

    repaired = here("models", "bank", "--repair")
    assert (repaired.code, "live.json was rebuilt" in repaired.out) == (0, True), repaired.err
    assert json.loads(pointer.read_bytes()) == before
    assert "nothing to repair" in here("models", "bank", "--repair").out


def test_a_damaged_model_is_named_by_query_and_models(bank, bank_twice, dssm, tmp_path):
    """The way back is open, past a version whose manifest is torn."""
    here = copy_home(dssm, tmp_path / "home")
    models = here.home / "models" / "bank"
    (models / bank_twice["version"] / "model.safetensors").write_bytes(b"torn")

    asked, listed = here("query", "bank", "怎么退票"), here("models", "bank")
    assert (asked.code, asked.out) == (3, "")
    assert "model.safetensors was altered after it was published" in asked.err
    assert "live, damaged" in listed.out
    assert f"set aside: {models / bank_twice['version'] / 'model.safetensors'}" in listed.err
    assert here("rollback", "bank").code == 0
    assert here("query", "bank", "怎么退票").code == 0


def test_figures_of_other_test_rows_are_marked(bank, bank_twice, dssm, tmp_path):
    """Two nights on one test file can be compared; a split of another corpus cannot, nor what does not say."""
    here = copy_home(dssm, tmp_path / "home")
    assert "*" not in here("models", "bank").out
    registry = ModelRegistry(here.home / "models" / "bank")
    with registry.update() as update:
        for tested in ("other rows", None):
            update.add(registry.folder / bank["version"], {}, "run-9", (0.5, 0.9, 14), tested)
    listed = here("models", "bank").out
    assert [line.count("*") for line in listed.splitlines() if "run-9" in line] == [3, 3]
    assert f"* measured on other test rows than {bank_twice['version']}: not comparable" in listed
    assert all("*" not in line for line in listed.splitlines() if bank["run"] in line)


def test_a_waiting_version_goes_live_when_approved(dssm, bank_twice):
    """Until then there is nothing to ask."""
    candidate = dssm.home / "models" / "bank" / bank_twice["version"]
    with ModelRegistry(dssm.home / "models" / "asking").update() as update:
        waiting = update.add(candidate, {}, "run-1", (0.5, 0.9, 20))
        update.wait_for_approval(waiting)

    assert dssm("query", "asking", "怎么退票").code == 2
    approved = dssm("approve", "asking")
    assert (approved.code, waiting.version in approved.out) == (0, True)
    assert dssm("query", "asking", "怎么退票").code == 0


def test_a_declined_version_is_withdrawn(dssm, bank_twice, tmp_path):
    """It waits no longer, can't be approved, and what was live before answers on."""
    here = copy_home(dssm, tmp_path / "home")
    with ModelRegistry(here.home / "models" / "bank").update() as update:
        waiting = update.add(here.home / "models" / "bank" / bank_twice["version"], {}, "run-1", (0.5, 0.9, 20))
        update.wait_for_approval(waiting)

    declined = here("decline", "bank")
    assert (declined.code, waiting.version in declined.out) == (0, True), declined.err
    assert here("approve", "bank").code == 2
    live = json.loads(here("models", "bank", "--json").out)["live"]
    assert (live["version"], live["pending"]) == (bank_twice["version"], None)
    assert waiting.version in [one["version"] for one in live["withdrawn"]]


def test_a_lost_server_is_exit_3_and_one_clear_message(dssm, bank_twice):
    """It names the remedy; the last JSON object is there all the same."""
    command = Command(dssm.home, dssm.folder, {**dssm.environment, "PREFECT_API_URL": "http://127.0.0.1:9/api"})
    ended = command("run", "bank", "--json")

    found = only_json(ended)
    assert (ended.code, found["status"]) == (3, "failed")
    assert "no Prefect server answers at http://127.0.0.1:9/api (set by PREFECT_API_URL)" in found["error"]
    assert "dssm server" in found["error"]


@pytest.mark.slow
def test_a_full_disk_is_exit_3_and_the_live_version_answers_on(dssm, bank_twice, tmp_path):
    """One clear message; where the disk is full is told apart in test_faults."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk]).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        shutil.copytree(dssm.home / "models", disk / "models")
        command = Command(disk, dssm.folder, {**dssm.environment, "DSSM_HOME": str(disk)})
        (disk / "ballast").write_bytes(bytes(shutil.disk_usage(disk).free - 60_000))
        ended = command("run", "bank", "--set", "seed=9", "--json")
        found = only_json(ended)
        assert (ended.code, found["status"]) == (3, "failed"), found
        assert "No space left on device" in found["error"]
        assert json.loads(command("models", "bank", "--json").out)["live"]["version"] == bank_twice["version"]
        assert command("query", "bank", "怎么退票").code == 0
    finally:
        subprocess.run(["umount", disk], check=True)


def test_interrupting_is_exit_130_and_the_next_run_goes_on(dssm, bank_twice):
    """Ctrl-C in the middle of the training: JSON to the end, nothing live, no traceback."""
    words = ["--source", "train.csv", *fast_words(training__epochs=10_000, training__checkpoint_seconds=0), "--json"]
    process = dssm.start("run", "long", *words)
    until = time.monotonic() + 60
    while not list(dssm.home.glob("partial/long/train-*/*")) and time.monotonic() < until:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)

    found = only_json(Ended(process.returncode, out.decode(), err.decode()))
    assert process.returncode == 130
    assert (found["status"], found["corpus"], found["error"]) == ("failed", "long", "interrupted")
    assert not (dssm.home / "models" / "long" / "live.json").exists()


def test_a_closed_pipe_is_no_fault(bank_twice, dssm):
    """`dssm query … | head -1` is an ordinary thing to type."""
    (dssm.folder / "many.txt").write_text("怎么退票\n" * 20_000, "utf-8")
    words = " ".join([sys.executable, "-m", "flows.cli", "query", "bank", "--file", "many.txt", "--json"])
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{words} | head -1"],
        cwd=dssm.folder,
        env=dict(dssm.environment),
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["query"] == "怎么退票"


def test_telemetry_is_off_unless_the_user_turns_it_on(tmp_path):
    """What she has set stays."""
    code = """
import json, os
before = dict(os.environ)
from flows.environment import set_environment
set_environment()
print(json.dumps({key: value for key, value in os.environ.items() if before.get(key) != value}))
"""

    def changed(**environment: str) -> dict:
        base = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT)}
        words = [sys.executable, "-c", code]
        done = subprocess.run(words, env=base | environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    off = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    assert off.items() <= changed().items()
    on = {"DO_NOT_TRACK": "0", "PREFECT_SERVER_ANALYTICS_ENABLED": "true", "PREFECT_LOGGING_EXTRA_LOGGERS": "mine"}
    assert not on.keys() & changed(**on).keys()


def test_help_lists_every_command(tmp_path):
    """The contract's commands that are there; each answers to --help."""
    for words in (
        [],
        ["run"],
        ["check"],
        ["query"],
        ["models"],
        ["rollback"],
        ["approve"],
        ["serve"],
        ["plan"],
        ["deploy"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli", *words, "--help"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("Usage: dssm")


@pytest.mark.parametrize("command", [["check"], ["run", "bank"]], ids=_join)
def test_a_condition_in_an_expectation_is_refused_and_runs_nothing(command, bank_twice, dssm):
    """Great Expectations hands it to pandas, which evaluates it."""
    code = "@pd.io.common.os.system('touch planted')==0"
    arguments = f'{{column = "query", row_condition = "{code}", condition_parser = "pandas"}}'
    wanted = f'[{{type = "expect_column_values_to_be_unique", kwargs = {arguments}}}]'
    ended = dssm(*command, "--source", "train.csv", "--set", f"validate.expectations={wanted}", "--json")

    assert (ended.code, only_json(ended)["status"]) == (2, "rejected")
    assert "no argument row_condition" in ended.err
    assert not list(dssm.folder.rglob("planted"))


HOSTILE = "退票\x1b[2J\x9b1m\u202e😀怎么"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "gbk", "latin-1", "idna"])
def test_answers_can_be_printed_on_any_terminal(encoding, bank_twice, dssm):
    """Nothing steers it, nothing is a traceback, and JSON is the JSON of UTF-8."""
    (dssm.folder / "hostile.txt").write_text(f"{HOSTILE}\n我要退票\n", "utf-8")
    for words in (["--json"], []):
        words = [sys.executable, "-m", "flows.cli", "query", "bank", "--file", "hostile.txt", "--top", "2", *words]
        environment = {**dssm.environment, "PYTHONIOENCODING": encoding}
        done = subprocess.run(words, cwd=dssm.folder, env=environment, capture_output=True, timeout=120)
        assert (done.returncode, done.stderr) == (0, b"")
        out = done.stdout.decode("utf-8" if encoding == "idna" else encoding)
        assert not {"\x1b", "\x9b", "\u202e"} & set(out)
        if words[-1] == "--json":
            assert json.loads(out.splitlines()[0])["query"] == HOSTILE


@pytest.mark.parametrize("words", [["models", "bank"], ["query", "bank", "--file", "many.txt", "--json"]], ids=_join)
def test_a_reader_that_has_had_enough_is_no_fault(words, bank_twice, dssm):
    """`| head -1`: the pipe is closed after the first line, or before."""
    (dssm.folder / "many.txt").write_text("我要退票\n" * 3000, "utf-8")
    with dssm.start(*words) as process:
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (0, b"")


def test_bad_usage_tells_no_secret_and_steers_no_terminal(dssm):
    """What click says repeats the words of the command line."""
    ended = dssm("run", "bank", "x\x1b[2J", "--source", "http://me:pa55@host/x", "--nosuch=http://me:pa55@host")
    assert ended.code == 2
    assert "pa55" not in ended.err
    assert "\x1b" not in ended.err


@pytest.mark.slow
def test_checks_are_pruned_whether_they_pass_or_not(dssm, held_out):
    """`dssm check --source` publishes nothing that would tidy up after it."""
    write_table(dssm.folder / "good.csv", PAIRS)
    write_table(dssm.folder / "bad.csv", [("", "")] * 3)
    for file, code in (("good.csv", 0), ("bad.csv", 2), ("nosuch.csv", 2), ("good.csv", 0)):
        assert dssm("check", "--source", file, "--set", "publish.keep_runs=2").code == code
    assert len(list((dssm.home / "runs" / "checked").iterdir())) == 2


@pytest.mark.parametrize(("words", "kilobytes"), [(["run", "bank"], 2_500_000), (["check"], 700_000)], ids=_join)
def test_a_limit_of_memory_is_told_and_hangs_nothing(words, kilobytes, command):
    """A thread may find no memory, and whoever started it would wait for ever; OpenBLAS would exit with 1."""
    write_table(command.folder / "t.csv", PAIRS)
    words = [sys.executable, "-m", "flows.cli", *words, "--source", "t.csv", "--json"]
    limited = ["bash", "-c", f'ulimit -v {kilobytes}; exec "$@"', "limited", *words]
    done = subprocess.run(
        limited, cwd=command.folder, env=dict(command.environment), capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 3, done.stderr
    assert "memory" in json.loads(done.stdout)["error"]
    assert "ulimit -v" in done.stderr
    assert done.stderr.count("dssm: ") == 1


def test_settings_remembered_beside_a_model_are_data_too(bank_twice, dssm, tmp_path):
    """Whoever can write a model's folder can make its hashes fit; nothing of the settings is run or believed."""
    home = tmp_path / "home"
    shutil.copytree(dssm.home / "models", home / "models")
    folder = home / "models" / "bank" / bank_twice["version"]
    settings = json.loads((folder / "settings.json").read_bytes())
    code = "@pd.io.common.os.system('touch planted')==0"
    evil = {"column": "query", "row_condition": code, "condition_parser": "pandas"}
    settings["validate"]["expectations"] = [{"type": "expect_column_values_to_be_unique", "kwargs": evil}]
    settings |= {"ray_address": "10.0.0.1:6379"}
    (folder / "settings.json").write_text(json.dumps(settings))
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"]["settings.json"] = hash_file(folder / "settings.json")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    ended = dssm("run", "bank", "--json", DSSM_HOME=str(home))

    assert (ended.code, only_json(ended)["status"]) == (2, "rejected")
    assert "no argument row_condition" in ended.err
    assert "ray_address is not taken from a model's settings" in ended.err
    assert not list(dssm.folder.rglob("planted"))
