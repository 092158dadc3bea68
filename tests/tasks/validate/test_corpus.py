"""Each rule planted and found, from ingested files to verdict, message and files."""

import json

import pyarrow.parquet as pq
import pytest

from schemas.errors import SettingsError
from schemas.settings import Bound, CustomExpectation, Validation
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
    assert "no column 'line'" in describe_rejection("bank", verdict.findings)


def test_a_rejection_says_what_where_how_many_and_what_to_do(ingested, tmp_path):
    """The message is read by the owner of the corpus, in a terminal."""
    pairs, *_ = planted("damaged")
    message = describe_rejection(
        "bank", verdict_of(ingested(pairs), tmp_path, max_damaged_share=Bound(stop=0.001)).findings
    )

    assert message.splitlines()[:2] == [
        "corpus 'bank' is rejected by 1 critical finding(s); nothing was trained or published",
        "  damaged: 5 of 600 rows (0.83%) hold text that was decoded with the wrong codepage; allowed: at most 0.1%",
    ]
    assert "train.csv:2 “" in message
    assert "meant “请问第0个问题怎么办”" in message
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


@pytest.mark.parametrize(("severity", "outcome"), [("critical", "fail"), ("warning", "warn")])
def test_an_expectation_that_raises_counts_with_its_own_severity(ingested, tmp_path, severity, outcome):
    """A regular expression that cannot be compiled raises inside Great Expectations."""
    wanted = custom("expect_column_values_to_match_regex", severity, column="query", regex="(")
    verdict = verdict_of(ingested(CLEAN), tmp_path, expectations=wanted)

    assert verdict.outcome == outcome
    assert "could not be evaluated: Invalid regular expression" in verdict.findings[0].statement


@pytest.mark.parametrize(
    ("kind", "kwargs", "message"),
    [
        ("expect_column_value_length_to_be_between", {}, "did you mean 'expect_column_value_lengths_to_be_between'"),
        ("expect_column_values_to_be_unique", {"column": "querry"}, "no column 'querry'; did you mean 'query'"),
        ("expect_column_values_to_be_unique", {"colum": "query"}, "colum: extra fields.*takes .*column"),
        ("expect_column_values_to_be_unique", {}, "column: field required"),
    ],
)
def test_an_expectation_that_cannot_be_meant_is_an_error_of_the_settings(ingested, tmp_path, kind, kwargs, message):
    """The nearest known name is offered."""
    with pytest.raises(SettingsError, match=r"validate\.expectations\[0\].*" + message):
        verdict_of(ingested(CLEAN), tmp_path, expectations=custom(kind, **kwargs))


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


def test_data_docs_are_written_on_request(ingested, tmp_path):
    """Great Expectations' own pages, a folder per suite."""
    wanted = custom("expect_column_values_to_be_unique", column="query")
    verdict_of(ingested(CLEAN), tmp_path, data_docs=True, expectations=wanted)

    assert (tmp_path / "out" / "data_docs" / "bank" / "index.html").is_file()
    assert (tmp_path / "out" / "data_docs" / "rows" / "index.html").is_file()


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
