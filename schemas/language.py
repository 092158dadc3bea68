"""The words of reports, findings and reasons: one catalogue a language, in languages/.

A sentence is a key of the catalogue and the values in it. Where one is kept in a file that must not depend on the
language, it is kept as a Message; else it is written out where it arises.
"""

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Language = Literal["en", "zh"]
_FOLDER = Path(__file__).with_name("languages")


class Message(BaseModel):
    """A sentence that can be said in any language."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str  # of the catalogue
    values: "dict[str, str | int | float | Message]" = {}  # one that is a message is said first


class Words:
    """The catalogue of one language."""

    def __init__(self, language: Language, entries: Mapping[str, str]) -> None:
        self.language, self.entries = language, entries

    def __call__(self, key: str, **values: object) -> str:
        """Return the sentence of a key with its values; KeyError: there is none, or a value is missing."""
        return self.entries[key].format_map(values)

    def say(self, message: Message) -> str:
        """Return a message as a sentence."""
        values = {name: self.say(v) if isinstance(v, Message) else v for name, v in message.values.items()}
        return self(message.key, **values)

    def name(self, group: str, key: str) -> str:
        """Return what to say for a word of a group, e.g. ("reason", "empty query"); the word itself if unknown."""
        return self.entries.get(f"{group}.{key}", key)

    def title(self, rule: str) -> str:
        """Return what a finding is called; an expectation of the settings by its own name."""
        return self.entries.get(f"finding.{rule}.title", rule)


@lru_cache
def read_words(language: Language = "en") -> Words:
    """Return the catalogue of a language."""
    content = tomllib.loads((_FOLDER / f"{language}.toml").read_text(encoding="utf-8"))
    return Words(language, dict(_flatten(content, "")))


def _flatten(table: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    flat = list[tuple[str, str]]()
    for key, value in table.items():
        flat += _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return flat
