"""Where files lie. Everything is below one root, DSSM_HOME; absolute, since workers start anywhere."""

import os
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

STEPS = ("ingest", "validate", "mine", "prepare", "train", "evaluate", "publish")
CHECKOUT = Path(__file__).resolve().parents[1]


def default_home() -> Path:
    """Return the root of all files: $DSSM_HOME, else `data/` of the checkout."""
    return Path(os.environ.get("DSSM_HOME") or CHECKOUT / "data").resolve()


class Workspace(BaseModel):
    """The folders of one run of one corpus. Constructing one touches nothing on disk."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path
    corpus: str
    run: str

    @classmethod
    def of(cls, corpus: str, run: str, home: Path | None = None) -> Self:
        """Return the workspace of a run, below `home` or the default root."""
        return cls(home=(home or default_home()).resolve(), corpus=corpus, run=run)

    @property
    def runs(self) -> Path:
        """All runs of the corpus."""
        return self.home / "runs" / self.corpus

    @property
    def root(self) -> Path:
        """This run."""
        return self.runs / self.run

    @property
    def partial(self) -> Path:
        """Unfinished work, named by key, so that the next run can take it up."""
        return self.home / "partial" / self.corpus

    @property
    def models(self) -> Path:
        """All versions of the corpus, and live.json."""
        return self.home / "models" / self.corpus

    def step(self, name: str) -> Path:
        """Return the folder of one step of this run; ValueError for a step that does not exist."""
        if name not in STEPS:
            raise ValueError(f"no step {name!r}; the steps are {', '.join(STEPS)}")
        return self.root / name


def artifact_key(corpus: str, what: str) -> str:
    """Return a stable Prefect artifact key (lower case, digits, dashes), so that each has a history per corpus."""
    return f"{corpus.replace('_', '-')}-{what}"
