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

from schemas.language import read_words
from schemas.outputs import ForeignOutput, IngestOutput, PrepareOutput, TrainOutput
from schemas.settings import CorpusSettings
from schemas.training import Epoch, OnEpoch
from schemas.workspace import Workspace
from tasks.ingest.addresses import digest
from tasks.ingest.foreign import find_query_files, read_queries
from tasks.ingest.input_file import InputFile
from tasks.limits import time_limit
from tasks.retrieval.text_encoder import OnEncoded
from tasks.steps import StepNotes, StepRun, run_step
from tasks.train.verdict import describe_choice, describe_convergence

_MOST_UNLABELLED = 20_000  # queries of a log that are learned from: the last, of files by name
_ENCODED = "%d of %d texts encoded"
_TUNED = "fine-tuning the encoder (a copy for each validation cut, one for all rows), step %d of %d"
TRAINING_LIMIT = "dssm-training"  # how many deployments train at a time, in all; dssm serve and dssm deploy make it


@task(task_run_name="train-{corpus.name}")
def train(
    corpus: CorpusSettings,
    workspace: Workspace,
    prepared: StepRun[PrepareOutput],
    ingested: StepRun[IngestOutput],
    foreign: StepRun[ForeignOutput] | None = None,
) -> StepRun[TrainOutput]:
    """Train on the prepared files; an interrupted training of the same inputs is taken up where it stopped.

    Args:
        corpus: with its encoder settled (`settle`).
        workspace: of the run.
        prepared: what is trained on.
        ingested: texts of the standard questions.
        foreign: queries that no standard question answers.
    """
    inputs = {
        "prepared": prepared.manifest.key,
        "foreign": foreign and foreign.manifest.key,
        "decisions": corpus.decisions.model_dump(exclude={"foreign_path"}),
        **corpus.model_dump(include={"model", "loss", "training"}),
    }
    if corpus.model.encoder:  # what it is, not where it lies
        from tasks.train.towers.pretrained import identify

        inputs["model"]["encoder"] = identify(corpus.model.encoder)
    unlabelled = list[InputFile]()
    if corpus.model.serve == "bag":
        unlabelled = find_query_files(corpus.source.unlabelled or [], Path.cwd(), "source.unlabelled")
        inputs["unlabelled"] = {file.name: file.name if file.bundled else digest(file) for file in unlabelled}
    others = foreign.output.folder if foreign else None

    def make(out: TrainOutput, partial: Path) -> StepNotes:
        from tasks.train.training import train_candidate

        folders = (prepared.output.folder, out.folder, partial)
        limit = time_limit("train", corpus.limits.train)
        with in_turn(), limit, _progress(corpus.name) as (on_epoch, on_encoded, on_tuned):
            log = read_queries(unlabelled, corpus.source, _MOST_UNLABELLED)
            train_candidate(
                *folders, corpus, on_epoch, others, ingested.output, workspace.encoders, on_encoded, log, on_tuned
            )
        return StepNotes()  # its warnings are said in the language of the run: warn_of_training

    step = run_step(workspace, TrainOutput, inputs, make)
    report, words = step.output.read_report(), read_words(corpus.language)
    verdict = describe_convergence(report.convergence, words)
    get_run_logger().info(
        "%s: %s", corpus.name, words("training.log", verdict=verdict, chosen=describe_choice(report, words))
    )
    return step


def settle(corpus: CorpusSettings) -> CorpusSettings:
    """Return the settings with what `model.encoder` names found; it is missed before anything is read.

    Raises:
        SettingsError: there is no such encoder, it cannot be used, or a package that it needs is not installed.
    """
    if not corpus.model.encoder:
        return corpus
    from tasks.train.encoder_files import settle_encoder

    return corpus.model_copy(update={"model": settle_encoder(corpus.model)})


def in_turn() -> AbstractContextManager[None]:
    """Wait while as many deployments train as the server's limit allows; one a person started by hand never waits.

    A killed training frees its place within two minutes: its lease is no longer renewed.
    """
    return concurrency(TRAINING_LIMIT, lease_duration=60) if deployment.get_id() else nullcontext()


@contextmanager
def _progress(corpus: str) -> Iterator[tuple[OnEpoch, OnEncoded, OnEncoded]]:
    """A progress bar where a person looks on; otherwise a log line per epoch, and per tenth of what encoders do.

    Yields:
        What is called after every epoch, after some texts were encoded, and after every step of fine-tuning an encoder.
    """
    logger = get_run_logger()
    if not sys.stderr.isatty() or os.environ.get("DSSM_VERBOSITY") == "quiet":

        def log_tenths(sentence: str) -> OnEncoded:
            tenths = set[int]()

            def log(done: int, most: int) -> None:
                if (tenth := 10 * done // most) not in tenths:
                    tenths.add(tenth)
                    logger.info(f"%s: {sentence}", corpus, done, most)
                if done == most:
                    tenths.clear()

            return log

        def log_epoch(epoch: Epoch, most: int) -> None:
            logger.info("%s: %s of %d", corpus, _describe(epoch), most)

        yield log_epoch, log_tenths(_ENCODED), log_tenths(_TUNED)
        return
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bars = {
            phase: progress.add_task(f"{corpus}: {phase}", total=None, visible=False)
            for phase in ("encode", "tune", "choose", "refit")
        }

        def on_epoch(epoch: Epoch, most: int) -> None:
            description = f"{corpus}: {_describe(epoch)}"
            progress.update(bars[epoch.phase], completed=epoch.epoch, total=most, visible=True, description=description)

        def draw(bar: str, sentence: str) -> OnEncoded:
            def on_part(done: int, most: int) -> None:
                description = f"{corpus}: {sentence % (done, most)}"
                progress.update(bars[bar], completed=done, total=most, visible=True, description=description)

            return on_part

        yield on_epoch, draw("encode", _ENCODED), draw("tune", _TUNED)


def _describe(epoch: Epoch) -> str:
    recall = "" if epoch.recall_at_10 is None else f", validation recall@10 {epoch.recall_at_10:.3f}"
    return f"{epoch.phase}, loss {epoch.loss:.4f}{recall}, epoch {epoch.epoch}"
