"""The verdict on a training as a sentence. Pure, and without torch: reports are written where nothing is trained."""

from schemas.language import Words
from schemas.training import Convergence

WORKS, GOOD = 0.7, 0.95  # reducible fall, without dropout. Sound: 0.75 (2 classes, 40 rows, 12 steps) to 1.00


def describe_convergence(found: Convergence, words: Words) -> str:
    """Return whether a training worked and, if not, why and what to set, in one line."""
    fall = found.reducible_fall
    if found.converged:
        key = "training.converged_well" if fall >= GOOD else "training.converged"
        return words(key, fall=fall, rank=found.effective_rank)
    if not found.reasons:  # a file of an earlier version
        return found.sentence
    reasons = words("training.also").join(
        words("training.reason", cause=words.name("cause", cause), why=words.say(why))
        for cause, why in found.reasons.items()
    )
    return words("training.fell" if fall >= 0 else "training.did_not_fall", fall=fall, reasons=reasons)
