"""Features to numbers."""

import math

import numpy as np
import pyarrow as pa
import pytest

from schemas.settings import Text
from schemas.tables import VOCABULARY
from tasks.prepare.vocabulary import Rows, Vocabulary

TEXTS = [["a", "b"], ["a", "a", "c"], ["a"]]


def idf(seen, total=3):
    """Return ln((1 + N) / (1 + n)) + 1."""
    return math.log((1 + total) / (1 + seen)) + 1


def test_a_feature_is_counted_once_per_text():
    """Three texts hold a, one holds it twice; idf = ln((1 + N) / (1 + n)) + 1."""
    vocabulary = Vocabulary.of(TEXTS, 1)

    assert vocabulary.features == ["a", "b", "c"]
    assert vocabulary.texts.tolist() == [3, 1, 1]
    assert vocabulary.weights.tolist() == pytest.approx([1.0, idf(1), idf(1)])


def test_the_idf_is_damped_and_weighted_by_kind():
    """A weight is idf ** idf_power times the weight of the kind: a word, and a pair of words."""
    texts = [["w:a", "b:a_a"], ["w:b"], ["w:b"]]

    def weights(**settings):
        return Vocabulary.of(texts, 1, Text(**settings)).weights.tolist()

    assert weights(idf_power=1, pair_weight=1) == pytest.approx([idf(1), idf(1), idf(2)])
    assert weights(idf_power=0.5, pair_weight=0.4) == pytest.approx([0.4 * idf(1) ** 0.5, idf(1) ** 0.5, idf(2) ** 0.5])
    assert weights(idf_power=0, pair_weight=0) == [0, 1, 1]


def test_a_text_of_features_without_weight_is_a_row_of_zeros():
    """Not of NaN, which would make every score of the query one."""
    rows = Vocabulary.of([["w:a", "b:a_a"]], 1, Text(pair_weight=0)).rows([["b:a_a"], ["b:a_a", "w:a"]])

    assert rows.weights.tolist() == [0, 0, 1]


def test_features_of_too_few_texts_are_dropped():
    """min_texts = 2 keeps a alone; 4 would keep nothing, and then everything is kept."""
    assert Vocabulary.of(TEXTS, 2).features == ["a"]
    assert Vocabulary.of(TEXTS, 4).features == ["a", "b", "c"]


def test_a_row_is_tf_idf_of_unit_length():
    """[a, a, c]: (1 + ln 2) * 1 and 1 * idf(1), divided by their length."""
    rows = Vocabulary.of(TEXTS, 1).rows([["c", "a", "a"]])
    a, c = 1 + math.log(2), idf(1)

    assert rows.columns.tolist() == [0, 2]  # increasing, whatever the order of the text
    assert rows.weights.tolist() == pytest.approx([a / math.hypot(a, c), c / math.hypot(a, c)])


def test_texts_without_known_features_are_empty_rows():
    """At the start, in the middle and at the end."""
    rows = Vocabulary.of(TEXTS, 1).rows([[], ["b"], ["x", "y"], ["a"], []])

    assert len(rows) == 5
    assert rows.offsets.tolist() == [0, 0, 1, 1, 2, 2]
    assert rows.columns.tolist() == [1, 0]
    assert rows.weights.tolist() == pytest.approx([1.0, 1.0])


def test_no_texts_and_no_features_are_no_error():
    """A corpus of punctuation has an empty vocabulary."""
    nothing = Vocabulary.of([[], []], 1)

    assert nothing.features == []
    assert len(nothing.rows([["a"]])) == 1
    assert len(Vocabulary.of(TEXTS, 1).rows([])) == 0


def test_a_vocabulary_survives_its_table():
    """Contract VOCABULARY, and the same rows afterwards."""
    vocabulary = Vocabulary.of(TEXTS, 1)
    table = vocabulary.to_table()
    again = Vocabulary.from_table(table)

    assert table.schema.equals(VOCABULARY)
    assert again.features == vocabulary.features
    assert again.rows(TEXTS).weights.tolist() == vocabulary.rows(TEXTS).weights.tolist()


def test_rows_are_read_back_from_any_slice_of_a_column():
    """A slice of a longer column starts inside its values."""
    features = pa.chunked_array([pa.array([[1, 2], [], [3]], pa.list_(pa.int32()))])
    weights = pa.chunked_array([pa.array([[0.6, 0.8], [], [1.0]], pa.list_(pa.float32()))])

    rows = Rows.from_lists(features.slice(1), weights.slice(1))

    assert rows.offsets.tolist() == [0, 0, 1]
    assert rows.columns.tolist() == [3]
    assert rows.weights.dtype == np.float32
