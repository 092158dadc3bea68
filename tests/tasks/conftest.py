"""Candidates that differ, and the short way to a published version."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from schemas.live import VersionManifest
from tasks.registry import ModelRegistry
from tasks.update import Update


def copy_candidate(candidate: Path, folder: Path, mark: str) -> Path:
    """Return a copy that answers the same but is another candidate: its standard questions have other ids."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    shutil.copytree(candidate, folder)
    file = folder / "standard_questions.parquet"
    table = pq.read_table(file)
    pq.write_table(table.set_column(0, "id", pa.array([f"{mark}-{n}" for n in range(len(table))])), file)
    return folder


def dress(candidate: Path, folder: Path, rows: Mapping[str, Mapping[str, str]]) -> Path:
    """Return a copy that keeps fields of its standard questions: cells by text and field; `valid_until` is obeyed."""
    import pyarrow.parquet as pq

    from tasks.retrieval.payload import Payload

    copy_candidate(candidate, folder, "Q")
    texts = pq.read_table(folder / "standard_questions.parquet")["standard_question"].to_pylist()
    cells = [rows.get(text, {}) for text in texts]
    Payload.of(cells, "Asia/Shanghai", {"valid_until": True}, []).write(folder)
    return folder


def put(update: Update, candidate: Path, recall: float = 0.5) -> VersionManifest:
    """Add a version that is not live."""
    extra = {"settings.json": json.dumps({"name": update.registry.corpus}).encode()}
    return update.add(candidate, extra, "run-1", (recall, recall, 100))


def add(registry: ModelRegistry, candidate: Path) -> VersionManifest:
    """Do the same in an update of its own."""
    with registry.update() as update:
        return put(update, candidate)


def publish(registry: ModelRegistry, candidate: Path) -> VersionManifest:
    """Make a version of a candidate live."""
    with registry.update() as update:
        manifest = put(update, candidate)
        update.go_live(manifest, "published")
    return manifest


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    """The registry of a corpus of which nothing was published."""
    return ModelRegistry(tmp_path / "models" / "toy")


@pytest.fixture
def candidates(candidate: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Make a candidate by a name: equal names, equal candidates."""

    def make(mark: str) -> Path:
        folder = tmp_path / "candidates" / mark
        return folder if folder.exists() else copy_candidate(candidate, folder, mark)

    return make


@pytest.fixture
def published(registry: ModelRegistry, candidates: Callable[[str], Path]) -> Callable[[str], VersionManifest]:
    """Publish a candidate by its name."""
    return lambda mark: publish(registry, candidates(mark))
