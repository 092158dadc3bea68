"""Features as codes: those that the tokeniser spells."""

from collections import Counter

import numpy as np
import pytest

from schemas.settings import Text
from tasks.retrieval.codes import CodeTable, code_features, code_spelled, pieces
from tasks.retrieval.features import Tokeniser

ALPHABET = [
    *"的了退票机改签龘㐀",
    "手机",
    "refund",
    "a4",
    "c++",
    "_",
    "^",
    "$",
    "#",
    ":",
    " ",
    "，",
    "é",
    "💳",
    "\ud800",
]


def some_texts(count=400):
    """Return texts of words, lone characters, marks and white space in any order, empty ones among them."""
    random = np.random.default_rng(0)
    pieces = random.integers(len(ALPHABET), size=(count, 12))
    return ["".join(ALPHABET[n] for n in row[: random.integers(0, 12)]) for row in pieces]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"words": False, "bigrams": False},
        {"char_ngrams_cjk": None, "char_ngrams_latin": None},
        {"char_ngrams_cjk": (2, 2), "char_ngrams_latin": (1, 7)},
        {"max_characters": 8},
    ],
)
def test_the_features_are_those_that_the_tokeniser_spells(changes):
    """Of every text, as often; spelled from their places, and by code."""
    tokeniser, texts = Tokeniser(Text(**changes)), some_texts()
    spelled, coded = [Counter() for _ in texts], [Counter() for _ in texts]
    for part in code_features([tokeniser.cut(text) for text in texts], tokeniser.text):
        assert len(part.owners) == len(part.codes)
        for owner, feature, code in zip(part.owners, part.spell(np.arange(len(part.codes))), part.codes, strict=True):
            spelled[owner][feature] += 1
            coded[owner][code] += 1
    for text, features, codes in zip(texts, spelled, coded, strict=True):
        expected = tokeniser.features(text)
        assert features == Counter(expected), text
        assert codes == Counter(code_spelled(expected)), text


def test_no_texts_have_no_features():
    """And texts without any have none, either."""
    assert not list(code_features([], Text()))
    assert not list(code_features([Tokeniser(Text()).cut(text) for text in ("", "?!")], Text()))


@pytest.mark.parametrize("characters", [1, 5, 6, 100])
def test_pieces_hold_so_many_characters_or_one_text(characters, monkeypatch):
    """All texts once, in order; empty ones, too."""
    monkeypatch.setattr("tasks.retrieval.codes._PIECE", characters)
    texts = ["", "abc", "de", "", "f", "a long one", "", "g"]

    found = [texts[piece] for piece in pieces(texts)]

    assert [text for piece in found for text in piece] == texts
    assert all(piece and (len(piece) == 1 or sum(map(len, piece)) <= characters) for piece in found)
    assert not list(pieces([]))


def test_codes_tell_features_apart():
    """A hundred thousand short ones: no two share a code."""
    features = [f"{kind}:{chr(0x4E00 + a)}{chr(0x4E00 + b)}" for kind in "cw" for a in range(250) for b in range(200)]
    codes = code_spelled(features)
    assert len(np.unique(codes)) == len(features)


def test_known_codes_are_found_and_others_are_not():
    """Whatever crowds together in the table."""
    random = np.random.default_rng(0)
    codes = np.unique(random.integers(0, 1 << 63, size=5000, dtype=np.uint64))
    near = np.concatenate([codes, codes + np.uint64(1), np.array([0], np.uint64)])
    expected = {code: number for number, code in enumerate(codes)}

    found = CodeTable(codes).find(near)

    assert found.tolist() == [expected.get(code, -1) for code in near]


def test_an_empty_table_knows_nothing():
    """Not even the code 0."""
    assert CodeTable(np.zeros(0, np.uint64)).find(np.array([0, 7], np.uint64)).tolist() == [-1, -1]


def test_a_known_code_of_zero_is_found():
    """It looks like an empty place."""
    assert CodeTable(np.array([5, 0], np.uint64)).find(np.array([0, 5, 6], np.uint64)).tolist() == [1, 0, -1]
