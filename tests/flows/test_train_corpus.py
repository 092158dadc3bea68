"""The main path under Prefect's harness: what a run leaves, re-uses, holds back and refuses."""

import html
import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import prefect
import pytest
from prefect.client.orchestration import get_client

from flows.check import check_corpus
from flows.train_corpus import new_run, train_corpus
from schemas.errors import CorpusRejected, SettingsError, SourceError, StaleFile
from schemas.live import VersionManifest
from schemas.manifest import StepManifest, hash_file
from schemas.run import RunResult
from schemas.settings import CorpusSettings
from schemas.workspace import Workspace
from tasks.evaluate.task import evaluate
from tasks.ingest.task import ingest
from tasks.prepare.task import prepare
from tasks.publish.task import publish
from tasks.registry import ModelRegistry
from tasks.retrieval.retriever import Retriever
from tasks.steps import Steps
from tasks.train.task import train
from tasks.validate.task import validate
from tests.conftest import PAIRS, TOY, make_settings, write_table

WORSE = {"model__embedding_dim": 2, "training__epochs": 1}
WHAT = ["validation", "recall", "training", "gates", "health", "report"]
STEPS = ["ingest", "validate", "prepare", "train", "evaluate"]


@pytest.fixture
def wide(tmp_path):
    """The toy corpus in five cities."""
    cities = ["北京", "上海", "广州", "成都", "西安"]
    pairs = [(city + query, f"{city}：{question}") for city in cities for query, question in PAIRS]
    return write_table(tmp_path / "wide.csv", pairs)


def measured(settings: CorpusSettings) -> tuple[Workspace, Steps]:
    """Do all of a run but to publish, inside a flow."""
    run = Workspace.of(settings.name, new_run())
    ingested = ingest(settings, run)
    validated = validate(settings, run, ingested)
    prepared = prepare(settings, run, ingested, validated)
    trained = train(settings, run, prepared, ingested)
    return run, Steps(ingested, validated, prepared, trained, evaluate(settings, run, prepared, trained))


def test_a_first_run_publishes_and_leaves_everything(flow, toy_csv):
    """Every step's folder with its manifest, a report, the run's summary, a version, the pointer."""
    state, result = flow.state(make_settings(toy_csv))

    assert (state.name, state.is_completed()) == ("Published", True)
    assert (result.status, result.classes, result.quarantined) == ("published", len(TOY), 0)
    assert result.rows + result.test_rows == len(PAIRS)
    folder = flow.run_folder(result)
    for step in STEPS:
        StepManifest.read(folder / step).verify(folder / step)
    assert {"run.json", "settings.json", "report.html"} <= {file.name for file in folder.iterdir()}
    assert RunResult.model_validate_json((folder / "run.json").read_bytes()) == result
    assert not list((flow.home / "partial" / "toy").iterdir())

    assert ModelRegistry(flow.models).live().version == result.version
    version = flow.models / result.version
    assert VersionManifest.model_validate_json((version / "manifest.json").read_bytes()).run == result.run
    names = {"README.md", "evaluation.json", "settings.json", "model.json", "model.safetensors"}
    assert names <= {file.name for file in version.iterdir()}
    hits = Retriever.live("toy").search(["我要退票"], top=3)[0]
    assert len(hits) == 3
    assert {hit.standard_question for hit in hits} < set(TOY)


def test_a_run_shows_in_the_ui(flow, toy_csv):
    """Its name holds corpus, day, recall and end; tables have one stable key each, so that they have a history."""
    began = datetime.now(UTC)
    flow(make_settings(toy_csv, "shown_toy"))

    with get_client(sync_client=True) as client:
        artifacts = [a for a in client.read_artifacts() if a.created >= began]
        runs = [r for r in client.read_flow_runs() if r.name.startswith("shown_toy ")]
        tasks = {r.name for r in client.read_task_runs() if r.flow_run_id == runs[0].id}
    assert {a.key for a in artifacts} == {f"shown-toy-{what}" for what in WHAT}
    assert [run.state_name for run in runs] == ["Published"]
    assert re.fullmatch(r"shown_toy \d\d-\d\d [01]\.\d{3} published", runs[0].name)
    assert tasks == {f"{step}-shown_toy" for step in [*STEPS, "publish"]}
    shown = {a.key: a for a in artifacts}
    assert {row["who"] for row in json.loads(shown["shown-toy-recall"].data)} == {"candidate", "bm25", "tfidf"}
    assert "](data:image/svg+xml;base64," in shown["shown-toy-training"].data
    assert re.search(r"published, recall@10 [01]\.\d{3}", shown["shown-toy-report"].description), "its history tells"
    assert "report.html" in shown["shown-toy-report"].data
    assert len(shown["shown-toy-training"].data) < 100_000


@pytest.mark.slow
def test_no_text_of_a_corpus_becomes_markup_in_the_ui(flow, toy_csv, tmp_path):
    """A class name that is a picture's address: the UI would load it, from a description and from a cell alike."""
    began = datetime.now(UTC)
    picture = "![x](http://127.0.0.1:9/beacon.png)"
    source = write_table(
        tmp_path / "t.csv", [*PAIRS, *((f"{query}呢", picture) for query, _ in PAIRS[:9]), ("怎么退票", picture)]
    )
    flow(make_settings(toy_csv, "marked_toy"))
    flow(make_settings(source, "marked_toy"))  # what is new since the live version is told by name

    with get_client(sync_client=True) as client:
        shown = [f"{a.data}{a.description}" for a in client.read_artifacts() if a.created >= began]
    assert any("beacon" in text for text in shown)
    assert not [text for text in shown if re.search(r"(?<!\\)(\]\(http|://127)", text)]


def test_a_second_run_of_the_same_corpus_changes_nothing_and_repeats_nothing(flow, toy_csv):
    """Every step is re-used; the run has files of its own all the same."""
    first = flow(make_settings(toy_csv))
    pointer = (flow.models / "live.json").read_bytes()
    state, second = flow.state(make_settings(toy_csv))

    assert (state.name, second.status, second.version) == ("Unchanged", "unchanged", first.version)
    assert second.reused == STEPS
    assert (flow.models / "live.json").read_bytes() == pointer
    shutil.rmtree(flow.run_folder(first))
    for step in STEPS:
        StepManifest.read(flow.run_folder(second) / step).verify(flow.run_folder(second) / step)


@pytest.mark.slow
def test_a_changed_model_setting_trains_again_on_the_same_files(flow, toy_csv):
    """Ingest, validate and prepare do not read it; the live version is measured beside the candidate."""
    first = flow(make_settings(toy_csv))
    second = flow(make_settings(toy_csv, model__embedding_dim=24))

    assert second.reused == ["ingest", "validate", "prepare"]
    assert second.version != first.version
    comparison = json.loads((flow.run_folder(second) / "comparison.json").read_text())
    assert comparison["version"] == first.version
    live_recall = comparison["live"]["recall_at_10"]["value"]
    assert live_recall == first.recall_at_10, "the same rows through the same code"


def test_a_changed_row_repeats_every_step(flow, toy_csv, tmp_path):
    """The key is of the file's bytes, not of its name or time."""
    file = shutil.copy(toy_csv, tmp_path / "toy.csv")
    flow(make_settings(file))
    write_table(file, [*PAIRS, ("我不想飞了把票退掉", "如何办理退票")])

    assert flow(make_settings(file)).reused == []


@pytest.mark.slow
def test_an_altered_file_of_an_earlier_run_is_made_again(flow, toy_csv):
    """Files are verified before they are believed."""
    first = flow(make_settings(toy_csv))
    (flow.run_folder(first) / "prepare" / "train.parquet" / "part-00000.parquet").write_bytes(b"rubbish")

    second = flow(make_settings(toy_csv))
    assert second.reused == ["ingest", "validate", "train", "evaluate"]
    assert second.status == "unchanged"


@pytest.mark.slow
def test_a_candidate_below_the_baselines_is_held_and_the_next_run_says_so_again(flow, wide):
    """Red in the UI under a name of its own; the same inputs repeat the reasons without training again."""
    worse = make_settings(wide, **WORSE, publish__max_drop_vs_baseline=0, publish__hold_causes=["collapse"])
    state, held = flow.state(worse)

    assert (state.name, state.is_failed()) == ("HeldBack", True)
    assert (held.status, held.version) == ("held", None)
    assert "baseline" in held.reasons[0]
    assert "training: Not converged" in held.reasons[1]
    assert held.reasons[0] in state.message
    assert ModelRegistry(flow.models).live().version is None
    again = flow(worse)
    assert (again.reasons, again.reused) == (held.reasons, STEPS)


def test_a_candidate_worse_than_the_live_version_is_held_and_the_live_one_stays(flow, wide):
    """publish.max_drop_vs_live is the tolerance. Of five times the classes ten guesses are not nearly all."""
    first = flow(make_settings(wide))
    pointer = (flow.models / "live.json").read_bytes()
    state, held = flow.state(make_settings(wide, **WORSE))

    assert (state.name, held.status) == ("HeldBack", "held")
    assert first.version in held.reasons[0]
    assert "publish.max_drop_vs_live.stop = 0.01" in held.reasons[0]
    assert any(warning.startswith("training: Not converged") for warning in held.warnings)
    assert (flow.models / "live.json").read_bytes() == pointer
    report = (flow.run_folder(held) / "report.html").read_text("utf-8")
    assert "Held back" in report
    assert held.reasons[0] in html.unescape(report)

    assert "publish.max_drop_vs_live=1" in held.overrides
    given = dict(setting.replace(".", "__").split("=") for setting in held.overrides)
    tolerant = flow(make_settings(wide, **WORSE, **{name: json.loads(value) for name, value in given.items()}))
    assert tolerant.status == "published", tolerant.reasons


@pytest.mark.slow
def test_a_candidate_is_held_against_what_went_live_after_it_was_measured(flow, wide):
    """Nothing was live when its evaluation ended; another run publishes before its own turn comes."""
    worse, good = make_settings(wide, **WORSE), make_settings(wide)

    @prefect.flow
    def overtaken() -> tuple[RunResult, RunResult]:
        run, steps = measured(worse)
        return train_corpus(good), publish(worse, run, steps)

    published, held = overtaken()

    assert (published.status, held.status) == ("published", "held")
    assert published.version in held.reasons[0]
    assert json.loads((flow.run_folder(held) / "comparison.json").read_text())["version"] == published.version
    assert ModelRegistry(flow.models).live().version == published.version


def test_what_fails_after_a_version_went_live_does_not_hide_that(flow, toy_csv):
    """run.json cannot be written, nor something old be deleted: warnings, and the run ends as published.

    The next one would say "unchanged": nobody would ever be told of the version.
    """
    settings = make_settings(toy_csv)
    flow.models.mkdir(parents=True)
    (flow.models / ".old.partial").symlink_to(flow.home)  # rmtree refuses it

    @prefect.flow
    def broken() -> RunResult:
        run, steps = measured(settings)
        (run.root / "run.json").mkdir()
        return publish(settings, run, steps)

    result = broken()

    assert (result.status, ModelRegistry(flow.models).live().version) == ("published", result.version)
    assert f"version {result.version} is live, but what its run leaves is not complete" in result.warnings[-1]


@pytest.mark.slow
def test_a_golden_query_that_breaks_holds_back_and_is_asked_before_the_training(flow, toy_csv, tmp_path, caplog):
    """A wrong table ends the run at once; a miss is a reason; the file's bytes decide what is asked again."""
    golden, query, wrong = tmp_path / "golden.csv", PAIRS[0][0], "宠物可以托运吗"
    settings = make_settings(toy_csv, publish__golden_path=str(golden))
    write_table(golden, [PAIRS[0], (query + "呢", "怎么退房")])
    with pytest.raises(SourceError, match=r"golden\.csv:3 “怎么退房”"):
        flow(settings)
    assert not list(flow.home.glob("runs/toy/*/train"))

    write_table(golden, [PAIRS[0], (PAIRS[9][0], wrong)])
    state, held = flow.state(settings)
    assert (state.name, held.status) == ("HeldBack", "held")
    assert held.reasons[0].startswith("1 of 2 golden queries do not find their standard question first")
    assert f"“{PAIRS[9][0]}” ({golden}:3) should find “{wrong}”" in held.reasons[0]
    assert not (flow.models / "live.json").exists()

    write_table(golden, [PAIRS[0]])
    good = flow(settings)
    assert (good.status, good.reused) == ("published", ["ingest", "validate", "prepare", "train"])
    write_table(golden, [(query, wrong)])
    unchanged = flow(settings)
    assert unchanged.status == "unchanged"
    assert any("would be held back today: 1 of 1 golden" in warning for warning in unchanged.warnings)
    assert f"the live version {good.version} would be held back today" in caplog.text  # on the terminal, too
    assert "1 of 1 golden queries" in Path(unchanged.report).read_text("utf-8")


@pytest.mark.slow
def test_a_golden_query_that_the_live_version_breaks_is_told_where_the_candidate_is_another(flow, toy_csv, tmp_path):
    """After a roll back the candidate of the same inputs is held for that; what answers today is asked all the same."""
    first = flow(make_settings(toy_csv))
    flow(make_settings(toy_csv, seed=7, publish__max_drop_vs_live=1.0))
    ModelRegistry(flow.models).change(lambda update: update.roll_back())
    write_table(tmp_path / "golden.csv", [(PAIRS[0][0], "宠物可以托运吗")])

    golden = {"publish__golden_path": str(tmp_path / "golden.csv"), "publish__max_drop_vs_live": 1.0}
    _, held = flow.state(make_settings(toy_csv, seed=7, **golden))

    assert "rolled back as version" in held.reasons[0]
    told = [warning for warning in held.warnings if "would be held back today" in warning]
    assert len(told) == 1
    assert told[0].startswith(f"the live version {first.version} would be held back today: 1 of 1 golden queries")


@pytest.mark.slow
def test_a_rolled_back_model_is_never_published_again(flow, toy_csv):
    """Not by the same inputs; other settings make another candidate."""
    first = flow(make_settings(toy_csv))
    second = flow(make_settings(toy_csv, seed=7, publish__max_drop_vs_live=1.0))
    ModelRegistry(flow.models).change(lambda update: update.roll_back())

    state, again = flow.state(make_settings(toy_csv, seed=7, publish__max_drop_vs_live=1.0))
    assert (state.name, again.status) == ("HeldBack", "held")
    assert f"rolled back as version {second.version}" in again.reasons[0]
    assert ModelRegistry(flow.models).live().version == first.version

    other = flow(make_settings(toy_csv, seed=8, publish__max_drop_vs_live=1.0))
    assert other.status == "published"


def test_a_version_waits_for_approval_where_that_is_asked(flow, toy_csv):
    """It is there, whole, but not live; a repeat waits for the same one, and approval makes it live."""
    asking = make_settings(toy_csv, publish__approval=True)
    state, waiting = flow.state(asking)

    assert (state.name, waiting.status) == ("AwaitingApproval", "awaiting_approval")
    live = ModelRegistry(flow.models).live()
    assert (live.version, live.pending) == (None, waiting.version)
    assert flow(asking).version == waiting.version
    assert len(ModelRegistry(flow.models).versions()) == 1
    assert ModelRegistry(flow.models).change(lambda update: update.approve()).version == waiting.version
    assert flow(asking).status == "unchanged"


@pytest.mark.slow
def test_approval_switched_off_publishes_what_waited(flow, toy_csv):
    """Nobody waits for a person who is not asked any more."""
    flow(make_settings(toy_csv, publish__approval=True))
    result = flow(make_settings(toy_csv))

    assert result.status == "published"
    assert ModelRegistry(flow.models).live().pending is None


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["gone", "altered", "of another format"])
def test_a_damaged_live_version_is_replaced_by_the_next_run(harm, flow, toy_csv):
    """Otherwise "unchanged" would keep a bot broken every night."""
    first = flow(make_settings(toy_csv))
    folder = flow.models / first.version
    if harm == "gone":
        shutil.rmtree(folder)
    elif harm == "altered":
        (folder / "model.safetensors").write_bytes(b"rubbish")
    else:
        card = json.loads((folder / "model.json").read_text())
        (folder / "model.json").write_text(json.dumps(card | {"tokeniser": "of yesterday"}))

    second = flow(make_settings(toy_csv))
    assert second.status == "published"
    assert second.version != first.version
    assert any(w.startswith(f"live version {first.version} is damaged: {folder}/") for w in second.warnings)
    assert any(w.startswith(f"live version {first.version} cannot be read") for w in second.warnings), second.warnings
    assert "cannot be read" in (flow.run_folder(second) / "report.html").read_text("utf-8")
    assert len(Retriever(flow.models).search(["怎么退票"])[0]) == 10


@pytest.mark.slow
def test_a_damaged_pointer_stops_a_run_and_a_torn_old_version_does_not(flow, toy_csv):
    """The history is not published over; of the version a warning says which file it is."""
    first = flow(make_settings(toy_csv))
    content = (flow.models / "live.json").read_bytes()
    for harm in (b"", b"null", b"[]"):
        (flow.models / "live.json").write_bytes(harm)
        with pytest.raises(StaleFile, match=r"live\.json is damaged .*--repair"):
            flow(make_settings(toy_csv, seed=7))
        assert (flow.models / "live.json").read_bytes() == harm
    (flow.models / "live.json").write_bytes(content)

    second = flow(make_settings(toy_csv, seed=7, publish__max_drop_vs_live=1.0))
    (flow.models / first.version / "manifest.json").write_bytes(b'{"version": ')
    third = flow(make_settings(toy_csv, seed=8, publish__max_drop_vs_live=1.0))
    assert (second.status, third.status) == ("published", "published")
    assert any(f"{first.version}/manifest.json is damaged" in warning for warning in third.warnings), third.warnings


def test_a_rejected_corpus_changes_nothing_that_is_live(flow, toy_csv, tmp_path):
    """Bad rows stand in the quarantine, and yesterday's model answers on."""
    first = flow(make_settings(toy_csv))
    before = {file: hash_file(file) for file in flow.models.rglob("*") if file.is_file()}
    bad = write_table(tmp_path / "bad.csv", [(query, "") for query, _ in PAIRS])

    with pytest.raises(CorpusRejected, match="none of the 91"):
        flow(make_settings(bad))
    assert {file: hash_file(file) for file in flow.models.rglob("*") if file.is_file()} == before
    (rejected,) = flow.home.glob("runs/toy/*/ingest.rejected/quarantine.parquet")
    assert rejected.parent.parent.name > first.run


def test_a_rejected_run_leaves_a_report_with_why_and_which_rows_and_a_name(flow, toy_csv, tmp_path):
    """Its error knows the report; a corpus that breaks a bound shows its findings and how its files were read."""
    bad = write_table(tmp_path / "bad.csv", [("=1+1", ""), ("<b>退票</b>", "")])
    with pytest.raises(CorpusRejected, match="none of the 2") as raised:
        flow(make_settings(bad, "refused"))
    report = Path(raised.value.report)
    page, result = report.read_text("utf-8"), json.loads((report.parent / "run.json").read_text("utf-8"))
    assert (result["status"], result["run"], result["report"]) == ("rejected", raised.value.run, str(report))
    assert result["error"] == str(raised.value)
    assert ("none of the 2" in page, "<b>退票</b>" in page, "&lt;b&gt;退票&lt;/b&gt;" in page) == (True, False, True)
    assert "'=1+1" in (report.parent / "quarantine.csv").read_text("utf-8-sig")

    with pytest.raises(CorpusRejected) as raised:
        flow(make_settings(toy_csv, "refused", validate__min_rows={"stop": 1000}, language="zh"))
    page = Path(raised.value.report).read_text("utf-8")
    assert ("toy.csv (train)" in page, "已拒绝" in page, 'class="tag critical"' in page) == (True, True, True)
    with get_client(sync_client=True) as client:
        names = [run.name for run in client.read_flow_runs() if run.name.startswith("refused ")]
    assert len(names) == 2
    assert all(re.fullmatch(r"refused \d\d-\d\d rejected", name) for name in names), names


def test_an_interrupted_run_and_one_that_nobody_foresaw_leave_a_report(flow, toy_csv, monkeypatch):
    """With run.json they count among the runs that are kept."""
    for error, said in ((KeyboardInterrupt(), "interrupted"), (ZeroDivisionError("by 0"), "ZeroDivisionError")):

        def prepare(*_, error=error):
            raise error

        monkeypatch.setattr("flows.train_corpus.prepare", prepare)
        with pytest.raises(type(error)):
            flow(make_settings(toy_csv, "ended"))
        newest = max(flow.home.glob("runs/ended/*/run.json"))
        result = json.loads(newest.read_text("utf-8"))
        assert result["status"] == "failed"
        assert said in result["error"]
        page = Path(result["report"]).read_text("utf-8")
        assert (said in page, "toy.csv (train)" in page) == (True, True)


@pytest.mark.slow
def test_a_corpus_is_compared_with_that_of_the_live_version(flow, toy_csv, tmp_path):
    """What has changed stands in the report, a warning in the result; half a corpus stops, and the live one stays."""
    file = Path(shutil.copy(toy_csv, tmp_path / "toy.csv"))
    first = flow(make_settings(file))
    assert "No live version to compare" in (flow.run_folder(first) / "report.html").read_text("utf-8")

    write_table(file, [pair for pair in PAIRS if pair[1] not in ("宠物可以托运吗", "如何网上值机")])
    second = flow(make_settings(file))
    report = (flow.run_folder(second) / "report.html").read_text("utf-8")
    assert f"Since live version {first.version}: rows 91 → 76 (-16.5%), +0 standard questions, −2 (“" in report
    assert {w.split(":")[0] for w in second.warnings} >= {"rows_lost", "classes_removed"}

    pointer = (flow.models / "live.json").read_bytes()
    write_table(file, PAIRS[:40])
    fewer = rf"rows_lost: .*live version {second.version} was trained on 76.*fewer"
    with pytest.raises(CorpusRejected, match=fewer) as raised:
        flow(make_settings(file, validate__drift__max_rows_lost={"stop": 0.4}))
    (where,) = re.findall(r"listed in (\S+drift\.rejected)", str(raised.value))
    assert (Path(where) / "drift.parquet").exists(), "what a message points to is there"
    assert 'class="tag critical"' in Path(raised.value.report).read_text("utf-8")
    assert (flow.models / "live.json").read_bytes() == pointer
    checked = check_corpus(make_settings(file, validate__drift__max_classes_removed={"stop": 1}))
    assert any(warning.startswith("rows_lost: ") for warning in checked.warnings)


def test_one_standard_question_is_no_corpus(flow, tmp_path):
    """There is nothing to tell apart."""
    file = write_table(tmp_path / "one.csv", [(query, "如何办理退票") for query in TOY["如何办理退票"].split()])

    with pytest.raises(CorpusRejected, match="wanted: at least 2"):
        flow(make_settings(file))
    assert not flow.models.exists()


def test_a_target_out_of_reach_is_refused_before_the_first_step(flow, toy_csv):
    """It would collapse the space; the message names a target that can be reached."""
    settings = make_settings(toy_csv, loss__kind="softmax_target", loss__gamma=1.0, loss__target=0.99)

    with pytest.raises(SettingsError, match=r"loss\.target = 0\.99 .*is out of reach.*loss\.target = 0\.4046"):
        flow(settings)


def test_a_missing_source_is_not_tried_again(flow, tmp_path):
    """Retrying belongs to a lost connection; a wrong name stays wrong."""
    began = datetime.now(UTC)
    with pytest.raises(SourceError, match=r"nosuch\.csv"):
        flow(make_settings(tmp_path / "nosuch.csv"))
    assert (datetime.now(UTC) - began).total_seconds() < 5


def test_checking_trains_and_publishes_nothing(flow, toy_csv):
    """Ingest and validate only."""
    result = check_corpus(make_settings(toy_csv))

    assert (result.status, result.rows, result.classes) == ("checked", len(PAIRS), len(TOY))
    assert {folder.name for folder in flow.run_folder(result).iterdir()} == {"ingest", "validate", "run.json"}
    assert not flow.models.exists()


def test_a_check_warns_of_test_rows_as_a_run_does(tmp_path, toy_csv):
    """Of those that training has, and of those whose standard question it has not."""
    (query, label), *_ = PAIRS
    test = write_table(tmp_path / "test.csv", [(query, label), ("没见过的问法", label), ("另一句", "没有的标准问")])

    warnings = check_corpus(make_settings(toy_csv, source__test_path=str(test))).warnings

    assert "1 test row(s) repeat a training query; recall is given with and without them" in warnings
    assert "1 test row(s) have a standard question that no training row has: counted as misses" in warnings
    assert not [one for one in check_corpus(make_settings(toy_csv)).warnings if "test row" in one]


@pytest.mark.slow
def test_two_homes_make_the_same_bytes(flow, toy_csv, tmp_path, monkeypatch):
    """Prepared files, candidate and evaluation.json depend on nothing but corpus, settings and seed."""

    def hashes() -> dict[str, str]:
        folder = flow.run_folder(flow(make_settings(toy_csv)))
        files = [*folder.rglob("prepare/**/*"), *folder.rglob("train/**/*"), folder / "evaluate" / "evaluation.json"]
        named = {file.relative_to(folder).as_posix(): file for file in files if file.is_file()}
        return {name: hash_file(file) for name, file in named.items() if not name.endswith("manifest.json")}

    here = hashes()
    monkeypatch.setenv("DSSM_HOME", str(tmp_path / "elsewhere"))
    flow.home = tmp_path / "elsewhere"
    there = hashes()

    assert len(here) > 8
    assert here == there


@pytest.mark.slow
def test_old_runs_are_pruned_but_never_the_newest_nor_that_of_the_live_version(flow, toy_csv):
    """publish.keep_runs counts both."""
    results = [flow(make_settings(toy_csv, publish__keep_runs=2)) for _ in range(3)]

    left = {folder.name for folder in (flow.home / "runs" / "toy").iterdir()}
    assert left == {results[0].run, results[2].run}
    for step in STEPS:
        StepManifest.read(flow.run_folder(results[2]) / step).verify(flow.run_folder(results[2]) / step)


def test_a_health_report_that_fails_holds_no_night_back(flow, toy_csv):
    """It is a warning of a run that publishes."""
    (flow.home / "corrections" / "toy.doctor.json").mkdir(parents=True)
    result = flow(make_settings(toy_csv))
    assert result.status == "published"
    (said,) = [one for one in result.warnings if one.startswith("the health report was not written: ")]
    assert "cannot read" in said
    assert "toy.doctor.json" in said
