"""Column contracts of the Parquet files that rooms hand to each other."""

import pyarrow as pa

QUESTIONS = pa.schema(
    [
        pa.field("row_id", pa.int64(), nullable=False),  # 0, 1, 2, ... in source order
        pa.field("query", pa.string(), nullable=False),  # as given
        pa.field("query_norm", pa.string(), nullable=False),  # normalised, never empty
        pa.field("standard_question", pa.string(), nullable=False),  # as given, trimmed: the class
        pa.field("source", pa.dictionary(pa.int32(), pa.string()), nullable=False),  # file the row stands in
        pa.field("line", pa.int64(), nullable=False),  # line (or row) of that file, from 1, header included
    ],
    metadata={"grain": "one usable row of the source; also of the official test file"},
)

STANDARD_QUESTIONS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # as in the owner's list; else the text itself
        pa.field("standard_question", pa.string(), nullable=False),  # trimmed text
        pa.field("standard_norm", pa.string(), nullable=False),  # normalised
        pa.field("rows", pa.int64(), nullable=False),  # usable rows in the training source
    ],
    metadata={"grain": "one standard question, sorted by text"},
)

PAYLOAD = pa.schema(
    [
        pa.field("standard_question", pa.string(), nullable=False),  # one of STANDARD_QUESTIONS
        pa.field("payload", pa.string(), nullable=False),  # JSON: column to the first cell that is not blank
    ],
    metadata={"grain": "one standard question with an answer, a category, a state or a validity, sorted by text"},
)

EXEMPLARS = pa.schema(
    [
        pa.field("text", pa.string(), nullable=False),  # as given; of a standard question without rows its own
        pa.field("source", pa.dictionary(pa.int32(), pa.string())),  # file; null: it is no training row
        pa.field("line", pa.int64()),
    ],
    metadata={"grain": "one kept query of a model, in the order of their vectors"},
)

GOLDEN = pa.schema(
    [
        pa.field("query", pa.string(), nullable=False),  # as given
        pa.field("standard_question", pa.string(), nullable=False),  # one of the corpus
        pa.field("where", pa.string(), nullable=False),  # file and line
    ],
    metadata={"grain": "one query that must always find its standard question, in source order"},
)

FOREIGN = pa.schema(
    [pa.field("query", pa.string(), nullable=False)],  # normalised
    metadata={"grain": "one different query that is not of the corpus, in drawn order"},
)

QUARANTINE = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("line", pa.int64(), nullable=False),
        pa.field("role", pa.string(), nullable=False),  # "train" or "test"
        pa.field("reason", pa.string(), nullable=False),  # e.g. "empty query"
        pa.field("query", pa.string()),  # as far as it could be read
        pa.field("standard_question", pa.string()),
    ],
    metadata={"grain": "one unusable row of a source, with the reason"},
)

CORPUS_PROFILE = pa.schema(
    [
        pa.field("kind", pa.dictionary(pa.int8(), pa.string()), nullable=False),  # "class", "word" or "field"
        pa.field("id", pa.string()),  # of a class
        pa.field("text", pa.string(), nullable=False),
        pa.field(
            "count", pa.int64(), nullable=False
        ),  # rows of the class; occurrences of the word; classes that have the field
        pa.field("queries", pa.list_(pa.int64())),  # of a class: the smallest hashes of its queries, increasing
    ],
    metadata={"grain": "one standard question, then one word, then one field of the payload, each sorted by text"},
)

SUSPECTS = pa.schema(
    [
        pa.field("row_id", pa.int64(), nullable=False),
        pa.field("query", pa.string(), nullable=False),  # normalised
        pa.field("standard_question", pa.string(), nullable=False),  # its label
        pa.field("suggested", pa.string(), nullable=False),  # what the model ranks first
        pa.field("margin", pa.float64(), nullable=False),  # score of the suggested minus that of the label
    ],
    metadata={"grain": "one training row that is probably mislabelled, the widest margin first"},
)

FAILING = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),  # file the row stands in
        pa.field("line", pa.int64(), nullable=False),
        pa.field("query", pa.string(), nullable=False),  # as given
        pa.field("standard_question", pa.string(), nullable=False),  # the right one
        pa.field("first", pa.string(), nullable=False),  # what the candidate ranks first
        pa.field("place", pa.int64()),  # of the right one, from 1; null: the corpus does not have it
    ],
    metadata={"grain": "one test row whose standard question does not come first, the furthest behind first"},
)

TRAIN = pa.schema(
    [
        pa.field("row_id", pa.int64(), nullable=False),
        pa.field("class_id", pa.int32(), nullable=False),  # row number in CLASSES
        pa.field("query", pa.string(), nullable=False),  # normalised
        pa.field("validation", pa.bool_(), nullable=False),  # held out while choosing, used in the refit
        pa.field("features", pa.list_(pa.int32()), nullable=False),  # row numbers in VOCABULARY, increasing
        pa.field("weights", pa.list_(pa.float32()), nullable=False),  # tf-idf, unit length
        pa.field("words", pa.list_(pa.int32()), nullable=False),  # row numbers in WORDS, in order of the text
    ],
    metadata={"grain": "one training row, in shuffled order"},
)

TEST = pa.schema(
    [
        pa.field("row_id", pa.int64(), nullable=False),
        pa.field("class_id", pa.int32(), nullable=False),  # -1: its standard question is not in the corpus
        pa.field("query", pa.string(), nullable=False),  # as given
        pa.field("standard_question", pa.string(), nullable=False),
        pa.field("in_train", pa.bool_(), nullable=False),  # the same normalised query is also a training row
        pa.field("line", pa.int64(), nullable=False),
    ],
    metadata={"grain": "one held-out row, in source order"},
)

CLASSES = pa.schema(
    [
        pa.field("class_id", pa.int32(), nullable=False),  # 0, 1, 2, ...
        pa.field("id", pa.string(), nullable=False),
        pa.field("standard_question", pa.string(), nullable=False),
        pa.field("standard_norm", pa.string(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),  # training rows
        pa.field("features", pa.list_(pa.int32()), nullable=False),
        pa.field("weights", pa.list_(pa.float32()), nullable=False),
        pa.field("words", pa.list_(pa.int32()), nullable=False),
        pa.field("near_duplicates", pa.list_(pa.int32()), nullable=False),  # classes it never opposes
    ],
    metadata={"grain": "one standard question, sorted by text"},
)

VOCABULARY = pa.schema(
    [
        pa.field("feature", pa.string(), nullable=False),  # marked by kind, see tasks.retrieval.features
        pa.field("texts", pa.int64(), nullable=False),  # texts it stands in
        pa.field("weight", pa.float32(), nullable=False),  # of one occurrence: damped idf times that of its kind
    ],
    metadata={"grain": "one feature, sorted"},
)

WORDS = pa.schema(
    [pa.field("word", pa.string(), nullable=False), pa.field("texts", pa.int64(), nullable=False)],
    metadata={"grain": "one word of the training texts, sorted; row 0 is the unknown word"},
)


def negatives_schema(per_row: int) -> pa.Schema:
    """Return the contract of one epoch's negatives: in the order of TRAIN, `per_row` class ids each."""
    return pa.schema(
        [
            pa.field("row_id", pa.int64(), nullable=False),
            pa.field("class_id", pa.int32(), nullable=False),  # the right one
            pa.field("negatives", pa.list_(pa.int32(), per_row), nullable=False),
        ],
        metadata={"grain": "one training row and epoch"},
    )
