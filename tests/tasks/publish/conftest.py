"""Candidates that differ, and the short way to a published version."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.live import VersionManifest
from tasks.mirror import locked
from tasks.publish.versions import add_version, go_live


def copy_candidate(candidate: Path, folder: Path, mark: str) -> Path:
    """Return a copy that answers the same but is another candidate: its standard questions have other ids."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    shutil.copytree(candidate, folder)
    file = folder / "standard_questions.parquet"
    table = pq.read_table(file)
    pq.write_table(table.set_column(0, "id", pa.array([f"{mark}-{n}" for n in range(len(table))])), file)
    return folder


def add(models: Path, candidate: Path, recall: float = 0.5) -> VersionManifest:
    """Add a version that is not live."""
    extra = {"settings.json": json.dumps({"name": models.name}).encode()}
    return add_version(models, candidate, extra, models.name, "run-1", (recall, recall, 100))


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """The folder of one corpus's versions, empty."""
    folder = tmp_path / "models" / "toy"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def candidates(candidate: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Make a candidate by a name: equal names, equal candidates."""

    def make(mark: str) -> Path:
        folder = tmp_path / "candidates" / mark
        return folder if folder.exists() else copy_candidate(candidate, folder, mark)

    return make


@pytest.fixture
def published(models: Path, candidates: Callable[[str], Path]) -> Callable[[str], VersionManifest]:
    """Publish a candidate by its name."""

    def publish(mark: str) -> VersionManifest:
        with locked(models):
            manifest = add(models, candidates(mark))
            go_live(models, manifest, "published")
        return manifest

    return publish


@pytest.fixture
def models_with_live(home: Path, candidate: Path) -> Path:
    """The folder of corpus toy below DSSM_HOME, with one live version."""
    folder = home / "models" / "toy"
    with locked(folder):
        go_live(folder, add(folder, candidate), "published")
    return folder
