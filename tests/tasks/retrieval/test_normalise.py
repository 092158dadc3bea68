"""The normal form of a text."""

import pytest

from tasks.retrieval.normalise import normalise, normalise_all

CASES = [
    ("ＡＢＣ１２３？", "abc123?"),  # full width
    ("怎么\u3000退票", "怎么 退票"),  # ideographic space
    ("  a \t\r\n b  ", "a b"),  # white space of every kind
    ("退\u200b票\ufeff", "退票"),  # zero-width space, byte order mark
    ("\u202eabc\u202c", "abc"),  # bidirectional marks
    ("a\x00b\x07c", "abc"),  # control characters
    ("a\x1fb", "a b"),  # a separator among the control characters is white space
    ("HELLO Straße", "hello straße"),  # lower, not casefold
    ("ΟΔΟΣ", "οδος"),  # a final sigma stays final
    ("ﬁne ①", "fine 1"),  # ligature, circled digit
    ("cafe\u0301", "café"),  # composed
    ("e\u200b\u0301", "é"),  # composed once the invisible character between is gone
    ("❤\ufe0f", "❤"),  # the style of an emoji is not its meaning
    ("👨\u200d👩", "👨👩"),  # a joiner outside the scripts that spell with it
    ("می\u200cخواهم", "می\u200cخواهم"),  # a joiner that spells a word
    ("क\u200d", "क"),  # a joiner that joins nothing
    ("２０２４年", "2024年"),
    ("\u2f00", "一"),  # a radical that looks like the character
    ("\u200b\u3000\x00", ""),  # nothing left
    ("", ""),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_normal_form_keeps_meaning_and_nothing_else(text, expected):
    """Width, case, white space and invisible characters do not tell two queries apart."""
    assert normalise(text) == expected


def test_normalising_twice_changes_nothing():
    """Every character that is not a rare Chinese one is at rest after one pass, where it could compose or join."""
    for code in (*range(0xD800), *range(0xE000, 0x20000)):
        text = f"क{chr(code)}\u0301"
        once = normalise(text)
        assert normalise(once) == once, ascii(text)


def test_the_batch_form_is_the_single_form_of_each():
    """A corpus and a live query get the same text."""
    texts = [text for text, _ in CASES]
    assert normalise_all(texts) == [normalise(text) for text in texts]
