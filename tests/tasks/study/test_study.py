"""The study's words follow from its numbers, in either direction; nothing is said that was not measured."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.evaluation import Interval
from schemas.study import Difference, Experiment, Finding, Measured
from tasks.study.findings import find_findings
from tasks.study.measurements import compare, make_study, render_study, summarise_study
from tasks.study.results import ABLATIONS, list_pairs, sign


def interval(value: float, half: float = 0.01) -> Interval:
    """A share and an interval of so much to either side."""
    return Interval(value=value, low=value - half, high=value + half)


def measured(role: str, recall: float, corpus: str = "a", article: float | None = None, **changes: Any) -> Measured:
    """What a healthy experiment gives, with `changes`."""
    experiment = Experiment(
        role=role,
        title=role,
        question="?",
        corpus=corpus,
        overrides={"model": {"tower": "bag"}},
        article_recall_at_10=article,
    )
    figures: dict[str, Any] = {
        "train_rows": 900,
        "test_rows": 100,
        "classes": 10,
        "parameters": 1000,
        "recall_at_10": interval(recall),
        "recall_at_1": interval(recall / 2),
        "small_recall_at_10": interval(recall - 0.2),
        "small_test_rows": 10,
        "losses": [0.5, 0.2, 0.1, 0.05],
        "spreads": [0.5, 0.2, 0.1, 0.1],
        "first_loss": 1.0,
        "floor": 0.0,
        "reachable_fall": 1.0,
        "loss_fall": 0.95,
        "reducible_fall": 0.95,
        "oscillation": 0.1,
        "effective_rank": 40.0,
        "tail_cosine": 0.1,
        "sentence": "Converged.",
        "seconds": 1.0,
        "reused": False,
    }
    return Measured(experiment=experiment, **(figures | changes))


def find(*experiments: Measured, half: float = 0.01) -> dict[str, Finding]:
    """Return the findings by subject, with differences whose intervals have a known width."""
    return {f.subject: f for f in find_findings(experiments, differences_of(experiments, half))}


def differences_of(experiments: Sequence[Measured], half: float = 0.01) -> list[Difference]:
    """Return the differences that the findings need, with intervals of a known width."""
    return [
        Difference(
            of=a.experiment.name,
            against=b.experiment.name,
            recall_at_10=interval(a.recall_at_10.value - b.recall_at_10.value, half),
            paired=True,
        )
        for a, b in list_pairs(experiments)
    ]


def the(found: dict[str, Finding], start: str) -> Finding:
    """Return the one finding whose subject starts so."""
    (one,) = [finding for subject, finding in found.items() if subject.startswith(start)]
    return one


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        (interval(0.05), 1),
        (interval(-0.05), -1),
        (interval(0.019, 0.001), 0),  # below two points, however sure
        (interval(0.05, 0.06), 0),  # large, but it may be nothing
    ],
)
def test_a_difference_counts_from_two_points_and_beyond_its_interval(gap, expected):
    """Everything else is noise and is called so."""
    assert sign(gap) == expected


@pytest.mark.parametrize(
    ("recall", "verdict"), [(0.80, "reproduces"), (0.895, "not distinguishable"), (0.95, "does not reproduce")]
)
def test_first_n_negatives_reproduce_only_if_they_are_worse(recall, verdict):
    """The article calls them a defect; a better recall would contradict it."""
    finding = the(find(measured("reference", 0.9), measured("first-n", recall)), "First n")

    assert finding.verdict == verdict
    assert f"{recall:.1%}" in finding.ours
    assert ("not distinguishable from noise" in finding.ours) == (verdict == "not distinguishable")


def test_a_small_difference_that_is_certain_is_not_called_noise():
    """Its interval leaves zero out: it is too small to count, and that is another thing."""
    finding = the(find(measured("reference", 0.9), measured("first-n", 0.885), half=0.001), "First n")

    assert finding.verdict == "not distinguishable"
    assert "too small to count" in finding.ours
    assert "noise" not in finding.ours


@pytest.mark.parametrize(("oscillation", "verdict"), [(0.4, "reproduces"), (0.12, "does not reproduce")])
def test_order_reproduces_if_the_batch_loss_swings_more(oscillation, verdict):
    """Half again as much as shuffled, at least."""
    found = find(measured("reference", 0.9), measured("ordered", 0.9, oscillation=oscillation))

    assert the(found, "Ordered").verdict == verdict


def test_an_epoch_of_one_batch_says_nothing_of_oscillation():
    """Nothing divided by nothing is no finding."""
    found = find(measured("reference", 0.9, oscillation=0.0), measured("ordered", 0.9, oscillation=0.0))

    assert the(found, "Ordered").verdict == "not distinguishable"


@pytest.mark.parametrize(
    ("fall", "converges", "far"),
    [
        (0.2, "reproduces", "reproduces"),
        (0.35, "reproduces", "does not reproduce"),
        (0.95, "does not reproduce", "does not reproduce"),
    ],
)
def test_that_a_loss_does_not_converge_and_how_far_it_falls_are_two_findings(fall, converges, far):
    """The defect may reproduce where the article's figure does not."""
    found = find(
        measured("first-n-ordered-target-1", 0.2, loss_fall=0.8),
        measured("ordered-target-1", 0.5, loss_fall=fall, reachable_fall=0.446),
    )

    assert the(found, "With random negatives").verdict == converges
    assert the(found, "How far").verdict == far
    assert "44.6%" in the(found, "How far").ours


def test_the_target_is_judged_by_its_loss_and_apart_from_that_by_recall():
    """A loss that converges at last need not mean a better model, and the report must not pretend so."""
    found = find(
        measured("reference", 0.9),
        measured("target-1", 0.9, loss_fall=0.4, reachable_fall=0.446),
    )

    assert the(found, "Target 0.4 instead of 1: the loss").verdict == "reproduces"
    assert the(found, "Target 0.4 instead of 1: the model").verdict == "not distinguishable"
    assert the(found, "Shuffled").verdict == "reproduces"  # 0.4 is near a third


@pytest.mark.parametrize(
    ("recalls", "verdict"),
    [
        ((0.9, 0.8, 0.7), "reproduces"),
        ((0.9, 0.7, 0.8), "does not reproduce"),
        ((0.9, 0.8, 0.79), "not distinguishable"),
    ],
)
def test_the_order_of_the_corpora_must_hold_throughout(recalls, verdict):
    """A > B > C is two statements; the corpora may come in any order."""
    article = {"c": 0.61, "a": 0.91, "b": 0.76}
    recipes = [measured("recipe", recalls["abc".index(c)], c, article[c]) for c in article]
    finding = the(find(*recipes), "A > B > C")

    assert finding.verdict == verdict
    assert finding.article.startswith("A 0.91, B 0.76, C 0.61")


def test_smaller_layers_are_held_against_the_recipe_of_their_corpus():
    """The hidden layer should help and the input layer hurt; what happens is said either way."""
    found = find(
        measured("recipe", 0.6, "c", 0.61),
        measured("smaller-hidden", 0.55, "c", 0.7, losses=[0.1, 0.1]),
        measured("smaller-input", 0.5, "c"),
    )

    hidden = the(found, "A smaller hidden")
    assert hidden.verdict == "does not reproduce"
    assert "−5.0 points" in hidden.ours
    assert "Of the reducible loss, 80% was gone after 1 epoch; by the recipe it was gone after 2 epochs." in hidden.ours
    assert the(found, "A smaller input").verdict == "reproduces"


@pytest.mark.parametrize(
    ("recalls", "verdict"),
    [((0.95, 0.8), "holds"), ((0.95, 0.5), "does not hold"), ((0.95, 0.61), "not distinguishable")],
)
def test_the_default_must_be_ahead_on_every_corpus(recalls, verdict):
    """One corpus on which it is not clearly ahead is enough to say so."""
    found = find(
        measured("recipe", 0.9, "a", 0.91),
        measured("default", recalls[0], "a"),
        measured("recipe", 0.6, "c", 0.61),
        measured("default", recalls[1], "c"),
    )

    assert the(found, "The pipeline's default").verdict == verdict


def test_every_claim_has_its_finding_once_everything_was_measured():
    """Eight of them on each corpus, two of its variants, three over both; no template is left in a sentence."""
    roles = [*ABLATIONS, "recipe", "smaller-hidden", "smaller-input", "default"]
    article = {("recipe", "a"): 0.91, ("recipe", "c"): 0.61}
    experiments = [measured(role, 0.5, corpus, article.get((role, corpus))) for corpus in "ac" for role in roles]
    findings = find_findings(experiments, differences_of(experiments))

    assert len(findings) == 2 * (8 + 2) + 3
    assert len({finding.subject for finding in findings}) == len(findings)
    assert not [f for f in findings if set("{}%") & set(f.subject) or "{" in f.ours or not f.ours.endswith(".")]


def test_nothing_is_found_where_nothing_was_measured():
    """A study of one experiment has nothing to compare."""
    assert find(measured("reference", 0.9)) == {}


def test_recalls_on_the_same_rows_are_compared_in_pairs(tmp_path):
    """Ten rows that agree but for one: the difference is a tenth, and may be chance; other rows are not paired."""
    ranks = {"a": [0] * 10, "b": [0] * 9 + [20], "c": [0] * 9 + [20]}
    for name, one in ranks.items():
        (tmp_path / name).mkdir()
        row_ids = np.arange(10) + (5 if name == "c" else 0)
        pq.write_table(pa.table({"row_id": row_ids, "rank": one}), tmp_path / name / "ranked.parquet")
    better, worse = measured("reference", 1.0), measured("first-n", 0.9)

    paired = compare(better, worse, tmp_path / "a", tmp_path / "b")
    assert paired.paired
    assert paired.recall_at_10.value == pytest.approx(0.1)
    assert paired.recall_at_10.low < 0 < 0.1 < paired.recall_at_10.high

    apart = compare(better, worse, tmp_path / "a", tmp_path / "c")
    assert not apart.paired
    assert apart.recall_at_10.low == pytest.approx(0.1 - 0.01 * 2**0.5)


def test_the_report_says_every_finding_and_escapes_what_it_is_given(tmp_path):
    """One page without scripts; a summary that counts."""
    done = []
    for role, recall in {"recipe": 0.6, "default": 0.9, "reference": 0.6, "first-n": 0.3}.items():
        folder = tmp_path / role
        folder.mkdir()
        hits = np.where(np.arange(100) < recall * 100, 0, 50)
        pq.write_table(pa.table({"row_id": np.arange(100), "rank": hits}), folder / "ranked.parquet")
        done.append((measured(role, recall, "<b>", sentence="<script>"), folder))
    study = make_study("toy", done, 1.0)
    page = render_study(study)

    assert "<script>" not in page
    assert "&lt;B&gt;" in page
    assert summarise_study(study) in page.replace("&#39;", "'")
    assert summarise_study(study) == (
        "2 of 2 findings of the article reproduce. The pipeline's default is ahead of the article's recipe on every "
        "corpus."
    )
    assert page.count("<svg") == 4
