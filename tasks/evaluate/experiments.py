"""Runs of one corpus beside each other: what was set differently, what was measured, and what is chance."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas.errors import SettingsError, StaleFile
from schemas.evaluation import Evaluation, Interval
from schemas.outputs import EvaluateOutput, PrepareOutput
from schemas.paths import read_file
from schemas.workspace import SETTINGS_FILE
from tasks.evaluate.metrics import paired_difference

_Row = tuple[str, str]  # query and standard question


@dataclass(frozen=True)
class Experiment:
    """One run beside the first of them."""

    corpus: str
    run: str
    evaluation: Evaluation
    settings: dict[str, str]  # those in which the runs differ, by their dotted key
    rows: int  # test rows that this run and the first have in common
    difference: Interval | None  # of recall@10 to the first, on these rows; None: this is the first, or there are none


def compare_runs(runs: Sequence[Path]) -> list[Experiment]:
    """Return runs, the first first, each with the paired difference of its recall@10 to that of the first.

    Args:
        runs: their folders.

    Raises:
        SettingsError: one of them was not measured.
        StaleFile: one of them is damaged.
    """
    read = [_read(run) for run in runs]
    flat = [_flatten(settings) for _, settings, _ in read]
    keys = sorted({key for one in flat for key in one if any(other.get(key) != one[key] for other in flat)})
    first = read[0][2]
    found = []
    for number, (run, (evaluation, _, ranks)) in enumerate(zip(runs, read, strict=True)):
        common = [row for row in first if row in ranks]
        pairs = np.array([(ranks[row], first[row]) for row in common], np.int64).reshape(-1, 2)
        difference = paired_difference(pairs[:, 0], pairs[:, 1], 10) if number and common else None
        settings = {key: flat[number].get(key, "") for key in keys}
        found.append(Experiment(run.parent.name, run.name, evaluation, settings, len(common), difference))
    return found


def _read(run: Path) -> tuple[Evaluation, dict[str, Any], dict[_Row, int]]:
    evaluated, test = EvaluateOutput(run / EvaluateOutput.step), PrepareOutput(run / PrepareOutput.step).test
    with _reading(run, evaluated.evaluation.name):
        evaluation = evaluated.read_evaluation()
    with _reading(run, SETTINGS_FILE):
        settings = dict(json.loads(read_file(run / SETTINGS_FILE)))
    with _reading(run, test.name):
        rows = pq.read_table(test, columns=["query", "standard_question"]).to_pydict()
    with _reading(run, evaluated.ranked.name):
        ranks: NDArray[np.int64] = pq.read_table(evaluated.ranked, columns=["rank"])["rank"].to_numpy()
        return evaluation, settings, dict(zip(zip(*rows.values(), strict=True), ranks.tolist(), strict=True))


@contextmanager
def _reading(run: Path, name: str) -> Iterator[None]:
    """Say what is wrong with a run of which a file cannot be read."""
    try:
        yield
    except FileNotFoundError as error:
        raise SettingsError(
            f"run {run.name} of {run.parent.name} was not measured: {error.filename} is not there"
        ) from error
    except (
        OSError,
        ValueError,
        TypeError,
        RecursionError,
    ) as error:  # those of pydantic, JSON and Arrow are ValueErrors
        why = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise StaleFile(
            f"{name} of run {run.name} of {run.parent.name} is damaged ({why}); compare another run"
        ) from error


def _flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, inner in value.items():
        path = f"{prefix}{key}"
        flat |= (
            _flatten(inner, f"{path}.") if isinstance(inner, dict) else {path: json.dumps(inner, ensure_ascii=False)}
        )
    return flat
