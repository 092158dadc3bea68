"""Texts that nearly equal each other: an exact join of sets of character pairs that compares few of them. Pure."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tasks.retrieval.hashing import splitmix64


def near_duplicates(texts: Sequence[str], threshold: float) -> list[list[int]]:
    """Return, for each text, the numbers of the other texts it nearly equals, increasing.

    Nearly equal: the Jaccard similarity of their sets of character pairs is at least `threshold` t. Two sets of at most
    L pairs are that similar only if they differ in at most H = 2 L (1 - t) / (1 + t) pairs. So, if all pairs are dealt
    to H + 1 hands, at least one hand is the same in both (Arasu, Ganti, Kaushik 2006, "Efficient Exact Set-Similarity
    Joins", section 4). Only texts that share a hand are compared. For t = 0.9 these are few, even where all texts are
    made from the same words.
    """
    if not texts:
        return []
    owner, grams = _character_pairs(texts)
    sizes = np.bincount(owner, minlength=len(texts))
    pairs = csr_array((np.ones(len(grams), np.int32), (owner, np.unique(grams, return_inverse=True)[1])))
    hashes = splitmix64(grams)
    found: list[list[int]] = [[] for _ in texts]
    for largest in np.unique(sizes).tolist():
        members = (sizes <= largest) & (sizes >= threshold * largest)
        hands = int(2 * largest * (1 - threshold) / (1 + threshold) + 1e-9) + 1
        here = members[owner]
        dealt = np.zeros((len(texts), hands), np.uint64)
        np.add.at(dealt, (owner[here], hashes[here] % np.uint64(hands)), hashes[here])
        numbers = np.flatnonzero(members)
        for hand in dealt[numbers].T:
            for left, right in _equal(hand, numbers):
                new = np.maximum(sizes[left], sizes[right]) == largest  # smaller pairs are compared at their own size
                left, right = left[new], right[new]
                shared = np.asarray(pairs[left].multiply(pairs[right]).sum(axis=1)).ravel()
                similar = shared >= threshold * (sizes[left] + sizes[right] - shared)
                for one, other in zip(left[similar].tolist(), right[similar].tolist(), strict=True):
                    found[one].append(other)
                    found[other].append(one)
    return [sorted(set(one)) for one in found]


def _character_pairs(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return the distinct pairs of neighbouring characters of each text: the text's number, and the pair's.

    A text of one character has that as its only pair, an empty one nothing.
    """
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    padded = "".join(text if len(text) > 1 else text.ljust(2, "\0") for text in texts)
    codes = np.frombuffer(padded.encode("utf-32-le"), dtype="<u4").astype(np.uint64)
    owner = np.repeat(np.arange(len(texts)), np.maximum(lengths, 2))
    inside = owner[1:] == owner[:-1]
    grams = (codes[:-1] << np.uint64(21) | codes[1:])[inside]
    owner = owner[1:][inside]
    order = np.lexsort((grams, owner))
    grams, owner = grams[order], owner[order]
    new = np.ones(len(grams), dtype=bool)
    new[1:] = (grams[1:] != grams[:-1]) | (owner[1:] != owner[:-1])
    return owner[new], grams[new]


def _equal(
    values: NDArray[np.uint64], numbers: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield, bit by bit, all pairs of `numbers` whose values are equal, each once."""
    order = np.argsort(values, kind="stable")
    ranked, numbers = values[order], numbers[order]
    places = np.flatnonzero(ranked[1:] == ranked[:-1])
    distance = 1
    while len(places):
        yield numbers[places], numbers[places + distance]
        distance += 1
        places = places[places + distance < len(ranked)]
        places = places[ranked[places + distance] == ranked[places]]
