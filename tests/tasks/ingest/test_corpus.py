"""The files that ingest leaves."""

import hashlib

import pyarrow.parquet as pq
import pytest

from schemas.errors import SourceError
from schemas.settings import Source
from schemas.tables import QUARANTINE, QUESTIONS, STANDARD_QUESTIONS
from tasks.ingest.corpus import ingest_corpus

TRAIN = "query,standard_question\nＨow  much,Price \n怎么退票,退票\n,退票\n退票？,退票\n"


def test_text_is_kept_as_it_was_with_its_normal_form_beside(write, ingest):
    """The class is trimmed and otherwise untouched."""
    write(TRAIN)
    assert ingest().rows() == [
        (0, "Ｈow  much", "how much", "Price", "t.csv", 2),
        (1, "怎么退票", "怎么退票", "退票", "t.csv", 3),
        (2, "退票？", "退票?", "退票", "t.csv", 5),
    ]


def test_files_keep_their_contracts(write, ingest):
    """Columns, types and nullability are those of schemas.tables."""
    write(TRAIN)
    folder = ingest().folder
    for name, schema in (
        ("questions", QUESTIONS),
        ("standard_questions", STANDARD_QUESTIONS),
        ("quarantine", QUARANTINE),
    ):
        assert pq.read_schema(folder / f"{name}.parquet").equals(schema)


def test_classes_are_texts_and_never_merged(write, ingest):
    """Texts that differ only in case are two classes with one normal form."""
    write("query,label\na,Refund\nb,refund\nc,Refund\n")
    ingested = ingest()
    assert ingested.rows("standard_questions") == [("Refund", "Refund", "refund", 2), ("refund", "refund", "refund", 1)]
    assert ingested.facts.classes == 2


def test_test_rows_are_kept_apart(write, ingest):
    """They have their own row numbers and quarantine, and no class of theirs is added."""
    write(TRAIN)
    write("query,standard_question\nx,New\n,New\n", "test.csv")
    ingested = ingest(test_path="test.csv")
    assert ingested.rows("test") == [(0, "x", "x", "New", "test.csv", 2)]
    assert ingested.rows("quarantine", "source", "line", "role") == [("t.csv", 4, "train"), ("test.csv", 3, "test")]
    assert [text for (text,) in ingested.rows("standard_questions", "standard_question")] == ["Price", "退票"]
    facts = ingested.facts
    assert (facts.rows, facts.test_rows, facts.quarantined, facts.quarantined_test) == (3, 1, 1, 1)
    assert facts.reasons == {"empty query": 2}


def test_a_list_gives_ids_and_classes_without_rows(write, ingest):
    """A standard question that is not listed keeps its text as id, and is warned about."""
    write(TRAIN)
    write("id;text\n7; 退票 \nQ8;改签\n", "list.csv")
    ingested = ingest(questions_path="list.csv", delimiter=",")
    assert ingested.rows("standard_questions") == [
        ("Price", "Price", "price", 1),
        ("Q8", "改签", "改签", 0),
        ("7", "退票", "退票", 2),
    ]
    assert ingested.facts.unlisted_rows == 1
    assert ingested.facts.warnings[0] == (
        "list.csv lacks 1 standard questions of 1 training rows ('Price'); their text serves as their id. "
        "Add them to the list, or correct the rows"
    )


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (
            "id,text\n1,a\n2,b\n3,a\n",
            "list.csv: 1 texts are listed more than once ('a' in lines 2, 4). "
            "Give every standard question one line and one text of its own",
        ),
        (
            "id,text\n1,a\n2,b\n1,c\n",
            "list.csv: 1 ids are listed more than once ('1' in lines 2, 4). "
            "Give every standard question one line and one id of its own",
        ),
        (
            "id,text\n1,\n,b\n3,c,d\n",
            "list.csv: 3 standard questions have no id, no text, or a text that is torn (lines 2, 3, 4). Correct them",
        ),
        ("id,text\n", "list.csv lists no standard question; fill it in or drop source.questions_path"),
    ],
)
def test_a_list_that_contradicts_itself_is_refused(listed, message, write, ingest):
    """With examples: a wrong id would rename a class for ever."""
    write(TRAIN)
    write(listed, "list.csv")
    with pytest.raises(SourceError) as error:
        ingest(questions_path="list.csv")
    assert str(error.value) == message


def test_an_unlisted_text_never_takes_the_id_of_another(write, ingest):
    """A listed id that is spelled like an unlisted standard question would make two classes one."""
    write(TRAIN)
    write("id,text\nPrice,退票\n", "list.csv")
    with pytest.raises(SourceError, match=r"'Price' is the id of '退票' in list\.csv"):
        ingest(questions_path="list.csv")


def test_equal_sources_give_equal_bytes(write, ingest):
    """Also where many files and batches come in; rows read are told as they are read."""
    for part in range(3):
        rows = "".join(f"q{part} {n},label {n % 50}\n" if n % 100 else f",label {n}\n" for n in range(30_000))
        write("query,label\n" + rows, f"parts/{part}.csv")
    digests = []
    for _ in range(2):
        folder = ingest("parts", test_path="parts/2.csv").folder
        digests.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())])
    assert digests[0] == digests[1]
    assert len(digests[0]) == 4
    assert pq.ParquetFile(folder / "questions.parquet").metadata.num_row_groups == 1


def test_columns_that_could_be_meant_too_are_warned_about(write, ingest):
    """Until they are named."""
    write("query,intent,category\na,x,y\n")
    (warning,) = ingest().facts.warnings
    assert warning.startswith("t.csv: read the columns 'query' and 'intent', though 'category' would do as well")
    assert ingest(query_column="query", question_column="category").pairs == [("a", "y")]
    assert ingest(query_column="query", question_column="category").facts.warnings == []


def test_a_record_may_go_on_where_one_read_ends(write, ingest):
    """Longer than a chunk of lines, with line ends inside cells everywhere."""
    rows = "".join(f'"query {n}\n{"x" * 90}",label\n' for n in range(50_000))
    write("query,label\n" + rows)
    ingested = ingest()
    assert ingested.facts.rows == 50_000
    assert ingested.rows("questions", "line") == [(2 + 2 * n,) for n in range(50_000)]


def test_progress_is_the_number_of_rows_read_so_far(write, tmp_path, out):
    """For a progress bar."""
    write(TRAIN)
    write(TRAIN, "test.csv")
    seen: list[int] = []
    ingest_corpus(Source(path="t.csv", test_path="test.csv"), out, tmp_path, 1, seen.append)
    assert seen == [4, 8]
