"""What many queries begin or end with alike: the greeting of a channel, the stamp of an export. Pure."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_LENGTH = 14  # at least, a character of Chinese counting two: “how do i get a” is how people ask, and shorter
_SHARE = 0.05  # of the queries, at least
_SPREAD = 0.7  # of the standard questions that as many queries at random would have: else it distinguishes them
_HOLDS = 0.9  # of the queries with a text go on with the next character: it belongs to the text


class Shared(NamedTuple):
    """Texts that many queries share."""

    queries: int  # that hold one
    texts: list[tuple[str, int, bool]]  # text, queries, at the start (else at the end); most queries first


def find_boilerplate(queries: Sequence[str], codes: Sequence[int]) -> Shared:
    """Return what many queries begin or end with, whatever their standard question; repeats of a query count once.

    Args:
        queries: normalised.
        codes: of each query, the number of its standard question.
    """
    firsts = dict(zip(reversed(queries), reversed(codes), strict=True))
    distinct, classes = list(firsts), np.array(list(firsts.values()), np.int64)
    backwards = [query[::-1] for query in distinct]
    starts, ends = (_find_starts(texts, classes) for texts in (distinct, backwards))
    held = sum(
        query.startswith(tuple(starts)) or turned.startswith(tuple(ends))
        for query, turned in zip(distinct, backwards, strict=True)
    )
    texts = [(text, count, True) for text, count in starts.items()]
    texts += [(text[::-1], count, False) for text, count in ends.items()]
    return Shared(round(held * len(queries) / max(1, len(distinct))), sorted(texts, key=lambda one: (-one[1], one[0])))


def _find_starts(texts: Sequence[str], classes: NDArray[np.int64]) -> dict[str, int]:
    """Return the longest starts that many texts share, and how many have each."""
    least, found = max(2, _SHARE * len(texts)), dict[str, int]()
    open_starts = [("", list(range(len(texts))))]
    while open_starts:
        start, holders = open_starts.pop()
        following = Counter(texts[i][len(start)] for i in holders if len(texts[i]) > len(start))
        common = [character for character, count in following.items() if count >= least]
        goes_on = sum(following[character] for character in common) >= _HOLDS * len(holders)
        if _width(start) >= _LENGTH and not goes_on:
            if _is_spread(classes[holders], classes):
                found[start] = len(holders)
            continue
        for character in common:
            longer = start + character
            open_starts.append((longer, [i for i in holders if texts[i].startswith(longer)]))
    return found


def _is_spread(holders: NDArray[np.int64], classes: NDArray[np.int64]) -> bool:
    """Say whether texts have about as many standard questions as so many of all at random: share by share."""
    shares = np.bincount(classes) / len(classes)
    expected = float((1 - (1 - shares) ** len(holders)).sum())
    return len(np.unique(holders)) >= _SPREAD * expected


def _width(text: str) -> int:
    return sum(1 + (character >= "\u2e80") for character in text)
