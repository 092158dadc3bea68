"""The model card: README.md of a version. Pure."""

from schemas.display import as_markdown
from schemas.evaluation import Evaluation
from schemas.settings import CorpusSettings
from schemas.training import TrainingReport
from schemas.validation import Verdict


def write_card(
    settings: CorpusSettings, evaluation: Evaluation, training: TrainingReport, verdict: Verdict, run: str
) -> str:
    """Return the card as Markdown: what it is, what it was trained on, how good it is, how to call it."""
    m = evaluation.model
    rows = [("this model", m), *evaluation.baselines.items()]
    table = "\n".join(
        f"| {name} | {x.recall_at_1.value:.3f} | {x.recall_at_10.value:.3f} | {x.mrr.value:.3f} | "
        f"{x.macro_recall_at_10.value:.3f} |"
        for name, x in rows
    )
    sizes = "\n".join(
        f"| {size} | {x.rows} | {x.recall_at_1.value:.3f} | {x.recall_at_10.value:.3f} |"
        for size, x in evaluation.by_class_size.items()
    )
    warnings = "\n".join(f"- {as_markdown(warning)}" for warning in verdict.warnings()) or "- none"
    tower = settings.model
    kind = (
        f"the encoder {tower.encoder} fine-tuned, {tower.pooling} pooling"
        if tower.encoder
        else f"{tower.ensemble} {tower.tower} tower(s), embedding {tower.embedding_dim}"
    )
    return f"""# {settings.name}: which standard question answers a query

A DSSM ({kind}, hidden {tower.hidden_dims or "none"}), trained on
{training.rows:,} queries of {evaluation.classes:,} standard questions by run {run}.

| on {evaluation.test_rows:,} held-out queries | recall@1 | recall@10 | MRR | macro recall@10 |
|---|---|---|---|---|
{table}

| training rows of the class | test rows | recall@1 | recall@10 |
|---|---|---|---|
{sizes}

{evaluation.untested_classes} standard question(s) have no test row: nothing is known of them.

Training: {training.convergence.sentence}

Warnings of validation:
{warnings}

## Use

```python
from tasks.retrieval.retriever import Retriever
Retriever.live("{settings.name}").search(["..."], top=10)
```

It ranks the standard questions it was trained with, whatever is asked: a query that none of them answers gets
the nearest all the same. The score, at most 1, is a mean cosine, mixed with how near the training queries kept lie.
"""
