"""Order statistics, against brute force, simulated permutations and planted order."""

from itertools import permutations

import numpy as np
import pytest

from tasks.validate.ordering import adjacent_moments, kruskal_wallis_moments, order_z

SHAPES = {
    "long tail": np.maximum(1, (400 / np.arange(1, 301) ** 1.1)).astype(int),
    "one row or two": np.r_[np.full(990, 1), np.full(5, 2)],
    "two classes": np.array([300, 700]),
    "a giant and two dwarfs": np.array([990, 5, 5]),
    "equal classes": np.full(100, 20),
}


def labels_of(sizes):
    return np.repeat(np.arange(sizes.size), sizes)


def kruskal_wallis_h(labels):
    ranks, rows = np.arange(1, labels.size + 1), labels.size
    squares = sum(ranks[labels == label].sum() ** 2 / (labels == label).sum() for label in np.unique(labels))
    return 12 / (rows * (rows + 1)) * squares - 3 * (rows + 1)


@pytest.mark.parametrize("sizes", [[3, 2, 1, 2], [4, 4], [1, 1, 5], [2, 2, 2, 1]])
def test_both_moments_equal_those_over_all_permutations(sizes):
    """Every distinct arrangement of a small corpus, counted one by one."""
    sizes = np.array(sizes)
    every = [np.array(p) for p in set(permutations(labels_of(sizes).tolist()))]
    adjacent = [(p[1:] == p[:-1]).sum() for p in every]
    heights = [kruskal_wallis_h(p) for p in every]

    assert adjacent_moments(sizes, sizes.sum()) == pytest.approx((np.mean(adjacent), np.var(adjacent)))
    assert kruskal_wallis_moments(sizes) == pytest.approx((np.mean(heights), np.var(heights)))


def test_moments_of_some_of_the_classes_are_exact_too():
    """Equal neighbours of the classes 1 and 2 alone, the rows of class 0 standing between them."""
    every = [np.array(p) for p in set(permutations([0, 0, 0, 0, 1, 1, 2, 2, 2]))]
    counts = [((p[1:] == p[:-1]) & (p[1:] > 0)).sum() for p in every]

    assert adjacent_moments(np.array([2, 3]), 9) == pytest.approx((np.mean(counts), np.var(counts)))


def test_moments_agree_with_simulated_permutations():
    """The long tail, 2,000 permutations: means within four standard errors, variances within 15 %."""
    rng, labels = np.random.default_rng(1), labels_of(SHAPES["long tail"])
    draws = [rng.permutation(labels) for _ in range(2000)]
    adjacent = np.array([(p[1:] == p[:-1]).sum() for p in draws])
    mean, variance = adjacent_moments(SHAPES["long tail"], labels.size)

    assert adjacent.mean() == pytest.approx(mean, abs=4 * (variance / 2000) ** 0.5)
    assert adjacent.var() == pytest.approx(variance, rel=0.15)


@pytest.mark.parametrize("shape", SHAPES)
def test_500_honest_shuffles_raise_no_alarm(shape):
    """A z above 6 is what prepare's proof fails on, and a seeded shuffle would fail every night."""
    rng, labels = np.random.default_rng(7), labels_of(SHAPES[shape])

    assert max(order_z(rng.permutation(labels)).z for _ in range(500)) < 6


def test_three_touching_pairs_of_five_are_no_alarm_by_the_normal_law():
    """Expected are 0.01: thirty standard deviations, but Poisson gives them one chance in six million."""
    labels = np.r_[0, 0, 10:500, 1, 1, 500:900, 2, 2, 3, 900:1000, 3, 4, 1000:1010, 4]
    order = order_z(labels)

    assert (order.adjacent, order.expected_adjacent) == (3, pytest.approx(0.01, rel=0.05))
    assert 4.5 < order.z_adj < 6


def c_shape(rng):
    sizes = np.maximum(1, rng.zipf(1.7, 1035))
    return labels_of(np.minimum(sizes, 300))


@pytest.mark.parametrize("order", ["sorted", "half sorted", "sorted tail", "disjoint halves", "sorted by block"])
def test_planted_order_is_detected(order):
    """Each statistic has orders that it alone can see."""
    rng = np.random.default_rng(5)
    labels = rng.permutation(c_shape(rng))
    rows = labels.size
    if order == "sorted":
        labels = np.sort(labels)
    elif order == "half sorted":
        labels[: rows // 2] = np.sort(labels[: rows // 2])
    elif order == "sorted tail":
        labels[-rows // 10 :] = np.sort(labels[-rows // 10 :])
    elif order == "disjoint halves":
        labels = np.r_[labels[labels % 2 == 0], labels[labels % 2 == 1]]
    else:
        labels = labels[np.lexsort((rng.random(rows), labels // 50))]

    assert order_z(labels).z > 6


@pytest.mark.parametrize("others", [np.arange(1, 401), np.ones(400, int), np.arange(400) // 20 + 1])
def test_order_is_seen_beside_a_class_with_most_of_the_rows(others):
    """The rest in one block in the middle, where mean positions see nothing: all different, equal, or in classes."""
    half = np.zeros(300, int)

    assert order_z(np.r_[half, others, half]).z > 6
    assert order_z(np.random.default_rng(1).permutation(np.r_[half, others, half])).z < 6


def test_order_is_seen_in_labels_of_any_integers():
    """Negative and huge labels count as the same classes."""
    labels = np.random.default_rng(0).integers(0, 30, 2000)

    assert order_z(labels * 10**12 - 5) == order_z(labels)


@pytest.mark.parametrize("labels", [[], [1], [4, 4, 4, 4], [3, 1, 2, 0]])
def test_without_a_choice_of_order_there_is_no_z(labels):
    """No rows, one row, all equal and all different: every permutation looks the same."""
    assert order_z(np.array(labels, int)).z is None


def test_batch_diversity_is_one_after_a_shuffle_and_small_when_sorted():
    """100 classes of 64 rows, sorted: each batch holds exactly one of 47 expected."""
    labels = np.repeat(np.arange(100), 64)
    shuffled = order_z(np.random.default_rng(2).permutation(labels))

    assert order_z(labels).batch_distinct == 1
    assert shuffled.batch_diversity == pytest.approx(1, abs=0.03)
    assert shuffled.expected_batch_distinct == pytest.approx(47.5, abs=0.5)
    assert order_z(labels[:63]).batch_diversity is None
