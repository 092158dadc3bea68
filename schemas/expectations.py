"""The Great Expectations expectations that settings may ask for, and what each takes.

Settings are data, wherever they come from: nothing here reaches an evaluator. There are no conditions, queries,
parameters or templates, and a regular expression is one of RE2, whose time grows with the text alone.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.suggestions import did_you_mean, nearest

TextColumn = Literal["query", "query_norm", "standard_question", "source"]
NumberColumn = Literal["row_id", "line"]
Column = TextColumn | NumberColumn  # those of schemas.tables.QUESTIONS
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]

_ASCII_ALONE = re.compile(r"\\[wWbB]")  # after pairs of backslashes are gone


class Arguments(BaseModel):
    """Arguments of one expectation: a bool is no number, a number no text, and what is not named is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _check_regex(pattern: str) -> str:
    """Return a regular expression as it is; ValueError: RE2 cannot read it, or would not mean what is written."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if found := _ASCII_ALONE.search(pattern.replace(r"\\", "")):
        raise ValueError(
            f"{found[0]} knows the letters of ASCII alone, no Chinese ones: write [\\p{{L}}\\p{{N}}_] or [A-Za-z0-9_]"
        )
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except (pa.ArrowInvalid, UnicodeEncodeError) as error:
        raise ValueError(f"{error}; it is read by RE2, which knows no look-around and no back-reference") from error
    return pattern


Regex = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_check_regex)]
Regexes = Annotated[list[Regex], Field(min_length=1, max_length=100)]
Texts = Annotated[list[str], Field(min_length=1, max_length=100_000)]


class _OfColumn(Arguments):
    column: Column


class _OfValues(_OfColumn):
    mostly: Share = 1


class _InSet(Arguments):
    column: TextColumn
    value_set: Texts


class _ValuesInSet(_InSet):
    mostly: Share = 1


class _MostCommon(_InSet):
    ties_okay: bool = False


class _Regex(Arguments):
    column: TextColumn
    regex: Regex
    mostly: Share = 1


class _RegexList(Arguments):
    column: TextColumn
    regex_list: Regexes
    mostly: Share = 1


class _AnyRegex(_RegexList):
    match_on: Literal["any", "all"] = "any"


class _Between(Arguments):
    min_value: float | None = None
    max_value: float | None = None
    strict_min: bool = False
    strict_max: bool = False

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if self.min_value is None and self.max_value is None:
            raise ValueError("give min_value, max_value or both")
        if self.min_value is not None and self.max_value is not None and self.min_value > self.max_value:
            raise ValueError(f"min_value = {self.min_value:g} is above max_value = {self.max_value:g}")
        return self


class _NumberBetween(_Between):
    column: NumberColumn


class _ValuesBetween(_NumberBetween):
    mostly: Share = 1


class _CountBetween(_Between):
    min_value: Count | None = None
    max_value: Count | None = None


class _ColumnCountBetween(_CountBetween):
    column: Column


class _LengthsBetween(_CountBetween):
    column: TextColumn
    mostly: Share = 1


class _ShareBetween(_Between):
    column: Column
    min_value: Share | None = None
    max_value: Share | None = None


class _Length(Arguments):
    column: TextColumn
    value: Count
    mostly: Share = 1


class _Pair(Arguments):
    column_A: TextColumn
    column_B: TextColumn
    mostly: Share = 1


class _Columns(Arguments):
    column_list: list[Column] = Field(min_length=2, max_length=6)
    mostly: Share = 1


class _Rows(Arguments):
    value: Count


#: Every expectation that settings may name, with its arguments.
EXPECTATIONS: Mapping[str, type[Arguments]] = {
    "expect_column_to_exist": _OfColumn,
    "expect_column_values_to_be_unique": _OfValues,
    "expect_column_values_to_be_null": _OfValues,
    "expect_column_values_to_not_be_null": _OfValues,
    "expect_column_values_to_be_in_set": _ValuesInSet,
    "expect_column_values_to_not_be_in_set": _ValuesInSet,
    "expect_column_distinct_values_to_be_in_set": _InSet,
    "expect_column_distinct_values_to_contain_set": _InSet,
    "expect_column_distinct_values_to_equal_set": _InSet,
    "expect_column_most_common_value_to_be_in_set": _MostCommon,
    "expect_column_unique_value_count_to_be_between": _ColumnCountBetween,
    "expect_column_proportion_of_unique_values_to_be_between": _ShareBetween,
    "expect_column_values_to_be_between": _ValuesBetween,
    "expect_column_min_to_be_between": _NumberBetween,
    "expect_column_max_to_be_between": _NumberBetween,
    "expect_column_mean_to_be_between": _NumberBetween,
    "expect_column_median_to_be_between": _NumberBetween,
    "expect_column_value_lengths_to_be_between": _LengthsBetween,
    "expect_column_value_lengths_to_equal": _Length,
    "expect_column_values_to_match_regex": _Regex,
    "expect_column_values_to_not_match_regex": _Regex,
    "expect_column_values_to_match_regex_list": _AnyRegex,
    "expect_column_values_to_not_match_regex_list": _RegexList,
    "expect_column_pair_values_to_be_equal": _Pair,
    "expect_compound_columns_to_be_unique": _Columns,
    "expect_select_column_values_to_be_unique_within_record": _Columns,
    "expect_table_row_count_to_be_between": _CountBetween,
    "expect_table_row_count_to_equal": _Rows,
}


def check_expectation(kind: str, arguments: Mapping[str, Any]) -> None:
    """Refuse an expectation that is none of `EXPECTATIONS`, or whose arguments are not valid.

    Raises:
        ValueError: says every wrong argument, with the nearest name.
    """
    if kind not in EXPECTATIONS:
        raise ValueError(
            f"no expectation {kind!r} can be asked for{did_you_mean(kind, nearest(kind, EXPECTATIONS))}; "
            "docs/production.md lists those that can"
        )
    model = EXPECTATIONS[kind]
    try:
        model.model_validate(dict(arguments))
    except ValidationError as error:
        wrong = "; ".join(_explain(problem, list(model.model_fields)) for problem in error.errors())
        raise ValueError(f"{kind}: {wrong}; it takes {', '.join(model.model_fields)}") from error


def _explain(problem: Any, known: list[str]) -> str:  # noqa: ANN401 - pydantic's dict of an error
    where = ".".join(str(part) for part in problem["loc"] if not str(part).startswith(("literal", "constrained")))
    if problem["type"] == "extra_forbidden":
        return f"no argument {where}{did_you_mean(where, nearest(where, known))}"
    return f"{where}{': ' if where else ''}{problem['msg'].removeprefix('Value error, ')}"
