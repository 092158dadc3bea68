"""Standard questions that have the same answer, from ingest's file to a trained model."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.outputs import IngestOutput, PrepareOutput
from tasks.ingest.groups import write_groups
from tasks.prepare.corpus import prepare_corpus
from tasks.prepare.groups import read_groups
from tasks.prepare.proof import prove
from tasks.retrieval.model_files import read_arrays
from tasks.train.held_out import calibrate_on_held_out
from tasks.train.training import train_candidate
from tests.tasks.prepare.toy import PAIRS, ingest_rows

TEXTS = sorted({label for _, label in PAIRS})
GROUPS = [TEXTS[:5], TEXTS[6:8]]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders of ingest and prepare of the toy corpus with `GROUPS`, and without any, by settings."""

    def make(settings, groups=GROUPS):
        home = tmp_path_factory.mktemp("groups")
        ingested, prepared = ingest_rows(home, settings, PAIRS), home / "prepared"
        write_groups(IngestOutput(ingested), groups)
        prepared.mkdir()
        prepare_corpus(ingested, prepared, settings)
        return ingested, prepared

    return make


def train(prepared, settings, folder):
    """Return the candidate."""
    for name in ("out", "partial"):
        (folder / name).mkdir(parents=True)
    train_candidate(prepared, folder / "out", folder / "partial", settings, lambda *_: None)
    return folder / "out" / "candidate"


def test_the_members_of_a_group_are_never_drawn_against_each_other(folders, small):
    """Prepare proves it; that they are alike in wording, nobody says."""
    settings = small(negatives={"per_row": 8, "epochs_drawn": 2})
    ingested, folder = folders(settings)
    prepared = PrepareOutput(folder)
    prove(ingested, folder, settings)

    assert read_groups(prepared) == [[0, 1, 2, 3, 4], [6, 7]]
    assert not any(pq.read_table(prepared.classes)["near_duplicates"].to_pylist())
    labels = pq.read_table(prepared.train)["class_id"].to_numpy()
    drawn = np.array(pq.read_table(prepared.negatives(0))["negatives"].to_pylist())
    for group in read_groups(prepared):
        assert not np.isin(drawn[np.isin(labels, group)], group).any()


@pytest.mark.parametrize("loss", ["softmax_all", "sampled_softmax"])
def test_the_members_of_a_group_are_not_pushed_apart(folders, small, tmp_path, loss):
    """Their vectors lie nearer to each other than those of a training without the group; the others' do not."""
    settings = small(loss={"kind": loss}, training={"choose": False})
    near = {}
    for name, groups in (("with", GROUPS), ("without", [])):
        vectors = read_arrays(train(folders(settings, groups)[1], settings, tmp_path / name))["classes"][:, 0]
        near[name] = vectors @ vectors.T
    inside, outside = np.triu(np.ones((5, 5), bool), 1), (slice(8, None), slice(8, None))

    assert near["with"][:5, :5][inside].mean() > near["without"][:5, :5][inside].mean() + 0.05
    assert abs(near["with"][outside].mean() - near["without"][outside].mean()) < 0.1


def test_an_answer_of_the_group_calibrates_as_right(folders, small, tmp_path):
    """As if each held-out query had been meant for the other of two: wrong, unless the two are a group."""
    settings = small()
    _, prepared = folders(settings, [])
    train(prepared, settings, tmp_path)
    held_out = tmp_path / "partial" / "held_out"
    paired = shutil.copytree(prepared, tmp_path / "paired")
    PrepareOutput(paired).groups.write_text(str([[n, n + 1] for n in range(0, len(TEXTS), 2)]))

    right = calibrate_on_held_out(held_out, prepared, settings, None, tmp_path)
    for file in held_out.glob("*/asked.parquet"):
        asked = pq.read_table(file)
        other = pa.array(asked["class_id"].to_numpy() ^ 1)
        pq.write_table(asked.set_column(asked.schema.get_field_index("class_id"), "class_id", other), file)
    wrong, grouped = (calibrate_on_held_out(held_out, one, settings, None, tmp_path) for one in (prepared, paired))

    assert wrong.answer_from is None
    assert grouped.answer_from == right.answer_from is not None
    assert grouped.right == right.right
