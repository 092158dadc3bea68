"""The article's experiments, re-run: what it found beside what comes out here.

Its path from the first defect to the last cure, as data: every experiment is a set of changes to one
corpus's settings. Each goes through the rooms of the main path, so a finished one is re-used and a
killed study goes on where it was.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.logging import get_run_logger
from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table

from flows.corpora import build_settings, load_corpus, merge
from flows.train_corpus import new_run
from schemas.manifest import write_atomically
from schemas.settings import CorpusSettings
from schemas.study import Experiment, Measured, Study, Tower
from schemas.workspace import Workspace, default_home
from tasks.evaluate.task import evaluate
from tasks.ingest.task import ingest
from tasks.prepare.task import prepare
from tasks.steps import Steps
from tasks.study.measurements import make_study, read_measured, render_study
from tasks.train.task import train
from tasks.validate.task import validate

#: The article's model at the end of its path: words, 1:4 random negatives, target 0.4, shuffled. Sizes, epochs and
#: learning rate, which it does not print, were chosen once, on A, and are the same everywhere.
RECIPE: dict[str, Any] = {
    "text": {"words": True, "bigrams": False, "char_ngrams_cjk": None, "char_ngrams_latin": None},
    "split": {"shuffle": True},
    "negatives": {"per_row": 4, "sampler": "random", "epochs_drawn": 8},
    "model": {
        "embedding_dim": 128,
        "hidden_dims": [128],
        "activation": "tanh",
        "output_dim": None,
        "ensemble": 1,
        "class_vectors": False,
        "exemplars": 0,
    },
    "loss": {
        "kind": "softmax_target",
        "gamma": 1.0,
        "target": None,  # 1 / (1 + 4 / e) = 0.4046
        "unreachable": "warn",
        "prior_strength": 0.0,
    },
    "training": {
        "own_texts": False,
        "epochs": 15,
        "batch_size": 256,
        "learning_rate": 0.05,
        "feature_dropout": 0.0,
        "vector_dropout": 0.0,
        "choose": False,
        "threads": 1,  # one tower is one thread
    },
}
_FIRST_N = {"negatives": {"sampler": "first_n"}}
_ORDERED = {"split": {"shuffle": False}}
_TARGET_1 = {"loss": {"target": 1.0}}
_CROSS_ENTROPY = {"loss": {"kind": "dssm"}}
_GAMMA_10 = {"loss": {"kind": "dssm", "gamma": 10.0}}

_Row = tuple[str, str, str, list[dict[str, Any]], str]  # role, title, question, changes of the recipe, the article
_ABLATIONS: list[_Row] = [
    (
        "first-n-ordered-target-1",
        "first n, ordered, target 1",
        "Where the article began",
        [_FIRST_N, _ORDERED, _TARGET_1],
        "a simple reproduction that saw few negatives",
    ),
    (
        "ordered-target-1",
        "random, ordered, target 1",
        "What do random negatives do to the loss?",
        [_ORDERED, _TARGET_1],
        "the loss no longer converges: it falls by less than a quarter",
    ),
    (
        "target-1",
        "random, shuffled, target 1",
        "What does the shuffle do?",
        [_TARGET_1],
        "the batch loss is stable, the loss falls by a third",
    ),
    (
        "reference",
        "the recipe: random, shuffled, target 0.4",
        "What does the reachable target do?",
        [],
        "the loss falls at once",
    ),
    ("first-n", "first n negatives", "The recipe without random negatives", [_FIRST_N], "a defect"),
    ("ordered", "ordered rows", "The recipe without the shuffle", [_ORDERED], "the batch loss oscillates"),
    ("cross-entropy", "cross-entropy, gamma 1", "Target 1 as a cross-entropy: the DSSM loss", [_CROSS_ENTROPY], ""),
    ("gamma-10", "cross-entropy, gamma 10", "Does a larger gamma cure the same defect?", [_GAMMA_10], ""),
]
_VARIANTS: list[_Row] = [
    (
        "smaller-hidden",
        "smaller hidden layer",
        "Fewer parameters behind the embeddings",
        [{"model": {"hidden_dims": [64]}}],
        "faster, and better: 0.70 on C",
    ),
    (
        "smaller-input",
        "smaller input layer",
        "A smaller embedding",
        [{"model": {"embedding_dim": 32}}],
        "worse on C",
    ),
]
_ARTICLE_RECALL_AT_10 = {
    ("a", "recipe"): 0.91,
    ("b", "recipe"): 0.76,
    ("c", "recipe"): 0.61,
    ("c", "smaller-hidden"): 0.70,
}


def list_experiments(
    corpora: Sequence[str] = (), full: bool = False, changes: Mapping[str, Any] | None = None
) -> list[Experiment]:
    """Return the experiments in the order they run.

    Args:
        corpora: run everything on each of these; none: on the bundled ones, each experiment where the article made it.
        full: the LSTM in the ablations, too, instead of the bag.
        changes: of settings, merged into every experiment.
    """
    everywhere = tuple(corpora)
    recipe: _Row = ("recipe", "the recipe", "The article's settings on every corpus", [], "")
    experiments = []
    for corpus in everywhere or ("a",):
        experiments += [_experiment(corpus, "lstm" if full else "bag", one, changes) for one in _ABLATIONS]
    for corpus in everywhere or ("a", "b", "c"):
        rows = [recipe, *(_VARIANTS if everywhere or corpus == "c" else [])]
        experiments += [_experiment(corpus, "lstm", one, changes) for one in rows]
        experiments.append(
            Experiment(
                role="default",
                title="the default",
                question="The pipeline as it comes",
                corpus=corpus,
                overrides=dict(changes or {}),
            )
        )
    return experiments


def _experiment(
    corpus: str,
    tower: Tower,
    one: _Row,
    changes: Mapping[str, Any] | None,
) -> Experiment:
    role, title, question, steps, article = one
    overrides = merge(RECIPE, {"model": {"tower": tower}})
    for step in [*steps, changes or {}]:
        overrides = merge(overrides, step)
    return Experiment(
        role=role,
        title=title,
        question=question,
        corpus=corpus,
        overrides=overrides,
        article=article,
        article_recall_at_10=_ARTICLE_RECALL_AT_10.get((corpus, role)),
    )


@flow(name="study", flow_run_name="study-{name}")
def study(experiments: list[Experiment], name: str) -> Study:
    """Run every experiment through the rooms, and write report.html and study.json below DSSM_HOME/study/`name`."""
    began = time.monotonic()
    settings = {experiment.name: settings_of(experiment) for experiment in experiments}  # a typo costs no training
    done: list[tuple[Measured, Path]] = []
    for number, experiment in enumerate(experiments):
        _show_progress(number, len(experiments), experiment, time.monotonic() - began)
        done.append(run_experiment(experiment, settings[experiment.name]))
    _show_progress(len(experiments), len(experiments), None, time.monotonic() - began)
    result = make_study(name, done, time.monotonic() - began)
    folder = study_folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "study.json", result.model_dump_json(indent=1).encode())
    write_atomically(folder / "report.html", render_study(result).encode())
    get_run_logger().info("report of the study: %s", folder / "report.html")
    return result


def run_experiment(experiment: Experiment, corpus: CorpusSettings) -> tuple[Measured, Path]:
    """Take an experiment through the rooms; return what was measured, and the folder that holds its ranks."""
    run = Workspace.of(corpus.name, experiment.name)

    ingested = ingest(corpus, run)
    validated = validate(corpus, run, ingested)
    prepared = prepare(corpus, run, ingested, validated)
    trained = train.with_options(task_run_name=f"train-{experiment.name}")(corpus, run, prepared, ingested)
    evaluated = evaluate.with_options(task_run_name=f"evaluate-{experiment.name}")(corpus, run, prepared, trained)

    steps = Steps(ingested, validated, prepared, trained, evaluated)
    seconds = sum(step.seconds for step in steps.named().values())
    measured = read_measured(
        experiment, trained.output, evaluated.output, seconds, bool(trained.reused_from and evaluated.reused_from)
    )
    get_run_logger().info(
        "%s: recall@10 %.3f, loss fell by %.0f%%, %.0f s",
        experiment.name,
        measured.recall_at_10.value,
        100 * measured.loss_fall,
        seconds,
    )
    return measured, evaluated.output.folder


def settings_of(experiment: Experiment) -> CorpusSettings:
    """Return an experiment's settings; its files stand under a name of their own, beside those of the corpus."""
    corpus = load_corpus(experiment.corpus)
    raw = merge(corpus.model_dump(), merge(experiment.overrides, {"name": f"study-{experiment.corpus}"[:64]}))
    return build_settings(raw, f"experiment {experiment.name}")


def study_folder(name: str) -> Path:
    """Return where the report and the JSON of a study lie."""
    return default_home() / "study" / name


def start_study(corpora: Sequence[str], full: bool, changes: Mapping[str, Any]) -> Study:
    """Run the study under a fresh name and return it; what goes wrong is raised."""
    outcome: Any = study(list_experiments(corpora, full, changes), new_run(), return_state=True).result(
        raise_on_failure=False
    )
    if isinstance(outcome, BaseException):
        raise outcome
    result: Study = outcome
    return result


def _show_progress(done: int, total: int, experiment: Experiment | None, seconds: float) -> None:
    """A bar where a person looks on (training draws its own below it), a log line otherwise."""
    what = f"{experiment.name}: {experiment.title}" if experiment else "done"
    spent = f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    if not sys.stderr.isatty():
        get_run_logger().info("experiment %d of %d (%s): %s", min(done + 1, total), total, spent, what)
        return
    line = Table.grid(padding=(0, 1))
    line.add_row("study", ProgressBar(total, done, width=30), f"{done}/{total}", spent, what)
    Console(stderr=True).print(line)
