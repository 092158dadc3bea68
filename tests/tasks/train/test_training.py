"""Choose on the validation cut, refit on everything, survive a kill."""

import shutil
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import CorpusRejected
from schemas.training import TrainingReport
from schemas.workspace import CHECKOUT
from tasks.train import choosing
from tasks.train.choosing import best_stop
from tasks.train.training import train_candidate
from tests.tasks.prepare.toy import file_bytes, prepare_rows

# The loss of equal cosines over 12 standard questions at gamma 20 and margin 0.1, but for the adjustment by the prior.
_EQUAL = np.log(11 + np.exp(-2)) + 2 * (0.95 + 0.05 / 12)


class Ended(Exception):
    """Stands for whatever ends a training."""


@pytest.fixture
def train(prepared, tmp_path):
    """Train below `tmp_path`; return report, output folder and the epochs as they were told."""

    def run(settings, folder=prepared, name="run", stop=None):
        out, partial = tmp_path / name / "out", tmp_path / name / "partial"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        partial.mkdir(exist_ok=True)
        told = []

        def on_epoch(epoch, most):
            told.append((epoch, most))
            if (epoch.phase, epoch.epoch) == stop:
                raise Ended

        return train_candidate(folder, out, partial, settings, on_epoch), out, told

    return run


def test_a_corpus_without_a_word_is_rejected(train, small, tmp_path):
    """Emoji and punctuation alone: there is no feature, and nothing to learn."""
    pairs = [("😀" * (row + 1), f"{'😂' * (row % 3 + 1)}") for row in range(30)]
    prepared = prepare_rows(tmp_path / "emoji", small(), pairs)

    with pytest.raises(CorpusRejected, match=r"no text holds a letter.*text\.min_texts = 2"):
        train(small(), prepared)


def test_one_standard_question_is_rejected(train, small, tmp_path):
    """There is nothing to tell apart."""
    pairs = [(f"how do i get my money back {word}", "refund") for word in "please now today quick".split()]
    settings = small()
    settings = settings.model_copy(update={"text": settings.text.model_copy(update={"min_texts": 1})})

    with pytest.raises(CorpusRejected, match="one standard question is left"):
        train(settings, prepare_rows(tmp_path / "one", settings, pairs))


def test_further_cuts_are_tried_on_this_machine(small):
    """Whatever the workers of a cluster have; a local run keeps its device."""
    cluster = small(engine="ray", training={"device": "cuda"})

    here = choosing._here(cluster)

    assert (here.engine, here.training.device) == ("local", "auto")
    assert choosing._here(small(engine="ray", training={"device": "cpu"})).training.device == "cpu"
    local = small(training={"device": "cuda"})
    assert choosing._here(local) is local


def phases(told):
    """Return the epochs told of, by phase."""
    return {phase: [epoch.epoch for epoch, _ in told if epoch.phase == phase] for phase in ("choose", "refit")}


def test_first_it_chooses_and_then_it_refits_on_every_row(train, small):
    """Recall on the validation cut after each epoch of the choice; the refit has what was chosen, and all rows."""
    report, out, told = train(small())
    chosen = report.chosen["epochs"]

    assert phases(told) == {"choose": [*range(1, 7)], "refit": [*range(1, chosen + 1)]}
    assert [epoch.recall_at_10 is not None for epoch in report.epochs] == [True] * 6 + [False] * chosen
    assert report.validation_recall_at_10 == max(epoch.recall_at_10 for epoch in report.epochs[:6])
    assert TrainingReport.model_validate_json((out / "training.json").read_bytes()) == report


def test_without_a_choice_all_epochs_are_trained_on_all_rows(train, small):
    """No validation, and the epochs of the settings."""
    report, _, told = train(small(training={"choose": False, "epochs": 3}))

    assert phases(told) == {"choose": [], "refit": [1, 2, 3]}
    assert [most for _, most in told] == [3, 3, 3]
    assert (report.chosen, report.validation_recall_at_10) == (
        {"epochs": 3, "exemplar_weight": 0.5, "loss": "softmax_all"},
        None,
    )


def test_validation_rows_are_not_trained_on_while_choosing(train, small, prepared, tmp_path):
    """Their texts are swapped: every loss of the choice stays the same to the last bit, those of the refit do not."""
    copy = shutil.copytree(prepared, tmp_path / "copy")
    table = pq.read_table(copy / "train.parquet")
    order = np.arange(len(table))
    held = np.flatnonzero(table["validation"].to_numpy())
    order[held] = held[::-1]
    for name in ("query", "features", "weights", "words"):
        table = table.set_column(table.column_names.index(name), table.field(name), table[name].take(order))
    pq.write_table(table, copy / "train.parquet" / "part-00000.parquet")
    settings = small(loss={"kind": "sampled_softmax", "gamma": 10.0})

    losses = {}
    for name, folder in (("original", prepared), ("swapped", copy)):
        report, _, _ = train(settings, folder, name)
        losses[name] = {
            phase: [epoch.loss for epoch in report.epochs if epoch.phase == phase] for phase in ("choose", "refit")
        }

    assert losses["original"]["choose"] == losses["swapped"]["choose"]
    assert losses["original"]["refit"][0] != losses["swapped"]["refit"][0]


def test_queries_without_known_features_are_no_hits_of_the_validation(train, small, prepared, tmp_path):
    """All their scores are equal: a hit is whose standard question is among the first ten by id, as in evaluation."""
    copy = shutil.copytree(prepared, tmp_path / "copy")
    table = pq.read_table(copy / "train.parquet")
    held = table["validation"].to_numpy()
    for name in ("features", "weights", "words"):
        field = table.field(name)
        lists = [[] if out else row for row, out in zip(table[name].to_pylist(), held, strict=True)]
        table = table.set_column(table.column_names.index(name), field, pa.array(lists, field.type))
    pq.write_table(table, copy / "train.parquet" / "part-00000.parquet")

    report, _, _ = train(small(), copy)

    expected = np.mean(table["class_id"].to_numpy()[held] < 10)
    assert 0 < expected < 1
    assert [epoch.recall_at_10 for epoch in report.epochs[:6]] == pytest.approx([expected] * 6)


def test_only_a_clearly_better_earlier_epoch_ends_the_training_early():
    """Scores of 100 validation rows after three epochs."""
    low, high = np.zeros(100), np.ones(100)
    noise = np.where(np.arange(100) < 10, 1.0, 0.0)

    assert best_stop(np.array([low, low, high])) == 3  # the last is best
    assert best_stop(np.array([low, high, low])) == 2  # an earlier one is clearly better
    assert best_stop(np.array([low, noise, noise[::-1]])) == 3  # as good
    assert best_stop(np.array([low, noise + np.eye(1, 100, 50)[0], np.roll(noise, 20)])) == 3  # better by one row


def test_many_standard_questions_are_sampled(train, small, monkeypatch):
    """Above the bound the same defaults train on the negatives of the file, and the report says so."""
    monkeypatch.setattr("schemas.settings.EXACT_CLASSES", 11)

    report = train(small())[0]

    assert (report.chosen["loss"], report.negatives_used) == ("sampled_softmax", True)
    assert report.reachability.first == pytest.approx(_EQUAL, abs=2e-3)
    assert report.convergence.reducible_fall > 0.3


@pytest.mark.parametrize(
    ("kind", "used"), [({"kind": "softmax_all"}, False), ({"kind": "sampled_softmax", "gamma": 10.0}, True)]
)
def test_the_report_says_whether_negatives_were_used(train, small, kind, used):
    """The exact softmax has no use for the file."""
    settings = small(loss=kind, training={"choose": False, "epochs": 1})

    assert train(settings)[0].negatives_used is used


def test_the_report_judges_what_was_trained(train, small):
    """A toy corpus is learnt well; the figures are those of its loss and its rows."""
    report, out, _ = train(small(training={"epochs": 20}))
    rows = sum(pq.read_table(out / "candidate" / "standard_questions.parquet")["rows"].to_pylist())

    assert report.convergence.converged
    assert (report.rows, report.classes) == (rows, 12)
    assert report.reachability.first == pytest.approx(_EQUAL, abs=2e-3)
    assert 8 < report.convergence.effective_rank <= 12


def test_equal_inputs_give_equal_bytes(train, small):
    """Candidate and training.json, twice."""
    first, second = (file_bytes(train(small(), name=name)[1]) for name in ("one", "two"))

    assert first == second
    assert "training.json" in first
    assert len(first) == 6


def test_rows_too_few_to_hold_any_out_are_trained_all_the_same(train, small, tmp_path):
    """Where the validation cut would leave nothing to train on, there is no choice to make."""
    settings = small(split={"validation_share": 0.89}, loss={"kind": "sampled_softmax", "gamma": 10.0})
    folder = prepare_rows(tmp_path / "tiny", settings, [("退票", "如何退票"), ("改签", "如何改签")])
    assert pq.read_table(folder / "train.parquet")["validation"].to_pylist() == [True, True]

    assert phases(train(settings, folder)[2])["choose"] == []


@pytest.mark.parametrize("stop", [("choose", 3), ("choose", 6), ("refit", 1), ("refit", 2)], ids=str)
def test_a_training_that_stopped_is_taken_up_where_it_was(train, small, stop):
    """No epoch before the last checkpoint is trained again, and the bytes are those of an unbroken run."""
    settings = small(training={"checkpoint_seconds": 0})
    unbroken = file_bytes(train(settings, name="unbroken")[1])

    with pytest.raises(Ended):
        train(settings, name="broken", stop=stop)
    _, out, told = train(settings, name="broken")

    assert file_bytes(out) == unbroken
    assert (told[0][0].phase, told[0][0].epoch) == stop  # whose end was never saved


def test_checkpoints_are_written_no_more_often_than_asked(train, small, tmp_path):
    """An hour between two: none in a second's training, which then starts anew."""
    settings = small(training={"checkpoint_seconds": 3600})

    with pytest.raises(Ended):
        train(settings, name="broken", stop=("choose", 5))

    assert list((tmp_path / "broken" / "partial").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("line", ["choose 3", "refit 3"])
def test_a_killed_training_ends_with_the_bytes_of_an_unbroken_one(train, small, prepared, tmp_path, line):
    """A real process gets kill -9 in the middle of an epoch; the next run takes up its checkpoints."""
    settings = small(
        model={"ensemble": 5, "hidden_dims": [8]},
        training={"epochs": 20, "checkpoint_seconds": 0, "learning_rate": 0.02},
    )
    (tmp_path / "settings.json").write_text(settings.model_dump_json(), "utf-8")
    partial = tmp_path / "killed" / "partial"
    for folder in (tmp_path / "gone", partial):
        folder.mkdir(parents=True)

    words = [sys.executable, "-m", "tests.tasks.train.interrupted"]
    paths = [prepared, tmp_path / "gone", partial, tmp_path / "settings.json"]
    with subprocess.Popen([*words, *map(str, paths)], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        for said in process.stdout:
            if said.strip() == line:
                process.kill()
                break
    assert process.returncode == -signal.SIGKILL
    assert list((tmp_path / "gone").iterdir()) == []

    _, out, told = train(settings, name="killed")

    phase, epoch = line.split()
    assert (told[0][0].phase, told[0][0].epoch) >= (phase, int(epoch))
    assert file_bytes(out) == file_bytes(train(settings, name="unbroken")[1])
