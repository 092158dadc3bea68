"""Tables of questions and answers, as FAQ platforms export them: the answer says which questions mean the same."""

import openpyxl
import pytest

from schemas.errors import SourceError

QNA = (
    "Question\tAnswer\tSource\tMetadata\tSuggestedQuestions\tIsContextOnly\tPrompts\tQnaId\n"
    "\\n\\nhow do I pay\\n\tBy card.\teditorial\tx:y\t[]\tFalse\t[]\t1\n"
    "paying how\tBy card.\teditorial\tx:y\t[]\tFalse\t[]\t1\n"
    "can I pay\tBy card.\teditorial\tx:y\t[]\tFalse\t[]\t2\n"
    "may I pay\tBy card.\teditorial\tx:y\t[]\tFalse\t[]\t2\n"
    "when do you open\tAt nine.\teditorial\tx:y\t[]\tFalse\t[]\t3\n"
)
QNA_ROWS = [("paying how", "how do I pay"), ("may I pay", "can I pay")]


def test_questions_of_one_id_belong_together(write, ingest):
    """QnA Maker: the first question of an answer is the standard one; one alone is a class without queries."""
    write(QNA, "kb.tsv")
    ingested = ingest("kb.tsv")
    assert ingested.pairs == QNA_ROWS
    assert ingested.rows("standard_questions", "standard_question") == [
        ("can I pay",),
        ("how do I pay",),
        ("when do you open",),
    ]
    assert ingested.facts.files[0].why_question == "the first question of each answer"


def test_a_workbook_of_questions_and_answers_is_read_alike(tmp_path, ingest):
    """As QnA Maker and Custom Question Answering export it."""
    workbook = openpyxl.Workbook()
    for line in QNA.splitlines():
        workbook.active.append(line.split("\t"))
    workbook.save(tmp_path / "kb.xlsx")
    assert ingest("kb.xlsx").pairs == QNA_ROWS


LISTS = [("refund it", "money back"), ("when open", "opening hours")]
CELLS = ',Sure.,"money back\nrefund it"\n,Nine.,"opening hours\nwhen open"\n'


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("question,answer\na,x\nb,x\nc,y\n", [("b", "a")]),  # Dify
        ("问题,答案\na,x\nb,x\n", [("b", "a")]),
        ("index,content\na,x\nb,x\n", [("b", "a")]),  # FastGPT, first template
        # FastGPT, template and backup: other wordings in numbered lines, and in cells beyond the header
        (
            'q,a,indexes\nrefund,x,"1. money back\n2. refund it",get it back\nhours,y,"1. opening\n2. when open"\n',
            [
                ("money back", "refund"),
                ("refund it", "refund"),
                ("get it back", "refund"),
                ("opening", "hours"),
                ("when open", "hours"),
            ],
        ),
        # MaxKB: a bracket closed twice, and one question a line
        (f"分段标题（选填）,分段内容（必填，问题答案））,问题（选填，单元格内一行一个）\n{CELLS}", LISTS),
        (f"Section title (optional), Section content (required), Question (optional)\n{CELLS}", LISTS),
    ],
    ids=lambda value: value.splitlines()[0] if isinstance(value, str) else "",
)
def test_templates_of_faq_platforms_are_read(content, rows, write, ingest):
    """By the names of their columns."""
    write(content)
    assert ingest().pairs == rows


def test_a_table_without_a_second_question_of_any_answer_is_refused(write, ingest):
    """There is nothing to learn from, and the message says what to add."""
    write("question,answer\na,x\nb,y\n")
    with pytest.raises(SourceError, match="pairs 2 questions with as many answers, and no answer has a second"):
        ingest()


@pytest.mark.parametrize(
    "header", ["query,label,answer", "similar_question,standard_question,answer", "question,intent,answer"]
)
def test_a_column_of_answers_changes_no_table_that_has_standard_questions(header, write, ingest):
    """Where a column names them, the answers are kept beside them."""
    write(f"{header}\na,x,Sure.\nb,x,Sure.\nc,y,Sure.\n")
    assert ingest().pairs == [("a", "x"), ("b", "x"), ("c", "y")]


def test_a_template_with_a_single_row_is_split_by_its_lines(write, ingest):
    """Of MaxKB it is known that a cell has a question a line; there is no column to learn it from."""
    write('分段标题（选填）,分段内容（必填）,问题（选填，单元格内一行一个）\n产品,"很好\n用","是什么？\n介绍\n优势"\n')
    assert ingest().pairs == [("介绍", "是什么？"), ("优势", "是什么？")]
