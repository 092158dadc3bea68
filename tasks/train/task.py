"""The Prefect task of train: choose, refit, leave a candidate; progress on a terminal or a log line per epoch.

torch takes seconds to import, hence only where there is something to train: an unchanged corpus needs none.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from prefect import task
from prefect.concurrency.sync import concurrency
from prefect.logging import get_run_logger
from prefect.runtime import deployment
from rich.console import Console
from rich.progress import Progress

from schemas.outputs import ForeignOutput, IngestOutput, PrepareOutput, TrainOutput
from schemas.settings import CorpusSettings
from schemas.training import Epoch, OnEpoch
from schemas.workspace import Workspace
from tasks.limits import time_limit
from tasks.steps import StepNotes, StepRun, run_step

TRAINING_LIMIT = "dssm-training"  # how many deployments train at a time, in all; dssm serve and dssm deploy make it


@task(task_run_name="train-{corpus.name}")
def train(
    corpus: CorpusSettings,
    workspace: Workspace,
    prepared: StepRun[PrepareOutput],
    ingested: StepRun[IngestOutput],
    foreign: StepRun[ForeignOutput] | None = None,
) -> StepRun[TrainOutput]:
    """Train on the prepared files; an interrupted training of the same inputs is taken up where it stopped."""
    if corpus.model.encoder:
        from tasks.train.towers.pretrained import identify, pin

        pinned = corpus.model.model_copy(update={"encoder": pin(corpus.model.encoder)})
        corpus = corpus.model_copy(update={"model": pinned})
    inputs = {
        "prepared": prepared.manifest.key,
        "foreign": foreign and foreign.manifest.key,
        "decisions": corpus.decisions.model_dump(exclude={"foreign_path"}),
        **corpus.model_dump(include={"model", "loss", "training"}),
    }
    if corpus.model.encoder:  # what it is, not where it lies
        inputs["model"]["encoder"] = identify(corpus.model.encoder)
    others = foreign.output.folder if foreign else None

    def make(out: TrainOutput, partial: Path) -> StepNotes:
        from tasks.train.training import train_candidate

        with in_turn(), time_limit("train", corpus.limits.train), _progress(corpus.name) as on_epoch:
            folders = prepared.output.folder, out.folder, partial
            report = train_candidate(*folders, corpus, on_epoch, others, ingested.output)
        verdict, corrected = report.convergence, report.reachability.corrected
        warnings = [corrected] if corrected else []
        warnings += [] if verdict.converged else [verdict.sentence]
        return StepNotes(warnings=[f"training: {warning}" for warning in warnings])

    step = run_step(workspace, TrainOutput, inputs, make)
    report = step.output.read_report()
    get_run_logger().info("%s: %s Chosen: %s.", corpus.name, report.convergence.sentence, report.chosen)
    return step


def in_turn() -> AbstractContextManager[None]:
    """Wait while as many deployments train as the server's limit allows; one a person started by hand never waits.

    A killed training frees its place within two minutes: its lease is no longer renewed.
    """
    return concurrency(TRAINING_LIMIT, lease_duration=60) if deployment.get_id() else nullcontext()


@contextmanager
def _progress(corpus: str) -> Iterator[OnEpoch]:
    """A progress bar where a person looks on, a log line per epoch otherwise."""
    logger = get_run_logger()
    if not sys.stderr.isatty() or os.environ.get("DSSM_VERBOSITY") == "quiet":
        yield lambda epoch, most: logger.info("%s: %s of %d", corpus, _describe(epoch), most)
        return
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bars = {
            phase: progress.add_task(f"{corpus}: {phase}", total=None, visible=False) for phase in ("choose", "refit")
        }

        def on_epoch(epoch: Epoch, most: int) -> None:
            description = f"{corpus}: {_describe(epoch)}"
            progress.update(bars[epoch.phase], completed=epoch.epoch, total=most, visible=True, description=description)

        yield on_epoch


def _describe(epoch: Epoch) -> str:
    recall = "" if epoch.recall_at_10 is None else f", validation recall@10 {epoch.recall_at_10:.3f}"
    return f"{epoch.phase}, loss {epoch.loss:.4f}{recall}, epoch {epoch.epoch}"
