"""Texts that nearly equal each other are all found, and fast."""

import random
import time

import numpy as np
import pytest

from tasks.validate.near_duplicates import near_duplicates


def brute_force(texts, threshold):
    """Compare every pair of texts."""
    pairs = [{text[i : i + 2] for i in range(max(1, len(text) - 1))} for text in texts]
    near = [[len(a & b) >= threshold * len(a | b) for b in pairs] for a in pairs]
    return [[j for j in range(len(texts)) if j != i and near[i][j]] for i in range(len(texts))]


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.7, 0.9, 1.0])
def test_near_duplicates_are_those_of_brute_force(threshold):
    """None is lost: 300 random texts of three letters, many of them alike."""
    random = np.random.default_rng(11)
    texts = ["".join(random.choice(list("abc"), size=random.integers(1, 9))) for _ in range(300)]

    found = near_duplicates(texts, threshold)

    assert found == brute_force(texts, threshold)
    assert any(found)


def test_near_duplicates_compare_sets_of_character_pairs():
    """{ab, bc, cd} and {ab, bc, ce} share 2 of 4: near at 0.5, not just above."""
    assert near_duplicates(["abcd", "abce"], 0.5) == [[1], [0]]
    assert near_duplicates(["abcd", "abce"], 0.51) == [[], []]


def test_texts_of_one_character_are_near_only_when_equal():
    """They have no pair; the character itself stands in."""
    assert near_duplicates(["a", "b", "a"], 0.9) == [[2], [], [0]]


def test_many_texts_take_seconds():
    """40,000 that begin alike and of which no two are near; each with each would be 800 million pairs."""
    draw = random.Random(2)
    texts = ["如何" + "".join(map(chr, draw.choices(range(0x4E00, 0x5600), k=8))) for _ in range(40_000)]
    began = time.process_time()

    assert not any(near_duplicates(texts, 0.8))
    assert time.process_time() - began < 10
