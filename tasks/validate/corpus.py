"""Validate one ingested corpus: profile, bounds, the owner's expectations, verdict.

Writes `profile.json`, `suite.json` (and `rows_suite.json` where the settings ask for expectations on the
rows), `findings.parquet` (every offender, up to 10,000 per rule), `corpus_profile.parquet` (for drift) and
`verdict.json`: the same bytes from the same input.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas.language import Language, Words, read_words
from schemas.outputs import IngestOutput, ValidateOutput
from schemas.settings import Validation
from schemas.validation import Finding, Verdict
from tasks.validate.corpus_profile import write_corpus_profile
from tasks.validate.expectations import RowsOutcome, check_profile, check_rows
from tasks.validate.profile import (
    OFFENDERS_KEPT,
    BrokenContractError,
    Offenders,
    Profile,
    offending_row,
    profile_corpus,
    read_rows,
)
from tasks.validate.verdict import Broken, bound_rules, decide, describe_failed, find_broken_bounds

ROWS_CHECKED = 1_000_000  # expectations take 6 s and 600 MB for a million rows
_FINDINGS = pa.schema(
    [
        pa.field("rule", pa.string(), nullable=False),
        pa.field("row_id", pa.int64()),  # null: not a row of questions.parquet
        pa.field("source", pa.string()),
        pa.field("line", pa.int64()),
        pa.field("text", pa.string(), nullable=False),
    ],
    metadata={"grain": "one offender of one broken rule: a row, or the first row of a standard question"},
)


def validate_corpus(
    ingested: Path,
    folder: Path,
    settings: Validation,
    corpus: str,
    seed: int,
    rows_checked: int = ROWS_CHECKED,
    language: Language = "en",
    columns: tuple[str, str] | None = None,
) -> Verdict:
    """Return the verdict on the corpus in `ingested`, and write it and what it rests on into `folder`.

    A failed corpus is a verdict, not an exception.

    Args:
        ingested: folder that ingest wrote.
        folder: is made where missing.
        settings: bounds and expectations.
        corpus: its name, for the suite.
        seed: draws the sample where there are more rows than `rows_checked`.
        rows_checked: the most rows that expectations on the rows see.
        language: of the findings.
        columns: that queries and standard questions were read from; None: they have no names.

    Raises:
        SettingsError: an expectation of the settings cannot be evaluated, or not in time.
    """
    out = ValidateOutput(folder)
    folder.mkdir(parents=True, exist_ok=True)
    words = read_words(language)
    try:
        profile = profile_corpus(ingested, settings, language)
    except BrokenContractError as error:
        profile = Profile({}, {}, {})
        return _write(out, decide([_contract(error, words)], profile), [], profile)
    outcomes, suite = check_profile(profile.statistics, bound_rules(settings, words), corpus)
    _write_json(out.suite, suite)
    write_corpus_profile(ingested, folder)
    broken = find_broken_bounds(outcomes, profile, settings, words, columns)
    rows = int(profile.statistics["rows"] or 0)
    sampled_rows = rows_checked if settings.expectations and rows > rows_checked else None
    if settings.expectations and rows:
        chosen = _sample(rows, rows_checked, seed)
        broken += _check_rows(IngestOutput(ingested), out, settings, chosen, words)
    return _write(out, decide([each.finding for each in broken], profile, sampled_rows), broken, profile)


def _contract(error: BrokenContractError, words: Words) -> Finding:
    return Finding(
        rule="contract",
        severity="critical",
        statement=str(error),
        offenders=0,
        examples=[],
        remedy=words("finding.contract_remedy"),
    )


def _sample(rows: int, most: int, seed: int) -> NDArray[np.int64]:
    if rows <= most:
        return np.arange(rows, dtype=np.int64)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False, shuffle=False)).astype(np.int64)


def _check_rows(
    ingested: IngestOutput, out: ValidateOutput, settings: Validation, chosen: NDArray[np.int64], words: Words
) -> list[Broken]:
    table = read_rows(ingested.questions, chosen)
    columns = {
        name: column.to_numpy(zero_copy_only=False) for name, column in zip(table.column_names, table, strict=True)
    }
    # not pandas' own string type: expectations about types are to see str
    frame = pd.DataFrame({name: pd.Series(array, dtype=array.dtype) for name, array in columns.items()})
    outcomes, suite = check_rows(frame, settings.expectations)
    _write_json(out.rows_suite, suite)
    failed = [(outcome, _unexpected(outcome, table, words)) for outcome in outcomes if not outcome.success]
    return [Broken(describe_failed(outcome, offenders, words), offenders) for outcome, offenders in failed]


def _unexpected(outcome: RowsOutcome, table: pa.Table, words: Words) -> Offenders:
    found = table.take(pa.array(outcome.unexpected[:OFFENDERS_KEPT], pa.int64())).to_pylist()
    return Offenders(len(outcome.unexpected), [offending_row(outcome.setting, row, words) for row in found])


def _write(out: ValidateOutput, verdict: Verdict, broken: list[Broken], profile: Profile) -> Verdict:
    offenders = [(each.finding.rule, *offender) for each in broken for offender in each.offenders.kept]
    rows = [dict(zip(_FINDINGS.names, offender, strict=True)) for offender in offenders]
    pq.write_table(pa.Table.from_pylist(rows, _FINDINGS), out.findings)
    _write_json(out.statistics, profile.statistics)
    out.verdict.write_text(verdict.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return verdict


def _write_json(file: Path, content: Any) -> None:  # noqa: ANN401 - any JSON
    file.write_text(json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n", encoding="utf-8")
