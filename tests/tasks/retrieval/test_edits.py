"""Standard questions added, edited and removed without training: a version like any other, whole at every moment."""

import json
import shlex
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.edits import Edit, Overlay
from schemas.errors import EditError, NothingLive
from schemas.tables import EXEMPLARS
from tasks.registry import ModelRegistry
from tasks.retrieval.edits import (
    build,
    carry_edits,
    check_edit,
    describe_elsewhere,
    drop_edit,
    edit_live,
    expect,
    live_overlay,
)
from tasks.retrieval.model_files import read_arrays
from tasks.retrieval.retriever import Model, Retriever
from tests.conftest import TOY
from tests.tasks.conftest import dress, publish

NEW = "飞机上有网吗"
QUERIES = ["飞机上能上网吗", "飞机上有wifi吗", "飞机上网吗"]


@pytest.fixture
def live(registry, candidate) -> ModelRegistry:
    """A corpus of which the toy candidate is live."""
    publish(registry, candidate)
    return registry


def add(name: str = NEW, *queries: str, **more) -> Edit:
    """Return an edit that adds one."""
    return Edit(action="add", standard_question=name, similar_queries=list(queries), **more)


def first(registry: ModelRegistry, query: str) -> str:
    """Return what is found first in the live version."""
    return Retriever(registry.folder).search([query])[0][0].standard_question


def test_an_added_one_is_live_and_found_by_its_queries(live):
    """In history, with every file verified, and whatever else was found is found as before."""
    before = live.live().version
    old = Retriever(live.folder).model.search(["我要退票", "能带狗吗"], 3)

    made = edit_live(live, add(NEW, *QUERIES))

    assert made.standard_questions == 13
    assert [first(live, query) for query in (NEW, *QUERIES)] == [NEW] * 4
    assert [entry.why for entry in live.live().history] == ["published", "edited"]
    assert live.verify(made.version).edit == f"add {NEW!r} (3 similar queries)"
    assert live.manifest(made.version).run == live.manifest(before).run
    again = Retriever(live.folder).model.search(["我要退票", "能带狗吗"], 3)
    assert [[h.standard_question for h in hits] for hits in again] == [
        [h.standard_question for h in hits] for hits in old
    ]


def test_queries_of_another_standard_question_are_told(registry, candidate, tmp_path):
    """With the place where they stand; in what is read next they would contradict each other."""
    folder = Path(shutil.copytree(candidate, tmp_path / "with texts"))
    starts, asked = read_arrays(folder)["exemplar_starts"].tolist(), Model(folder).standard_questions.index("如何改签")
    rows = [{"text": f"问法{n}", "source": "bank.csv", "line": n + 2} for n in range(starts[-1])]
    pq.write_table(pa.Table.from_pylist(rows, EXEMPLARS), folder / "exemplars.parquet")
    publish(registry, folder)
    number = starts[asked]

    made = edit_live(registry, add(NEW, f" 问法{number}", "如何改签", *QUERIES))

    assert made.elsewhere == [
        "'如何改签' is one of '如何改签' (its own text)",
        f"' 问法{number}' is one of '如何改签' (bank.csv:{number + 2})",
    ]
    assert describe_elsewhere(made.elsewhere).startswith("2 similar queries belong to another standard question, too: ")
    more = [f"问法{number + 1}", QUERIES[0]]
    again = edit_live(registry, Edit(action="edit", standard_question="如何改签", similar_queries=more))
    assert again.elsewhere == [f"{QUERIES[0]!r} is one of {NEW!r} (dssm add)"]
    assert describe_elsewhere([]) == ""


def test_a_rollback_takes_an_edit_back(live):
    """Model and overlay go together."""
    before = live.live().version
    edit_live(live, add())
    assert [edit.standard_question for edit in live_overlay(live).edits] == [NEW]

    live.change(lambda update: update.roll_back())

    assert live.live().version == before
    assert live_overlay(live) == Overlay()
    assert first(live, NEW) != NEW


def test_an_edited_one_is_found_by_its_new_text_and_queries(live):
    """Its old queries still find it, and its old text, a similar query now."""
    old, new = "宠物可以托运吗", "带宠物上飞机有什么规定"
    edit_live(live, Edit(action="edit", standard_question=old, text=new, similar_queries=["宠物猫可以坐飞机吗"]))

    model = Retriever(live.folder).model
    assert old not in model.standard_questions
    assert [first(live, one) for one in (new, old, "能带狗坐飞机吗", "宠物猫可以坐飞机吗")] == [new] * 4
    assert live_overlay(live).edits[0].similar_queries == ["宠物猫可以坐飞机吗", old]
    assert model.ids[model.standard_questions.index(new)] == new


def test_one_is_named_by_its_id_too(registry, candidates):
    """An id that nobody has is no name."""
    publish(registry, candidates("Q"))
    model = Retriever(registry.folder).model
    made = edit_live(registry, Edit(action="edit", standard_question="Q-3", payload={"answer": "新"}))
    assert made.edit.standard_question == model.standard_questions[3]
    edit_live(registry, Edit(action="remove", standard_question="Q-3"))
    assert model.standard_questions[3] not in Retriever(registry.folder).model.standard_questions
    with pytest.raises(EditError, match="there is no standard question 'Q-3'"):
        edit_live(registry, Edit(action="remove", standard_question="Q-3"))


def test_a_removed_one_is_not_found(live):
    """Those behind it move up."""
    gone = "宠物可以托运吗"
    made = edit_live(live, Edit(action="remove", standard_question=gone))
    assert made.standard_questions == 11
    assert gone not in [hit.standard_question for hit in Retriever(live.folder).search([gone], 20)[0]]


def test_fields_are_edited_with_their_standard_question(registry, candidate, tmp_path):
    """An answer, a number, a validity; a new field; a removed one is missing."""
    rows = {text: {"answer": "旧", "fee": "3", "valid_until": "2099-12-31"} for text in TOY}
    publish(registry, dress(candidate, tmp_path / "dressed", rows))
    changed = {"answer": "新", "fee": 7, "channel": ["App"], "valid_until": None}
    edit_live(registry, Edit(action="edit", standard_question="如何改签", payload=changed))
    edit_live(registry, add(payload={"answer": "有", "valid_until": "2020-01-01"}))

    model = Retriever(registry.folder).model
    payload = {hit.standard_question: hit.payload for hit in model.search(["改签"], 20, valid_at="any")[0]}
    assert payload["如何改签"] == {"answer": "新", "fee": 7, "channel": ["App"]}
    assert payload["如何开发票"] == {"answer": "旧", "fee": 3, "valid_until": "2099-12-31"}
    assert payload[NEW] == {"answer": "有", "valid_until": "2020-01-01"}
    assert NEW not in [hit.standard_question for hit in model.search([NEW], 20)[0]]
    assert [h.standard_question for h in model.search([NEW], 20, {"channel": "app"})[0]] == ["如何改签"]
    with pytest.raises(EditError, match="'fee' holds numbers, and 'viel' is none"):
        edit_live(registry, Edit(action="edit", standard_question="如何改签", payload={"fee": "viel"}))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (add("如何改签"), "is there already"),
        (add(" 如何改签　"), "but for case, width or white space"),
        (add("如何\n改签"), "but for case, width or white space"),
        (add("  "), "standard question is empty"),
        (add("\u200b"), "standard question is empty"),
        (add(NEW, "好", " "), "similar query is empty"),
        (add("半\ud83d"), "half a character"),
        (add("a\0b"), "a NUL"),
        (add("长" * 1001), "has 1001 characters"),
        (add("🙂🙂"), "nothing of '🙂🙂' and its similar queries is known"),
        (add(id="如何改签"), "the id '如何改签' is that of '如何改签'"),
        (add(id="x" * 1001), "the id 'xxx"),
        (add(payload={"x" * 101: "1"}), "has 101 characters, at most 100 are taken"),
        (add(payload={"a\0": "1"}), "holds half a character or a NUL"),
        (add(payload={"note": "x" * 32_768}), "has 32768 characters, at most 32767 are taken"),
        (add(payload={"note": ["\ud800"]}), "holds half a character or a NUL"),
        (add(payload={"fee": float("nan")}), "the value of 'fee' is no number that a field holds"),
        (add(payload={"fee": 10**4000}), "the value of 'fee' is no number that a field holds"),
        (add(payload={"valid_until": "99999-01-01"}), "'99999-01-01' is no date"),
        (Edit(action="edit", standard_question="如何改签吗", text="x"), "did you mean 如何改签?"),
        (Edit(action="edit", standard_question="如何改签"), "nothing is changed"),
        (Edit(action="edit", standard_question="如何改签", text="如何改签"), "nothing is changed"),
        (Edit(action="edit", standard_question="如何改签", text="如何开发票"), "is there already"),
        (Edit(action="remove", standard_question="没有"), "there is no standard question"),
    ],
    ids=lambda one: one if isinstance(one, str) else one.action,
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(live, edit, message):
    """With what to do."""
    before = live.live()
    with pytest.raises(EditError) as error:
        edit_live(live, edit)
    assert message in str(error.value)
    assert error.value.exit_code == 2
    assert live.live() == before
    assert not [*live.folder.glob(".edit-*")]


def test_an_edited_version_is_read_by_whoever_reads_a_published_one(live):
    """Another user's service, say; what it was made in was private."""
    published = live.folder / live.live().version
    made = live.folder / edit_live(live, add()).version
    assert made.stat().st_mode == published.stat().st_mode
    assert {one.stat().st_mode for one in made.iterdir()} == {one.stat().st_mode for one in published.iterdir()}


@pytest.mark.parametrize(
    ("queries", "rows"),
    [(0, None), (1, "1-3"), (3, "1-3"), (4, None), (11, "11-50"), (51, ">50")],
)
def test_what_is_expected_was_measured_of_as_many_rows(queries, rows, tmp_path):
    """Of one that is found by its text alone no test row tells, and other sizes tell nothing of this one."""
    sizes = {"1-3": 2, "4-10": 0, "11-50": 5, ">50": 7}
    measured = {name: {"rows": rows, "recall_at_10": {"value": 0.5}} for name, rows in sizes.items()}
    (tmp_path / "evaluation.json").write_text(json.dumps({"by_class_size": measured}), "utf-8")

    found = expect(tmp_path, queries)
    assert (found and found.rows) == rows


def test_rows_that_one_has_already_count(live, monkeypatch):
    """An edit adds to them."""
    asked = []
    monkeypatch.setattr("tasks.retrieval.edits.expect", lambda version, rows: asked.append(rows))
    model = Retriever(live.folder).model
    edit_live(live, Edit(action="edit", standard_question=model.standard_questions[0], similar_queries=["甲", "乙"]))
    assert asked == [int(model.rows[0]) + 2]


def test_a_field_that_no_other_one_has_is_warned_about(registry, candidate, tmp_path):
    """It may be mistyped; answers have a name of their own."""
    publish(registry, dress(candidate, tmp_path / "dressed", {text: {"category": "旧"} for text in TOY}))
    assert edit_live(registry, add(payload={"Category": "新", "answer": "有"})).warnings == []
    (warning,) = edit_live(registry, add("如何选座", payload={"categori": "新"})).warnings
    assert "the field 'categori'; there are: category, answer; did you mean category? If it was mistyped: " in warning
    typed = shlex.split(warning.partition(": dssm ")[2])
    assert typed == ["edit", registry.corpus, "如何选座", "--field", "categori="]
    assert (
        edit_live(registry, Edit(action="edit", standard_question="如何选座", payload={"categori": None})).warnings
        == []
    )


def test_the_last_two_stay(live):
    """A model of one would always answer the same."""
    for name in [*TOY][2:]:
        edit_live(live, Edit(action="remove", standard_question=name))
    with pytest.raises(EditError, match="one of the last 2"):
        edit_live(live, Edit(action="remove", standard_question=next(iter(TOY))))


def test_there_must_be_a_version(registry):
    """Nothing is made from nothing."""
    with pytest.raises(NothingLive):
        edit_live(registry, add())


def test_edits_at_once_all_come_to_be(live):
    """Each goes on from what is then live."""
    names = [f"{NEW}{n}" for n in range(4)]
    threads = [threading.Thread(target=edit_live, args=(ModelRegistry(live.folder), add(name))) for name in names]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert {edit.standard_question for edit in live_overlay(live).edits} == {*names}
    assert {*names} <= {*Retriever(live.folder).model.standard_questions}


def test_many_edits_leave_the_trained_versions_and_the_one_before(registry, candidate, candidates):
    """As many versions are kept as the settings say, and a rollback takes back one edit alone."""
    settings = {"settings.json": json.dumps({"publish": {"keep_versions": 4}}).encode()}
    trained = []
    for mark in ("one", "two"):
        with registry.update() as update:
            trained.append(update.add(candidates(mark), settings, "run", (0.5, 0.5, 10)))
            update.go_live(trained[-1], "published")
    for n in range(5):
        edit_live(registry, add(f"{NEW}{n}"))

    versions = [m.version for m in registry.versions()]
    assert len(versions) == 4
    assert {m.version for m in trained} < {*versions}
    registry.change(lambda update: update.roll_back())
    assert [edit.standard_question[-1] for edit in live_overlay(registry).edits] == ["0", "1", "2", "3"]


def test_an_edit_may_be_dropped_and_the_live_version_answers_on(live):
    """The next run goes by the export alone."""
    edit_live(live, add())
    with pytest.raises(EditError, match=f"did you mean {NEW}"):
        drop_edit(live, NEW + "呢")
    drop_edit(live, NEW)
    assert live_overlay(live) == Overlay()
    assert first(live, NEW) == NEW


def test_one_that_has_its_first_text_again_keeps_the_others(live):
    """Its own text is no similar query of it."""
    old = "宠物可以托运吗"
    edit_live(live, Edit(action="edit", standard_question=old, text="带宠物"))
    edit_live(live, Edit(action="edit", standard_question="带宠物", text=old))
    assert live_overlay(live).edits[0].similar_queries == ["带宠物"]


@pytest.mark.parametrize(
    ("edits", "left"),
    [
        ([add("a"), Edit(action="edit", standard_question="a", text="b")], [("add", "b", None)]),
        ([add("a"), Edit(action="remove", standard_question="a")], []),
        (
            [
                Edit(action="edit", standard_question="a", text="b"),
                Edit(action="edit", standard_question="b", text="c"),
            ],
            [("edit", "a", "c")],
        ),
        (
            [Edit(action="edit", standard_question="a", text="b"), Edit(action="remove", standard_question="b")],
            [("remove", "a", None)],
        ),
        ([Edit(action="remove", standard_question="a"), add("a", "q")], [("edit", "a", None)]),
        ([add("a"), add("b")], [("add", "a", None), ("add", "b", None)]),
    ],
)
def test_edits_of_one_standard_question_join(edits, left):
    """One entry says what the export lacks."""
    overlay = Overlay()
    for edit in edits:
        overlay = overlay.followed_by(edit)
    assert [(one.action, one.standard_question, one.text) for one in overlay.edits] == left


def test_what_was_edited_during_a_run_is_carried_into_its_version(live, candidate, tmp_path):
    """The candidate was trained without it; an edit that it was trained with is not made again."""
    edit_live(live, add(NEW, *QUERIES))
    (edit,) = live_overlay(live).edits
    with live.update() as update:
        (tmp_path / "late").mkdir()
        carried, late = carry_edits(update, candidate, [], [], tmp_path / "late")
        known = carry_edits(update, candidate, [edit], [edit], tmp_path / "known")
        settled = carry_edits(update, candidate, [edit], [], tmp_path / "settled")

    assert Model(carried).search([NEW])[0][0].standard_question == NEW
    assert Overlay.model_validate_json(late["overlay.json"]).edits == [edit]
    assert known == (candidate, late)
    assert settled == (candidate, {})


def test_vectors_are_of_unit_length_and_kept_queries_say_where_they_come_from(live, candidate, tmp_path):
    """What training promises of its files holds of these, too."""
    model = Model(candidate)
    out = tmp_path / "out"
    out.mkdir()
    build(candidate, out, model, [add(NEW, *QUERIES)])

    from tasks.retrieval.model_files import read_arrays

    arrays = read_arrays(out)
    np.testing.assert_allclose(np.linalg.norm(arrays["classes"], axis=2), 1, atol=1e-5)
    table = pq.read_table(out / "standard_questions.parquet").to_pylist()
    assert table[-1] == {"id": NEW, "standard_question": NEW, "rows": 3}
    assert json.loads((out / "model.json").read_bytes())["classes"] == len(arrays["classes"]) == 13


def test_a_thousand_are_edited_within_two_seconds(live):
    """With the model to load, to write and to make live; on a machine that does nothing else."""
    with live.update() as update:
        model = Model(live.fetch(update.live.version))
        assert model
    began = time.perf_counter()
    edit_live(live, add())
    assert time.perf_counter() - began < 5
    with pytest.raises(EditError):
        check_edit(add(), Retriever(live.folder).model)
