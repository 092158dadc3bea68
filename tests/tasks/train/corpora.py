"""Small corpora, made up: standard questions of a few keywords, queries of keywords and filler."""

from typing import Literal

import numpy as np

from tests.tasks.prepare.toy import Pairs

Shape = Literal["balanced", "zipf", "sparse", "single"]

_FILLERS = 80


def make_pairs(
    classes: int,
    rows: int,
    shape: Shape = "balanced",
    language: Literal["zh", "en"] = "zh",
    seed: int = 0,
    noise: float = 0.0,
    ordered: bool = True,
) -> Pairs:
    """Return rows (query, standard question), ordered by standard question as exports are.

    Args:
        classes: number of standard questions.
        rows: about how many rows; of shape "single" there is one a class.
        shape: of the class sizes; sparse: three of four have at most three rows, as corpus C.
        language: of the texts.
        seed: of everything.
        noise: share of the rows whose labels are permuted among themselves.
        ordered: False: rows stand in random order.
    """
    random = np.random.default_rng(seed)
    words = _words(60 + 2 * classes + _FILLERS, random, language)
    filler, pool = words[:_FILLERS], words[_FILLERS:]
    keywords = [random.choice(len(pool), 3, replace=False) for _ in range(classes)]
    glue = "" if language == "zh" else " "
    pairs = []
    for number, (own, size) in enumerate(zip(keywords, _sizes(classes, rows, shape, random), strict=True)):
        question = glue.join([*(pool[word] for word in own), filler[number % _FILLERS], str(number)])
        for _ in range(size):
            shown = random.permutation(own)[: random.integers(2, 4)]
            text = [*(pool[word] for word in shown), *random.choice(filler, random.integers(1, 5))]
            pairs.append((glue.join(random.permutation(text)), question))
    noisy = np.flatnonzero(random.random(len(pairs)) < noise)
    labels = [pairs[row][1] for row in random.permutation(noisy)]
    for row, label in zip(noisy, labels, strict=True):
        pairs[row] = (pairs[row][0], label)
    return pairs if ordered else [pairs[row] for row in random.permutation(len(pairs))]


def _sizes(classes: int, rows: int, shape: Shape, random: np.random.Generator) -> list[int]:
    if shape == "zipf":
        shares = 1 / np.arange(1, classes + 1)
        return np.maximum(1, rows * shares / shares.sum()).astype(int).tolist()
    if shape == "sparse":
        sizes = random.integers(1, 4, classes)
        large = random.permutation(classes)[: max(1, round(0.24 * classes))]
        sizes[large] = max(4, (rows - sizes.sum()) // len(large))
        return sizes.tolist()
    return [1 if shape == "single" else rows // classes] * classes


def _words(count: int, random: np.random.Generator, language: str) -> list[str]:
    """Return distinct words in random order: two characters, or two to three syllables."""
    if language == "zh":
        letters = [chr(0x4E00 + code) for code in random.choice(3000, 400, replace=False)]
        made = ["".join(random.choice(letters, 2)) for _ in range(2 * count)]
    else:
        syllables = [consonant + vowel for consonant in "bcdfghklmnprstvz" for vowel in "aeiou"]
        made = ["".join(random.choice(syllables, random.integers(2, 4))) for _ in range(4 * count)]
    return list(dict.fromkeys(made))[:count]
