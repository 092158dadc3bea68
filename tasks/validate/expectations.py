"""Great Expectations: bounds over a one-row profile, and any expectation a corpus asks for over its rows.

The only module that imports Great Expectations, and only when called: the import takes four seconds.
The profile is a frame of one row, a column per statistic, so that a corpus of any size is judged in
milliseconds and its thresholds are data. Shared by validate and by the proof after prepare.
"""

import difflib
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from schemas.errors import SettingsError
from schemas.settings import CustomExpectation, Severity


class Rule(NamedTuple):
    """A bound on one statistic of a profile; beyond it the rule is broken."""

    name: str  # e.g. "max_long_share.warn"
    statistic: str
    minimum: float | None
    maximum: float | None
    severity: Severity
    description: str
    remedy: str


class Outcome(NamedTuple):
    """What Great Expectations said of one rule."""

    rule: Rule
    success: bool
    observed: float | None
    error: str | None  # the expectation raised: it counts as failed, with its own severity


class RowsOutcome(NamedTuple):
    """What Great Expectations said of one expectation on the rows."""

    setting: str  # e.g. "validate.expectations[0]"
    description: str  # the expectation with its arguments, as in the settings
    severity: Severity
    success: bool
    unexpected: list[int]  # positions in the frame, increasing; empty for expectations on a whole column or table
    summary: str  # what was observed
    error: str | None


def check_profile(
    statistics: dict[str, float | None], rules: Sequence[Rule], name: str = "profile"
) -> tuple[list[Outcome], dict[str, Any]]:
    """Hold `statistics` against `rules`; a rule whose statistic is None does not apply and has no outcome.

    Args:
        statistics: the profile; a rule on a statistic that is not in it fails with an error.
        rules: with names of their own.
        name: of the suite.

    Returns:
        Outcomes in the order of `rules`, and the suite of all rules as Great Expectations serialises it.
    """
    import great_expectations as gx
    import great_expectations.expectations as gxe

    def expectation(rule: Rule) -> Any:  # noqa: ANN401 - Great Expectations is untyped for us
        shared = {
            "column": rule.statistic,
            "severity": rule.severity,
            "description": rule.description,
            "meta": {"rule": rule.name, "remedy": rule.remedy},
        }
        if rule.minimum is not None:
            return gxe.ExpectColumnMinToBeBetween(min_value=rule.minimum, max_value=rule.maximum, **shared)
        return gxe.ExpectColumnMaxToBeBetween(max_value=rule.maximum, **shared)

    suite = gx.ExpectationSuite(name, expectations=[expectation(rule) for rule in rules]).to_json_dict()
    known = {statistic: value for statistic, value in statistics.items() if value is not None}
    applying = [rule for rule in rules if rule.statistic in known or rule.statistic not in statistics]
    results = _validate(pd.DataFrame([known], dtype=float), name, [expectation(rule) for rule in applying])
    by_name = {result.expectation_config.meta["rule"]: result for result in results}
    outcomes = []
    for rule in applying:
        result = by_name[rule.name]
        outcomes.append(Outcome(rule, bool(result.success), known.get(rule.statistic), _error(result)))
    return outcomes, suite


def check_rows(frame: pd.DataFrame, wanted: Sequence[CustomExpectation]) -> tuple[list[RowsOutcome], dict[str, Any]]:
    """Run the expectations of the settings on `frame`, whose index must be 0, 1, 2, ...

    Returns:
        Outcomes in the order of `wanted`, and the suite as Great Expectations serialises it.

    Raises:
        SettingsError: an expectation or a column is unknown, or an argument cannot be meant.
    """
    import great_expectations as gx

    def expectations() -> list[Any]:  # a suite takes the expectations it holds as its own
        return [_custom(position, custom, list(frame.columns)) for position, custom in enumerate(wanted)]

    suite = gx.ExpectationSuite("rows", expectations=expectations()).to_json_dict()
    results = {result.expectation_config.meta["setting"]: result for result in _validate(frame, "rows", expectations())}
    outcomes = []
    for position, custom in enumerate(wanted):
        setting = f"validate.expectations[{position}]"
        result = results[setting]
        outcomes.append(
            RowsOutcome(
                setting,
                f"{custom.type}({', '.join(f'{key}={value!r}' for key, value in custom.kwargs.items())})"[:300],
                custom.severity,
                bool(result.success),
                sorted({int(row) for row in result.result.get("unexpected_index_list") or []}),
                _summary(result.result),
                _error(result),
            )
        )
    return outcomes, suite


def _custom(position: int, custom: CustomExpectation, columns: list[str]) -> Any:  # noqa: ANN401 - see above
    setting = f"validate.expectations[{position}]"
    kinds = _expectation_types()
    if custom.type not in kinds:
        raise SettingsError(
            f"{setting}: Great Expectations has no expectation {custom.type!r}{_nearest(custom.type, list(kinds))}"
        )
    for key in ("column", "column_A", "column_B"):
        column = custom.kwargs.get(key)
        if isinstance(column, str) and column not in columns and custom.type != "expect_column_to_exist":
            raise SettingsError(
                f"{setting} ({custom.type}): the rows have no column {column!r}{_nearest(column, columns)}; "
                f"they have {', '.join(columns)}"
            )
    try:
        return kinds[custom.type](severity=custom.severity, meta={"setting": setting}, **custom.kwargs)
    except (TypeError, ValueError) as error:  # pydantic's ValidationError is a ValueError
        reasons = "; ".join(
            f"{'.'.join(str(part) for part in reason['loc'])}: {reason['msg']}"
            for reason in (error.errors() if hasattr(error, "errors") else [])
        )
        arguments = sorted(
            set(kinds[custom.type].__fields__)
            - {"id", "meta", "notes", "rendered_content", "severity", "result_format", "catch_exceptions"}
        )
        raise SettingsError(
            f"{setting} ({custom.type}): kwargs cannot be meant: {reasons or error}; "
            f"the expectation takes {', '.join(arguments)}"
        ) from error


def _expectation_types() -> dict[str, Any]:
    import great_expectations.expectations as gxe

    return {
        kind.expectation_type: kind
        for name, kind in vars(gxe).items()
        if name.startswith("Expect") and kind.expectation_type
    }


def _nearest(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def _validate(frame: pd.DataFrame, name: str, expectations: list[Any]) -> list[Any]:
    """Validate in a context of its own, in memory, silently."""
    if not expectations:
        return []
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("corpus").add_dataframe_asset(name)
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    suite = gx.ExpectationSuite(name, expectations=expectations)
    return list(batch.validate(suite, result_format="COMPLETE").results)


def _error(result: Any) -> str | None:  # noqa: ANN401 - see above
    """Return what an expectation raised; the report is flat, or keyed by metric."""
    info = result.exception_info or {}
    for report in [info, *(value for value in info.values() if isinstance(value, dict))]:
        if report.get("raised_exception"):
            return str(report.get("exception_message") or "unknown error").strip()
    return None


def _summary(result: dict[str, Any]) -> str:
    if result.get("unexpected_count"):
        return f"{result['unexpected_count']:,} of {result['element_count']:,} rows are unexpected"
    observed = result.get("observed_value")
    return "the rows do not meet it" if observed is None else f"observed {str(observed)[:200]}"
