"""What the report tells the owner to do first."""

from schemas.evaluation import ClassResult
from schemas.language import read_words
from schemas.validation import Verdict
from tasks.evaluate.next_steps import Counts, list_next_steps
from tests.tasks.publish.measured import evaluation


def missed(question, rows, recall):
    """Return a standard question's result."""
    return ClassResult(
        standard_question=question, train_rows=234, test_rows=rows, recall_at_1=0, recall_at_10=recall, confused_with=[]
    )


def test_only_standard_questions_below_the_corpus_want_more_queries():
    """Two misses of 26 rows are many rows, and no low recall."""
    worst = [missed("行李", 26, 24 / 26), missed("退票", 9, 7 / 9)]
    measured = evaluation(0.9).model_copy(update={"classes_worst": worst})
    verdict = Verdict.model_construct(findings=[])

    steps = list_next_steps("published", "v1", measured, verdict, None, [], Counts(), read_words("en"))

    assert [step.text for step in steps if "Write more" in step.text] == ["Write more queries for “退票”."]


def test_few_rows_to_a_standard_question_call_for_an_encoder():
    """Beside an encoder, or with many rows, nothing is said of it."""
    verdict, words = Verdict.model_construct(findings=[]), read_words("en")
    told = [
        [
            step.why
            for step in list_next_steps("held", None, evaluation(0.9), verdict, None, [], Counts(rows_a_class=n), words)
            if "model.encoder" in step.text
        ]
        for n in (None, 5.5)
    ]

    assert told[0] == []
    assert "There are 6 training rows to a standard question" in told[1][0]
