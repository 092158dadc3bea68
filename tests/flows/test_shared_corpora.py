"""The main job on a real corpus, where the real corpora lie beside the checkout."""

import json
from pathlib import Path

import pandas as pd
import pytest

from schemas.workspace import CHECKOUT
from tests.conftest import make_command

CORPUS = CHECKOUT.parent / "shared" / "corpora" / "games_en"


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the real corpora are not beside this checkout")
def test_a_real_corpus_beats_its_baselines_and_dssm_query_agrees(server_url, tmp_path: Path):
    """464 rows of English as a bot's users typed them, with the official test file."""
    dssm = make_command(tmp_path, server_url)
    words = ["--source", str(CORPUS / "train.csv"), "--test-source", str(CORPUS / "test.csv"), "--json"]
    run = dssm("run", "games", *words)
    result = json.loads(run.out.splitlines()[-1])

    assert (run.code, result["status"]) == (0, "published")
    assert result["recall_at_10"] > max(figures["recall_at_10"] for figures in result["baselines"].values()) - 0.02
    test = pd.read_csv(CORPUS / "test.csv").dropna().astype(str)
    (tmp_path / "queries.txt").write_text("\n".join(test["query"].str.replace("\n", " ")), "utf-8")
    lines = dssm("query", "games", "--file", str(tmp_path / "queries.txt"), "--json").out.splitlines()
    found = [[hit["standard_question"] for hit in json.loads(line)["results"]] for line in lines]
    hits = [right.strip() in hits for right, hits in zip(test["standard_question"], found, strict=True)]
    assert sum(hits) / len(hits) == pytest.approx(result["recall_at_10"])
