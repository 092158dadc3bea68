"""Reads the text grammars of the business lines (data/bundled/README.md) into standard questions and phrases."""

import re
import unicodedata
from functools import cache
from random import Random
from typing import NamedTuple

from tasks.ingest.bundled.words import read_words, split_table

LINES = {"a": "hotels", "b": "trains", "c": "flights"}

_CHOICE = re.compile(r"\(([^()]*)\)")
_SLOT = re.compile(r"\{(\w+)\}")


class Phrases(NamedTuple):
    """Ways to say one thing, by how usual they are."""

    plain: tuple[str, ...]
    rare: tuple[str, ...]
    bare: tuple[str, ...]  # leave out what it is about


class Question(NamedTuple):
    """One standard question and all that is needed to ask it in other words."""

    text: str
    topic: str  # its own text for a case outside the grid
    condition: str  # empty if unconditional
    phrases: Phrases
    names: Phrases  # of the topic
    conditions: tuple[str, ...]  # how customers say the condition


class Line(NamedTuple):
    """One business line, parsed."""

    questions: tuple[Question, ...]
    stories: tuple[str, ...]  # how customers begin
    asides: tuple[str, ...]  # what they ask besides
    hints: tuple[str, ...]  # what they say who name only the topic
    slots: dict[str, tuple[str, ...]]


def pick(rng: Random, items: tuple[str, ...]) -> str:
    """One of `items`, evenly; several times faster than `rng.choice`."""
    return items[int(rng.random() * len(items))]


def resolve(template: str, rng: Random, slots: dict[str, tuple[str, ...]]) -> str:
    """`template` with every `(a|b)` decided and every `{slot}` filled; slots of slots are filled too."""
    text = _CHOICE.sub(lambda match: pick(rng, tuple(match[1].split("|"))), template)
    while "{" in text:
        text = _SLOT.sub(lambda match: pick(rng, slots[match[1]]), text)
    return text


@cache
def read_line(corpus: str) -> Line:
    """The business line behind `corpus`: every standard question its grammar can form, in a fixed order."""
    source, aspects = read_words(LINES[corpus]), read_words("aspects")
    conditions = split_table(source["conditions"])
    wordings = {
        key: (standard.split("|"), phrases)
        for head, phrases in _read_blocks(aspects["actions"] + aspects["things"])
        for key, standard in [head.split(" ")]
    }
    questions = [
        Question(head, head, "", phrases, Phrases((), (), ()), ()) for head, phrases in _read_blocks(source["cases"])
    ]
    for head, names in [*_read_blocks(source["topics"]), *_read_listed(source.get("listed", ""))]:
        title, _, grid = head.partition(":")
        topic, _, short = title.partition("/")
        starred, _, variants = grid.partition("|")
        names = names._replace(plain=tuple(dict.fromkeys((topic, *names.plain))))
        for entry in starred.split():
            key = entry.rstrip("*")
            standards, phrases = wordings[key]
            # An editor words a question once and keeps to it for all its variants.
            standard = standards[Random(f"{topic}/{key}").randrange(len(standards))]
            for condition in ["", *variants.split()] if entry.endswith("*") else [""]:
                title = short if short and condition else topic
                question = _vary(title, condition, standard, phrases, names, conditions)
                questions.append(question._replace(topic=topic))
    asides = tuple(phrase for _, phrases in wordings.values() for phrase in phrases.bare)
    return Line(
        questions=_drop_twins(questions),
        stories=tuple(source["stories"].split()),
        asides=asides,
        hints=tuple(aspects["hints"].split()),
        slots=split_table(source["slots"] | aspects["slots"]),
    )


def _vary(
    topic: str,
    condition: str,
    standard: str,
    phrases: Phrases,
    names: Phrases,
    conditions: dict[str, tuple[str, ...]],
) -> Question:
    """One cell of the grid: a topic's aspect under a condition, which may be empty."""
    kind = condition.removesuffix("+")
    if kind == condition:
        text = standard.replace("{c}", condition).replace("{t}", topic)
        said = conditions.get(condition, (condition,)) if condition else ()
        return Question(text, topic, condition, phrases, names, said)
    text = standard.replace("{c}", "").replace("{t}", kind + topic)
    names = names._replace(plain=tuple(kind + name for name in names.plain))
    return Question(text, topic, kind, phrases, names, ())


def _drop_twins(questions: list[Question]) -> tuple[Question, ...]:
    """The questions without those whose text equals an earlier one after normalising."""
    first: dict[str, Question] = {}
    for question in questions:
        first.setdefault(unicodedata.normalize("NFKC", question.text).lower(), question)
    return tuple(first.values())


def _read_blocks(text: str) -> list[tuple[str, Phrases]]:
    """Heads with the indented phrases below them."""
    blocks: list[tuple[str, list[list[str]]]] = []
    for line in filter(None, text.splitlines()):
        if not line.startswith(" "):
            blocks.append((line, [[], [], []]))
        elif line.startswith("  +"):
            head, phrases = blocks.pop()
            blocks.append((head + line[3:], phrases))
        else:
            words = line.split()
            kind = {"~": 1, "-": 2}.get(words[0], 0)
            blocks[-1][1][kind] += words[1:] if kind else words
    return [(head, Phrases(*map(tuple, phrases))) for head, phrases in blocks]


def _read_listed(text: str) -> list[tuple[str, Phrases]]:
    """The topics of a `LISTED` block, with its head given to each."""
    head, _, items = text.strip().partition("\n")
    names = [item.split("/") for item in items.split()]
    return [(f"{first}: {head}", Phrases((first, *others), (), ())) for first, *others in names]
