"""Exact search among many standard questions."""

import numpy as np
import pytest

from tasks.retrieval.nearest import Nearest
from tasks.retrieval.ranking import ranking


def unit(vectors):
    """Return vectors of length 1."""
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def clustered(random, count, size, decay):
    """Return vectors whose directions hold less and less, as trained ones do."""
    return unit(random.standard_normal((count, size)) * decay ** np.arange(size))


@pytest.mark.parametrize("decay", [1.0, 0.98, 0.9], ids=["isotropic", "flat", "steep"])
@pytest.mark.parametrize("top", [1, 10])
@pytest.mark.parametrize("size", [64, 200, 600])
def test_it_finds_what_a_product_with_all_vectors_finds(decay, top, size, monkeypatch):
    """Even where the first directions say little, and then the next are read, of few standard questions or of all."""
    monkeypatch.setattr("tasks.retrieval.nearest._FEW", 100)
    random = np.random.default_rng(0)
    vectors = clustered(random, 3000, size, decay)
    index = Nearest(vectors)
    for query in [*clustered(random, 20, size, decay), *vectors[:5], np.zeros(size, np.float32)]:
        scores = vectors @ query
        ids, found = index.search(query, top)

        assert ids.tolist() == ranking(scores[None], top)[0].tolist()
        assert found == pytest.approx(scores[ids], abs=1e-6)


@pytest.mark.parametrize("scale", [0, 1e-4, 1e-3, 1.0])
def test_what_is_left_of_a_length_is_never_taken_for_less(scale):
    """Nearly all of every vector lies in the first directions: differences of squares cancel, and bounds must hold."""
    random = np.random.default_rng(4)
    heads, tails = (unit(random.standard_normal((3000, 128))) for _ in range(2))
    vectors = np.hstack([heads, np.float32(scale) * tails, np.float32(scale) * tails])
    index = Nearest(vectors)
    turned = vectors.astype(np.float64) @ index._directions

    assert (index._rest >= np.linalg.norm(turned[:, 128:], axis=1)).all()
    assert (index._end >= np.linalg.norm(turned[:, 256:], axis=1)).all()


def test_what_lies_in_the_last_directions_alone_is_found(monkeypatch):
    """Twenty vectors share the query's direction there; of the others hardly anything is ruled out at first."""
    monkeypatch.setattr("tasks.retrieval.nearest._FEW", 100)
    random = np.random.default_rng(5)
    ends = unit(random.standard_normal((3000, 44)))
    ends[5:25] = unit(ends[5] + 0.02 * random.standard_normal((20, 44)))
    vectors = unit(np.hstack([unit(random.standard_normal((3000, 256))), 0.2 * ends]))
    query = np.concatenate([np.zeros(256, np.float32), ends[5]])
    expected = ranking((vectors @ query)[None], 10)[0].tolist()

    assert set(expected) < set(range(5, 25))
    assert Nearest(vectors).search(query, 10)[0].tolist() == expected


def test_equal_vectors_come_in_the_order_of_their_ids():
    """Twins of one standard question: the same fixed order as everywhere."""
    random = np.random.default_rng(1)
    vectors = clustered(random, 1000, 64, 0.95)
    vectors[[3, 500, 999]] = vectors[700]

    assert Nearest(vectors).search(vectors[700], 4)[0].tolist() == [3, 500, 700, 999]


def test_more_are_wanted_than_there_are():
    """All of them, then."""
    vectors = unit(np.random.default_rng(2).standard_normal((5, 16)))

    ids, scores = Nearest(vectors).search(vectors[0], 10)

    assert sorted(ids) == list(range(5))
    assert list(scores) == sorted(scores, reverse=True)


def test_most_vectors_are_never_read_in_full():
    """The bound rules them out: spoilt, they change nothing."""
    random = np.random.default_rng(3)
    vectors = clustered(random, 3000, 128, 0.95)
    query = vectors[0]
    expected = ranking((vectors @ query)[None], 10)[0]
    index = Nearest(vectors.copy())
    far = np.argsort(vectors @ query)[:2500]
    index._vectors[far] = np.nan

    assert index.search(query, 10)[0].tolist() == expected.tolist()
