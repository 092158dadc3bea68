"""Many texts to features at once, as 64-bit codes: no feature is spelled out. Pure.

The features are those of `Tokeniser.features`. The code of one is a polynomial of its characters, the sum of
r(c_j) * B^j modulo 2^64 (Karp and Rabin 1987, "Efficient randomized pattern-matching algorithms", section 2) with
r splitmix64: so an n-gram's grows out of the one before it, for all places of all texts in a few array operations.
Two of n features share a code with a chance of n^2 in 2^65, one in half a billion for 250,000, unless somebody makes
them to (words of 1,024 characters can be); they then count as one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from schemas.settings import Text
from tasks.retrieval.features import Cut
from tasks.retrieval.hashing import splitmix64

_BASE = np.uint64(0xD1342543DE82EF95)  # odd: Steele and Vigna 2022, "Computationally easy, spectrally good multipliers"
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_BASE_2 = np.uint64(pow(int(_BASE), 2, 1 << 64))
_EMPTY = np.int32(-1)
_PIECE = 1 << 17  # characters: some 100 bytes for each of several features of a character

Codes = NDArray[np.uint64]
Ids = NDArray[np.integer]


KINDS = "wbpcl"  # of features, by the letter that each begins with


@dataclass(frozen=True)
class Coded:
    """Features of one kind and length in some texts, repeats included, text after text."""

    owners: Ids  # (N,) the text each stands in
    codes: Codes  # (N,)
    spell: Callable[[Ids], list[str]]  # of some of these, by place
    kind: str = "w"  # one of `KINDS`


class CodeTable:
    """Finds codes among known ones: open addressing with linear probing, a whole array at a time.

    `pandas.Index.get_indexer` is as fast, but refuses equal codes, builds its table when it is first asked, by
    whichever threads ask, and would cost a `Retriever` the import of pandas.
    """

    def __init__(self, codes: Codes) -> None:
        """Take (V,) known codes, whose places are their numbers."""
        bits = max(3, (4 * len(codes)).bit_length())
        self._shift, self._last = np.uint64(64 - bits), (1 << bits) - 1
        self._numbers = np.full(1 << bits, _EMPTY)
        left, slots = np.arange(len(codes), dtype=np.int32), self._slots(codes)
        while len(left):
            free = self._numbers[slots] == _EMPTY
            self._numbers[slots[free]] = left[free]  # of several, the last one gets the slot
            lost = self._numbers[slots] != left
            left, slots = left[lost], (slots[lost] + 1) & self._last
        self._codes = np.append(codes, np.uint64(0))[self._numbers]

    def find(self, codes: Codes) -> NDArray[np.int32]:
        """Return the number of each code, -1 for an unknown one."""
        slots = self._slots(codes)
        numbers = self._numbers[slots]
        asked = np.flatnonzero((self._codes[slots] != codes) & (numbers != _EMPTY))  # another code's slot
        slots = slots[asked]
        while len(asked):
            slots = (slots + 1) & self._last
            numbers[asked] = self._numbers[slots]
            other = (self._codes[slots] != codes[asked]) & (numbers[asked] != _EMPTY)
            asked, slots = asked[other], slots[other]
        return numbers

    def _slots(self, codes: Codes) -> NDArray[np.int64]:
        return (codes * _SPREAD >> self._shift).astype(np.int64)


def pieces(texts: Sequence[str]) -> Iterator[slice]:
    """Yield runs of texts of so many characters that their features fit in some tens of megabytes."""
    ends = np.cumsum([len(text) for text in texts])
    start = 0
    while start < len(texts):
        stop = int(np.searchsorted(ends, (ends[start - 1] if start else 0) + _PIECE, side="right"))
        yield slice(start, max(start + 1, stop))
        start = max(start + 1, stop)


def code_features(cut: Sequence[Cut], wanted: Text) -> Iterator[Coded]:
    """Yield the features of texts that `Tokeniser.cut` has cut, by kind; together those of `Tokeniser.features`."""
    chinese = np.array([one.chinese is not None for one in cut], dtype=bool)
    words = _Strings([word for one in cut for word in one.words])
    owners = np.repeat(np.arange(len(cut)), [len(one.words) for one in cut])
    if len(owners) and (wanted.words or wanted.bigrams):
        yield from _words_and_pairs(words, owners, chinese, wanted)
    if wanted.char_ngrams_cjk and chinese.any():
        whole = _Strings([f"^{one.chinese}$" for one in cut if one.chinese is not None])
        yield from _ngrams("c", whole, np.flatnonzero(chinese), wanted.char_ngrams_cjk)
    if wanted.char_ngrams_latin and len(alone := np.flatnonzero(~chinese[owners])):
        marked = _Strings([f"#{words.strings[n]}#" for n in alone.tolist()])
        yield from _ngrams("l", marked, owners[alone], wanted.char_ngrams_latin)


def code_spelled(features: Sequence[str]) -> Codes:
    """Return the codes of features as `Tokeniser.features` spells them."""
    return _Strings(features).codes if len(features) else np.zeros(0, np.uint64)


class _Strings:
    """Strings one after the other, none of them empty."""

    def __init__(self, strings: Sequence[str]) -> None:
        self.strings = strings
        self.joined = "".join(strings)
        points = np.frombuffer(self.joined.encode("utf-32-le", "surrogatepass"), "<u4")
        self.points = splitmix64(points.astype(np.uint64))  # r(c) of every character
        self.lengths = np.fromiter(map(len, strings), np.int64, len(strings))
        self.starts = np.cumsum(self.lengths) - self.lengths

    @property
    def codes(self) -> Codes:
        """Return (strings,) the code of each."""
        within = np.arange(len(self.points)) - np.repeat(self.starts, self.lengths)
        powers = _powers(int(self.lengths.max()))
        return np.add.reduceat(self.points * powers[within], self.starts)


def _words_and_pairs(words: _Strings, owners: Ids, chinese: NDArray[np.bool_], wanted: Text) -> Iterator[Coded]:
    bodies = words.codes
    if wanted.words:
        yield Coded(owners, _code("w", bodies), lambda places: [f"w:{words.strings[n]}" for n in places])
    if wanted.bigrams and len(left := np.flatnonzero(owners[1:] == owners[:-1])):
        middle = _UNDERSCORE + _BASE * bodies[left + 1]
        pairs = bodies[left] + _powers(int(words.lengths.max()))[words.lengths[left]] * middle
        in_chinese = chinese[owners[left]]
        for kind, these in (("b", in_chinese), ("p", ~in_chinese)):
            if these.any():
                yield _pairs(kind, words, owners, left[these], pairs[these])


def _ngrams(kind: str, strings: _Strings, owners: Ids, span: tuple[int, int]) -> Iterator[Coded]:
    """Yield the n-grams of each string; `owners` (strings,): their texts."""
    points, powers = strings.points, _powers(span[1])
    room = np.repeat(strings.starts + strings.lengths, strings.lengths) - np.arange(len(points))  # to the string's end
    owner_of = np.repeat(owners, strings.lengths)
    grown = points
    for n in range(1, span[1] + 1):
        if n > 1:
            grown = grown[: len(points) - n + 1] + points[n - 1 :] * powers[n - 1]
        if n >= span[0]:
            places = np.flatnonzero(room[: len(grown)] >= n)
            yield _grams(kind, n, strings.joined, places, owner_of[places], grown[places])


def _grams(kind: str, n: int, joined: str, places: Ids, owners: Ids, bodies: Codes) -> Coded:
    def spell(chosen: Ids) -> list[str]:
        return [f"{kind}:{joined[place : place + n]}" for place in places[chosen].tolist()]

    return Coded(owners, _code(kind, bodies), spell, kind)


def _pairs(kind: str, words: _Strings, owners: Ids, left: Ids, bodies: Codes) -> Coded:
    def spell(chosen: Ids) -> list[str]:
        return [f"{kind}:{words.strings[n]}_{words.strings[n + 1]}" for n in left[chosen].tolist()]

    return Coded(owners[left], _code(kind, bodies), spell, kind)


def _code(kind: str, bodies: Codes) -> Codes:
    """Return the codes of features of a kind, from those of what follows "kind:"."""
    codes: Codes = _HEADS[kind] + _BASE_2 * bodies
    return codes


def _powers(count: int) -> Codes:
    """Return B^0 to B^count, and some more."""
    return _powers_below(1 << count.bit_length())


@cache
def _powers_below(count: int) -> Codes:
    powers: Codes = np.multiply.accumulate(np.append(np.uint64(1), np.full(count, _BASE)))
    return powers


_HEADS = {kind: code_spelled([f"{kind}:"])[0] for kind in KINDS}
_UNDERSCORE = code_spelled(["_"])[0]
