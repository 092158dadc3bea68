"""Expectations of the settings: named ones with checked arguments, and nothing that is evaluated."""

import pytest
from pydantic import ValidationError

from schemas.settings import CustomExpectation

UNIQUE = "expect_column_values_to_be_unique"
BETWEEN = "expect_column_values_to_be_between"
REGEX = "expect_column_values_to_match_regex"
CODE = "@pd.io.common.os.system('touch /tmp/never')==0"


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (UNIQUE, {"column": "query", "row_condition": CODE, "condition_parser": "pandas"}, "no argument row_condition"),
        (UNIQUE, {"column": "query", "condition_parser": "python"}, "no argument condition_parser"),
        (UNIQUE, {"column": "query", "meta": {"a": 1}}, "no argument meta"),
        (UNIQUE, {"column": "query", "result_format": {"unexpected_index_query": "x"}}, "no argument result_format"),
        (UNIQUE, {"column": "query", "mostly": {"$PARAMETER": "now()"}}, "mostly: Input should be a valid number"),
        (UNIQUE, {"column": "query", "mostly": "0.5"}, "mostly: Input should be a valid number"),
        (UNIQUE, {"column": "query", "mostly": True}, "mostly: Input should be a valid number"),
        (UNIQUE, {"column": "query", "mostly": 1.5}, "mostly: Input should be less than or equal to 1"),
        (UNIQUE, {"column": "query", "mostly": float("nan")}, "mostly: Input should be"),
        (UNIQUE, {"column": "querry"}, "column: Input should be 'query'"),
        (UNIQUE, {"colum": "query"}, "no argument colum; did you mean column?.*it takes column, mostly"),
        (UNIQUE, {}, "column: Field required"),
        (BETWEEN, {"column": "line"}, "give min_value, max_value or both"),
        (BETWEEN, {"column": "line", "min_value": 2, "max_value": 1}, "min_value = 2 is above max_value = 1"),
        (BETWEEN, {"column": "line", "min_value": "2024-01-01"}, "min_value: Input should be a valid number"),
        (BETWEEN, {"column": "line", "min_value": float("inf")}, "min_value: Input should be a finite number"),
        (BETWEEN, {"column": "line", "max_value": {"$PARAMETER": "now()"}}, "max_value: Input should be a valid num"),
        (BETWEEN, {"column": "query", "min_value": 1}, "column: Input should be 'row_id' or 'line'"),
        ("expect_column_values_to_be_in_set", {"column": "query", "value_set": [{"$PARAMETER": "x"}]}, "valid string"),
        ("expect_column_values_to_be_in_set", {"column": "query", "value_set": {"$PARAMETER": "x"}}, "valid list"),
        ("unexpected_rows_expectation", {"unexpected_rows_query": "SELECT 1"}, "no expectation 'unexpected_rows_expec"),
        ("expect_query_results_to_match_comparison", {}, "no expectation 'expect_query_results"),
        ("expect_column_values_to_be_of_type", {"column": "query", "type_": "str"}, "no expectation"),
        ("expect_column_values_to_be_unqiue", {}, f"did you mean {UNIQUE}?"),
        ("__class__", {}, "no expectation '__class__'"),
        (REGEX, {"column": "query", "regex": "("}, "regex: Invalid regular expression: missing"),
        (REGEX, {"column": "query", "regex": "(?=a)b"}, "no look-around"),
        (REGEX, {"column": "query", "regex": r"(a)\1"}, "no back-reference"),
        (REGEX, {"column": "query", "regex": r"^\w+$"}, "letters of ASCII alone"),
        (REGEX, {"column": "query", "regex": "(?:a{1000}){1000}"}, "invalid repetition size"),
        (REGEX, {"column": "query", "regex": "\ud800"}, "regex: "),
        (REGEX, {"column": "query", "regex": ""}, "at least 1 character"),
        (REGEX, {"column": "query", "regex": "a" * 1001}, "at most 1000 characters"),
        (REGEX, {"column": "line", "regex": "1"}, "column: Input should be 'query'"),
        ("expect_column_values_to_match_regex_list", {"column": "query", "regex_list": ["a", "*"]}, "regex_list.1: "),
    ],
)
def test_what_is_no_plain_expectation_is_refused_when_settings_are_read(kind, arguments, message):
    """No condition, query, parameter or template is taken, and no value of another type."""
    with pytest.raises(ValidationError, match=f"(?s){message}"):
        CustomExpectation(type=kind, kwargs=arguments)


@pytest.mark.parametrize("regex", [r"^\\w", "[一-龥]+", r"\p{Han}", r"\d{11}", "(?i)vip"])
def test_regular_expressions_that_are_taken(regex):
    """A backslash before a w is one; Chinese is written as it is."""
    assert CustomExpectation(type=REGEX, kwargs={"column": "query", "regex": regex})


def test_the_severity_is_one_of_three():
    """Of the settings, not of the arguments."""
    with pytest.raises(ValidationError, match="severity"):
        CustomExpectation(type=UNIQUE, kwargs={"column": "query"}, severity="fatal")
