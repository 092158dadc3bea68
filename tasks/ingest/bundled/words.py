"""Reads the word lists of the bundled corpora, which lie in data/bundled/ of the checkout."""

import tomllib
from collections.abc import Mapping
from functools import cache
from typing import Any

from schemas.workspace import CHECKOUT

FOLDER = CHECKOUT / "data" / "bundled"


@cache
def read_words(name: str) -> Mapping[str, Any]:
    """Return the texts and tables of data/bundled/`name`.toml; OSError if the checkout lacks it."""
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def split_table(table: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return a table of words, its values split at spaces."""
    return {name: tuple(values.split()) for name, values in table.items()}
