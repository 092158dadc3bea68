"""Great Expectations: bounds over a one-row profile, and the expectations a corpus asks for over its rows.

No other module imports Great Expectations, and this one only when called: the import takes four seconds. The profile
is a frame of one row with a column per statistic, so that a corpus of any size is checked in milliseconds. Validate and
the proof after prepare share this module. RE2 matches regular expressions: Python's own, which Great Expectations would
use, never end on some rows.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.errors import SettingsError
from schemas.settings import CustomExpectation, Severity

REGEX_SECONDS = 60.0  # of one expectation; a usual pattern takes one second a million rows
_BYTES_SEARCHED = 65_536  # between two looks at the clock: two seconds with the worst pattern


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
    """The outcome of one rule."""

    rule: Rule
    success: bool
    observed: float | None
    error: str | None  # the expectation raised: it counts as failed, with its own severity


class RowsOutcome(NamedTuple):
    """The outcome of one expectation on the rows."""

    setting: str  # e.g. "validate.expectations[0]"
    description: str  # the expectation with its arguments, as in the settings
    severity: Severity
    success: bool
    unexpected: list[int]  # positions in the frame, increasing; empty for expectations on a whole column or table
    summary: str  # what was observed


def check_profile(
    statistics: dict[str, float | None], rules: Sequence[Rule], name: str = "profile"
) -> tuple[list[Outcome], dict[str, Any]]:
    """Check `statistics` against `rules`. A rule whose statistic is None does not apply and has no outcome.

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
        SettingsError: a regular expression takes longer than `REGEX_SECONDS`, or an expectation cannot be evaluated.
    """
    import great_expectations as gx

    settings = {f"validate.expectations[{position}]": custom for position, custom in enumerate(wanted)}

    def expectations(regex: bool) -> list[Any]:  # a suite takes the expectations it holds as its own
        return [_custom(setting, one) for setting, one in settings.items() if regex or "regex" not in one.type]

    suite = gx.ExpectationSuite("rows", expectations=expectations(regex=True)).to_json_dict()
    results = {
        result.expectation_config.meta["setting"]: result
        for result in _validate(frame, "rows", expectations(regex=False))
    }
    outcomes = [
        _read_result(setting, custom, results[setting]) if setting in results else _match(setting, custom, frame)
        for setting, custom in settings.items()
    ]
    return outcomes, suite


def _custom(setting: str, custom: CustomExpectation) -> Any:  # noqa: ANN401 - see above
    import great_expectations.expectations as gxe

    name = "".join(word.capitalize() for word in custom.type.split("_"))
    return getattr(gxe, name)(severity=custom.severity, meta={"setting": setting}, **custom.kwargs)


def _describe(custom: CustomExpectation) -> str:
    return f"{custom.type}({', '.join(f'{key}={value!r}' for key, value in custom.kwargs.items())})"[:300]


def _read_result(setting: str, custom: CustomExpectation, result: Any) -> RowsOutcome:  # noqa: ANN401 - see above
    if error := _error(result):
        raise SettingsError(f"{setting} ({_describe(custom)}) cannot be evaluated: {error}; change or remove it")
    unexpected = sorted({int(row) for row in result.result.get("unexpected_index_list") or []})
    summary = _summary(result.result)
    return RowsOutcome(setting, _describe(custom), custom.severity, bool(result.success), unexpected, summary)


def _match(setting: str, custom: CustomExpectation, frame: pd.DataFrame) -> RowsOutcome:
    """Match a column's texts with regular expressions, with the meaning that Great Expectations gives them."""
    wanted = custom.kwargs
    texts = pa.array(frame[wanted["column"]], pa.string())
    deadline = time.monotonic() + REGEX_SECONDS
    patterns = wanted.get("regex_list") or [wanted["regex"]]
    try:
        found = np.stack([_find_matches(texts, pattern, deadline) for pattern in patterns])
    except TimeoutError as error:
        raise SettingsError(
            f"{setting} ({_describe(custom)}) takes longer than {REGEX_SECONDS:.0f} seconds: {error}; "
            "write a simpler regular expression, without long repetitions such as {500}"
        ) from error
    if "_not_" in custom.type:
        unexpected = found.any(axis=0)
    else:
        unexpected = ~(found.all(axis=0) if wanted.get("match_on") == "all" else found.any(axis=0))
    rows = np.flatnonzero(unexpected).tolist()
    success = (len(texts) - len(rows)) / len(texts) >= wanted.get("mostly", 1)
    summary = _summary({"unexpected_count": len(rows), "element_count": len(texts)})
    return RowsOutcome(setting, _describe(custom), custom.severity, success, rows, summary)


def _find_matches(texts: pa.StringArray, pattern: str, deadline: float) -> NDArray[np.bool_]:
    """Return a mask of the texts in which RE2 finds the pattern; TimeoutError after `deadline` (seconds, monotonic)."""
    found = np.zeros(len(texts), dtype=bool)
    ends = np.cumsum(pc.binary_length(texts).to_numpy(zero_copy_only=False))
    start = 0
    while start < len(texts):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{start:,} of {len(texts):,} rows were searched for {pattern!r}")
        reach = (ends[start - 1] if start else 0) + _BYTES_SEARCHED
        end = max(start + 1, int(np.searchsorted(ends, reach, side="right")))
        found[start:end] = pc.match_substring_regex(texts[start:end], pattern).to_numpy(zero_copy_only=False)
        start = end
    return found


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
    if result.get("unexpected_count") and "element_count" in result:
        return f"{result['unexpected_count']:,} of {result['element_count']:,} rows are unexpected"
    if unexpected := result.get("partial_unexpected_list"):  # of a whole column: values, not rows
        return f"unexpected, e.g. {', '.join(repr(value) for value in unexpected[:3])}"[:300]
    observed = result.get("observed_value")
    return "the rows do not meet it" if observed is None else f"observed {str(observed)[:200]}"
