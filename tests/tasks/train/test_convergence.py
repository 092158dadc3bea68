"""The verdict on a finished training: on real ones, sound and with a planted cause."""

import re
import tomllib
import warnings

import numpy as np
import pytest
from scipy import sparse

from schemas.training import Reachability
from tasks.train.convergence import (
    batch_variety,
    effective_rank,
    mean_cosine,
    own_fall,
    share_mislabelled,
    still_falling,
)
from tasks.train.training import train_candidate
from tests.tasks.prepare.toy import prepare_rows, toy_settings
from tests.tasks.train.corpora import make_pairs

TWO = {"classes": 2, "rows": 40}
FEW = {"classes": 5, "rows": 100, "language": "en"}
EVEN = {"classes": 20, "rows": 400}
LARGE_CLASSES = {"classes": 8, "rows": 320}
ZIPF = {"classes": 50, "rows": 800, "shape": "zipf", "language": "en"}
SPARSE = {"classes": 100, "rows": 1000, "shape": "sparse"}
SINGLE = {"classes": 50, "rows": 50, "shape": "single"}
MANY = {"classes": 200, "rows": 3000, "shape": "zipf"}

ONE = {"model": {"ensemble": 1}}
HIDDEN = {"model": {"ensemble": 1, "hidden_dims": [64]}}
ARTICLE = {
    "model": {"ensemble": 1, "hidden_dims": [64], "class_vectors": False},
    "loss": {"kind": "softmax_target", "gamma": 1.0},
    "training": {"own_texts": False, "feature_dropout": 0.0, "vector_dropout": 0.0, "learning_rate": 0.05},
}
LSTM = {
    "model": {"tower": "lstm", "ensemble": 1, "embedding_dim": 32, "hidden_dims": [32]},
    "training": {"learning_rate": 0.1, "batch_size": 32, "epochs": 12, "choose": False},
}


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    """Train on a made-up corpus; return the report. What prepare leaves is used again."""
    folders = {}

    def run(corpus, *changes):
        sections = {"training": {"threads": 1}, "loss": {"unreachable": "warn"}}
        for change in changes:
            for section, values in change.items():
                sections[section] = sections.get(section, {}) | values
        settings = toy_settings(**sections)
        key = str([corpus, settings.source, settings.split, settings.negatives])
        if key not in folders:
            pairs = make_pairs(**corpus) if isinstance(corpus, dict) else corpus
            folders[key] = prepare_rows(tmp_path_factory.mktemp("corpus"), settings, pairs)
        out = tmp_path_factory.mktemp("trained")
        (out / "partial").mkdir()
        return train_candidate(folders[key], out, out / "partial", settings, lambda *_: None)

    return run


SOUND = [
    (TWO, {}),
    (TWO | {"seed": 1, "language": "en"}, {}),
    (FEW, {}),
    (EVEN, {}),
    (EVEN | {"seed": 1, "language": "en"}, {"seed": 14}),
    (ZIPF, {}),
    (SPARSE, {}),
    (SPARSE | {"seed": 1, "language": "en"}, {}),
    (SINGLE, {}),
    (MANY, {"training": {"choose": False}} | ONE),
    (EVEN, HIDDEN),
    (ZIPF, {"loss": {"kind": "sampled_softmax", "gamma": 10.0}} | ONE),
    (SPARSE, {"loss": {"kind": "sampled_softmax"}} | ONE),
    (SPARSE, {"loss": {"kind": "softmax_target", "gamma": 1.0}} | ONE),
    (EVEN, {"loss": {"kind": "dssm"}} | ONE),
    (SPARSE, ARTICLE),
    (LARGE_CLASSES, LSTM),
    (EVEN | {"ordered": False}, {"split": {"shuffle": False}} | ONE),
]


@pytest.mark.parametrize(
    ("corpus", "changes"),
    [pytest.param(*one, marks=pytest.mark.slow) if one[0]["rows"] == 1000 else one for one in SOUND],
    ids=str,
)
def test_sound_trainings_raise_no_alarm(train, corpus, changes):
    """From 2 classes to 200, balanced, Zipf, sparse, one row a class; the default recipe and every loss and tower."""
    sections = {name: value for name, value in changes.items() if name != "seed"}
    found = train(corpus, sections).convergence

    assert (found.converged, found.cause) == (True, "none"), found.sentence
    assert found.reducible_fall <= 1


PLANTED = [
    ("unreachable target", SPARSE, [ARTICLE, {"loss": {"kind": "dssm"}}]),
    ("unreachable target", EVEN, [ONE, {"loss": {"kind": "softmax_target", "gamma": 1.0, "target": 1.0}}]),
    ("unreachable target", ZIPF, [ARTICLE, {"loss": {"target": 1.0}, "split": {"shuffle": False}}]),
    ("ordered data", LARGE_CLASSES, [LSTM, {"split": {"shuffle": False}}]),
    ("ordered data", EVEN, [ONE, {"split": {"shuffle": False}, "training": {"batch_size": 64}}]),
    ("ordered data", TWO, [ONE, {"split": {"shuffle": False}, "training": {"batch_size": 8}}]),
    ("noisy labels", EVEN | {"noise": 0.5}, []),
    ("noisy labels", SPARSE | {"noise": 0.5}, [ONE]),
    ("noisy labels", ZIPF | {"noise": 0.6}, [{"model": {"ensemble": 1, "embedding_dim": 8}}]),
    ("too few steps", EVEN, [ONE, {"training": {"learning_rate": 0.0001}}]),
    ("too few steps", EVEN, [{"training": {"learning_rate": 1e-9}}]),
    ("too few steps", {"classes": 40, "rows": 800}, [ONE, {"training": {"learning_rate": 1e-9}}]),
    ("too few steps", EVEN, [ONE, {"loss": {"kind": "dssm"}, "training": {"learning_rate": 1e-9}}]),
    ("unreachable target", EVEN, [ONE, {"loss": {"margin": 0.99}}]),
    ("unreachable target", ZIPF, [ONE, {"loss": {"margin": 0.99, "gamma": 5.0}}]),
    (
        "too few steps",
        SPARSE,
        [ONE, {"loss": {"kind": "softmax_target", "gamma": 1.0}}, {"training": {"learning_rate": 0.0001}}],
    ),
    ("too few steps", LARGE_CLASSES, [LSTM, {"training": {"learning_rate": 0.001}}]),
    ("too few steps", ZIPF, [LSTM, {"training": {"epochs": 2}}]),
    ("collapse", ZIPF, [{"model": {"ensemble": 1, "embedding_dim": 2}}]),
    ("unknown", ZIPF, [HIDDEN, {"training": {"learning_rate": 100.0, "epochs": 20}}]),
]


@pytest.mark.parametrize(
    ("cause", "corpus", "changes"),
    [
        pytest.param(*one, marks=pytest.mark.slow) if one[1]["rows"] > 400 and one[0] != "collapse" else one
        for one in PLANTED
    ],
    ids=str,
)
def test_a_planted_cause_is_named_and_the_setting_it_names_cures_it(train, cause, corpus, changes):
    """The sentence is one line; what it says to set is set as it is written, and the training converges."""
    found = train(corpus, *changes).convergence

    # Steps 2,500 times too large leave a loss that stands still, or falls to the end, as the processor rounds.
    causes = {cause, "too few steps"} if cause == "unknown" else {cause}
    assert not found.converged
    assert found.cause in causes, found.sentence
    assert "\n" not in found.sentence
    assert found.reducible_fall <= 1
    if cause == "noisy labels":  # no setting cures it
        assert f"{found.mislabelled:.0%} of the rows" in found.sentence
        corpus, cure = corpus | {"noise": 0.0}, {"model": {"embedding_dim": 64}}
    else:
        cure = {}
        for section, name, value in re.findall(
            r"(?:set|try|and) (\w+)\.(\w+) = (\[.*?\]|'\w+'|[\w.]*\w)", found.sentence
        ):
            cure.setdefault(section, {})[name] = tomllib.loads(f"value = {value}")["value"]
        assert cure, found.sentence

    cured = train(corpus, *changes, cure).convergence

    assert cured.cause == "none", (cure, cured.sentence)


@pytest.mark.slow
def test_two_causes_are_both_told_the_surer_one_first(train):
    """Ordered rows and permuted labels, each with what to do; the first is the cause."""
    found = train(
        EVEN | {"noise": 0.5, "ordered": True}, ONE, {"split": {"shuffle": False}, "training": {"batch_size": 16}}
    ).convergence

    assert found.cause == "noisy labels"  # half of the rows stand elsewhere: there is not much order left
    assert "split.shuffle" not in found.sentence

    both = train(EVEN, ARTICLE, {"loss": {"target": 1.0}, "split": {"shuffle": False}, "training": {"batch_size": 16}})

    assert both.convergence.cause == "unreachable target"
    assert re.search(
        r"set loss\.target = 0\.40461.* Also ordered data: .*set split\.shuffle = true\.$", both.convergence.sentence
    )


@pytest.mark.parametrize(
    ("pairs", "questions"),
    [
        ([("退票", "如何退票"), ("改签", "如何改签")], None),
        ([("退票", "如何退票"), ("改签", "如何改签"), ("要改签", "如何改签")], None),
        ([("x", "第一"), ("y", "第二"), ("z", "第三")], None),  # not one feature in common
        ([("退票", "如何退票"), ("改签", "如何改签")], ["如何退票", "如何改签", "如何选座"]),  # one without rows
        ([("退票吧", "如何退票")] * 5 + [("改签吧", "如何改签")], None),
    ],
    ids=["two rows", "three rows", "nothing in common", "class without rows", "a repeated row"],
)
@pytest.mark.parametrize(
    "loss",
    [{"kind": "softmax_all"}, {"kind": "dssm"}, {"kind": "softmax_target", "gamma": 1.0}, {"kind": "sampled_softmax"}],
    ids=str,
)
def test_the_smallest_corpora_are_judged_without_nonsense(train, tmp_path, pairs, questions, loss):
    """No warning of numpy, no figure that is none, and no collapse of two or three vectors."""
    source = {"path": "train.csv"}
    if questions:
        source["questions_path"] = str(tmp_path / "questions.csv")
        lines = ["id,text", *(f"{number},{text}" for number, text in enumerate(questions))]
        (tmp_path / "questions.csv").write_text("\n".join(lines), "utf-8")

    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        report = train(pairs, ONE, {"source": source, "loss": loss, "training": {"batch_size": 2, "epochs": 4}})

    found = report.convergence
    figures = [value for value in found.model_dump().values() if isinstance(value, float)]
    assert np.isfinite([*figures, report.reachability.floor, report.reachability.first]).all()
    assert found.cause in ("none", "too few steps", "unknown")
    assert report.classes == len(questions or {question for _, question in pairs})


def test_orthogonal_vectors_have_their_number_as_effective_rank():
    """And identical ones have one."""
    assert effective_rank(np.eye(7, 20, dtype=np.float32)) == pytest.approx(7)
    assert effective_rank(np.ones((7, 20), dtype=np.float32)) == pytest.approx(1)


def test_effective_rank_is_exp_of_the_entropy_of_singular_values():
    """Three times one direction, once another: singular values sqrt(3) and 1."""
    shares = np.array([np.sqrt(3), 1]) / (np.sqrt(3) + 1)

    found = effective_rank(np.eye(2, dtype=np.float32)[[0, 0, 0, 1]])

    assert found == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))


def test_a_loss_that_stood_still_has_not_converged_wherever_it_started():
    """Near its floor, where a model of random weights may start, too; a fall counts from there."""
    reach = Reachability(floor=0.2, first=3.2, reachable_fall=1.0, advice="")

    assert own_fall(2.2, 2.2 - 1e-9, reach) == pytest.approx(0, abs=1e-6)
    assert own_fall(0.2, 0.2 - 1e-9, reach) == pytest.approx(0, abs=1e-6)
    assert own_fall(2.2, 1.2, reach) == pytest.approx(0.5)
    assert own_fall(2.2, 3.0, reach) == pytest.approx(-0.4)
    assert own_fall(0.21, 0.1, reach) == 1


@pytest.mark.parametrize("cosine", [0.0, 0.3, 1.0])
def test_the_mean_cosine_is_the_mean_over_pairs_and_towers(cosine):
    """Three vectors of equal mutual cosine in one tower, orthogonal ones in the other; of one there is none."""
    alike = np.sqrt(1 - cosine) * np.eye(3, 4) + np.sqrt(cosine) * np.eye(4)[3]

    assert mean_cosine(np.stack([alike, np.eye(3, 4)])) == pytest.approx(cosine / 2, abs=1e-6)
    assert mean_cosine(np.eye(1, 4)[None]) is None


def test_the_variety_of_a_batch_counts_standard_questions():
    """Batches of 4 hold 2 of 4 each where random ones hold 4 (1 - 0.75^4), the first not counted."""
    labels = np.array([0, 0, 1, 1, 2, 2, 3, 3])

    assert batch_variety(labels, 4) == pytest.approx(1 / (4 * (1 - 0.75**4) - 1))
    assert batch_variety(np.sort(np.arange(40) % 4), 2) == 0
    assert batch_variety(labels, 8) == 1  # there is only one batch
    assert batch_variety(np.arange(8), 4) == pytest.approx(3 / (8 * (1 - (7 / 8) ** 4) - 1))  # no class comes twice


@pytest.mark.parametrize("noise", [0.0, 0.3, 0.6])
def test_the_share_of_random_labels_is_estimated_from_the_texts(noise, monkeypatch):
    """Of 20 topics with words of their own; two standard errors below what it is; in blocks of a row as in one."""
    random = np.random.default_rng(1)
    labels = np.repeat(np.arange(20), 30)
    words = labels[:, None] * 10 + random.integers(0, 10, (600, 4))
    texts = sparse.csr_array(
        (np.full(2400, 0.5, np.float32), (np.repeat(np.arange(600), 4), words.ravel())), (600, 200)
    )
    noisy = random.random(600) < noise
    given = labels.copy()
    given[noisy] = random.permutation(labels[noisy])

    found = share_mislabelled(texts, sparse.csr_array((20, 200), dtype=np.float32), given)

    assert found == pytest.approx(max(0.0, noise - 0.08), abs=0.1)
    monkeypatch.setattr("tasks.train.convergence._CELLS", 20)
    assert share_mislabelled(texts, sparse.csr_array((20, 200), dtype=np.float32), given) == pytest.approx(found)


def test_what_all_queries_begin_with_is_no_noise_of_labels():
    """Each query has one of four channels' greetings, which weighs more than its own words; its label is right."""
    random = np.random.default_rng(5)
    labels = np.repeat(np.arange(300), random.integers(2, 5, 300))
    rows = np.arange(len(labels))[:, None]
    texts = np.zeros((len(labels), 940), np.float32)
    texts[rows, 3 * labels[:, None] + random.integers(0, 3, (len(labels), 2))] = 0.35
    texts[rows, 900 + 10 * random.integers(0, 4, len(labels))[:, None] + np.arange(10)] = 0.3
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    classes = sparse.csr_array((300, 940), dtype=np.float32)

    assert share_mislabelled(sparse.csr_array(texts), classes, labels) < 0.1
    wrong = np.where(random.random(len(labels)) < 0.5, random.permutation(labels), labels)
    assert share_mislabelled(sparse.csr_array(texts), classes, wrong) > 0.2


def test_without_a_second_row_of_any_class_nothing_is_known_of_labels():
    """There is nothing to compare a row with."""
    assert share_mislabelled(sparse.eye(3, format="csr"), sparse.eye(3, format="csr"), np.arange(3)) is None


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([1.0], True),
        ([2.0, 1.0], True),
        ([3.0, 1.5, 1.1, 1.02, 1.01, 1.0], False),
        ([4.363, 3.187, 2.887, 2.716, 2.605, 2.545], False),  # the bundled corpus B, whose labels hold noise
        ([3.0, 2.8, 2.6, 2.4, 2.2, 2.0], True),  # as fast at the end as at the start
        ([1.0, 1.1, 1.2, 1.3], False),  # it rises
    ],
)
def test_a_loss_that_falls_in_its_second_half_too_has_not_run_out(losses, expected):
    """Held against a fall that is even in what the decaying learning rate moves."""
    assert still_falling(losses) is expected
