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


def test_what_a_standard_question_wants_is_told_in_one_place():
    """health.html weighs its misses against its rows and what they bring; the report would say something else."""
    measured = evaluation(0.9).model_copy(update={"classes_worst": [missed("退票", 9, 7 / 9)]})
    verdict = Verdict.model_construct(findings=[])

    steps = list_next_steps("published", "v1", measured, verdict, None, [], Counts(failing=4), read_words("en"))

    assert not [step.text for step in steps if "退票" in step.text]
    assert [step.section for step in steps] == ["recall", "failing"]


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
