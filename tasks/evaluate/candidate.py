"""From files to measurements: a candidate and its baselines on the same test rows, or of very many on some."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.evaluation import Decided, Evaluation
from schemas.manifest import write_atomically
from schemas.outputs import EvaluateOutput, ForeignOutput, PrepareOutput
from schemas.settings import CorpusSettings
from schemas.tables import SUSPECTS
from tasks.cluster import open_cluster
from tasks.evaluate.baselines import TfidfNeighbour, bm25
from tasks.evaluate.deciding import DECIDED_ROWS, measure_decisions
from tasks.evaluate.golden import ask_golden
from tasks.evaluate.measure import Classes, Scorer, TestRows, TrainRows, evaluate_candidate
from tasks.evaluate.shards import rank_in_shards
from tasks.prepare.groups import group_of, read_groups
from tasks.retrieval.features import Tokeniser
from tasks.retrieval.normalise import normalise
from tasks.retrieval.retriever import Model
from tasks.retrieval.vocabulary import Vocabulary, rows_from_lists

TRAIN_ROWS = 250_000  # what baselines index: 2 GB at 100 features a row
_BASELINE_CELLS = 1 << 32  # products of a test row and a text: some minutes
_SUSPECT_CELLS = 1 << 32  # scores looked at for rows that seem mislabelled: a minute or two


@dataclass(frozen=True)
class Prepared:
    """What evaluate reads of prepare's folder."""

    test: pa.Table
    classes: pa.Table
    files: PrepareOutput

    @classmethod
    def read(cls, folder: Path) -> "Prepared":
        """Read test.parquet and classes.parquet."""
        files = PrepareOutput(folder)
        return cls(pq.read_table(files.test), pq.read_table(files.classes), files)

    @cached_property
    def train(self) -> pa.Table:
        """The training rows, of very many the first ones: they are shuffled. Read when they are asked for."""
        return _read_first(self.files.train_parts(), TRAIN_ROWS)

    def test_rows(self) -> TestRows:
        """Return the held-out rows."""
        truth = self.test["class_id"].to_numpy().astype(np.int64)
        return TestRows(self.test["query"].to_pylist(), truth, self.test["in_train"].to_numpy())


def evaluate_files(
    prepared_folder: Path,
    candidate: Path,
    folder: Path,
    settings: CorpusSettings,
    golden: Path | None = None,
    foreign: Path | None = None,
    cache: Path | None = None,
) -> Evaluation:
    """Measure a candidate and write evaluation.json, ranked.parquet and suspects.parquet; golden.json, where asked to.

    Args:
        prepared_folder: of prepare.
        candidate: folder of the candidate.
        folder: where to.
        settings: text, name, seed, engine and publish.golden_top are read.
        golden: golden.parquet of ingest; None: there are no golden queries.
        foreign: folder of the foreign queries; None: there are none.
        cache: folder of what encoders make of texts; None: they are encoded anew.
    """
    prepared, model = Prepared.read(prepared_folder), Model(candidate)
    if cache:
        model.remember(cache / "vectors", settings.training.threads)
    read = model.encoder.read_prepared
    searched = prepared.train.slice(0, suspect_rows(len(prepared.train), len(prepared.classes)))
    train = TrainRows(
        row_ids=searched["row_id"].to_numpy(),
        queries=searched["query"].to_pylist(),
        class_ids=searched["class_id"].to_numpy(),
        scores=lambda rows: model.cosines_of(read(searched.slice(rows.start, rows.stop - rows.start))),
    )
    classes = Classes(
        texts=prepared.classes["standard_question"].to_pylist(),
        train_rows=prepared.classes["rows"].to_numpy(),
        near_duplicates=prepared.classes["near_duplicates"].to_pylist(),
        groups=read_groups(prepared.files),
    )
    known = {}
    if settings.engine == "ray":
        with open_cluster(settings.ray_address) as cluster:
            known["model"] = rank_in_shards(cluster, prepared_folder, candidate, len(classes.texts))
    baselines = _baselines(prepared, settings)
    evaluation, ranked, suspects = evaluate_candidate(
        settings.name,
        model,
        baselines,
        prepared.test_rows(),
        train,
        classes,
        settings.seed,
        known,
        baseline_every(len(prepared.test), len(prepared.train), len(classes.texts)),
    )
    decided, decisions = _decide(model, prepared, foreign, settings.seed)
    evaluation = evaluation.model_copy(update={"decided": decided})
    top = pa.array(ranked["model"].top.astype(np.int32).tolist(), type=pa.list_(pa.int32()))
    table = pa.table({"row_id": prepared.test["row_id"], "rank": ranked["model"].ranks, "top": top})
    table = table.append_column("decision", decisions)
    out = EvaluateOutput(folder)
    pq.write_table(table, out.ranked, compression="zstd")
    rows = pa.Table.from_pylist([suspect.model_dump() for suspect in suspects], SUSPECTS)
    pq.write_table(rows, out.suspects, compression="zstd")
    if golden:
        answered = ask_golden(model, pq.read_table(golden), settings.publish.golden_top)
        write_atomically(out.golden, answered.model_dump_json(indent=1).encode())
    left_out = set() if evaluation.grouped else {"grouped"}
    write_atomically(out.evaluation, evaluation.model_dump_json(indent=1, exclude=left_out).encode())
    return evaluation


def _decide(model: Model, prepared: Prepared, foreign: Path | None, seed: int) -> tuple[Decided | None, pa.Array]:
    """Return how test rows are decided that are no training rows, and the decision of each; null: not looked at."""
    test = prepared.test_rows()
    rows = np.flatnonzero(~test.in_train)[:DECIDED_ROWS]
    decisions = np.full(len(test.queries), None, dtype=object)
    others = ForeignOutput(foreign).read_for_measuring() if foreign else None
    queries, sizes = [test.queries[row] for row in rows], prepared.classes["rows"].to_numpy()
    groups = group_of(read_groups(prepared.files), len(sizes))
    found = measure_decisions(model, queries, test.truth[rows], sizes, groups, others, seed)
    if found:
        decisions[rows] = found[1]
    return found and found[0], pa.array(decisions, pa.string())


def suspect_rows(rows: int, classes: int) -> int:
    """Return among how many training rows mislabelled ones are looked for: against very many classes, not all."""
    return min(rows, TRAIN_ROWS, max(1, _SUSPECT_CELLS // max(1, classes)))


def baseline_every(test_rows: int, rows: int, classes: int) -> int:
    """Return of how many test rows the baselines rank one: of 1, unless that were too many products with texts.

    Against 100,000 texts (training rows and standard questions) that begins above 42,949 test rows.
    """
    return max(1, -(-test_rows * (min(rows, TRAIN_ROWS) + classes) // _BASELINE_CELLS))


def describe_left_out(test_rows: int, rows: int, classes: int) -> list[str]:
    """Return warnings that name what of a large corpus was not looked at."""
    seen = {
        "baselines": min(rows, TRAIN_ROWS),
        "the search for mislabelled rows": suspect_rows(rows, classes),
    }
    warnings = [f"{who} saw the first {few:,} of {rows:,} training rows" for who, few in seen.items() if few < rows]
    if (every := baseline_every(test_rows, rows, classes)) > 1:
        warnings.append(f"baselines ranked one of every {every:,} of the {test_rows:,} test rows")
    return warnings


def _read_first(files: list[Path], most: int) -> pa.Table:
    """Return the first rows of `files`, `most` at most."""
    parts, rows = [], 0
    for file in files:
        if rows < most:
            parts.append(pq.read_table(file).slice(0, most - rows))
            rows += len(parts[-1])
    return pa.concat_tables(parts)


def _baselines(prepared: Prepared, settings: CorpusSettings) -> dict[str, Scorer]:
    """BM25 over words and tf-idf neighbour over features, from what prepare has already cut."""
    tokeniser = Tokeniser(settings.text)
    known: list[str] = pq.read_table(prepared.files.words)["word"].to_pylist()
    vocabulary = Vocabulary.from_table(pq.read_table(prepared.files.vocabulary))
    n_classes = len(prepared.classes)
    owner = np.concatenate([prepared.train["class_id"].to_numpy(), np.arange(n_classes)])

    def both(column: str) -> pa.ChunkedArray:
        return pa.chunked_array(prepared.train[column].chunks + prepared.classes[column].chunks)

    words = ([known[n] for n in text] for text in both("words").to_pylist())
    rows = rows_from_lists(both("features"), both("weights"), len(vocabulary.features)).matrix()
    return {
        "bm25": bm25(words, owner, n_classes, lambda query: tokeniser.words(normalise(query))),
        "tfidf": TfidfNeighbour(rows, owner, n_classes, vocabulary, tokeniser),
    }


def locate(questions: Path, row_ids: list[int]) -> dict[int, tuple[str, int]]:
    """Return file and line of some rows of questions.parquet, or of ingest's test.parquet."""
    wanted = pc.field("row_id").isin(pa.array(row_ids, type=pa.int64()))
    table = pq.read_table(questions, columns=["row_id", "source", "line"], filters=wanted)
    return {row["row_id"]: (row["source"], row["line"]) for row in table.to_pylist()}
