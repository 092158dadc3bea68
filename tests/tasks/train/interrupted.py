"""A training in a process of its own, for a test to kill: prints a line after every epoch.

python -m tests.tasks.train.interrupted PREPARED OUT PARTIAL SETTINGS
"""

import sys
import time
from pathlib import Path

from schemas.settings import CorpusSettings
from schemas.training import Epoch
from tasks.train.training import train_candidate


def say(epoch: Epoch, most: int) -> None:
    """Print which epoch has ended, and give whoever listens the time to act before the next ones end."""
    sys.stdout.write(f"{epoch.phase} {epoch.epoch}\n")
    sys.stdout.flush()
    time.sleep(0.05)


if __name__ == "__main__":
    prepared, out, partial, settings = map(Path, sys.argv[1:])
    train_candidate(prepared, out, partial, CorpusSettings.model_validate_json(settings.read_bytes()), say)
