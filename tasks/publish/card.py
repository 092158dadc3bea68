"""The model card: README.md of a version. Pure."""

from schemas.display import as_markdown
from schemas.evaluation import Evaluation
from schemas.language import Words, read_words
from schemas.settings import CorpusSettings
from schemas.training import TrainingReport
from schemas.validation import Verdict
from tasks.train.verdict import describe_convergence


def write_card(
    settings: CorpusSettings, evaluation: Evaluation, training: TrainingReport, verdict: Verdict, run: str
) -> str:
    """Return the card as Markdown: what it is, what it was trained on, how good it is, how to call it."""
    words = read_words(settings.language)
    warnings = "\n".join(f"- {as_markdown(warning)}" for warning in verdict.warnings()) or "- " + words("card.none")
    tower = settings.model
    what = words(
        "card.what",
        kind=words(f"card.{_kind(settings, training)}", **tower.model_dump()),
        hidden_dims=tower.hidden_dims or words("card.none"),
        rows=training.rows,
        classes=evaluation.classes,
        run=run,
    )
    return f"""# {words("card.title", corpus=settings.name)}

{what}

{_tabulate(evaluation, words) if evaluation.measured else words("card.nothing")}

{words("card.untested", untested=evaluation.untested_classes)}

{words("card.training", sentence=describe_convergence(training.convergence, words))}

{words("card.warnings")}
{warnings}

## {words("card.use")}

```python
from tasks.retrieval.retriever import Retriever
Retriever.live("{settings.name}").search(["..."], top=10)
```

{words("card.limits")}
"""


def _kind(settings: CorpusSettings, training: TrainingReport) -> str:
    """Return the key of what it is: towers, alone or beside an encoder, or an encoder that is a tower itself."""
    if settings.model.encoder and not settings.model.encoder_beside:
        return "encoder"
    if not training.chosen.get("encoder_share"):
        return "tower"
    if settings.model.serve == "bag":
        return "distilled"
    return "tuned" if training.chosen.get("fine_tuning_steps") else "beside"


def _tabulate(evaluation: Evaluation, words: Words) -> str:
    """Return the two tables of recall: of all beside the baselines, and by class size."""
    names = [words.name("measure", name) for name in ("recall@1", "recall@10", "MRR", "macro recall@10")]
    named = {words("card.this_model"): evaluation.model}
    named |= {words.name("baseline", name): metrics for name, metrics in evaluation.baselines.items()}
    table = [[words("card.held_out", rows=evaluation.test_rows), *names], ["---"] * 5]
    for name, m in named.items():
        values = (m.recall_at_1, m.recall_at_10, m.mrr, m.macro_recall_at_10)
        table.append([name, *(f"{one.value:.3f}" for one in values)])
    sizes = [[words("card.by_size"), words("report.test_rows"), *names[:2]], ["---"] * 4]
    for size, m in evaluation.by_class_size.items():
        sizes.append([size, str(m.rows), f"{m.recall_at_1.value:.3f}", f"{m.recall_at_10.value:.3f}"])
    tables = (["| " + " | ".join(row) + " |" for row in rows] for rows in (table, sizes))
    return "\n\n".join("\n".join(lines) for lines in tables)
