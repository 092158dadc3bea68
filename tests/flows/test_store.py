"""Workers that share a store and no disk: the whole way, in this process; and what `dssm` says of a wrong one."""

import os

import pytest

from schemas.errors import CorpusRejected
from schemas.manifest import hash_file
from tasks.retrieval.retriever import Retriever
from tests.conftest import WEAKER, free_port, make_command, make_settings

STEPS = ["ingest", "validate", "prepare", "train", "evaluate"]


@pytest.mark.slow
def test_the_next_worker_finds_everything_done(flow, store, toy_csv, tmp_path, monkeypatch):
    """On an empty disk: unchanged, without training, and from the same bytes; its query is answered."""
    first = flow(make_settings(toy_csv, **WEAKER))
    made = flow.run_folder(first)
    monkeypatch.setenv("DSSM_HOME", str(tmp_path / "next"))
    flow.home = tmp_path / "next"
    second = flow(make_settings(toy_csv, **WEAKER))

    assert (first.status, second.status) == ("published", "unchanged")
    assert second.version == first.version
    assert (first.reused, second.reused) == ([], STEPS)
    for name in ("train/candidate/model.safetensors", "evaluate/evaluation.json"):
        assert hash_file(flow.run_folder(second) / name) == hash_file(made / name)
    assert Retriever.live("toy").search(["怎么退票"], 1)[0]
    assert second.report == store.where(f"runs/toy/{second.run}/report.html")
    kept = ("run.json", "settings.json", "comparison.json", "report.html", "health.html")
    assert all(store.read(f"runs/toy/{second.run}/{name}") for name in kept)
    kept_steps = [name.partition("-")[0] for name in {name.split("/")[0] for name in store.objects("steps/toy")}]
    assert sorted({*STEPS, *kept_steps}) == sorted(kept_steps), "each once, and all of them"
    assert not (flow.home / "models").exists(), "what is only here is another matter"


def test_a_rejection_names_where_its_rows_lie(flow, store, toy_csv):
    """In the store: the disk of a worker is nothing to its reader."""
    with pytest.raises(CorpusRejected, match=rf"listed in ({store.address}/steps/toy/validate-[0-9a-f]+)$") as error:
        flow(make_settings(toy_csv, validation__min_rows__stop=1000))
    folder = str(error.value).rpartition(f"{store.address}/")[2]
    assert [name for name in store.objects(folder) if name.endswith("/findings.parquet")]


def test_a_store_that_cannot_be_used_is_told_in_one_line(store, tmp_path):
    """A wrong setting is exit 2, a server that is gone exit 3; without a traceback."""
    (tmp_path / "worker").mkdir()
    dssm = make_command(tmp_path / "worker", "http://127.0.0.1:9/api")
    variables = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "DSSM_STORE"))}
    no_bucket = dssm("models", "toy", **variables | {"DSSM_STORE": "s3://nosuch"})
    no_server = dssm("models", "toy", **variables | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"})

    assert (no_bucket.code, no_server.code) == (2, 3)
    assert no_bucket.err == "dssm: DSSM_STORE=s3://nosuch: there is no such bucket; create it, or correct the address\n"
    assert "does not answer as it should" in no_server.err
    assert "Traceback" not in no_bucket.err + no_server.err
