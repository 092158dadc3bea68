"""Hard negatives from an earlier version: what is kept, and what prepare makes of it."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import SettingsError
from schemas.tables import MINED
from tasks.evaluate import mining
from tasks.evaluate.mining import find_version, mine_negatives
from tasks.prepare.corpus import prepare_corpus
from tasks.prepare.proof import prove
from tasks.retrieval.retriever import Model
from tests.conftest import PAIRS
from tests.tasks.conftest import add
from tests.tasks.prepare.toy import ingest_rows, toy_settings

DRAWN = {"kind": "dssm"}


def mining_settings(**negatives):
    """Return settings that want mined negatives."""
    return toy_settings(loss=DRAWN, negatives={"mined_from": "v1"} | negatives)


def test_each_row_gets_what_the_version_ranks_highest_but_its_own(candidate, tmp_path, monkeypatch):
    """In the order of the scores, for every row of ingest, also over several blocks."""
    monkeypatch.setattr(mining, "_BLOCK", 10)
    monkeypatch.setattr(mining, "_DEPTH", 5)
    ingested = ingest_rows(tmp_path, toy_settings(), PAIRS)

    count = mine_negatives(candidate, ingested, tmp_path / "mined.parquet")

    mined = pq.read_table(tmp_path / "mined.parquet")
    questions = pq.read_table(ingested / "questions.parquet")
    assert mined.schema.equals(MINED)
    assert count == len(PAIRS)
    assert mined["row_id"] == questions["row_id"]
    model = Model(candidate)
    for query, own, texts in zip(
        *questions.select(["query", "standard_question"]).to_pydict().values(),
        mined["standard_questions"].to_pylist(),
        strict=True,
    ):
        ranked = [hit.standard_question for hit in model.search([query], top=12)[0]]
        assert texts == [text for text in ranked if text != own][:5]


def test_a_version_that_does_not_exist_is_refused_with_those_that_do(registry, candidate):
    """Unfinished folders are no versions."""
    with pytest.raises(SettingsError, match="'v9' is no version of corpus 'toy': it has none yet"):
        find_version(registry, "v9")
    first, second = add(registry, candidate).version, add(registry, candidate).version
    (registry.folder / ".v3.partial").mkdir()

    with pytest.raises(SettingsError, match=rf"'v9' is no version .* its versions are {first}, {second}; name one of"):
        find_version(registry, "v9")
    assert find_version(registry, first) == registry.folder / first


def prepared_from(home, settings, mined):
    """Ingest and prepare the toy corpus with a file of (texts per class of the row); return folders and tables."""
    ingested = ingest_rows(home, settings, PAIRS)
    questions = pq.read_table(ingested / "questions.parquet")
    texts = [mined(own) for own in questions["standard_question"].to_pylist()]
    pq.write_table(pa.table([questions["row_id"], pa.array(texts, MINED.types[1])], schema=MINED), home / "m")
    (home / "prepared").mkdir()
    prepare_corpus(ingested, home / "prepared", settings, mined=home / "m")
    return ingested, home / "prepared"


def test_prepare_draws_the_mined_part_from_them_and_proves_it(tmp_path):
    """Two of four; a text that no longer exists, the own class, and one without any are passed over."""
    questions = sorted({question for _, question in PAIRS})
    hard = {own: [questions[(n + 1) % 12], "不再有的问题", questions[(n + 2) % 12]] for n, own in enumerate(questions)}
    hard[questions[3]] = []
    hard[questions[4]] = [questions[4]]
    settings = mining_settings(mined_per_row=2)

    ingested, prepared = prepared_from(tmp_path, settings, hard.get)

    prove(ingested, prepared, settings)
    for epoch in range(4):
        table = pq.read_table(prepared / "negatives" / f"epoch-{epoch:03d}.parquet")
        negatives = np.array(table["negatives"].to_pylist())
        distance = (negatives - table["class_id"].to_numpy()[:, None]) % 12
        mined = ~np.isin(table["class_id"].to_numpy(), [3, 4])
        assert set(distance[mined, 2:].ravel()) == {1, 2}
        for random in (distance[:, :2], distance[~mined, 2:]):
            assert len(set(random.ravel())) > 8


def test_near_duplicates_are_not_mined(tmp_path):
    """What nearly equals the right answer is no wrong one."""
    settings = mining_settings(near_duplicate=0.08)
    questions = sorted({question for _, question in PAIRS})

    _, prepared = prepared_from(tmp_path, settings, lambda own: questions)

    near = pq.read_table(prepared / "classes.parquet")["near_duplicates"].to_pylist()
    table = pq.read_table(prepared / "negatives" / "epoch-000.parquet")
    assert any(near)
    for label, drawn in zip(table["class_id"].to_pylist(), table["negatives"].to_pylist(), strict=True):
        assert not {label, *near[label]} & {drawn[3]}


def test_mined_rows_in_another_order_are_refused(tmp_path):
    """They would be another row's."""
    settings = mining_settings()
    ingested, _ = prepared_from(tmp_path, settings, lambda own: [])
    pq.write_table(pq.read_table(tmp_path / "m").take(list(range(len(PAIRS)))[::-1]), tmp_path / "m")
    (tmp_path / "again").mkdir()

    with pytest.raises(ValueError, match=r"m does not hold the rows of .*questions\.parquet in their order"):
        prepare_corpus(ingested, tmp_path / "again", settings, mined=tmp_path / "m")
