"""The Prefect task of prepare: split, shuffle, draw negatives, prove the result."""

import json
from functools import partial
from pathlib import Path

from prefect import task
from prefect.logging import get_run_logger

from schemas.manifest import hash_file, write_atomically
from schemas.outputs import IngestOutput, PrepareOutput, ValidateOutput
from schemas.settings import CorpusSettings
from schemas.workspace import Workspace
from tasks.cluster import open_cluster
from tasks.limits import time_limit
from tasks.prepare.corpus import prepare_corpus
from tasks.prepare.proof import prove
from tasks.steps import StepNotes, StepRun, run_step


@task(task_run_name="prepare-{corpus.name}")
def prepare(
    corpus: CorpusSettings,
    workspace: Workspace,
    ingested: StepRun[IngestOutput],
    validated: StepRun[ValidateOutput],
) -> StepRun[PrepareOutput]:
    """Write train, test, classes, vocabulary and negatives of a corpus that passed validation."""
    inputs = {
        "ingested": ingested.manifest.key,
        "outcome": validated.output.read_verdict().outcome,
        **corpus.model_dump(include={"text", "split", "negatives", "seed", "name"}),
    }
    if corpus.text.user_dictionary and Path(corpus.text.user_dictionary).is_file():  # its content, not only its name
        inputs["dictionary"] = hash_file(Path(corpus.text.user_dictionary))

    def make(out: PrepareOutput, unfinished: Path) -> StepNotes:
        facts = prepare_corpus(
            ingested.output.folder,
            out.folder,
            corpus,
            corpus.training.threads,
            scratch=unfinished / "cut",
            engine=partial(open_cluster, corpus.ray_address) if corpus.engine == "ray" else None,
        )
        statistics, suite = prove(ingested.output.folder, out.folder, corpus)
        write_atomically(out.suite, json.dumps(suite, indent=1, ensure_ascii=False).encode())
        return StepNotes(facts.model_copy(update={"statistics": statistics}), facts.warnings)

    with time_limit("prepare", corpus.limits.prepare):
        step = run_step(workspace, PrepareOutput, inputs, make)
    facts, logger = step.output.read_facts(), get_run_logger()
    logger.info(
        "%s: %d training rows, %d test rows, %d features, 1:%d negatives for %d epochs; order z %s, all proven",
        corpus.name,
        facts.rows,
        facts.test_rows,
        facts.features,
        facts.negatives_per_row,
        facts.epochs_drawn,
        "not applicable" if (z := facts.statistics["order_z"]) is None else f"{z:.1f}",
    )
    for warning in step.manifest.warnings:
        logger.warning("%s: %s", corpus.name, warning)
    return step
