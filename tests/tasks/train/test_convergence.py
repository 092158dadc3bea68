"""The verdict on a finished training."""

import numpy as np
import pytest

from schemas.training import Epoch, Reachability
from tasks.train.convergence import effective_rank, judge, tail_cosine

REACHABLE = Reachability(floor=0.5, first=2.5, reachable_fall=0.8, advice="")
UNREACHABLE = REACHABLE.model_copy(update={"advice": "set loss.target = 0.4046"})
ROWS = np.array([1, 2, 3, 50, 60])  # three small classes


def vectors(tail=0.0):
    """Return one tower of five unit vectors; the first three have mean cosine `tail`."""
    found = np.eye(6)[:5]
    found[:3] = np.sqrt(1 - tail) * found[:3] + np.sqrt(tail) * np.eye(6)[5]
    return found[None].astype(np.float32)


def verdict(last=0.6, reach=REACHABLE, tail=0.0, ordered=False, losses=(2.0, 1.0, 0.9, 0.9), spread=0.1, small=3):
    """Judge a training that is fine but for what is given."""
    epochs = [
        Epoch(phase="refit", epoch=number, loss=loss, batch_loss_spread=spread) for number, loss in enumerate(losses, 1)
    ]
    return judge(epochs, last, reach, vectors(tail), ROWS, ordered, small)


def test_orthogonal_vectors_have_their_number_as_effective_rank():
    """And identical ones have one."""
    assert effective_rank(np.eye(7, 20, dtype=np.float32)) == pytest.approx(7)
    assert effective_rank(np.ones((7, 20), dtype=np.float32)) == pytest.approx(1)


def test_effective_rank_is_exp_of_the_entropy_of_singular_values():
    """Three times one direction, once another: singular values sqrt(3) and 1."""
    shares = np.array([np.sqrt(3), 1]) / (np.sqrt(3) + 1)

    found = effective_rank(np.eye(2, dtype=np.float32)[[0, 0, 0, 1]])

    assert found == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))


@pytest.mark.parametrize("cosine", [0.0, 0.3, 1.0])
def test_the_tail_cosine_is_the_mean_over_pairs(cosine):
    """Three classes of equal mutual cosine; large ones do not count."""
    assert tail_cosine(vectors(cosine), ROWS <= 3) == pytest.approx(cosine, abs=1e-6)


def test_the_tail_cosine_is_the_mean_over_towers():
    """One tower is collapsed, the other is not."""
    both = np.concatenate([vectors(1.0), vectors(0.0)])

    assert tail_cosine(both, ROWS <= 3) == pytest.approx(0.5)


def test_a_tail_of_one_class_has_no_cosine():
    """There is no pair."""
    assert tail_cosine(vectors(), ROWS <= 1) is None
    assert verdict(small=1).tail_cosine is None


def test_falls_are_measured_against_first_value_and_floor():
    """From 2.5 to 0.6 with a floor of 0.5: 76 % of the loss, 95 % of what could be lost."""
    found = verdict()

    assert found.loss_fall == pytest.approx(1.9 / 2.5)
    assert found.reducible_fall == pytest.approx(0.95)
    assert found.effective_rank == pytest.approx(5)
    assert found.oscillation == 0.1


@pytest.mark.parametrize(("last", "good"), [(0.6, True), (0.8, False)])
def test_a_fall_of_most_of_the_reducible_loss_is_convergence(last, good):
    """85 % is enough, 95 % is good."""
    found = verdict(last)

    assert (found.converged, found.cause) == (True, "none")
    assert ("(good)" in found.sentence) is good


@pytest.mark.parametrize(
    ("given", "cause", "advice"),
    [
        ({"last": 1.8, "reach": UNREACHABLE}, "unreachable target", "set loss.target = 0.4046"),
        ({"tail": 0.97, "reach": UNREACHABLE}, "unreachable target", "set loss.target = 0.4046"),
        ({"tail": 0.97}, "collapse", "mean cosine of 0.97"),
        ({"last": 1.8, "ordered": True}, "ordered data", "split.shuffle = true"),
        ({"ordered": True, "spread": 0.8}, "ordered data", "swing by 80%"),
        ({"last": 1.8, "losses": (2.5, 2.2, 2.0, 1.8)}, "too few steps", "training.epochs"),
        ({"last": 1.8, "losses": (2.0, 1.8)}, "too few steps", "training.epochs"),
        ({"last": 1.8, "losses": (2.5, 1.9, 1.8, 1.8)}, "noisy labels", "mislabelled"),
    ],
    ids=str,
)
def test_each_failure_has_its_cause_and_what_to_do(given, cause, advice):
    """A collapse counts however far the loss fell: the large classes hide it."""
    found = verdict(**given)

    assert (found.converged, found.cause) == (False, cause)
    assert advice in found.sentence


def test_what_converged_all_the_same_is_not_blamed():
    """Ordered rows that did not oscillate, or an unreachable target that was come close to."""
    assert verdict(ordered=True).converged
    assert verdict(reach=UNREACHABLE).converged


def test_the_bound_of_small_classes_is_a_parameter():
    """Of at most one row there is one class here: no tail, no collapse."""
    assert verdict(tail=0.97).cause == "collapse"
    assert verdict(tail=0.97, small=1).cause == "none"
