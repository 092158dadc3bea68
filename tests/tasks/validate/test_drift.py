"""How a corpus differs from the one that the live version was trained on."""

import random
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import CorpusRejected
from schemas.outputs import CORPUS_PROFILE_FILE, DriftOutput, IngestOutput
from schemas.settings import DriftBounds
from schemas.tables import CORPUS_PROFILE
from schemas.validation import Drift
from tasks.ingest.payload import write_payload
from tasks.validate import corpus_profile
from tasks.validate.corpus_profile import profile_for_drift, write_corpus_profile
from tasks.validate.drift import Corpus, Kept, check_drift, find_changes, total_variation
from tests.tasks.validate.conftest import Pairs, write_ingested


def rows(standard: str, count: int, first: int = 0) -> Pairs:
    """Return `count` distinct queries of a standard question."""
    return [(f"{standard}的第{n}个说法", standard) for n in range(first, first + count)]


def with_ids(folder: Path, ids: dict[str, str]) -> Path:
    """Give standard questions the ids of an owner's list."""
    file = folder / "standard_questions.parquet"
    table = pq.read_table(file).to_pylist()
    schema = pq.read_schema(file)
    pq.write_table(
        table_of([{**row, "id": ids.get(row["standard_question"], row["id"])} for row in table], schema), file
    )
    return folder


def table_of(rows, schema):
    """Return a table."""
    return pa.Table.from_pylist(rows, schema)


@pytest.fixture
def compare(tmp_path):
    """Return the drift from one corpus to another, given as pairs."""

    def run(before: Pairs, now: Pairs, ids: Sequence[dict[str, str]] = ({}, {}), payload=({}, {}), **bounds) -> Drift:
        for name, pairs, known in (("before", before, ids[0]), ("now", now, ids[1])):
            (tmp_path / name).mkdir()
            folder = with_ids(write_ingested(tmp_path / name / "in", pairs), known)
            write_payload(IngestOutput(folder).payload, payload[name == "now"], payload[name == "now"])
            write_corpus_profile(folder, tmp_path / name)
        files = [tmp_path / name / CORPUS_PROFILE_FILE for name in ("before", "now")]
        (tmp_path / "out").mkdir()
        return check_drift(*files, tmp_path / "out", "v1", DriftBounds(**bounds), "bank")

    return run


OLD = rows("退票", 40) + rows("改签", 40) + rows("行李", 20)


def test_a_profile_keeps_classes_and_words(tmp_path):
    """By hand: pairs of neighbouring characters, runs of letters, and no digits."""
    pairs = [("退票费", "退票"), ("wifi 密码 2024", "上网"), ("退票", "退票")]
    profile = profile_for_drift(write_ingested(tmp_path, pairs))

    assert profile.schema.equals(CORPUS_PROFILE)
    classes, words, _ = Corpus.of(profile)
    assert [(one.id, one.text, one.rows, len(one.queries)) for one in classes] == [
        ("上网", "上网", 1, 1),
        ("退票", "退票", 2, 2),
    ]
    assert words == {"退票": 2, "票费": 1, "密码": 1, "wifi": 1}


def test_a_profile_is_small_and_the_same_bytes(tmp_path):
    """5,000 rows of 500 standard questions, in some tens of kilobytes."""
    pairs = [(f"第{n}个问题怎么办", f"业务{n % 500}") for n in range(5000)]
    for name in ("one", "two"):
        write_corpus_profile(write_ingested(tmp_path / name, pairs), tmp_path / name)

    one, two = ((tmp_path / name / CORPUS_PROFILE_FILE).read_bytes() for name in ("one", "two"))
    assert one == two
    assert len(one) < 60_000


def test_a_profile_is_the_same_from_many_batches(tmp_path, monkeypatch):
    """What is kept of them is merged again and again."""
    pairs = [(f"第{n % 97}个问题 how about {'abcdefg'[n % 7]}", f"业务{n % 5}") for n in range(400)]
    whole = profile_for_drift(write_ingested(tmp_path, pairs))
    monkeypatch.setattr(corpus_profile, "_BATCH_ROWS", 7)
    monkeypatch.setattr(corpus_profile, "_BATCHES_HELD", 3)

    assert profile_for_drift(tmp_path).equals(whole)


def test_a_profile_holds_a_batch_at_a_time(tmp_path, monkeypatch):
    """What a reader of Parquet buffers, it would keep to the end: memory would grow with the rows."""
    draw = random.Random(3)
    file = write_ingested(tmp_path, [(str(draw.getrandbits(300)), "号码") for _ in range(10_000)]) / "questions.parquet"
    pq.write_table(pq.read_table(file), file, row_group_size=1000)
    monkeypatch.setattr(corpus_profile, "_BATCH_ROWS", 1000)
    add, held = corpus_profile._Words.add, []
    monkeypatch.setattr(
        corpus_profile._Words, "add", lambda self, texts: held.append(pa.total_allocated_bytes()) or add(self, texts)
    )
    before = pa.total_allocated_bytes()
    profile_for_drift(tmp_path)

    assert len(held) == 10
    assert held[-1] - before < 2 * (held[0] - before)


def test_the_same_corpus_has_not_moved(compare):
    """Every share is nothing, and nothing is said."""
    drift = compare(OLD, OLD)

    shares = {name: value for name, value in drift.statistics.items() if name.endswith("_share")}
    assert set(shares.values()) == {0.0}
    assert (drift.findings, drift.added, drift.removed, drift.new_words) == ([], [], [], [])


def test_an_ordinary_night_says_what_is_new_and_warns_of_nothing(compare):
    """Four rows more, one standard question more, in one sentence."""
    drift = compare(OLD, OLD + rows("改签", 2, first=90) + rows("选座", 2))

    assert drift.findings == []
    assert drift.summary() == (
        "Since live version v1: rows 100 → 104 (+4.0%), +1 standard questions (“选座”), −0, 0 renamed, "
        "shares of the standard questions shifted by 1.2%, 0.8% of the words new (“座的”, “选座”)"
    )


def test_a_rename_is_seen_by_id_by_queries_and_by_text(compare):
    """None of them is gone or new; one that shares nothing is both."""
    long = "请问在手机银行里怎样修改预留的手机号码"
    before = [*OLD, *rows(long, 3), *rows("发票", 5)]
    renamed = [(query, {"行李": "行李限额"}.get(standard, standard)) for query, standard in OLD]
    now = [(f"新的说法{n}", "改期") if s == "改签" else (q, s) for n, (q, s) in enumerate(renamed)]
    now += [(f"怎么改号{n}", long + "呢") for n in range(3)] + rows("宠物", 5)
    drift = compare(before, now, ids=({"改签": "q2"}, {"改期": "q2"}), max_class_shift={"warn": None, "stop": None})

    assert sorted(drift.renamed) == sorted(["改签 → 改期", "行李 → 行李限额", f"{long} → {long}呢"])
    assert (drift.added, drift.removed) == (["宠物"], ["发票"])


def test_no_two_alike_are_left_over():
    """A text of the one side and one of the other with 80 % of their character pairs in common, both without a partner.

    The join must lose none of them.
    """
    draw = random.Random(1)
    words = "如何 办理 信用卡 查询 余额 退票 改签 行李 手机 银行 密码 修改 怎么 可以 吗 费用".split()
    old = sorted({"".join(draw.choices(words, k=draw.randrange(1, 9))) for _ in range(400)})
    cuts = [draw.randrange(len(text) + 1) for text in old]
    new = sorted({text[:cut] + draw.choice("呢啊的了") + text[cut:] for text, cut in zip(old, cuts, strict=True)})
    changes = find_changes(*(kept(side, texts) for side, texts in (("a", old), ("b", new))))

    def pairs(text: str) -> set[str]:
        return {text[n : n + 2] for n in range(len(text) - 1)}

    left = [(a.text, b.text) for a in changes.removed for b in changes.added]
    assert [(a, b) for a, b in left if len(pairs(a) & pairs(b)) >= 0.8 * len(pairs(a) | pairs(b))] == []
    assert 100 < len(changes.renamed) < len(old), "else there was nothing to lose, or nothing left over"


def test_a_wrong_column_is_told_in_seconds():
    """All standard questions are gone and all are new: that is when most might be alike."""
    draw = random.Random(2)
    old, new = (
        ["如何" + "".join(map(chr, draw.choices(range(0x4E00, 0x5600), k=8))) for _ in range(3000)] for _ in "ab"
    )
    began = time.process_time()
    changes = find_changes(kept("a", old), kept("b", new))

    assert len(changes.removed) == len(changes.added) == 3000
    assert time.process_time() - began < 5, "compared each with each, it was 15"


def kept(side: str, texts: Sequence[str]) -> Corpus:
    """Return a corpus of which ids and queries say nothing."""
    return Corpus([Kept(f"{side}{n}", text, 1, frozenset([2 * n + (side == "a")])) for n, text in enumerate(texts)], {})


def test_total_variation_by_hand():
    """Half against half, and one third against two thirds: a sixth must move. Other sizes alone move nothing."""
    assert total_variation([(5, 10), (5, 20)]) == pytest.approx(1 / 6)
    assert total_variation([(5, 50), (7, 70)]) == 0
    assert total_variation([(0, 5)]) is None


@pytest.mark.parametrize(
    ("now", "rule", "severity"),
    [
        (OLD[:38] + OLD[40:78] + OLD[80:93], "rows_lost", "warning"),  # 11 % fewer
        (OLD[:20] + OLD[40:60] + OLD[80:89], "rows_lost", "critical"),  # 51 % fewer
        (OLD + rows("退票", 101, first=50), "rows_gained", "warning"),
        (OLD[:80], "classes_removed", "warning"),
        (rows("a", 40) + rows("b", 40) + OLD[80:], "classes_removed", "critical"),
        (OLD + rows("x", 2) + rows("y", 2), "classes_added", "warning"),
        ([(query, standard + "？") for query, standard in OLD], "classes_renamed", "warning"),
        (OLD[:40] + OLD[40:45] + OLD[80:], "class_shift", "warning"),
        (OLD[:1] + OLD[40:41] + rows("行李", 100), "class_shift", "critical"),
        ([(query + "么啊", standard) for query, standard in OLD], "new_words", "warning"),
        ([(f"how do i {standard}", standard) for _, standard in OLD], "new_words", "critical"),
    ],
)
def test_each_bound_warns_and_stops(now, rule, severity, compare):
    """At its two levels; a warning goes on."""
    if severity == "critical":
        with pytest.raises(CorpusRejected, match=rf"'bank' is rejected.*\n(.*\n)*  {rule}: "):
            compare(OLD, now)
        return
    found = {finding.rule: finding.severity for finding in compare(OLD, now).findings}
    assert found[rule] == "warning"


def test_a_stop_says_what_where_how_many_and_what_to_do(compare, tmp_path):
    """As every rejection; the changes are listed in full beside it."""
    with pytest.raises(CorpusRejected) as error:
        compare(OLD, OLD[:40])

    message = str(error.value)
    assert (
        "the corpus has 40 rows where the live version v1 was trained on 100: 60.0% fewer; allowed: at most 50%"
        in message
    )
    assert "“改签” (had 40 row(s))" in message
    assert "-> see whether the export is whole; or raise validate.drift.max_rows_lost.stop" in message
    assert "Since live version v1: rows 100 → 40 (-60.0%)" in message
    listed = pq.read_table(tmp_path / "out" / "drift.parquet").to_pylist()
    assert [row["text"] for row in listed if row["change"] == "removed"] == ["改签", "行李"]
    assert DriftOutput(tmp_path / "out").read_drift().removed == ["改签", "行李"]
    assert DriftOutput(tmp_path).read_drift() is None


def test_answers_and_ids_that_vanish_are_told(compare):
    """The bot would have nothing to say, or say what another id means; what stays the same is not told."""
    answers = {text: {"answer": "…", "link": "…", "note": "…"} for text in ("退票", "改签", "行李")}
    fewer = {"退票": {"link": "…", "note": "…"}, "改签": {"note": "…"}, "行李": {"note": "…"}}
    drift = compare(OLD, OLD, ids=({"改签": "q2", "行李": "q3"}, {"行李": "q3"}), payload=(answers, fewer))

    said = {finding.rule: finding for finding in drift.findings}
    assert {*said} == {"fields_gone", "fields_emptied", "ids_changed"}
    assert {finding.severity for finding in drift.findings} == {"warning"}
    assert "1 of the 3 fields" in said["fields_gone"].statement
    assert said["fields_gone"].examples == ["“answer”: 3 had it, 0 have it now"]
    assert said["fields_emptied"].examples == ["“link”: 3 had it, 1 have it now"]
    assert said["ids_changed"].examples == ["“改签”: “q2” is now “改签”"]


@pytest.mark.parametrize("bound", ["max_fields_gone", "max_field_share_lost", "max_ids_changed"])
def test_vanished_answers_and_ids_stop_where_the_settings_say_so(compare, bound, tmp_path):
    """As every bound of drift; the first field of a corpus, and a profile that knows of none, are no loss."""
    answers = {text: {"answer": "…", "link": "…"} for text in ("退票", "改签", "行李")}
    with pytest.raises(CorpusRejected, match=rf"validate\.drift\.{bound}\.stop"):
        compare(OLD, OLD, ({"改签": "q2"}, {}), (answers, {"退票": {"link": "…"}}), **{bound: {"stop": 0}})


def test_a_corpus_that_gets_its_first_fields_loses_none(compare):
    """Nor does one whose profile is of a version that knew of none."""
    assert compare(OLD, OLD, payload=({}, {"退票": {"answer": "…"}})).findings == []


def test_a_wider_bound_lets_the_same_corpus_pass(compare):
    """The way on for who means it."""
    drift = compare(OLD, OLD[:40], max_rows_lost={"stop": 0.7}, max_classes_removed={"stop": 0.7})

    assert {finding.severity for finding in drift.findings} <= {"warning"}


def test_growth_never_stops(compare):
    """Even a corpus that nearly doubles in one night, all in one new way of asking under one standard question."""
    drift = compare(OLD, OLD + [(f"how can i get my money back {n}", "退票") for n in range(20)])

    assert drift.statistics["class_shift_share"] < 0.2
    assert all(finding.severity == "warning" for finding in drift.findings)
