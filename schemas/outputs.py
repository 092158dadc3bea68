"""What each step leaves in its folder: the names of its files, and readers of those that hold one model.

A file name stands here once. The columns of the tables are in `schemas.tables`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import pyarrow.parquet as pq

from schemas.edits import Taken
from schemas.evaluation import Evaluation, Golden
from schemas.ingest import IngestFacts
from schemas.manifest import StepManifest
from schemas.prepared import PreparedFacts
from schemas.training import TrainingReport
from schemas.validation import Drift, Verdict
from schemas.workspace import Workspace

CORPUS_PROFILE_FILE = "corpus_profile.parquet"  # of validate, and of a version


@dataclass(frozen=True)
class StepOutput:
    """The folder of one step, finished or being written."""

    step: ClassVar[str]
    folder: Path

    @classmethod
    def of(cls, workspace: Workspace) -> Self:
        """Return the step's folder of a run, which need not be there."""
        return cls(workspace.step(cls.step))

    @classmethod
    def rejected(cls, workspace: Workspace) -> Self:
        """Return the folder of what the step has found out about a corpus that it refused."""
        return cls(workspace.root / f"{cls.step}.rejected")


class IngestOutput(StepOutput):
    """What ingest read from the sources."""

    step = "ingest"

    @property
    def questions(self) -> Path:
        """The usable rows; contract QUESTIONS."""
        return self.folder / "questions.parquet"

    @property
    def test(self) -> Path:
        """The usable rows of the official test source; QUESTIONS. There is no file without such a source."""
        return self.folder / "test.parquet"

    @property
    def standard_questions(self) -> Path:
        """The classes; STANDARD_QUESTIONS."""
        return self.folder / "standard_questions.parquet"

    @property
    def payload(self) -> Path:
        """What belongs to a standard question besides its text; PAYLOAD."""
        return self.folder / "payload.parquet"

    @property
    def edits(self) -> Path:
        """What was edited since the export, and of that what it lacks, as JSON. There is no file without edits."""
        return self.folder / "edits.json"

    @property
    def groups(self) -> Path:
        """Standard questions that have the same answer, as JSON: lists of texts. There is no file without any."""
        return self.folder / "groups.json"

    def read_taken(self) -> Taken:
        """Return those edits."""
        return Taken.model_validate_json(self.edits.read_bytes()) if self.edits.exists() else Taken()

    @property
    def quarantine(self) -> Path:
        """The rows that are not usable; QUARANTINE."""
        return self.folder / "quarantine.parquet"

    def asked(self) -> Path:
        """Return the file that the test rows stand in: that of the official source, else the training rows."""
        return self.test if self.test.exists() else self.questions

    def read_facts(self) -> IngestFacts:
        """Return the counts of the finished step."""
        return IngestFacts.model_validate(StepManifest.read(self.folder).facts)


class GoldenOutput(StepOutput):
    """The golden queries of a corpus."""

    step = "golden"

    @property
    def queries(self) -> Path:
        """The golden queries; GOLDEN."""
        return self.folder / "golden.parquet"


class ForeignOutput(StepOutput):
    """Queries that are not of the corpus."""

    step = "foreign"

    @property
    def queries(self) -> Path:
        """The queries; FOREIGN."""
        return self.folder / "foreign.parquet"

    def read_for_calibration(self) -> list[str]:
        """Return the half of them that tunes."""
        return self._read()[::2]

    def read_for_measuring(self) -> list[str]:
        """Return the other half, that measures."""
        return self._read()[1::2]

    def _read(self) -> list[str]:
        queries: list[str] = pq.read_table(self.queries)["query"].to_pylist()
        return queries


class ValidateOutput(StepOutput):
    """What validate says of a corpus."""

    step = "validate"

    @property
    def verdict(self) -> Path:
        """The verdict, as JSON."""
        return self.folder / "verdict.json"

    @property
    def findings(self) -> Path:
        """The rows behind each finding."""
        return self.folder / "findings.parquet"

    @property
    def statistics(self) -> Path:
        """All statistics, as JSON."""
        return self.folder / "profile.json"

    @property
    def suite(self) -> Path:
        """The bounds as a suite of Great Expectations."""
        return self.folder / "suite.json"

    @property
    def rows_suite(self) -> Path:
        """The owner's expectations on rows, likewise."""
        return self.folder / "rows_suite.json"

    @property
    def corpus_profile(self) -> Path:
        """What later corpora are compared with; CORPUS_PROFILE."""
        return self.folder / CORPUS_PROFILE_FILE

    def read_verdict(self) -> Verdict:
        """Return the verdict."""
        return Verdict.model_validate_json(self.verdict.read_bytes())


class DriftOutput(StepOutput):
    """How a corpus differs from that of the live version."""

    step = "drift"

    @property
    def drift(self) -> Path:
        """The differences against their bounds, as JSON."""
        return self.folder / "drift.json"

    @property
    def changes(self) -> Path:
        """Every standard question and word that has changed."""
        return self.folder / "drift.parquet"

    def read_drift(self) -> Drift | None:
        """Return the differences; None: nothing was live to compare with."""
        return Drift.model_validate_json(self.drift.read_bytes()) if self.drift.exists() else None


class PrepareOutput(StepOutput):
    """What training and evaluation read."""

    step = "prepare"

    @property
    def train(self) -> Path:
        """The folder of the training rows; TRAIN."""
        return self.folder / "train.parquet"

    @property
    def test(self) -> Path:
        """The held-out rows; TEST."""
        return self.folder / "test.parquet"

    @property
    def classes(self) -> Path:
        """The standard questions; CLASSES."""
        return self.folder / "classes.parquet"

    @property
    def vocabulary(self) -> Path:
        """The features; VOCABULARY."""
        return self.folder / "vocabulary.parquet"

    @property
    def words(self) -> Path:
        """The words; WORDS."""
        return self.folder / "words.parquet"

    @property
    def groups(self) -> Path:
        """Classes that have the same answer, as JSON: lists of ids. There is no file without any."""
        return self.folder / "groups.json"

    @property
    def suite(self) -> Path:
        """The proof as a suite of Great Expectations."""
        return self.folder / "suite.json"

    def train_parts(self) -> list[Path]:
        """Return the files of the training rows, in order."""
        return sorted(self.train.iterdir())

    def negatives(self, epoch: int) -> Path:
        """Return the folder of the negatives of `epoch`, from 0: one file for each of the training rows."""
        return self.folder / "negatives" / f"epoch-{epoch:03d}.parquet"

    def epochs(self) -> list[Path]:
        """Return the folders of all epochs' negatives, in order."""
        return sorted((self.folder / "negatives").glob("epoch-*.parquet"))

    def read_facts(self) -> PreparedFacts:
        """Return the counts of the finished step."""
        return PreparedFacts.model_validate(StepManifest.read(self.folder).facts)


class TrainOutput(StepOutput):
    """A candidate, and how its training went."""

    step = "train"

    @property
    def report(self) -> Path:
        """How the training went, as JSON."""
        return self.folder / "training.json"

    @property
    def candidate(self) -> Path:
        """The folder of the complete candidate."""
        return self.folder / "candidate"

    def read_report(self) -> TrainingReport:
        """Return how the training went."""
        return TrainingReport.model_validate_json(self.report.read_bytes())


class EvaluateOutput(StepOutput):
    """What was measured of a candidate."""

    step = "evaluate"

    @property
    def evaluation(self) -> Path:
        """The measurements, as JSON."""
        return self.folder / "evaluation.json"

    @property
    def golden(self) -> Path:
        """How the golden queries were answered, as JSON. There is no file without golden queries."""
        return self.folder / "golden.json"

    @property
    def ranked(self) -> Path:
        """Rank of the right answer, and the first ten, of each test row."""
        return self.folder / "ranked.parquet"

    @property
    def suspects(self) -> Path:
        """The training rows that are probably mislabelled; SUSPECTS."""
        return self.folder / "suspects.parquet"

    def read_evaluation(self) -> Evaluation:
        """Return the measurements."""
        return Evaluation.model_validate_json(self.evaluation.read_bytes())

    def read_golden(self) -> Golden | None:
        """Return how the golden queries were answered; None: there are none."""
        return Golden.model_validate_json(self.golden.read_bytes()) if self.golden.exists() else None
