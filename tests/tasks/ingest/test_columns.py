"""Which column is which."""

import pytest

from schemas.errors import SourceError
from tasks.ingest.columns import find_columns, find_list_columns


def found(header, query=None, question=None):
    columns = find_columns(header, query, question, "t.csv")
    return [header[at] for at in (*columns.queries, columns.question)]


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (["query", "standard_question"], ["query", "standard_question"]),
        (["label", "text"], ["text", "label"]),
        (["相似问", "标准问"], ["相似问", "标准问"]),
        (["问题", "标准问题"], ["问题", "标准问题"]),
        (["问法", "标准问"], ["问法", "标准问"]),
        (["用户问题", "意图"], ["用户问题", "意图"]),
        ([" Query ", "Standard Question"], [" Query ", "Standard Question"]),  # case, white space, blank for _
        (["ＱＵＥＲＹ", "Standard-Question"], ["ＱＵＥＲＹ", "Standard-Question"]),  # full width, dash for _
        (["question", "intent"], ["question", "intent"]),  # beside a label, a question is the query
        (["query", "question"], ["query", "question"]),  # beside a query, it is the standard question
        (["id", "utterance", "created", "category"], ["utterance", "category"]),
        (["text", "label", "label_text"], ["text", "label_text"]),  # a label that can be read is better
    ],
)
def test_columns_are_found_by_common_names(header, names):
    """In the languages and habits of those who export tables."""
    assert found(header) == names


def test_named_columns_come_before_common_names():
    """Naming one leaves the other to be found."""
    header = ["query", "frage", "label", "thema"]
    assert found(header, query="frage") == ["frage", "label"]
    assert found(header, question="THEMA") == ["query", "thema"]
    assert found(["问题", "答案类"], question="答案类") == ["问题", "答案类"]


def test_a_column_that_could_be_meant_too_is_told():
    """A silent choice between label and category would be a guess."""
    columns = find_columns(["query", "intent", "category"], None, None, "t.csv")
    assert (columns.queries, columns.question, columns.passed_over) == ([0], 1, [2])
    assert find_columns(["query", "intent", "category"], "query", "intent", "t.csv").passed_over == []


@pytest.mark.parametrize(
    ("header", "settings", "message"),
    [
        (
            ["怎么退票", "机票退票"],  # no header at all
            (None, None),
            "t.csv: no column of queries and none of standard questions. Columns found: '怎么退票', '机票退票'. "
            "Name them with --query-column and --question-column (source.query_column, source.question_column)",
        ),
        (
            ["query", "lable"],
            (None, None),
            "t.csv: no column of standard questions. Columns found: 'query', 'lable'; the nearest is 'lable'. "
            "Name it with --question-column (source.question_column)",
        ),
        (
            ["question", "answer"],  # an answer is no standard question
            (None, None),
            "t.csv: no column of standard questions. Columns found: 'question', 'answer'. "
            "Name it with --question-column (source.question_column)",
        ),
        (
            ["query", "label"],
            ("qury", None),
            "t.csv: there is no column 'qury'. Columns found: 'query', 'label'; the nearest is 'query'. "
            "Correct --query-column (source.query_column)",
        ),
        (
            ["query", "a", "a"],
            (None, "a"),
            "t.csv: the column 'a' is there 2 times; rename all but one",
        ),
        (
            ["query", "label"],
            ("query", "query"),
            "t.csv: queries and standard questions cannot both be the column 'query'",
        ),
    ],
)
def test_a_missing_column_is_explained(header, settings, message):
    """What was found, which one is near, and what to do."""
    with pytest.raises(SourceError) as error:
        find_columns(header, *settings, "t.csv")
    assert str(error.value) == message


def test_a_list_has_an_id_and_a_text():
    """The id may be missing, the text may not."""
    for header in (["编号", "标准问"], ["id", "text"]):
        columns = find_list_columns(header, None, "l.csv")
        assert (columns.queries, columns.question) == ([0], 1)
    assert find_list_columns(["standard_question"], None, "l.csv").queries == []
    with pytest.raises(SourceError, match=r"l\.csv: no column of standard questions\. Columns found: 'a', 'b'"):
        find_list_columns(["a", "b"], None, "l.csv")
