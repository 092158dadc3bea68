"""BM25 and tf-idf, checked against their formulas worked out by hand."""

import math

import numpy as np
import pytest
from scipy import sparse

from schemas.settings import Text
from tasks.evaluate.baselines import LexicalIndex, TfidfNeighbour, bm25, terms_matrix
from tasks.retrieval.features import Tokeniser
from tasks.retrieval.vocabulary import Vocabulary

TEXTS = ["cancel my order", "cancel cancel", "track an order today"]  # 3, 2 and 4 words; mean 3
CLASSES = np.array([0, 1, 2])


def split(text):
    return text.split()


def test_terms_are_counted_and_unknown_ones_dropped():
    """A vocabulary grows only when it is asked to."""
    vocabulary = {}
    texts = terms_matrix([["a", "b", "a"], []], vocabulary, grow=True)
    queries = terms_matrix([["b", "z"]], vocabulary)

    assert texts.toarray().tolist() == [[2, 1], [0, 0]]
    assert queries.toarray().tolist() == [[0, 1]]
    assert vocabulary == {"a": 0, "b": 1}


def test_bm25_agrees_with_its_formula():
    """Two of three texts hold 'cancel': idf = ln(1 + 1.5 / 2.5); k1 = 1.5, b = 0.75."""
    scores = bm25(map(split, TEXTS), CLASSES, 3, split).scores(["cancel", "cancel order", "cancel cancel", "nothing"])

    idf = math.log(1 + 1.5 / 2.5)  # also that of 'order'
    of_mean_length = idf * 1 / (1 + 1.5)
    shorter = idf * 2 / (2 + 1.5 * (0.25 + 0.75 * 2 / 3))
    longer = idf * 1 / (1 + 1.5 * (0.25 + 0.75 * 4 / 3))
    assert scores[0] == pytest.approx([of_mean_length, shorter, 0])
    assert scores[1] == pytest.approx([2 * of_mean_length, shorter, longer])
    assert scores[2] == pytest.approx(2 * scores[0])
    assert scores[3] == pytest.approx([0, 0, 0])


def test_tfidf_agrees_with_its_formula():
    """Weights are (1 + ln tf) (1 + ln((1 + N) / (1 + df))), in vectors of unit length."""
    bags = [set(split(text)) for text in TEXTS]
    terms = sorted(set().union(*bags))
    seen = np.array([sum(term in bag for bag in bags) for term in terms])
    vocabulary = Vocabulary.of([f"w:{term}" for term in terms], seen, len(TEXTS))
    tokeniser = Tokeniser(Text(bigrams=False, char_ngrams_latin=None))
    baseline = TfidfNeighbour(vocabulary.rows(TEXTS, tokeniser).matrix(), CLASSES, 3, vocabulary, tokeniser)
    scores = baseline.scores(["cancel order order", "cancel", "nothing"])

    common, rare = 1 + math.log(4 / 3), 1 + math.log(4 / 2)  # in two texts, in one
    once, twice = common, (1 + math.log(2)) * common
    query = math.hypot(once, twice)
    assert scores[0] == pytest.approx(
        [
            (once * common + twice * common) / query / math.hypot(common, rare, common),
            once / query,
            twice * common / query / math.hypot(rare, rare, common, rare),
        ]
    )
    assert scores[1][1] == pytest.approx(1.0, rel=1e-5)
    assert scores[2] == pytest.approx([0, 0, 0])


def test_the_index_equals_brute_force():
    """Sorting by class and adding up by text change nothing: the best text of each class counts."""
    rng = np.random.default_rng(13)
    texts, queries = (sparse.csr_array(rng.random((n, 40)) * (rng.random((n, 40)) < 0.2)) for n in (120, 37))
    classes = rng.integers(0, 15, 120)
    classes[classes == 7] = 8  # a class without texts

    scores = LexicalIndex(texts, classes, 16).scores(queries)

    products = queries.toarray() @ texts.toarray().T
    expected = [[products[q, classes == c].max(initial=0) for c in range(16)] for q in range(37)]
    assert scores.shape == (37, 16)
    assert np.allclose(scores, expected, atol=1e-6)
    assert not scores[:, [7, 15]].any()


def test_an_index_without_texts_scores_nothing():
    """No texts, no terms, no matches; and no crash."""
    baseline = bm25([], np.zeros(0, int), 2, split)

    assert baseline.scores(["cancel"]).tolist() == [[0.0, 0.0]]


def test_texts_without_a_class_are_refused():
    """A shifted list of classes would otherwise give plausible nonsense."""
    with pytest.raises(ValueError, match="got 2 texts and 1 classes"):
        LexicalIndex(sparse.csr_array((2, 3)), np.array([0]), 1)
