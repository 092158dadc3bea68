"""The door of validate: hold the corpus against its bounds, show the verdict in the UI, stop a bad run."""

from pathlib import Path

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger

from schemas.errors import CorpusRejected
from schemas.settings import CorpusSettings
from schemas.validation import Verdict
from schemas.workspace import Workspace, artifact_key
from tasks.steps import Made, StepRun, run_step
from tasks.validate.corpus import validate_corpus
from tasks.validate.verdict import describe_rejection


@task(task_run_name="validate-{corpus.name}")  # no retries: a bad corpus stays bad
def validate(corpus: CorpusSettings, workspace: Workspace, ingested: StepRun) -> StepRun:
    """Write the verdict on `ingested`; CorpusRejected if it failed."""
    inputs = {
        "ingested": ingested.manifest.key,
        "settings": corpus.validation.model_dump(),
        "corpus": corpus.name,
        "seed": corpus.seed,
    }

    def make(folder: Path, _: Path) -> Made:
        verdict = validate_corpus(ingested.folder, folder, corpus.validation, corpus.name, corpus.seed)
        return Made({"outcome": verdict.outcome}, verdict.warnings())

    step = run_step(workspace, "validate", inputs, make)
    verdict = Verdict.model_validate_json((step.folder / "verdict.json").read_bytes())
    create_table_artifact(
        table=[
            {"rule": f.rule, "severity": f.severity, "offenders": f.offenders, "what": f.statement, "do": f.remedy}
            for f in verdict.findings
        ]
        or [{"rule": "all", "severity": "pass", "offenders": 0, "what": "every bound holds", "do": ""}],
        key=artifact_key(corpus.name, "validation"),
        # the UI wraps no cell of a table: what is to be read stands above it
        description=f"Validation of {corpus.name}: **{verdict.outcome}**\n"
        + "".join(f"\n- **{f.rule}**: {f.statement} → {f.remedy}" for f in verdict.findings),
    )
    if verdict.outcome == "fail":
        raise CorpusRejected(
            f"{describe_rejection(corpus.name, verdict)}\nThe rows concerned are listed in {step.folder}"
        )
    logger = get_run_logger()
    for warning in verdict.warnings():
        logger.warning("%s: %s", corpus.name, warning)
    return step
