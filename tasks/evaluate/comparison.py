"""The candidate beside the live version, on the same test rows."""

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas.changes import Changes
from schemas.errors import SourceError, StaleFile
from schemas.evaluation import ComparedDecisions, Comparison
from schemas.manifest import write_atomically
from schemas.outputs import EvaluateOutput, GoldenOutput, PrepareOutput
from schemas.settings import CorpusSettings
from schemas.workspace import COMPARISON_FILE, Workspace
from tasks.evaluate.asked import read_asked
from tasks.evaluate.candidate import Prepared
from tasks.evaluate.changes import compare_answers
from tasks.evaluate.deciding import compare_decisions, decide_rows, find_places
from tasks.evaluate.golden import ask_golden
from tasks.evaluate.measure import TestRows, rank_rows
from tasks.evaluate.metrics import by_class_size, compare_by_class_size, measure
from tasks.evaluate.training_queries import was_trained_on
from tasks.registry import ModelRegistry
from tasks.retrieval.retriever import Model

_PROMISE = ("max_wrong", "max_handed_over", "confidence")
_LOGGER = logging.getLogger("dssm.evaluate")


def compare(
    corpus: CorpusSettings,
    workspace: Workspace,
    registry: ModelRegistry,
    prepared: PrepareOutput,
    evaluated: EvaluateOutput,
    candidate: Path,
) -> Comparison | None:
    """Return the comparison with what is live at this moment, and write comparison.json; None: nothing can be compared.

    A live version that is damaged, or of an older format, must not bar its successor: the baselines are then the bar.

    Args:
        corpus: the settings.
        workspace: of this run.
        registry: of the corpus.
        prepared: of the run.
        evaluated: of the run.
        candidate: its folder.
    """
    file = workspace.root / COMPARISON_FILE
    file.unlink(missing_ok=True)  # of a version that was live a moment ago
    if (live := registry.live().version) is None:
        return None
    try:  # with a store, its files are got first
        folder = registry.fetch(live)
        model = Model(folder)
        model.remember(workspace.encoders / "vectors", corpus.training.threads)
    except StaleFile as error:
        _LOGGER.warning("live version %s cannot be read and is not compared: %s", live, error)
        return None
    comparison = compare_with_live(prepared.folder, evaluated.ranked, model, folder, corpus)
    if corpus.publish.changes_log:
        changed = _compare_answers(model, Model(candidate), Path(corpus.publish.changes_log))
        comparison = comparison.model_copy(update={"changed": changed})
    if (asked := GoldenOutput.of(workspace).queries).exists():
        golden = ask_golden(model, pq.read_table(asked), corpus.publish.golden_top)
        comparison = comparison.model_copy(update={"golden": golden})
    write_atomically(file, comparison.model_dump_json(indent=1).encode())
    return comparison


def _compare_answers(live: Model, candidate: Model, log: Path) -> Changes | None:
    """Return what changes of what customers asked. A log that is not there yet must not end a night."""
    try:
        return compare_answers(live, candidate, read_asked(log))
    except SourceError as error:
        _LOGGER.warning("publish.changes_log: %s; nothing was compared", error)
        return None


def compare_with_live(
    prepared_folder: Path, ranked: Path, model: Model, live: Path, settings: CorpusSettings
) -> Comparison:
    """Measure the live version on the candidate's test rows, and the difference on those new to both.

    Of the live version's standard questions the right one is that of the same text, or else, where it was renamed, that
    of the same id. The text goes first: in some lists an id is but the place, and a row more shifts them all.

    Args:
        prepared_folder: of prepare.
        ranked: ranked.parquet of the candidate.
        model: the live version.
        live: its folder.
        settings: the seed and publish.confidence are read.
    """
    prepared = Prepared.read(prepared_folder)
    rows = prepared.test_rows()
    by_text, by_id = ({key: n for n, key in enumerate(keys)} for keys in (model.standard_questions, model.ids))
    ids = [*prepared.classes["id"].to_pylist(), None]  # the last one, number -1, of a text that is no class
    texts = prepared.test["standard_question"].to_pylist()
    truth = [by_text.get(text, by_id.get(ids[number], -1)) for text, number in zip(texts, rows.truth, strict=True)]
    ranks = rank_rows(model, TestRows(rows.queries, np.array(truth, np.int64), rows.in_train), len(by_text)).ranks
    found = pq.read_table(ranked, columns=["rank", "decision"])
    candidate: NDArray[np.int64] = found["rank"].to_numpy()
    sizes = prepared.classes["rows"].to_numpy()
    unseen = ~(was_trained_on(live, rows.queries) | rows.in_train)
    overall, by_size = compare_by_class_size(
        candidate[unseen], ranks[unseen], rows.truth[unseen], sizes, settings.publish.confidence
    )
    return Comparison(
        version=live.name,
        live=measure(ranks, rows.truth, settings.seed),
        live_by_class_size=by_class_size(ranks, rows.truth, sizes, settings.seed),
        seen_rows=int(np.count_nonzero(~unseen)),
        difference=overall,
        by_class_size=by_size,
        decided=_compare_decisions(found, model, rows, np.array(truth, np.int64), unseen, settings),
    )


def _compare_decisions(
    found: pa.Table,
    live: Model,
    rows: TestRows,
    truth: NDArray[np.int64],
    unseen: NDArray[np.bool_],
    settings: CorpusSettings,
) -> ComparedDecisions | None:
    """Return the direct answers of both on the rows new to both; None: they decide nothing, or promise other things.

    Args:
        found: ranks and decisions of the candidate.
        live: the live version.
        rows: the test rows.
        truth: their standard questions in the live version.
        unseen: the rows new to both.
        settings: as above.
    """
    promised, bounds = live.decisions, settings.decisions
    used = np.flatnonzero(unseen & found["decision"].is_valid().to_numpy())
    if promised is None or not len(used):
        return None
    if any(getattr(promised, name) != getattr(bounds, name) for name in _PROMISE):
        return None
    theirs = decide_rows(live, promised, [rows.queries[row] for row in used.tolist()])
    ours = found.take(used)
    return compare_decisions(
        (np.array(ours["decision"].to_pylist(), dtype=str), ours["rank"].to_numpy() == 0),
        (theirs.chosen, find_places(theirs.first, truth[used]) == 0),
        (1 - settings.publish.confidence) / 2,
    )
