"""The toy corpus, prepared once, and settings that train it in no time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from schemas.settings import CorpusSettings
from tests.tasks.prepare.toy import prepare_rows, toy_settings

SMALL = {
    "text": {"min_texts": 2},  # as of many rows
    "split": {"validation_share": 0.25},
    "model": {"embedding_dim": 16, "ensemble": 1},
    "training": {"epochs": 6, "batch_size": 16, "learning_rate": 0.1, "threads": 1},
}


def small_settings(**sections: Any) -> CorpusSettings:
    """Return settings of a small model; a section given as a dict changes only what it names."""
    merged = {name: SMALL.get(name, {}) | section for name, section in sections.items() if isinstance(section, dict)}
    return toy_settings(**(SMALL | sections | merged))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Train as `Ensemble` does: several threads fight over small kernels."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of prepare of the toy corpus."""
    return prepare_rows(tmp_path_factory.mktemp("toy"), small_settings())


@pytest.fixture
def small() -> Callable[..., CorpusSettings]:
    """Give settings of a small model."""
    return small_settings
