"""Features to numbers."""

import math
import tracemalloc
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from schemas.settings import Text
from schemas.tables import VOCABULARY
from tasks.prepare.counting import Tally
from tasks.retrieval.codes import code_spelled
from tasks.retrieval.features import Tokeniser
from tasks.retrieval.vocabulary import Vocabulary, rows_from_lists

TEXTS = [["a", "b"], ["a", "a", "c"], ["a"]]


def idf(seen, total=3):
    """Return ln((1 + N) / (1 + n)) + 1."""
    return math.log((1 + total) / (1 + seen)) + 1


def of(texts, min_texts, text=None, most=1000):
    """Count the features of some texts and choose among them, as prepare does."""
    seen = Counter(feature for one in texts for feature in set(one))
    features = np.array(list(seen), dtype=object)
    keys, tally = code_spelled(list(seen)), Tally()
    tally.add(keys, np.array(list(seen.values()), np.int32))
    kept, counts = tally.keep(min_texts, most)
    found = [features[np.flatnonzero(keys == key)[0]] for key in kept]
    return Vocabulary.of(found, counts, len(texts), text)


def rows(vocabulary, texts):
    """Weigh texts that are given as features."""
    owners = np.repeat(np.arange(len(texts)), [len(text) for text in texts]).astype(np.int64)
    return vocabulary.weigh(len(texts), owners, code_spelled([feature for text in texts for feature in text])).matrix()


def test_a_feature_is_counted_once_per_text():
    """Three texts hold a, one holds it twice; idf = ln((1 + N) / (1 + n)) + 1."""
    vocabulary = of(TEXTS, 1)

    assert vocabulary.features == ["a", "b", "c"]
    assert vocabulary.texts.tolist() == [3, 1, 1]
    assert vocabulary.weights.tolist() == pytest.approx([1.0, idf(1), idf(1)])


def test_the_idf_is_damped_and_weighted_by_kind():
    """A weight is idf ** idf_power times the weight of the kind: a word, and a pair of words."""
    texts = [["w:a", "b:a_a"], ["w:b"], ["w:b"]]

    def weights(**settings):
        return of(texts, 1, Text(**settings)).weights.tolist()

    assert weights(idf_power=1, pair_weight=1) == pytest.approx([idf(1), idf(1), idf(2)])
    assert weights(idf_power=0.5, pair_weight=0.4) == pytest.approx([0.4 * idf(1) ** 0.5, idf(1) ** 0.5, idf(2) ** 0.5])
    assert weights(idf_power=0, pair_weight=0) == [0, 1, 1]


def test_a_text_of_features_without_weight_is_a_row_of_zeros():
    """Not of NaN, which would make every score of the query one."""
    found = rows(of([["w:a", "b:a_a"]], 1, Text(pair_weight=0)), [["b:a_a"], ["b:a_a", "w:a"]])

    assert found.data.tolist() == [0, 0, 1]


def test_features_of_too_few_texts_are_dropped():
    """min_texts = 2 keeps a alone; 4 would keep nothing, and then everything is kept."""
    assert of(TEXTS, 2).features == ["a"]
    assert of(TEXTS, 4).features == ["a", "b", "c"]


def test_of_too_many_features_the_most_frequent_stay():
    """Two of three: a stands in three texts, b and c in one each; which of them stays is not a matter of order."""
    few = of(TEXTS, 1, most=2)

    assert few.features[0] == "a"
    assert few.texts.tolist() == [3, 1]
    assert of(TEXTS[::-1], 1, most=2).features == few.features


def test_counts_come_out_the_same_however_they_were_added(monkeypatch):
    """Block by block, merged in between, against all at once; a count of 0 is no feature."""
    random = np.random.default_rng(0)
    keys = random.integers(0, 50, (40, 30)).astype(np.uint64) * np.uint64(2**58 + 1)  # all over their range
    expected = Counter(keys.ravel().tolist())
    monkeypatch.setattr("tasks.prepare.counting._PENDING", 7)
    tally = Tally()
    for block in keys:
        distinct, counts = np.unique(block, return_counts=True)
        tally.add(np.append(distinct, np.uint64(999)), np.append(counts, 0).astype(np.int32))

    kept, counts = tally.keep(1, 1000)

    assert dict(zip(kept.tolist(), counts.tolist(), strict=True)) == expected
    assert kept.tolist() == sorted(expected)


def test_many_distinct_features_are_added_up_in_little_memory(monkeypatch):
    """Half a million, at a peak of 40 bytes each; all copied at once would be 65."""
    monkeypatch.setattr("tasks.prepare.counting._PENDING", 1 << 12)
    blocks = [np.random.default_rng(n).integers(0, 2**63, 10_000).astype(np.uint64) * np.uint64(2) for n in range(50)]
    tally, once = Tally(), np.ones(10_000, np.int32)
    tracemalloc.start()

    for block in blocks:
        tally.add(block, once)
    kept = tally.keep(1, 10**9)[0]

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(kept) == 500_000
    assert peak < 45 * len(kept)


def test_a_row_is_tf_idf_of_unit_length():
    """[a, a, c]: (1 + ln 2) * 1 and 1 * idf(1), divided by their length."""
    found = rows(of(TEXTS, 1), [["c", "a", "a"]])
    a, c = 1 + math.log(2), idf(1)

    assert found.indices.tolist() == [0, 2]  # increasing, whatever the order of the text
    assert found.data.tolist() == pytest.approx([a / math.hypot(a, c), c / math.hypot(a, c)])


def test_texts_without_known_features_are_empty_rows():
    """At the start, in the middle and at the end."""
    found = rows(of(TEXTS, 1), [[], ["b"], ["x", "y"], ["a"], []])

    assert found.shape == (5, 3)
    assert found.indptr.tolist() == [0, 0, 1, 1, 2, 2]
    assert found.indices.tolist() == [1, 0]
    assert found.data.tolist() == pytest.approx([1.0, 1.0])


def test_no_texts_and_no_features_are_no_error():
    """A corpus of punctuation has an empty vocabulary."""
    nothing = of([[], []], 1)

    assert nothing.features == []
    assert rows(nothing, [["a"]]).shape == (1, 0)
    assert rows(of(TEXTS, 1), []).shape == (0, 3)


def test_a_vocabulary_survives_its_table():
    """Contract VOCABULARY, and the same rows afterwards."""
    vocabulary = of(TEXTS, 1)
    table = vocabulary.to_table()
    again = Vocabulary.from_table(table)

    assert table.schema.equals(VOCABULARY)
    assert again.features == vocabulary.features
    assert rows(again, TEXTS).data.tolist() == rows(vocabulary, TEXTS).data.tolist()


@pytest.mark.parametrize("characters", [1, 7, 1 << 17])
def test_texts_are_read_as_their_features_spelled_out(characters, monkeypatch):
    """By the tokeniser that trained them: white space, repeats and unknown ones included; a few at a time, or all."""
    monkeypatch.setattr("tasks.retrieval.codes._PIECE", characters)
    tokeniser = Tokeniser(Text())
    texts = ["怎么 退票", "退票退票", "refund my refund", "", "别的"]
    vocabulary = of([tokeniser.features(text) for text in texts[:3]], 1, Text())

    found = vocabulary.rows(texts, tokeniser).matrix()
    spelled = rows(vocabulary, [tokeniser.features(text) for text in texts])

    assert found.indptr.tolist() == spelled.indptr.tolist()
    assert found.indices.tolist() == spelled.indices.tolist()
    assert found.data.tolist() == spelled.data.tolist()


@pytest.mark.parametrize("wanted", [Text(), Text(words=False), Text(bigrams=False, char_ngrams_cjk=None)], ids=str)
def test_one_text_is_read_as_many_are(wanted):
    """To the last bit, repeats, unknown and no features included: figures of a batch hold for a single query."""
    tokeniser, random = Tokeniser(wanted), np.random.default_rng(0)
    signs = list("怎么退票改签费用abc de 1１，")
    texts = [
        "",
        "退票" * 200,
        "refund my refund",
        "怎么 退票",
        *("".join(random.choice(signs, n)) for n in range(1, 60)),
    ]
    vocabulary = of([tokeniser.features(text) for text in texts[::2]], 1, wanted)

    for text in texts:
        numbers, values, known = vocabulary.row(text, tokeniser)
        rows, shares = vocabulary.read([text, "退票"], tokeniser)
        row = rows.matrix()[[0]]
        assert numbers.tolist() == row.indices.tolist()
        assert values.tolist() == row.data.tolist()
        assert values.dtype == row.data.dtype
        assert known == shares[0]


def test_the_share_of_known_features_is_counted_with_repeats_and_by_kind():
    """Of a text without features it is 0; what the decisions of a model go by."""
    tokeniser = Tokeniser(Text(char_ngrams_latin=None))
    vocabulary = of([["w:refund"], ["w:my"], ["p:refund_my"]], 1, tokeniser.text)

    known = vocabulary.read(["refund refund my ticket", "", "ticket", "my"], tokeniser)[1]
    assert known.tolist() == pytest.approx([(3 / 4 + 1 / 3) / 2, 0, 0, 1])


def test_rows_are_read_back_from_any_slice_of_a_column():
    """A slice of a longer column starts inside its values."""
    features = pa.chunked_array([pa.array([[1, 2], [], [3]], pa.list_(pa.int32()))])
    weights = pa.chunked_array([pa.array([[0.6, 0.8], [], [1.0]], pa.list_(pa.float32()))])

    rows = rows_from_lists(features.slice(1), weights.slice(1), 4).matrix()

    assert rows.indptr.tolist() == [0, 0, 1]
    assert rows.indices.tolist() == [3]
    assert rows.data.dtype == np.float32
