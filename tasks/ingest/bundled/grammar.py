"""Reads the text grammars of the business lines into standard questions and their phrases. Pure.

A business line is a module of text blocks:

* `TOPICS`: `name: aspect aspect* ... | condition condition`, then names customers use and, after `~`,
  paraphrases. Every aspect gives one standard question; a starred one gives another for each condition, in
  which a name written as `name/short name` is shortened. An indented `+` continues the line above.
* `LISTED`: one head like a topic's, then topics that share it, each as `name/other name/...`.
* `CONDITIONS`: `name: how customers say it`. A condition that is not listed is said by its name; one written
  with a `+` behind it is part of the topic's name.
* `CASES`: standard questions outside the grid, each with its own phrases.
* `SLOTS`: `name: values`. `STORIES`: how customers begin before they come to the point.
"""

import re
import unicodedata
from functools import cache
from random import Random
from typing import NamedTuple

from tasks.ingest.bundled import aspects, flights, hotels, trains

LINES = {"a": hotels, "b": trains, "c": flights}

SHARED_SLOTS = {
    "date": "明天 后天 下周一 周五 3月8号 5月1号 国庆 大年初二 12号 本周六 今晚 元旦 7月15日 下个月 20号 昨天 上周日",
    "num": "2 3 4 5 6 7 8 两 三 四 五 六 十",
    "money": "50 80 120 168 200 235 300 360 420 499 580 650 799 860 1080 1200",
    "order": "30218845 7719260435 E20459981 881204 1024557788 60093217 H5520187 492016 T8830145",
}

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
    source = LINES[corpus]
    slots = _read_lists(source.SLOTS) | {name: tuple(text.split()) for name, text in SHARED_SLOTS.items()}
    conditions = _read_lists(source.CONDITIONS)
    wordings = {
        key: (standard.split("|"), phrases)
        for head, phrases in _read_blocks(aspects.ACTIONS + aspects.THINGS)
        for key, standard in [head.split(" ")]
    }
    questions = [
        Question(head, head, "", phrases, Phrases((), (), ()), ()) for head, phrases in _read_blocks(source.CASES)
    ]
    for head, names in [*_read_blocks(source.TOPICS), *_read_listed(source.LISTED)]:
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
    return Line(_drop_twins(questions), tuple(source.STORIES.split()), asides, slots)


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


def _read_lists(text: str) -> dict[str, tuple[str, ...]]:
    """Lines `name: value value` as a dictionary."""
    pairs = (head.split(":", 1) for head, _ in _read_blocks(text))
    return {name: tuple(values.split()) for name, values in pairs}


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
