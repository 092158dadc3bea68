"""A toy corpus on disk: written as CSV, ingested and prepared by the real rooms."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from schemas.settings import CorpusSettings
from tasks.ingest.corpus import ingest_corpus
from tasks.prepare.corpus import prepare_corpus

Pairs = Sequence[tuple[str, str]]

TOPICS = ["退票", "改签", "行李", "发票", "选座", "积分", "会员", "餐食", "酒店", "接机", "保险", "签证"]
PATTERNS = ["怎么{}", "{}怎么办", "我要{}", "请问{}多少钱", "能不能{}", "{}在哪里", "{}需要多久", "谁负责{}"]
PAIRS = [(pattern.format(topic), f"如何办理{topic}") for topic in TOPICS for pattern in PATTERNS]


def toy_settings(test_path: str | None = None, **sections: Any) -> CorpusSettings:
    """Return settings of the corpus "toy"; a section given as a dict changes only what it names."""
    raw = {"name": "toy", "source": {"path": "train.csv", "test_path": test_path}} | sections
    return CorpusSettings.model_validate(raw, context={"fill_defaults": True})


def write_rows(file: Path, pairs: Pairs) -> None:
    """Write a CSV with a header."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("query", "standard_question"), *pairs])


def ingest_rows(home: Path, settings: CorpusSettings, pairs: Pairs, test_pairs: Pairs | None = None) -> Path:
    """Write the rows below `home` and ingest them; return ingest's folder."""
    home.mkdir(parents=True, exist_ok=True)
    write_rows(home / "train.csv", pairs)
    if test_pairs is not None:
        write_rows(home / "test.csv", test_pairs)
    ingested = home / "ingested"
    ingested.mkdir()
    ingest_corpus(settings.source, ingested, home, settings.seed)
    return ingested


def prepare_rows(home: Path, settings: CorpusSettings, pairs: Pairs = PAIRS, test_pairs: Pairs | None = None) -> Path:
    """Ingest and prepare the rows below `home`; return prepare's folder."""
    ingested = ingest_rows(home, settings, pairs, test_pairs)
    prepared = home / "prepared"
    prepared.mkdir()
    prepare_corpus(ingested, prepared, settings)
    return prepared


def file_bytes(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file below `folder`, by relative path."""
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
