"""The objectives, against values known in closed form and the numbers the article prints."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch.nn import functional as F

from schemas.settings import LOSSES, Loss
from tasks.train.objectives import Batch, make_objective
from tasks.train.objectives.contrast import contrast
from tasks.train.objectives.dssm import softmax
from tasks.train.objectives.sampled_softmax import weighted_softmax
from tasks.train.objectives.softmax_all import SMOOTHING, softmax_all
from tasks.train.objectives.softmax_target import reachable_target, softmax_target

# The article's four rows: similarities, and the softmax it prints for them.
ARTICLE = [
    ([0.1, 0.05, 0.15, 0.1, 0.6], [0.17695, 0.16832, 0.18603, 0.17695, 0.29175]),
    ([0.02, 0.01, 0.02, 0.05, 0.9], [0.15549, 0.15394, 0.15549, 0.16022, 0.37486]),
    ([0.01, 0.015, 0.015, 0.03, 0.03, 0.9], [0.13359, 0.13426, 0.13426, 0.13629, 0.13629, 0.32531]),
    ([0.05, 0.05, 0.9], [0.23043, 0.23043, 0.53913]),
]


def first(row, place):
    """Return the row with the number at `place` first, as the losses want the right candidate."""
    return torch.tensor([row[place], *row[:place], *row[place + 1 :]], dtype=torch.float64)


@pytest.mark.parametrize(("row", "printed"), ARTICLE)
def test_the_articles_softmax_rows_are_reproduced(row, printed):
    """Whichever candidate is the right one, its softmax output is the printed one, through both losses."""
    for place, output in enumerate(printed):
        p = math.exp(-softmax(first(row, place), 1.0).item())
        assert p == pytest.approx(output, abs=5.1e-6)
        assert softmax_target(first(row, place), 1.0, 0.4).item() == pytest.approx((p - 0.4) ** 2)


def test_a_similarity_of_nine_tenths_nearly_meets_the_articles_target():
    """Its second row: at 0.9 the output is 0.375, so a target of 0.4 asks for a little more."""
    row = first(ARTICLE[1][0], 4)

    assert softmax_target(row, 1.0, 0.4).item() == pytest.approx((0.37486 - 0.4) ** 2, abs=1e-6)
    assert softmax_target(row, 1.0, 1.0).item() == pytest.approx((0.37486 - 1.0) ** 2, abs=1e-5)


@pytest.mark.parametrize("negatives", [1, 4, 19])
def test_guessing_uniformly_costs_the_log_of_the_candidates(negatives):
    """Equal cosines leave p = 1 / (1 + J)."""
    equal = torch.full((3, 1 + negatives), 0.7)

    assert softmax(equal, 5.0).item() == pytest.approx(math.log(1 + negatives))
    assert softmax_target(equal, 5.0, 0.4).item() == pytest.approx((1 / (1 + negatives) - 0.4) ** 2)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 10.0])
def test_two_candidates_have_a_closed_form(gamma):
    """With the right one at 1 and the wrong one at -1, p = 1 / (1 + exp(-2 gamma))."""
    cosines = torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    p = 1 / (1 + math.exp(-2 * gamma))

    assert softmax(cosines, gamma).item() == pytest.approx(-math.log(p))
    assert softmax_target(cosines, gamma, 0.3).item() == pytest.approx((p - 0.3) ** 2)


def test_losses_are_means_over_every_leading_dimension():
    """Two towers of two rows cost the mean of the four."""
    cosines = torch.rand(2, 2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    rows = cosines.reshape(4, 5)

    for loss in (lambda x: softmax(x, 3.0), lambda x: softmax_target(x, 3.0, 0.4)):
        assert loss(cosines).item() == pytest.approx(sum(loss(row).item() for row in rows) / 4)


@pytest.mark.parametrize(("negatives", "target"), [(4, 0.4046), (9, 0.232), (19, 0.125)])
def test_the_reachable_target_falls_with_the_number_of_negatives(negatives, target):
    """1 / (1 + J / e): the article's 0.4 at four negatives, and not at any other number."""
    assert reachable_target(negatives, 1.0) == pytest.approx(target, abs=5e-4)


def test_the_reachable_target_rises_with_gamma_and_gap():
    """p+ = 0.99 needs gamma * gap = ln(99 * 4) = 5.98 at four negatives; e / (e + 4 / e) = 0.6488 a gap of two."""
    assert reachable_target(4, 5.98) == pytest.approx(0.99, abs=1e-4)
    assert reachable_target(4, 1.0, gap=2.0) == pytest.approx(0.6488, abs=1e-4)
    assert reachable_target(4, 2.0, gap=0.5) == reachable_target(4, 1.0, gap=1.0)


def test_the_target_is_met_by_what_it_was_derived_from():
    """The right cosine 1 and four orthogonal negatives: the loss is zero, and so is its gradient."""
    cosines = torch.tensor([[1.0, 0, 0, 0, 0]], dtype=torch.float64, requires_grad=True)

    loss = softmax_target(cosines, 1.0, reachable_target(4, 1.0))
    loss.backward()

    assert loss.item() == pytest.approx(0, abs=1e-15)
    assert cosines.grad.abs().max() < 1e-8


RANDOM = torch.Generator().manual_seed(2)
QUERIES, CLASSES = (torch.randn(3, n, 5, generator=RANDOM, dtype=torch.float64) for n in (4, 6))
COSINES = torch.rand(3, 4, 6, dtype=torch.float64, generator=RANDOM) * 2 - 1
LABELS = torch.tensor([0, 5, 2, 2])
PRIOR = torch.log(torch.tensor([0.4, 0.2, 0.1, 0.1, 0.1, 0.1], dtype=torch.float64))
NONE = torch.zeros(6, dtype=torch.float64)


def exact(cosines, labels, gamma, smoothing, adjustment, margin):
    """Return torch's own cross-entropy of (S, n, K) cosines with everything that `softmax_all` adds."""
    taken = cosines - margin * F.one_hot(labels, cosines.shape[2])
    logits = (gamma * taken + adjustment).flatten(0, 1)
    return F.cross_entropy(logits, labels.repeat(len(cosines)), label_smoothing=smoothing)


@pytest.mark.parametrize("gamma", [1.0, 20.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.05, 0.75])
@pytest.mark.parametrize("adjustment", [NONE, PRIOR])
@pytest.mark.parametrize("margin", [0.0, 0.2])
def test_softmax_all_is_torchs_cross_entropy(gamma, smoothing, adjustment, margin):
    """Value and both gradients, also when the loss is scaled afterwards."""
    mine, theirs = ([vectors.clone().requires_grad_() for vectors in (QUERIES, CLASSES)] for _ in range(2))
    cosines = torch.bmm(theirs[0], theirs[1].transpose(1, 2))
    expected = 3 * exact(cosines, LABELS, gamma, smoothing, adjustment, margin)
    expected.backward()

    loss = 3 * softmax_all(*mine, LABELS, gamma, smoothing, adjustment, margin)
    loss.backward()

    torch.testing.assert_close(loss, expected)
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_what_has_the_same_answer_is_no_opponent():
    """Of a row of class 0, class 3 gets what the smoothing gives to any, and nothing else pushes it away."""
    queries, classes = QUERIES[:, :1].float(), CLASSES.float().requires_grad_()
    same = sp.csr_array(np.eye(6, dtype=np.float32)[[3]])
    batch = Batch(np.arange(6), np.array([[0]]), sp.csr_array(np.eye(6)), same)

    make_objective(Loss(kind="softmax_all", gamma=2.0, margin=0.0), 0, np.ones(6, int)).loss(
        queries, classes, batch
    ).backward()

    torch.testing.assert_close(classes.grad[:, 3], -2.0 * SMOOTHING / 6 / 3 * queries[:, 0])
    assert (classes.grad[:, 4] * queries[:, 0]).sum() > 0


def test_the_gradient_of_softmax_all_is_that_of_finite_differences():
    """With everything switched on."""
    vectors = [vectors.clone().requires_grad_() for vectors in (QUERIES, CLASSES)]

    assert torch.autograd.gradcheck(lambda q, c: softmax_all(q, c, LABELS, 2.0, 0.1, PRIOR, 0.2), vectors)


def test_softmax_all_starts_at_the_log_of_the_classes():
    """Equal cosines, no adjustment: log K, whatever the smoothing."""
    loss = softmax_all(torch.zeros(2, 4, 5), torch.ones(2, 6, 5), LABELS, 20.0, 0.05, torch.zeros(6), 0.0)

    assert loss.item() == pytest.approx(math.log(6))


def test_an_adjustment_asks_small_classes_for_a_margin():
    """At equal cosines a rare class costs more than a frequent one: -log of its prior."""
    for label, prior in ((0, 0.4), (5, 0.1)):
        loss = softmax_all(0 * QUERIES[:, :1], CLASSES, torch.tensor([label]), 1.0, 0.0, PRIOR, 0.0)
        assert loss.item() == pytest.approx(-math.log(prior))


def right_first(matrix, labels):
    """Return (..., K) with the right class first and the others in order, of a (..., K) matrix per row."""
    classes = torch.arange(matrix.shape[-1])
    order = torch.stack([torch.cat([label[None], classes[classes != label]]) for label in labels])
    return matrix.gather(-1, order.expand(matrix.shape))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("margin", [0.0, 0.2])
@pytest.mark.parametrize("adjustment", [NONE, PRIOR])
def test_with_every_class_a_candidate_the_weighted_softmax_is_the_exact_one(smoothing, margin, adjustment):
    """Value and gradient, with label smoothing, logit adjustment and margin."""
    mine, theirs = (COSINES.clone().requires_grad_() for _ in range(2))
    expected = exact(theirs, LABELS, 4.0, smoothing, adjustment, margin)
    expected.backward()

    adjusted = right_first(adjustment.expand(4, 6), LABELS)
    loss = weighted_softmax(right_first(mine, LABELS), 4.0, torch.zeros(6), smoothing, adjusted, margin)
    loss.backward()

    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(mine.grad, theirs.grad)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("negatives", [1, 2, 4])
def test_where_all_negatives_are_alike_a_sample_of_any_size_gives_the_exact_loss(negatives, smoothing):
    """With (K - 1)/J as their weight; without it, the loss would be that of 1 + J classes."""
    cosines = torch.full((1, 1, 9), 0.1, dtype=torch.float64)
    cosines[..., 0] = 0.8
    expected = exact(cosines, torch.tensor([0]), 5.0, smoothing, torch.zeros(9), 0.0)
    weights = torch.tensor([0.0] + [math.log(8 / negatives)] * negatives, dtype=torch.float64)
    sampled, nothing = cosines[..., : 1 + negatives], torch.zeros(1 + negatives)

    assert weighted_softmax(sampled, 5.0, weights, smoothing, nothing, 0.0).item() == pytest.approx(expected.item())


def test_the_weights_make_the_sum_of_the_softmax_unbiased():
    """Over every draw of two of five negatives with replacement, its mean is the sum over all classes."""
    logits = 3.0 * COSINES[0, 0]
    weights, nothing = torch.tensor([0.0, *[math.log(5 / 2)] * 2]), torch.zeros(3)
    draws = [torch.tensor([0, 1 + a, 1 + b]) for a in range(5) for b in range(5)]
    # e^(loss + right logit) is that sum
    sums = [weighted_softmax(logits[d], 1.0, weights, 0.0, nothing, 0.0).add(logits[0]).exp().item() for d in draws]

    assert sum(sums) / 25 == pytest.approx(logits.exp().sum().item())


def test_a_candidate_of_weight_zero_does_not_count():
    """Neither in the softmax nor in the smoothing; no gradient, and nothing becomes not-a-number."""
    cosines = COSINES.clone().requires_grad_()
    weights = torch.zeros(6).index_fill(0, torch.tensor([2, 5]), -math.inf)

    loss = weighted_softmax(cosines, 3.0, weights, 0.1, NONE, 0.0)
    loss.backward()

    kept = COSINES[..., [0, 1, 3, 4]]
    torch.testing.assert_close(loss, weighted_softmax(kept, 3.0, torch.zeros(4), 0.1, NONE[:4], 0.0))
    assert (cosines.grad[..., [2, 5]] == 0).all()
    assert cosines.grad.isfinite().all()


@pytest.mark.parametrize("kind", LOSSES)
def test_every_loss_of_the_table_is_an_objective(kind):
    """Its value at equal cosines is what it says beforehand, of rows 3 : 2 : 1, and nothing costs less than the floor.

    A module that is missing, or a closed form that is wrong, shows here.
    """
    rows, negatives = np.array([3, 2, 1]), 2
    objective = make_objective(Loss(kind=kind, gamma=3.0), negatives, rows)
    labels = np.repeat(np.arange(3), rows)
    others = np.array([[1, 2], [0, 2], [0, 1]])
    places = np.hstack([labels[:, None], others[labels]]) if objective.drawn else labels[:, None]
    forbidden, perfect = sp.csr_array(np.eye(3, dtype=bool)), torch.eye(3, 4)[None]

    def mean(queries, classes):
        """Return the loss, row by row: each alone is held against all three."""
        batches = [Batch(np.arange(3), row[None], forbidden) for row in places]
        return np.mean([objective.loss(queries[:, [n]], classes, batch).item() for n, batch in enumerate(batches)])

    equal, best = mean(torch.zeros(1, 6, 4), torch.ones(1, 3, 4)), mean(perfect[:, labels], perfect)

    assert equal == pytest.approx(objective.at_equal_cosines(), abs=1e-5)
    assert objective.least(np.array([np.inf]))[0] < objective.at_equal_cosines(margin=False)
    assert objective.at_equal_cosines(margin=False) <= objective.at_equal_cosines()
    gaps = np.linspace(0, 2, 50)
    assert (np.diff(objective.least(gaps)) <= 1e-12).all()
    assert objective.least(np.array([2.0]))[0] <= best
    assert {*objective.correction()} <= {*Loss.model_fields}


def test_the_contrast_is_the_mean_cross_entropy_of_finding_a_fellow():
    """Against eq. 2 of Khosla et al. written out; a row without a fellow counts with 0, and opposes the others."""
    labels = [0, 1, 0, 2, 1, 0]
    queries = F.normalize(torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(1)).double(), dim=2)
    expected = []
    for member in queries:
        for i, label in enumerate(labels):
            scores = {j: math.exp(5 * float(member[i] @ member[j])) for j in range(6) if j != i}
            fellows = [-math.log(scores[j] / sum(scores.values())) for j in scores if labels[j] == label]
            expected.append(np.mean(fellows) if fellows else 0.0)

    assert contrast(queries, torch.tensor(labels), 5.0).item() == pytest.approx(np.mean(expected))
    assert contrast(queries, torch.arange(6), 5.0).item() == 0


def test_the_contrast_of_queries_with_the_same_answer_is_that_without_each_other():
    """Under two standard questions they neither attract nor oppose each other; one query alone has no gradient."""
    queries = F.normalize(torch.randn(1, 5, 4, generator=torch.Generator().manual_seed(2)).double(), dim=2)
    labels, same = torch.tensor([0, 0, 1, 1, 2]), torch.zeros(5, 5, dtype=torch.bool)
    same[:2, 2:4] = same[2:4, :2] = True
    first, second = (contrast(queries[:, rows], torch.tensor([0, 0, 1]), 5.0) for rows in ([0, 1, 4], [2, 3, 4]))

    assert contrast(queries, labels, 5.0, same).item() == pytest.approx((first + second).item() * 3 / 5)
    alone = queries[:, :1].clone().requires_grad_()
    contrast(alone, labels[:1], 5.0).backward()
    assert torch.equal(alone.grad, torch.zeros_like(alone))
