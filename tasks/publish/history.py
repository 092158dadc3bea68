"""The recall of the last runs of a corpus, from what each left behind."""

from pydantic import ValidationError

from schemas.evaluation import Evaluation
from schemas.run import RunResult, Status
from schemas.workspace import Workspace
from tasks.evaluate.plots import Night
from tasks.registry import ModelRegistry

_NIGHTS = 30


def read_history(workspace: Workspace, registry: ModelRegistry, evaluation: Evaluation, status: Status) -> list[Night]:
    """Return the recall of the last runs, this one included, oldest first; runs that measured nothing are left out.

    Args:
        workspace: of this run, which has no run.json yet.
        registry: of the corpus.
        evaluation: of this run.
        status: of this run.
    """
    live = {entry.run for entry in registry.live().history}
    nights = {  # made on another machine, or by a run that is deleted by now
        manifest.run: Night(manifest.run, manifest.recall_at_1, manifest.recall_at_10, manifest.run in live)
        for manifest in registry.versions()
    }
    for file in workspace.runs.glob("*/run.json"):
        try:
            result = RunResult.model_validate_json(file.read_bytes())
        except (OSError, ValidationError):  # deleted meanwhile, or of another version
            continue
        if result.recall_at_1 is not None and result.recall_at_10 is not None:
            run = file.parent.name
            nights[run] = Night(run, result.recall_at_1, result.recall_at_10, run in live)
    if evaluation.measured:
        model = evaluation.model
        published = status in ("published", "unchanged")
        nights[workspace.run] = Night(workspace.run, model.recall_at_1.value, model.recall_at_10.value, published)
    return [nights[run] for run in sorted(nights)][-_NIGHTS:]
