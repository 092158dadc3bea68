"""What happens to a query between the head and the keyboard: synonyms, politeness, slips of the keyboard."""

import re
from functools import cache
from random import Random
from typing import NamedTuple

from tasks.ingest.bundled.grammar import pick
from tasks.ingest.bundled.words import read_words, split_table


class Noise(NamedTuple):
    """What may happen to a query, with patterns that find the words concerned."""

    synonyms: dict[str, tuple[str, ...]]
    slips: dict[str, tuple[str, ...]]
    find_synonym: re.Pattern[str]
    find_slip: re.Pattern[str]
    openings: tuple[str, ...]
    closings: tuple[str, ...]


@cache
def read_noise() -> Noise:
    """Return the noise of data/bundled/noise.toml."""
    words = read_words("noise")
    synonyms, slips = split_table(words["synonyms"]), split_table(words["slips"])
    openings, closings = tuple(words["openings"].split()), tuple(words["closings"].split())
    return Noise(synonyms, slips, _match_any(synonyms), _match_any(slips), openings, closings)


def _match_any(table: dict[str, tuple[str, ...]]) -> re.Pattern[str]:
    """Return a pattern that finds the words of `table`, longest first."""
    return re.compile("|".join(sorted(table, key=lambda word: (-len(word), word))))


def reword(text: str, rng: Random, share: float) -> str:
    """`text` with each word that has synonyms replaced by one with probability `share`."""
    noise = read_noise()

    def swap(match: re.Match[str]) -> str:
        return pick(rng, noise.synonyms[match[0]]) if rng.random() < share else match[0]

    return noise.find_synonym.sub(swap, text)


def dress(text: str, rng: Random, share: float) -> str:
    """`text` with a greeting before it and something after it, each with probability `share`."""
    noise = read_noise()
    if rng.random() < share:
        text = pick(rng, noise.openings) + text
    if rng.random() < share:
        text += pick(rng, noise.closings)
    return text


def mistype(text: str, rng: Random) -> str:
    """`text` with one slip: a homophone, or a character lost, doubled, swapped with the next, or a space."""
    noise = read_noise()
    slips = list(noise.find_slip.finditer(text))
    if slips and rng.random() < 0.7:
        slip = slips[int(rng.random() * len(slips))]
        return text[: slip.start()] + pick(rng, noise.slips[slip[0]]) + text[slip.end() :]
    if len(text) < 4:
        return text
    at = int(rng.random() * (len(text) - 1))
    head, this, following, tail = text[:at], text[at], text[at + 1], text[at + 2 :]
    middles = (following, this + this + following, following + this, f"{this} {following}")
    return head + pick(rng, middles) + tail
