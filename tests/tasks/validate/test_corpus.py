"""Each rule planted and found, from ingested files to verdict, message and files."""

import json
import time
from typing import get_args

import pyarrow.parquet as pq
import pytest

from schemas.errors import SettingsError
from schemas.expectations import EXPECTATIONS, NumberColumn, TextColumn
from schemas.section import Bound
from schemas.settings import CustomExpectation, Validation
from schemas.tables import QUESTIONS
from schemas.validation import Verdict
from tasks.validate.corpus import validate_corpus
from tasks.validate.expectations import Rule, check_profile
from tasks.validate.verdict import describe_rejection
from tests.tasks.validate.conftest import shuffled_pairs

CLEAN = shuffled_pairs()


def changed(rows, change):
    return [change(i, pair) if i in rows else pair for i, pair in enumerate(CLEAN)]


def planted(rule):
    """Return a corpus that breaks one rule, with the bound it breaks, its offenders and a word of an example."""
    same = "请问第1个问题怎么办"
    return {
        "rows": (CLEAN[:150], "min_rows", 0, ""),
        "classes": ([(q, f"如何办理{s[-1:] < '5'}") for q, s in CLEAN], "min_classes", 2, "如何办理"),
        "smallest_class": ([*CLEAN, ("就一条", "独一")], "min_class_rows", 1, "train.csv:602 “独一” (1 row(s))"),
        "small_classes": (
            [*CLEAN, *((f"问{i}", f"小类{i // 2}") for i in range(40))], "max_small_class_share", 20, "小类",
        ),
        "imbalance": (changed(range(20, 600), lambda i, p: (p[0], "大类")), "max_imbalance", 1, "“大类” (580 row(s))"),
        "long": (changed(range(9), lambda i, p: (p[0] * 40, p[1])), "max_long_share", 9, "train.csv:2 “请问第0个"),
        "damaged": (
            changed(range(5), lambda i, p: (p[0].encode().decode("latin-1"), p[1])),
            "max_damaged_share", 5, "train.csv:2 “",
        ),
        "duplicates": (changed(range(1, 200), lambda i, p: CLEAN[0]), "max_duplicate_share", 199, "train.csv:3"),
        "conflicts": (
            changed(range(1, 31), lambda i, p: (same, p[1])), "max_conflict_share", 30, "under “如何办理业务",
        ),
        "twin_classes": (
            changed(range(300), lambda i, p: (p[0], p[1].replace("业务1", ["Vip", "VIP"][i % 2]))), "max_twin_classes",
            6, "VIP",
        ),
        "ordering": (sorted(CLEAN, key=lambda pair: pair[1]), "max_order_z", 588, "50 rows in a row under “如何办理"),
    }[rule]  # fmt: skip


RULES = [
    "rows", "classes", "smallest_class", "small_classes", "imbalance", "long", "damaged", "duplicates", "conflicts",
    "twin_classes", "ordering",
]  # fmt: skip
LOOSE = {  # bounds that a planted fault of another kind also touches
    "imbalance": {"min_class_rows": Bound(), "max_small_class_share": Bound(), "max_imbalance": Bound(warn=20)},
    "small_classes": {},
    "conflicts": {"max_duplicate_share": Bound()},
}


def verdict_of(folder, tmp_path, **settings):
    return validate_corpus(folder, tmp_path / "out", Validation(**settings), "bank", 13)


def test_a_clean_corpus_passes(ingested, tmp_path):
    """600 distinct queries in random order under 12 classes."""
    verdict = verdict_of(ingested(CLEAN), tmp_path)

    assert (verdict.outcome, verdict.findings) == ("pass", [])
    assert verdict.class_sizes["如何办理业务0"] == 50


@pytest.mark.parametrize("rule", RULES)
def test_a_planted_fault_is_found_at_both_levels(ingested, tmp_path, rule):
    """A warning names the bound; with the same limit as stop it is critical, and reported once."""
    pairs, setting, offenders, example = planted(rule)
    folder, loose = ingested(pairs), LOOSE.get(rule, {})
    verdict = verdict_of(folder, tmp_path, **loose)
    limit = loose.get(setting, getattr(Validation(), setting)).warn
    stopped = verdict_of(folder, tmp_path, **(loose | {setting: Bound(warn=limit, stop=limit)}))

    (finding,) = [each for each in verdict.findings if each.rule == rule]
    assert (verdict.outcome, finding.severity) == ("warn", "warning")
    assert f"validate.{setting}.warn" in finding.remedy
    assert finding.offenders == offenders
    assert any(example in shown for shown in finding.examples) or not example
    (critical,) = [each for each in stopped.findings if each.rule == rule]
    assert (stopped.outcome, critical.severity) == ("fail", "critical")
    assert f"validate.{setting}.stop" in critical.remedy


@pytest.mark.parametrize("rule", RULES)
def test_an_empty_level_never_fires(ingested, tmp_path, rule):
    """A bound with neither level is no bound."""
    pairs, setting, *_ = planted(rule)
    verdict = verdict_of(ingested(pairs), tmp_path, **{setting: Bound()})

    assert rule not in [finding.rule for finding in verdict.findings]


def test_a_quarantine_above_half_stops_the_run_with_reasons_and_lines(ingested, tmp_path):
    """The share is of all rows of the source; a bad row of the test file does not count."""
    bad = [("train.csv", i, "train", "empty query" if i % 3 else "torn row", None, "x") for i in range(700, 1400)]
    verdict = verdict_of(ingested(CLEAN, quarantine=[*bad, ("t.csv", 1, "test", "torn row", None, None)]), tmp_path)

    (finding,) = verdict.findings
    assert (finding.rule, finding.severity, finding.offenders) == ("quarantined", "critical", 700)
    assert "(53.85%)" in finding.statement
    assert "(empty query: 467, torn row: 233)" in finding.statement
    assert finding.examples[0] == "train.csv:700 empty query: x"


def test_a_corpus_without_rows_is_rejected_whatever_the_bounds(ingested, tmp_path):
    """An empty frame would pass most checks vacuously."""
    settings = {name: Bound() for name in Validation.model_fields if name.startswith(("min_", "max_"))}
    settings.pop("max_query_characters")
    bad = [("train.csv", i, "train", "empty query", None, "x") for i in range(2, 5)]
    verdict = verdict_of(ingested([], quarantine=bad), tmp_path, **settings)

    assert verdict.outcome == "fail"
    assert "all 3 source row(s) are unusable" in verdict.findings[0].statement
    assert verdict_of(ingested([]), tmp_path, **settings).findings[0].statement.endswith("the source holds none")


def test_files_that_break_the_contract_are_a_verdict_too(ingested, tmp_path):
    """The door raises, not the room."""
    folder = ingested(CLEAN)
    pq.write_table(pq.read_table(folder / "questions.parquet").drop_columns("line"), folder / "questions.parquet")
    verdict = verdict_of(folder, tmp_path)

    assert (verdict.outcome, verdict.findings[0].rule) == ("fail", "contract")
    assert "no column 'line'" in describe_rejection("bank", verdict.findings, "findings.parquet")


def test_a_rejection_says_what_where_how_many_and_what_to_do(ingested, tmp_path):
    """The message is read by the owner of the corpus, in a terminal."""
    pairs, *_ = planted("damaged")
    message = describe_rejection(
        "bank",
        verdict_of(ingested(pairs), tmp_path, max_damaged_share=Bound(stop=0.001)).findings,
        "findings.parquet",
    )

    assert message.splitlines()[:2] == [
        "corpus 'bank' is rejected by 1 critical finding(s); nothing was trained or published",
        "  damaged: 5 of 600 rows (0.83%) hold text that was decoded with the wrong codepage; allowed: at most 0.1%",
    ]
    assert "train.csv:2 “" in message
    assert "repaired: “请问第0个问题怎么办”" in message
    assert "5 in all, listed in findings.parquet" in message
    assert "-> export the source again as UTF-8" in message
    assert "raise validate.max_damaged_share.stop" in message


def test_equal_input_gives_equal_files_that_hold_every_offender(ingested, tmp_path):
    """Profile, suite, findings and verdict, byte for byte; the suite is one Great Expectations reads back."""
    import great_expectations as gx

    pairs, *_ = planted("conflicts")
    folder = ingested(pairs)
    custom = CustomExpectation(
        type="expect_column_value_lengths_to_be_between", kwargs={"column": "query", "max_value": 9}
    )
    settings = Validation(expectations=[custom])
    for out in ("one", "two"):
        verdict = validate_corpus(folder, tmp_path / out, settings, "bank", 13)

    files = {file.name: file.read_bytes() for file in (tmp_path / "one").iterdir()}
    assert files == {file.name: file.read_bytes() for file in (tmp_path / "two").iterdir()}
    jsons = {"profile.json", "suite.json", "rows_suite.json", "verdict.json"}
    assert set(files) == {*jsons, "findings.parquet", "corpus_profile.parquet"}
    assert Verdict.model_validate_json(files["verdict.json"]) == verdict
    assert json.loads(files["profile.json"]) == verdict.statistics
    suite = gx.ExpectationSuite(**json.loads(files["suite.json"]))
    assert len(suite.expectations) == 20
    rules = pq.read_table(tmp_path / "one" / "findings.parquet")["rule"].to_pylist()
    assert rules.count("conflicts") == verdict.statistics["conflict_rows"]
    assert rules.count("expectations[0]") == 600


def custom(kind, severity="warning", **kwargs):
    return [CustomExpectation(type=kind, kwargs=kwargs, severity=severity)]


def test_an_expectation_of_the_settings_passes_or_fails_with_examples(ingested, tmp_path):
    """The unexpected rows are shown with their lines."""
    pairs = changed([4], lambda i, p: ("请转人工", p[1]))
    wanted = custom("expect_column_values_to_not_match_regex", "critical", column="query", regex="人工")
    failed = verdict_of(ingested(pairs), tmp_path, expectations=wanted)

    assert verdict_of(ingested(CLEAN), tmp_path, expectations=wanted).outcome == "pass"
    (finding,) = failed.findings
    assert (failed.outcome, finding.rule, finding.offenders) == ("fail", "expectations[0]", 1)
    assert finding.examples == [f"train.csv:6 “请转人工” under “{pairs[4][1]}”"]
    assert "expect_column_values_to_not_match_regex(column='query', regex='人工') failed: 1 of 600" in finding.statement


def test_an_expectation_on_the_whole_table_says_what_was_observed(ingested, tmp_path):
    """No rows to show; info alone leaves the verdict at pass."""
    wanted = custom("expect_table_row_count_to_be_between", "info", max_value=5)
    verdict = verdict_of(ingested(CLEAN), tmp_path, expectations=wanted)

    assert verdict.outcome == "pass"
    assert verdict.findings[0].statement.endswith("failed: observed 600")


@pytest.mark.parametrize("kind", EXPECTATIONS)
def test_every_expectation_that_may_be_asked_for_passes_and_fails(ingested, tmp_path, kind):
    """With what it takes; Great Expectations can evaluate each on our columns."""
    met, broken = ARGUMENTS[kind]
    verdict = verdict_of(ingested(CLEAN), tmp_path, expectations=custom(kind, **met))
    assert (verdict.outcome, verdict.findings) == ("pass", [])
    if broken is not None:
        verdict = verdict_of(ingested(CLEAN), tmp_path, expectations=custom(kind, **broken))
        assert [finding.rule for finding in verdict.findings] == ["expectations[0]"]
        assert "failed: " in verdict.findings[0].statement


def column(name, **arguments):
    return {"column": name, **arguments}


CLASSES = sorted({question for _, question in CLEAN})
ARGUMENTS = {  # met by CLEAN, and broken; None: cannot be broken on these columns
    "expect_column_to_exist": (column("query"), None),
    "expect_column_values_to_be_unique": (column("query"), column("standard_question")),
    "expect_column_values_to_be_null": (column("query", mostly=0), column("query")),
    "expect_column_values_to_not_be_null": (column("query"), None),
    "expect_column_values_to_be_in_set": (
        column("standard_question", value_set=CLASSES), column("standard_question", value_set=CLASSES[1:]),
    ),
    "expect_column_values_to_not_be_in_set": (
        column("standard_question", value_set=["x"]), column("standard_question", value_set=CLASSES[:1]),
    ),
    "expect_column_distinct_values_to_be_in_set": (
        column("standard_question", value_set=[*CLASSES, "x"]), column("standard_question", value_set=["x"]),
    ),
    "expect_column_distinct_values_to_contain_set": (
        column("standard_question", value_set=CLASSES[:2]), column("standard_question", value_set=["x"]),
    ),
    "expect_column_distinct_values_to_equal_set": (
        column("standard_question", value_set=CLASSES), column("standard_question", value_set=CLASSES[1:]),
    ),
    "expect_column_most_common_value_to_be_in_set": (
        column("standard_question", value_set=CLASSES, ties_okay=True), column("standard_question", value_set=["x"]),
    ),
    "expect_column_unique_value_count_to_be_between": (
        column("standard_question", min_value=12), column("standard_question", max_value=11),
    ),
    "expect_column_proportion_of_unique_values_to_be_between": (
        column("query", min_value=1), column("query", max_value=0.5),
    ),
    "expect_column_values_to_be_between": (column("line", min_value=1.5), column("line", max_value=100)),
    "expect_column_min_to_be_between": (column("line", max_value=2), column("line", min_value=3)),
    "expect_column_max_to_be_between": (column("line", min_value=601), column("line", max_value=600)),
    "expect_column_mean_to_be_between": (column("line", min_value=2, max_value=601), column("line", max_value=2)),
    "expect_column_median_to_be_between": (column("row_id", min_value=2), column("row_id", max_value=2)),
    "expect_column_value_lengths_to_be_between": (column("query", max_value=30), column("query", max_value=3)),
    "expect_column_value_lengths_to_equal": (column("query", value=9, mostly=0), column("query", value=9)),
    "expect_column_values_to_match_regex": (column("query", regex="^请问第[0-9]+个"), column("query", regex="[a-z]")),
    "expect_column_values_to_not_match_regex": (column("query", regex="人工"), column("query", regex="第1个")),
    "expect_column_values_to_match_regex_list": (
        column("query", regex_list=["请问", "个问题"], match_on="all"), column("query", regex_list=["第1", "第2"]),
    ),
    "expect_column_values_to_not_match_regex_list": (
        column("query", regex_list=["a", "b"]), column("query", regex_list=["a", "第599"]),
    ),
    "expect_column_pair_values_to_be_equal": (
        {"column_A": "query", "column_B": "query_norm"}, {"column_A": "query", "column_B": "standard_question"},
    ),
    "expect_compound_columns_to_be_unique": (
        {"column_list": ["query", "standard_question"]}, {"column_list": ["source", "standard_question"]},
    ),
    "expect_select_column_values_to_be_unique_within_record": (
        {"column_list": ["query", "standard_question"]}, {"column_list": ["query", "query_norm"]},
    ),
    "expect_table_row_count_to_be_between": ({"min_value": 600}, {"max_value": 599}),
    "expect_table_row_count_to_equal": ({"value": 600}, {"value": 1}),
}  # fmt: skip


def test_the_columns_that_expectations_know_are_those_of_the_rows():
    """One list would be read with pyarrow, which settings must not import."""
    assert {*get_args(TextColumn), *get_args(NumberColumn)} == set(QUESTIONS.names)


def test_a_share_of_the_rows_may_break_a_regular_expression(ingested, tmp_path):
    """At the bound it is met: 93 of 100."""
    folder = ingested([(f"{'a' if i < 93 else 'b'}{i}", f"类{i % 5}") for i in range(100)])
    met = custom("expect_column_values_to_match_regex", column="query", regex="^a", mostly=0.93)
    broken = custom("expect_column_values_to_match_regex", column="query", regex="^a", mostly=0.94)

    assert "expectations[0]" not in [f.rule for f in verdict_of(folder, tmp_path, expectations=met).findings]
    assert "expectations[0]" in [f.rule for f in verdict_of(folder, tmp_path, expectations=broken).findings]


def test_a_regular_expression_needs_no_more_than_the_time_of_the_text(ingested, tmp_path):
    """With Python's own, each of these rows takes longer than the night."""
    folder = ingested([("a" * 200 + f"!{i}", f"类{i % 5}") for i in range(300)])
    begun = time.monotonic()
    wanted = custom("expect_column_values_to_not_match_regex", column="query", regex="^(a|a)*$|^(a+)+$|(.*a){30}b")

    assert "expectations[0]" not in [f.rule for f in verdict_of(folder, tmp_path, expectations=wanted).findings]
    assert time.monotonic() - begun < 30


def test_a_search_that_takes_too_long_ends_with_what_to_change(ingested, tmp_path, monkeypatch):
    """Rows are searched until the clock says no; none is skipped without a word."""
    monkeypatch.setattr("tasks.validate.expectations.REGEX_SECONDS", -1.0)
    wanted = custom("expect_column_values_to_match_regex", column="query", regex=".{1000}x")

    with pytest.raises(SettingsError, match=r"expectations\[0\].*takes longer.*0 of 600 rows.*simpler"):
        verdict_of(ingested(CLEAN), tmp_path, expectations=wanted)


def test_above_the_limit_a_seeded_sample_is_checked_and_said_so(ingested, tmp_path):
    """Another seed sees other rows; the verdict says how many were seen."""
    settings = Validation(expectations=custom("expect_column_values_to_be_between", column="line", max_value=300))
    folder = ingested(CLEAN)
    first, again, other = (
        validate_corpus(folder, tmp_path / "out", settings, "bank", seed, rows_checked=100) for seed in (1, 1, 2)
    )

    assert first.sampled_rows == 100
    assert first == again
    assert 0 < first.findings[0].offenders < 100
    assert first.findings[0].examples != other.findings[0].examples
    assert "of 100 rows" in first.findings[0].statement


def rule(statistic, severity="critical", minimum=None, maximum=None):
    return Rule(f"{statistic}.{severity}", statistic, minimum, maximum, severity, "what it limits", "what to do")


def test_a_profile_is_held_against_any_rules():
    """The proof after prepare uses this: both sides, at the bound, not applicable, and unknown."""
    rules = [
        rule("z", maximum=6.0), rule("k", minimum=4, maximum=4), rule("k", "warning", minimum=5),
        rule("none", maximum=1), rule("typo", "info", maximum=1),
    ]  # fmt: skip
    outcomes, suite = check_profile({"z": 6.0, "k": 4.0, "none": None}, rules, "proof")

    assert [(o.rule.name, o.success) for o in outcomes] == [
        ("z.critical", True), ("k.critical", True), ("k.warning", False), ("typo.info", False),
    ]  # fmt: skip
    assert outcomes[2].observed == 4
    assert "typo" in outcomes[3].error
    assert len(suite["expectations"]) == 5
    assert suite["expectations"][0]["meta"] == {"rule": "z.critical", "remedy": "what to do"}
