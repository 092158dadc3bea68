"""Fields of the list of standard questions, from the list to the live version."""

import pytest

from tasks.retrieval.explain import explain
from tasks.retrieval.retriever import Retriever
from tests.conftest import PAIRS, TOY, make_settings, write_table

pytestmark = pytest.mark.slow


def test_a_run_keeps_fields_and_places_and_an_answer_that_changed_is_a_new_version(flow, tmp_path):
    """The rows are the same, and so is what is learnt; what the bot says is not."""
    header = ("id", "text", "answer", "category")
    rows = [(f"Q{n}", text, f"回答{n}", "退改" if n < 3 else "其他") for n, text in enumerate(TOY)]
    listed = write_table(tmp_path / "list.csv", rows, header)
    source = write_table(tmp_path / "toy.csv", PAIRS)
    settings = make_settings(source, source__questions_path=str(listed), model__exemplar_weight=0.5)
    first = flow(settings)

    (hits,) = Retriever(flow.models).search(["怎么退票"], 12, {"category": "退改"})
    assert {hit.standard_question: hit.payload["answer"] for hit in hits} == {row[1]: row[2] for row in rows[:3]}
    kept = explain(Retriever(flow.models).model, "怎么退票", 1)[0].why.kept[0]
    assert (kept.query, kept.source, kept.line) == (
        "怎么退票",
        str(source),
        PAIRS.index(("怎么退票", next(iter(TOY)))) + 2,
    )

    write_table(listed, [(*row[:2], "新的回答", row[3]) for row in rows], header)
    second = flow(settings)
    assert (first.status, second.status) == ("published", "published")
    assert Retriever(flow.models).search(["怎么退票"])[0][0].payload["answer"] == "新的回答"
