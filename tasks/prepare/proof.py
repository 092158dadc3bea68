"""The proof that the prepared files keep their promises: statistics of the files against fixed bounds.

The statistics are recomputed from what lies on disk, not from what was in memory when it was written.
"""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.sparse import csr_array

from schemas.errors import ProofBroken
from schemas.outputs import IngestOutput, PrepareOutput
from schemas.settings import CorpusSettings
from tasks.prepare.groups import bar_groups, read_groups
from tasks.prepare.negatives import forbidden_classes, is_forbidden
from tasks.retrieval.hashing import text_keys
from tasks.retrieval.normalise import normalise_all
from tasks.validate.expectations import Rule, check_profile
from tasks.validate.ordering import order_z

_Z = 6.0  # no false alarm in 2,000 good shuffles; a bad one lies in the hundreds
_BATCH_ROWS = 65_536
_COLUMNS = (["row_id", "class_id"], ["row_id", "negatives"])
_DISTRIBUTION_Z = 8.0  # the chi-square approximation is loose where a class is drawn a few times only


def prove(ingested: Path, prepared: Path, settings: CorpusSettings) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Return the statistics of the prepared files and the suite of expectations they met.

    Raises:
        ProofBroken: an expectation is not met: a fault of this program.
    """
    statistics = _statistics(IngestOutput(ingested), PrepareOutput(prepared), settings)
    outcomes, suite = check_profile(statistics, _rules(settings), f"{settings.name}-prepared")
    broken = [outcome for outcome in outcomes if not outcome.success]
    if broken:
        lines = [
            f"  {outcome.rule.description}: {outcome.rule.statistic} = {outcome.error or outcome.observed}"
            for outcome in broken
        ]
        raise ProofBroken(
            f"prepare of corpus {settings.name!r} broke {len(broken)} of its own promises; nothing was trained. "
            "This is a fault of the program, not of the data: please report it.\n" + "\n".join(lines)
        )
    return statistics, suite


def _statistics(ingested: IngestOutput, prepared: PrepareOutput, settings: CorpusSettings) -> dict[str, float | None]:
    test = pq.ParquetFile(prepared.test)
    classes = pq.read_table(prepared.classes, columns=["near_duplicates"])
    official = settings.source.test_path is not None
    source_rows = pq.read_metadata(ingested.questions).num_rows
    tested = np.zeros(0, np.uint64)
    if not official:
        tested = np.unique(np.concatenate([tested, *(_keys(batch) for batch in _batches(test, "query"))]))
    seen = np.zeros(source_rows, dtype=np.uint8)
    labels, strange, in_both = [np.zeros(0, np.int32)], 0, 0
    for batch in (
        batch
        for file in prepared.train_parts()
        for batch in _batches(pq.ParquetFile(file), "row_id", "class_id", "query")
    ):
        row_ids = batch["row_id"].to_numpy()
        inside = row_ids[(row_ids >= 0) & (row_ids < source_rows)]
        strange += len(row_ids) - len(inside)
        np.add.at(seen, inside, 1)
        labels.append(batch["class_id"].to_numpy())
        in_both += int(np.isin(text_keys(batch["query"].to_pylist()), tested).sum()) if len(tested) else 0
    order = np.concatenate(labels)
    statistics: dict[str, float | None] = {
        "rows_lost": abs(source_rows - len(order) - (0 if official else test.metadata.num_rows)),
        "rows_repeated": strange + int((seen > 1).sum()),
        "order_z": order_z(order).z if settings.split.shuffle else None,
        "test_queries_in_train": None if official else in_both,
    }
    forbidden = forbidden_classes(bar_groups(classes["near_duplicates"].to_pylist(), read_groups(prepared)))
    return statistics | _negatives_statistics(prepared, order, forbidden, settings)


def _batches(file: pq.ParquetFile, *columns: str) -> Iterator[pa.RecordBatch]:
    yield from file.iter_batches(_BATCH_ROWS, columns=list(columns))


def _keys(batch: pa.RecordBatch) -> NDArray[np.uint64]:
    return text_keys(normalise_all(batch["query"].to_pylist()))


def _negatives_statistics(
    prepared: PrepareOutput, labels: NDArray[np.int32], forbidden: csr_array, settings: CorpusSettings
) -> dict[str, float | None]:
    classes = forbidden.shape[0]
    drawn = np.zeros(classes, dtype=np.int64)
    counts: set[int] = set()
    misplaced = barred = 0
    epochs = prepared.epochs()
    for epoch in epochs:
        for train, negatives in _side_by_side(prepared.train, epoch):
            if train is None or negatives is None:
                misplaced += len(train or negatives or ())
                continue
            lists = negatives["negatives"]
            counts.add(lists.type.list_size if not lists.null_count else -1)
            misplaced += int((negatives["row_id"].to_numpy() != train["row_id"].to_numpy()).sum())
            table = lists.flatten().to_numpy().reshape(len(lists), -1)
            drawn += np.bincount(table.ravel(), minlength=classes)
            own = train["class_id"].to_numpy()
            barred += int(is_forbidden(forbidden, own, table).sum())
    return {
        "epochs_lost": abs(settings.negatives.epochs_drawn - len(epochs)),
        "negatives_fewest": min(counts, default=None),
        "negatives_most": max(counts, default=None),
        "negatives_misplaced": misplaced,
        "negatives_of_own_class_or_near_duplicate": barred,
        "negatives_z": _distribution_z(drawn, labels, forbidden, settings.negatives.per_row * len(epochs))
        if settings.negatives.sampler == "random"
        else None,
    }


def _side_by_side(train: Path, negatives: Path) -> Iterator[tuple[pa.RecordBatch | None, pa.RecordBatch | None]]:
    """Yield the rows of both as batches of equal length; None where only the other has rows."""
    parts = sorted({file.name for folder in (train, negatives) for file in folder.iterdir()})
    for part in parts:
        sides = [pq.ParquetFile(folder / part) if (folder / part).exists() else None for folder in (train, negatives)]
        rows = [side.metadata.num_rows if side else 0 for side in sides]
        common = min(rows)
        streams = [
            _batches(side, *columns) if side else iter(()) for side, columns in zip(sides, _COLUMNS, strict=True)
        ]
        start = 0
        for left, right in zip_longest(*streams):  # of equal length but at the shorter one's end
            length = max(0, min(common - start, _BATCH_ROWS))
            if length:
                yield left.slice(0, length), right.slice(0, length)
            if left is not None and len(left) > length:
                yield left.slice(length), None
            if right is not None and len(right) > length:
                yield None, right.slice(length)
            start += _BATCH_ROWS


def _distribution_z(
    drawn: NDArray[np.int64], labels: NDArray[np.integer], forbidden: csr_array, draws: int
) -> float | None:
    """Return how far the draws are from uniform over the classes that each row may draw, as a normal z.

    Chi-square over the classes, made normal by its cube root (Wilson and Hilferty 1931).
    """
    classes, counts = forbidden.shape[0], np.diff(forbidden.indptr)
    per_class = np.bincount(labels, minlength=classes) * draws / (classes - counts)
    expected = np.full(classes, per_class.sum())
    np.subtract.at(expected, forbidden.indices, np.repeat(per_class, counts))
    possible = expected > 0.5
    freedom = int(possible.sum()) - 1
    if freedom < 1:
        return None
    chi = float(((drawn - expected)[possible] ** 2 / expected[possible]).sum())
    spread = 2 / (9 * freedom)
    return float(((chi / freedom) ** (1 / 3) - (1 - spread)) / spread**0.5)


def _rules(settings: CorpusSettings) -> list[Rule]:
    k = settings.negatives.per_row

    def exactly(statistic: str, value: float, description: str) -> Rule:
        return Rule(statistic, statistic, value, value, "critical", description, "report it")

    def at_most(statistic: str, value: float, description: str) -> Rule:
        return Rule(statistic, statistic, None, value, "critical", description, "report it")

    return [
        exactly("rows_lost", 0, "every usable row is in train or in test"),
        exactly("rows_repeated", 0, "no row is in train twice"),
        at_most("order_z", _Z, "the order by standard question is gone"),
        exactly("test_queries_in_train", 0, "no test query is also a training query"),
        exactly("epochs_lost", 0, "every epoch has its draw"),
        exactly("negatives_fewest", k, f"every row has at least {k} negatives"),
        exactly("negatives_most", k, f"no row has more than {k} negatives"),
        exactly("negatives_misplaced", 0, "negatives stand in the order of the rows"),
        exactly("negatives_of_own_class_or_near_duplicate", 0, "no negative is the row's class or nearly equal to it"),
        at_most("negatives_z", _DISTRIBUTION_Z, "negatives are uniform over what a row may draw"),
    ]
