"""The catalogues: the same sentences in every language, with the same values in them."""

import string
from typing import get_args

import pytest

from schemas.language import Language, Message, read_words
from schemas.settings import LOSSES, TOWERS, CorpusSettings
from tasks.evaluate.report import list_settings
from tasks.ingest.quarantine import REMEDIES

OTHERS = [language for language in get_args(Language) if language != "en"]
SETTINGS = ("setting.", "settings.")  # English has them in the schema


def placeholders(text):
    """Return the values of a sentence."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


SMALL = CorpusSettings.model_validate({"name": "bank", "source": {"path": "x.csv"}}, context={"fill_defaults": True})


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_is_there_in_every_language_with_the_same_values(language):
    """A key or a value that one of them lacks would end a run."""
    english, other = read_words("en").entries, read_words(language).entries

    assert {key for key in other if not key.startswith(SETTINGS)} == set(english)
    wrong = [key for key in english if placeholders(english[key]) != placeholders(other[key])]
    assert wrong == []


@pytest.mark.parametrize("language", OTHERS)
def test_every_setting_is_described_in_every_language(language):
    """The report lists them all."""
    assert [row.key for row in list_settings(SMALL, read_words(language)) if not row.description] == []


def test_the_chinese_settings_are_those_of_today():
    """They name every loss and tower, and describe no setting that has gone."""
    entries = read_words("zh").entries
    known = {row.key for row in list_settings(SMALL, read_words("zh"))}

    assert [name for name in LOSSES if name not in entries["settings.loss.kind"]] == []
    assert [name for name in TOWERS if name not in entries["settings.model.tower"]] == []
    described = [key.removeprefix("settings.") for key in entries if key.startswith("settings.")]
    assert [
        one for one in described if not any(f"{key}.".startswith(f"{one}.") for key in known)
    ] == []  # a bound has two


@pytest.mark.parametrize("language", get_args(Language))
def test_every_reason_of_a_set_aside_row_has_a_name(language):
    """The quarantine and its counts are read by people."""
    assert [reason for reason in REMEDIES if f"reason.{reason}" not in read_words(language).entries] == []


def test_a_message_is_said_with_its_values():
    """In the format that the catalogue gives them."""
    message = Message(key="training.noisy", values={"share": 0.25})

    assert read_words("en").say(message).startswith("at least 25% of the rows seem to be labelled at random")
    assert read_words("zh").say(message).startswith("至少 25% 的行像是随机标注的")


def test_an_unknown_word_stays_what_it_is_and_an_unknown_sentence_is_a_mistake():
    """Reasons and statistics come from elsewhere; sentences are ours."""
    words = read_words("zh")

    assert words.name("reason", "of another program") == "of another program"
    assert words.title("my own expectation") == "my own expectation"
    with pytest.raises(KeyError):
        words("report.no_such_sentence")
