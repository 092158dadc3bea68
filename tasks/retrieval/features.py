"""Text to features: words, pairs of neighbouring words and character n-grams.

Training and serving call the same `Tokeniser`, and a model records its name: a tokeniser that cuts
differently makes other features, and a model fed with those answers worse without any error.
"""

import logging
import re
from functools import lru_cache
from itertools import pairwise
from math import log
from pathlib import Path
from typing import IO, Any, NamedTuple

import jieba

from schemas.errors import SettingsError
from schemas.settings import Text
from tasks.retrieval.normalise import normalise_all

TOKENISER = "jieba-0.42.1-nohmm"
_MOST_BYTES, _LONGEST_WORD = 64 << 20, 200  # of a user's dictionary; characters of a line of it
UNKNOWN_WORD = "\x00"  # row 0 of WORDS; no normalised text holds it

_CJK = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_WORD = re.compile(r"\w+")
_SPACE = re.compile(r"\s+")


class Cut(NamedTuple):
    """A text in words."""

    words: list[str]
    chinese: str | None  # the text without white space; None: it holds no Chinese


class Tokeniser:
    """Cuts normalised texts into words and features, as `text` says."""

    def __init__(self, text: Text) -> None:
        self.text = text
        self._jieba = _jieba(text.user_dictionary)

    def cut(self, text: str) -> Cut:
        """Return the words of a normalised text in order: jieba's where it holds Chinese, else letters and digits."""
        text = text[: self.text.max_characters]
        if not _CJK.search(text):
            return Cut(_WORD.findall(text), None)
        # Without its hidden Markov model jieba is a third faster; character n-grams cover unknown words.
        words = [word for word in self._jieba.cut(text, HMM=False) if _WORD.match(word)]
        return Cut(words, _SPACE.sub("", text))

    def words(self, text: str) -> list[str]:
        """Return the words of a normalised text in order."""
        return self.cut(text).words

    def features(self, text: str) -> list[str]:
        """Return the features of a normalised text, with repetitions, marked by kind.

        "w:" word; in a text with Chinese "b:" pair of words and "c:" characters, elsewhere "p:" and "l:".
        This says what the features are; `tasks.retrieval.codes` finds those of many texts at once.
        """
        return [feature for kind in self.features_by_kind(text) for feature in kind]

    def features_by_kind(self, text: str) -> list[list[str]]:
        """Return the same as words, pairs and characters, each a list."""
        words, chinese = self.cut(text)
        alone = [f"w:{word}" for word in words] if self.text.words else []
        pairs: list[str] = []
        if self.text.bigrams:
            kind = "p" if chinese is None else "b"
            pairs = [f"{kind}:{left}_{right}" for left, right in pairwise(words)]
        grams: list[str] = []
        if chinese is not None:
            if span := self.text.char_ngrams_cjk:
                grams = _ngrams("c", f"^{chinese}$", span)
        elif span := self.text.char_ngrams_latin:
            for word in words:
                grams += _ngrams("l", f"#{word}#", span)
        return [alone, pairs, grams]


def kind_weight(feature: str, text: Text) -> float:
    """Return the weight of a feature's kind.

    In Chinese, word pairs and the longest n-grams say again what shorter ones said; elsewhere all weigh the same.
    """
    kind, gram = feature[0], feature[2:]
    if kind == "b":
        return text.pair_weight
    span = text.char_ngrams_cjk
    return text.longest_ngram_weight if kind == "c" and span and span[0] < span[1] == len(gram) else 1.0


def _ngrams(kind: str, text: str, span: tuple[int, int]) -> list[str]:
    return [f"{kind}:{text[i : i + n]}" for n in range(span[0], span[1] + 1) for i in range(len(text) - n + 1)]


class _WithoutHmm(jieba.Tokenizer):  # type: ignore[misc]  # jieba publishes no types
    """jieba's `cut(text, HMM=False)`, word for word, in three fifths of the time: graph and best path in one pass."""

    def initialize(self, dictionary: None = None) -> None:
        """Read jieba's own dictionary, from its own file alone.

        jieba would take the words from a file of the temporary folder, where any user may have laid other ones.
        """
        if not self.initialized:
            self.FREQ, self.total = read_dictionary(self.get_dict_file())
            self.initialized: bool = True

    def get_DAG(self, sentence: str) -> None:
        """Return nothing: `calc` finds the words itself."""

    def calc(self, sentence: str, _: None, route: dict[int, Any]) -> None:
        """Fill `route` with the best (score, last character) of a word from each place, as jieba's own does."""
        find, total, end = self.FREQ.get, log(self.total), len(sentence)
        scores = [0.0] * (end + 1)
        for start in range(end - 1, -1, -1):
            score, last, stop = None, start, start
            count = find(sentence[start])
            while count is not None:  # the dictionary holds every beginning of its words, with a count of 0
                if count:
                    found = log(count) - total + scores[stop + 1]
                    if score is None or found >= score:  # of equals, the longest
                        score, last = found, stop
                stop += 1
                count = find(sentence[start : stop + 1]) if stop < end else None
            scores[start] = scores[start + 1] - total if score is None else score
            route[start] = (scores[start], last)


def read_dictionary(file: IO[bytes]) -> tuple[dict[str, int], int]:
    """Return how often each word comes, 0 for what only begins one, and the sum: as jieba does, in half of the time.

    That is as fast as jieba is with its cache, so there is none.
    """
    with file:
        fields = file.read().decode("utf-8").split()  # word, count, part of speech, and so on
    words, counts = fields[0::3], [int(count) for count in fields[1::3]]
    frequencies = dict(zip(words, counts, strict=True))
    for word in words:
        for end in range(len(word) - 1, 0, -1):
            beginning = word[:end]
            if beginning in frequencies:  # so are its own beginnings, now or in their turn
                break
            frequencies[beginning] = 0
    return frequencies, sum(counts)


@lru_cache(maxsize=4)
def _jieba(user_dictionary: str | None) -> jieba.Tokenizer:
    jieba.setLogLevel(logging.ERROR)
    tokenizer = _WithoutHmm()
    tokenizer.initialize()
    if user_dictionary:
        try:
            # In normal form, as every text is that it will cut: "VIP" would never be found in "vip".
            tokenizer.load_userdict(normalise_all(_read_words(user_dictionary)))
        except ValueError as error:
            raise SettingsError(
                f"text.user_dictionary: {user_dictionary} is not a jieba dictionary: {error}"
            ) from error
    return tokenizer


def _read_words(given: str) -> list[str]:
    """Return the lines of a user's dictionary; ValueError: they are none, or more than can be kept.

    jieba keeps every beginning of a word, so that a long one takes the square of its length.
    """
    file = Path(given)
    try:
        there = file.is_file()
    except OSError:  # a name that is too long
        there = False
    if not there:  # named as it was given: a Path would spoil an address, and redaction miss its password
        raise SettingsError(f"text.user_dictionary: no file {given}; give a UTF-8 file with one word a line")
    if file.stat().st_size > _MOST_BYTES:
        raise ValueError(f"it has over {_MOST_BYTES >> 20} MB")
    lines = file.read_text("utf-8-sig").splitlines()
    for number, line in enumerate(lines, 1):
        if len(line) > _LONGEST_WORD:
            raise ValueError(f"line {number} has {len(line)} characters, a word with its count at most {_LONGEST_WORD}")
    return lines
