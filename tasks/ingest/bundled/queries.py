"""One customer asking one standard question: which words, how many of them, how much left out."""

from random import Random

from tasks.ingest.bundled import noise
from tasks.ingest.bundled.grammar import Line, Phrases, Question, pick, resolve


def ask(question: Question, line: Line, rng: Random, difficulty: float) -> str:
    """A query for `question`; the greater `difficulty` (0 to 1), the less it says and the stranger its words."""
    hinted = rng.random() < difficulty * (0.3 + 0.4 * difficulty)
    text = _hint(question, line, rng) if hinted else _state(question, line, rng, difficulty)
    if rng.random() < 0.2 * difficulty:  # two questions in one message; filed under the first
        text += "，" + resolve(pick(rng, line.asides), rng, line.slots)
    text = noise.reword(text, rng, 0.1 + 0.5 * difficulty)
    if rng.random() < (0.5 if hinted else 0.25):
        text = resolve(pick(rng, line.stories), rng, line.slots) + pick(rng, ("，", "，", " ", "。", "")) + text
    text = noise.dress(text, rng, 0.35)
    for _ in range(2):
        if rng.random() < 0.3 * difficulty:
            text = noise.mistype(text, rng)
    return text.strip()


def _state(question: Question, line: Line, rng: Random, difficulty: float) -> str:
    """The question in full words: condition, topic and aspect, though a condition is easily forgotten."""
    phrase = _choose(question.phrases, rng, 0.1 + 0.6 * difficulty)
    names, slots = question.names, line.slots
    if names.plain:
        usual = names.plain if rng.random() < 0.2 + 0.8 * difficulty else names.plain[:1]
        slots = slots | {"t": usual, "v": (_choose(names, rng, 0.1 + 0.5 * difficulty),)}
    text = resolve(phrase, rng, slots)
    if question.conditions and rng.random() > 0.6 * difficulty:
        said = resolve(pick(rng, question.conditions), rng, line.slots)
        text = pick(rng, ("{0}{1}", "{0}{1}", "{0}，{1}", "{1}，{0}", "{1} {0}")).format(said, text)
    return text


def _hint(question: Question, line: Line, rng: Random) -> str:
    """Less than the question: only what it is about, or only what is asked, as in the middle of a talk."""
    names, phrases = question.names, question.phrases
    if phrases.bare and rng.random() < 0.5:
        return resolve(pick(rng, phrases.bare), rng, line.slots)
    if not names.plain:
        return resolve(pick(rng, phrases.plain), rng, line.slots)
    return pick(rng, line.hints).format(resolve(pick(rng, names.plain + names.rare), rng, line.slots))


def _choose(phrases: Phrases, rng: Random, rare: float) -> str:
    """A plain phrase, or with probability `rare` a rare one."""
    return pick(rng, phrases.rare if phrases.rare and rng.random() < rare else phrases.plain)
