"""The verdict on a training as a sentence. Pure, and without torch: reports are written where nothing is trained."""

from schemas.language import Words
from schemas.training import Convergence, TrainingReport

WORKS = 0.7  # reducible fall, without dropout. Sound: 0.86 to 1.00; wrong labels: 0.02 to 0.69


def describe_convergence(found: Convergence, words: Words) -> str:
    """Return whether a training worked and, if not, why and what to set, in one line."""
    fall = found.reducible_fall
    if found.converged:
        return words("training.converged", fall=fall, rank=found.effective_rank)
    if not found.reasons:  # a file of an earlier version
        return found.sentence
    reasons = words("training.also").join(
        words("training.reason", cause=words.name("cause", cause), why=words.say(why))
        for cause, why in found.reasons.items()
    )
    return words("training.fell" if fall >= 0 else "training.did_not_fall", fall=fall, reasons=reasons)


def warn_of_training(report: TrainingReport, words: Words) -> list[str]:
    """Return what a run warns of: what was corrected before the training, and why it did not converge."""
    corrected, found = report.reachability.corrected, report.convergence
    sentences = [corrected] if corrected else []
    sentences += [] if found.converged else [describe_convergence(found, words)]
    return [words("gate.training_reason", sentence=sentence) for sentence in sentences]


def describe_choice(report: TrainingReport, words: Words) -> str:
    """Return what the validation cut decided: "epochs 6, weight of the training queries 0.5"."""
    return ", ".join(f"{words.name('chosen', name)} {value}" for name, value in report.chosen.items())
