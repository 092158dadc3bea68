"""The proof that the prepared files keep their promises: statistics of the files, held against fixed bounds.

The statistics are recomputed from what lies on disk, not from what was in memory when it was written.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas.errors import ProofBroken
from schemas.settings import CorpusSettings
from tasks.ingest.normalise import normalise_all
from tasks.prepare.negatives import forbidden_classes
from tasks.validate.expectations import Rule, check_profile
from tasks.validate.ordering import order_z

_Z = 6.0  # no false alarm in 2,000 honest shuffles; what it must find lies in the hundreds
_DISTRIBUTION_Z = 8.0  # the chi-square approximation is loose where a class is drawn a few times only


def prove(ingested: Path, prepared: Path, settings: CorpusSettings) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Return the statistics of the prepared files and the suite of expectations they met.

    Raises:
        ProofBroken: an expectation is not met: a fault of this program.
    """
    statistics = _statistics(ingested, prepared, settings)
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


def _statistics(ingested: Path, prepared: Path, settings: CorpusSettings) -> dict[str, float | None]:
    train = pq.read_table(prepared / "train.parquet", columns=["row_id", "class_id", "query"])
    test = pq.read_table(prepared / "test.parquet", columns=["query"])
    classes = pq.read_table(prepared / "classes.parquet", columns=["near_duplicates"])
    labels = train["class_id"].to_numpy().astype(np.int64)
    official = settings.source.test_path is not None
    source_rows = pq.read_metadata(ingested / "questions.parquet").num_rows
    statistics: dict[str, float | None] = {
        "rows_lost": abs(source_rows - len(train) - (0 if official else len(test))),
        "rows_repeated": len(train) - pc.count_distinct(train["row_id"]).as_py(),
        "order_z": order_z(labels).z if settings.split.shuffle else None,
        "test_queries_in_train": None if official else _overlap(test, train),
    }
    forbidden = forbidden_classes(classes["near_duplicates"].to_pylist())
    files = sorted((prepared / "negatives").glob("epoch-*.parquet"))
    return statistics | _negatives_statistics(files, train, labels, forbidden, settings)


def _overlap(test: pa.Table, train: pa.Table) -> int:
    return int(pc.sum(pc.is_in(pa.array(normalise_all(test["query"].to_pylist())), train["query"])).as_py() or 0)


def _negatives_statistics(
    files: list[Path],
    train: pa.Table,
    labels: NDArray[np.int64],
    forbidden: NDArray[np.int64],
    settings: CorpusSettings,
) -> dict[str, float | None]:
    classes = len(forbidden)
    mined = settings.negatives.mined_per_row if settings.negatives.mined_from else 0  # the last ones: not uniform
    uniform = settings.negatives.per_row - mined
    drawn = np.zeros(classes, dtype=np.int64)
    counts: list[int] = []
    misplaced = barred = 0
    for file in files:
        table = pq.read_table(file)
        lists = table["negatives"].combine_chunks()
        counts.append(lists.type.list_size if not lists.null_count else -1)
        common = min(len(table), len(train))
        in_place = table["row_id"].to_numpy()[:common] == train["row_id"].to_numpy()[:common]
        misplaced += max(len(table), len(train)) - int(in_place.sum())
        negatives = lists.flatten().to_numpy().reshape(len(table), -1)[:common]
        drawn += np.bincount(negatives[:, : max(0, negatives.shape[1] - mined)].ravel(), minlength=classes)
        barred += sum(int((negatives == column[:, None]).sum()) for column in forbidden[labels[:common]].T)
    return {
        "epochs_lost": abs(settings.negatives.epochs_drawn - len(files)),
        "negatives_fewest": min(counts, default=None),
        "negatives_most": max(counts, default=None),
        "negatives_misplaced": misplaced,
        "negatives_of_own_class_or_near_duplicate": barred,
        "negatives_z": _distribution_z(drawn, labels, forbidden, uniform * len(files))
        if settings.negatives.sampler == "random"
        else None,
    }


def _distribution_z(
    drawn: NDArray[np.int64], labels: NDArray[np.int64], forbidden: NDArray[np.int64], draws: int
) -> float | None:
    """Return how far the drawn classes are from uniform over what each row may draw, as a normal z.

    Chi-square over the classes, made normal by its cube root (Wilson and Hilferty 1931).
    """
    classes = len(forbidden)
    inside = forbidden < classes
    per_class = np.bincount(labels, minlength=classes) * draws / (classes - inside.sum(axis=1))
    expected = np.full(classes, per_class.sum())
    np.subtract.at(expected, forbidden[inside], np.repeat(per_class, inside.sum(axis=1)))
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
